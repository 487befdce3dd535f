"""Do labels and masses fit? Where a W, Z, H or top label has no peak but the background has, labels look swapped.

Published samples are in circulation whose labels are the other way round from what their users took them for; a
network does not mind, but every conclusion is then about the wrong class.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from jetassay.jets.dataset import DataFile, Dataset
from jetassay.jets.mapped import open_jets
from jetassay.jets.reading import as_float32, mass_of
from jetassay.jets.schema import DERIVED, Schema
from jetassay.jets.sources import RawChunk, Source
from jetassay.jets.validity import decode_labels, first_rule, label_problems

Masses = Mapping[str, NDArray[np.float32]]

PEAKS: Mapping[str, float] = {
    **dict.fromkeys(("Wqq", "W"), 80.4),
    **dict.fromkeys(("Zqq", "Z"), 91.2),
    **dict.fromkeys(("Hbb", "Hcc", "Hgg", "H4q", "H"), 125.2),
    **dict.fromkeys(("Tbqq", "top"), 172.6),
}
"""Label -> mass in GeV of what decays into the whole jet (Review of Particle Physics 2024); none with a neutrino."""
FLAT: tuple[str, ...] = ("QCD", "gluon", "quark", "background")
"""Labels without a peak."""

_WINDOW = 0.2
"""A jet is in the peak where its mass is within this fraction of it."""
_FEWEST = 30
_SIGNIFICANT = 3.0
_FILES_OF_GROUP = 3
_RANGES, _ENTRIES = 4, 250


def mass_columns(source: Source, schema: Schema) -> tuple[str, ...]:
    """Soft-drop mass where the file has it, else the jet's mass, else what that is computed from; or none."""
    for columns in (("jet_sdmass",), ("jet_mass",), DERIVED["jet_mass"]):
        if set(columns) <= {*source.numbers} & {*schema.columns}:
            return columns
    return ()


def masses_by_label(raw: RawChunk, columns: Sequence[str], schema: Schema) -> dict[str, NDArray[np.float32]]:
    """Finite masses in GeV of the jets of each label, without those whose labels are not sound."""
    labels = {name: raw.numbers[name] for name in schema.labels}
    unsound, _ = first_rule([*label_problems(labels, schema)], len(raw))
    numbers = {name: as_float32(raw.numbers[name]) for name in columns}
    with np.errstate(all="ignore"):
        mass = mass_of(numbers) if len(columns) > 1 else numbers[columns[0]]
    kept = ~unsound & np.isfinite(mass)
    found = decode_labels({name: values[kept] for name, values in labels.items()}, schema)
    return {schema.label_names[label]: mass[kept][found == label] for label in np.unique(found)}


def swapped_labels(masses: Masses) -> list[str]:
    """What looks swapped, one sentence each; labels with fewer than 30 jets are not looked at."""
    enough = {name: values for name, values in masses.items() if len(values) >= _FEWEST}
    peaked = {name: PEAKS[name] for name in PEAKS if name in enough}
    return [
        *(said for name in peaked for flat in FLAT if flat in enough for said in _against_flat(enough, name, flat)),
        *(said for pair in combinations(peaked, 2) for said in _out_of_order(enough, *pair)),
    ]


def check_labels(dataset: Dataset) -> list[str]:
    """As `swapped_labels`, for some jets of up to three files of each group of a dataset."""
    if not dataset.schema.labels or not {*dataset.schema.label_names} & {*PEAKS}:
        return []
    found: dict[str, list[NDArray[np.float32]]] = {}
    for files in dataset.groups.values():
        for file in files[:_FILES_OF_GROUP]:
            for each in _some_masses(file, dataset.schema):
                for name, values in each.items():
                    found.setdefault(name, []).append(values)
    return swapped_labels({name: np.concatenate(parts) for name, parts in found.items()})


def _some_masses(file: DataFile, schema: Schema) -> Iterator[Masses]:
    with closing(open_jets(file.path, schema)) as source:
        columns = mass_columns(source, schema)
        if not columns or not set(schema.labels) <= {*source.numbers}:
            return
        starts = np.linspace(0, max(source.n_entries - _ENTRIES, 0), _RANGES).astype(int)
        for start in np.unique(starts):
            stop = min(int(start) + _ENTRIES, source.n_entries)
            for raw in source.chunks((*schema.labels, *columns), start=int(start), stop=stop, step=_ENTRIES):
                yield masses_by_label(raw, columns, schema)


def _in_peak(values: NDArray[np.float32], peak: float) -> float:
    return float(np.mean(np.abs(values / peak - 1) < _WINDOW))


def _against_flat(masses: Masses, name: str, flat: str) -> Iterator[str]:
    own, other = _in_peak(masses[name], PEAKS[name]), _in_peak(masses[flat], PEAKS[name])
    error = np.sqrt(own * (1 - own) / len(masses[name]) + other * (1 - other) / len(masses[flat]))
    if other - own > _SIGNIFICANT * error:
        yield (
            f"labels {name} and {flat} look swapped: {own:.0%} of {name} lie within {_WINDOW:.0%} of "
            f"{PEAKS[name]:g} GeV, but {other:.0%} of {flat} do (medians {np.median(masses[name]):.0f} and "
            f"{np.median(masses[flat]):.0f} GeV)"
        )


def _out_of_order(masses: Masses, first: str, second: str) -> Iterator[str]:
    light, heavy = sorted((first, second), key=lambda name: PEAKS[name])
    if PEAKS[light] == PEAKS[heavy]:
        return
    medians = [float(np.median(masses[name])) for name in (light, heavy)]
    error = float(np.hypot(_median_error(masses[light]), _median_error(masses[heavy])))
    if medians[0] - medians[1] > _SIGNIFICANT * error:
        yield (
            f"labels {light} and {heavy} look swapped: their median masses are {medians[0]:.0f} and "
            f"{medians[1]:.0f} GeV, but {PEAKS[light]:g} and {PEAKS[heavy]:g} GeV are expected"
        )


def _median_error(values: NDArray[np.float32]) -> float:
    """Of a distribution that is about normal around its median: 1.25 sigma / sqrt(n), sigma from the quartiles."""
    low, high = np.quantile(values, (0.25, 0.75))
    return float(1.2533 * (high - low) / 1.349 / np.sqrt(len(values)))
