"""A dataset card guessed from the columns of a file, to be read and edited: `jetassay inspect FILE --suggest-card`."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetassay.errors import DataError
from jetassay.jets.mapping import LABEL_LIKE, name_parts
from jetassay.jets.schema import TRUTH_PATTERNS
from jetassay.jets.sources import RawChunk, Source, file_format, open_source
from jetassay.root_files import open_root

_ENTRIES = 2000
_FEWEST_IN_SERIES = 4
_MOST_CLASSES = 200
_MEV_ABOVE = 5000.0
"""A constituent with more than this on average over leading ones is not in GeV."""

_LISTS: Mapping[str, str] = {
    "part_px": "px", "part_py": "py", "part_pz": "pz", "part_energy": "e energy en", "part_pt": "pt",
    "part_eta": "eta", "part_phi": "phi", "part_mass": "m mass", "part_deta": "deta", "part_dphi": "dphi",
    "part_d0val": "d0 d0val dxy", "part_d0err": "d0err dxyerr", "part_dzval": "dz dzval", "part_dzerr": "dzerr",
    "part_charge": "charge", "part_pid": "pid pdgid pdg", "part_isChargedHadron": "ischargedhadron",
    "part_isNeutralHadron": "isneutralhadron", "part_isPhoton": "isphoton", "part_isElectron": "iselectron",
    "part_isMuon": "ismuon",
}  # fmt: skip
_NUMBERS: Mapping[str, str] = {
    "jet_pt": "pt", "jet_eta": "eta", "jet_phi": "phi", "jet_energy": "e energy", "jet_mass": "m mass",
    "jet_sdmass": "sdmass msd massmmdt softdropmass msoftdrop", "jet_nparticles": "nparticles npart nconst",
    "jet_tau1": "tau1 tau1b1", "jet_tau2": "tau2 tau2b1", "jet_tau3": "tau3 tau3b1", "jet_tau4": "tau4 tau4b1",
}  # fmt: skip
_PREFIXES = (
    r"(?:part|particle|pfcand|pfcands|pf|cand|const|constituent|constit|csts|cluster|track|jet|fjet|fatjet|j\d?)"
)
_LABEL_NAMES = ("y", "label", "labels", "target", "class", "is_signal_new", "is_signal", "signal")


@dataclass(frozen=True, slots=True)
class _Guess:
    """What was guessed of one file."""

    form: str
    tree: str
    feature_names: Mapping[str, str]
    columns: Mapping[str, str]
    mask: str | None
    padded: bool
    units: str
    label: str | None
    values: tuple[int, ...]
    one_hot: tuple[str, ...]
    truth: tuple[str, ...]
    left: tuple[str, ...]


def suggest_card(path: Path) -> str:
    """The text of a TOML card for files like `path`. Raises `DataError` where it cannot be opened."""
    form = file_format(path)
    tree = _only_tree(path) if form == "root" else ""
    with closing(open_source(path, tree=tree)) as source:
        feature_names = _feature_names(source)
    with closing(open_source(path, tree=tree, feature_names=feature_names)) as source:
        guess = _guess(source, form, tree, feature_names)
    return "\n".join(_card(path, guess)) + "\n"


def _only_tree(path: Path) -> str:
    """The first tree of a ROOT file."""
    try:
        with open_root(path) as file:
            trees = [name for name, kind in file.classnames(cycle=False).items() if kind == "TTree"]
    except Exception as error:  # uproot raises whatever its parser meets in broken bytes
        raise DataError(f"{path}: truncated or damaged ROOT file ({error}); fetch or make it again") from error
    if not trees:
        raise DataError(f"{path}: has no TTree")
    return str(trees[0])


def _feature_names(source: Source) -> dict[str, str]:
    """Arrays of text that have as many, or one more, items than an array has columns: these are the columns' names."""
    widths: dict[str, int] = {}
    for name in (*source.lists, *source.numbers):
        if match := re.fullmatch(r"(.*)\[(\d+)\]", name):
            widths[match[1]] = max(widths.get(match[1], 0), int(match[2]) + 1)
    texts = {}
    for name, kind in source.others.items():
        if match := re.fullmatch(r"(?:\|[SU]\d+|<U\d+|object) of shape \((\d+),\)", kind):
            texts[name] = int(match[1])
    return {
        array: min(fitting, key=lambda name: texts[name])
        for array, width in widths.items()
        if (fitting := [name for name in texts if texts[name] in {width, width + 1}])
    }


def _guess(source: Source, form: str, tree: str, feature_names: Mapping[str, str]) -> _Guess:
    series = _series(source.numbers)
    singles = [name for name in source.numbers if not any(name in each for each in series.values())]
    hidden = {name for name in (*source.lists, *singles, *series) if _is_truth(name)}
    one_hot = tuple(name for name in singles if fnmatchcase(name, "label_*"))
    label = next((name for name in singles if name.lower() in _LABEL_NAMES), None) if not one_hot else None
    flags = tuple(name for name in singles if fnmatchcase(name.lower(), "is_*"))
    if not one_hot and label is None:
        label, one_hot = (flags[0], ()) if len(flags) == 1 else (None, flags)
    lists = _matched(_LISTS, [name for name in (*source.lists, *series) if name not in hidden])
    numbers = _matched(_NUMBERS, [name for name in singles if name not in hidden and name != label])
    if "part_px" in lists:  # the direction is known; what else there is would only be asked to agree with it
        lists = {name: column for name, column in lists.items() if name not in {"part_pt", "part_eta", "part_phi"}}
    counters = {f"n{name}" for name in source.lists}  # of arrays in ROOT files
    used = {*lists.values(), *numbers.values(), *one_hot, label}
    mask = next((name for name in source.lists if name.lower().rpartition("/")[2] in {"mask", "valid"}), None)
    sample = _sample(source, [name for name in lists.values() if name in source.lists], label)
    return _Guess(
        form=form,
        tree=tree,
        feature_names=feature_names,
        columns={**lists, **numbers},
        mask=mask,
        padded=mask is None and (form in {"hdf5", "npz"} or any(name in series for name in lists.values())),
        units=_units(sample, lists),
        label=label,
        values=_values(sample, label),
        one_hot=one_hot,
        truth=tuple(sorted(hidden - {label, *one_hot})),
        left=tuple(
            name
            for name in (*source.lists, *singles, *series)
            if name not in used | hidden | counters | {mask} and f"{name}[0]" not in (*source.numbers, *source.lists)
        ),
    )


def _series(numbers: Sequence[str]) -> dict[str, set[str]]:
    """`E_{}` -> {E_0, E_1, ...}, for series of at least four numbers."""
    found: dict[str, set[str]] = {}
    for name in numbers:
        if match := re.fullmatch(r"(.*[A-Za-z_])(\d+)", name):
            found.setdefault(f"{match[1]}{{}}", set()).add(name)
    return {base: names for base, names in found.items() if len(names) >= _FEWEST_IN_SERIES}


def _is_truth(name: str) -> bool:
    patterns = (*TRUTH_PATTERNS, *LABEL_LIKE)
    return any(fnmatchcase(part.lower(), pattern.lower()) for part in name_parts(name) for pattern in patterns)


def _matched(table: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """Our name -> the first of the file's that reads like it."""
    keys: dict[str, str] = {}
    for name in names:
        last = name_parts(name.replace("{}", ""))[-1].lower()
        keys.setdefault(re.sub(r"[^a-z0-9]", "", re.sub(rf"^{_PREFIXES}_", "", last)), name)
    return {ours: keys[word] for ours, words in table.items() for word in words.split()[::-1] if word in keys}


def _sample(source: Source, names: Sequence[str], label: str | None) -> RawChunk:
    wanted = (*names, *((label,) if label else ()))
    return next(iter(source.chunks(wanted, start=0, stop=min(source.n_entries, _ENTRIES), step=_ENTRIES)))


def _units(sample: RawChunk, lists: Mapping[str, str]) -> str:
    for name in ("part_pt", "part_energy", "part_px"):
        ragged = sample.lists.get(lists.get(name, ""))
        if ragged is not None and len(ragged.content):
            filled = ragged.offsets[:-1][ragged.counts > 0]
            leading: NDArray[Any] = np.abs(ragged.content[filled].astype(np.float64))
            return "MeV" if np.nanmedian(leading) > _MEV_ABOVE else "GeV"
    return "GeV"


def _values(sample: RawChunk, label: str | None) -> tuple[int, ...]:
    if label is None:
        return ()
    found = np.unique(sample.numbers[label])
    whole = found[np.isfinite(found) & (found == np.floor(found))]
    return tuple(int(value) for value in whole[:_MOST_CLASSES])


def _card(path: Path, guess: _Guess) -> Iterator[str]:
    classes = [name.removeprefix("label_").removeprefix("is_") for name in guess.one_hot] or [
        f"class_{value}" for value in guess.values
    ]
    yield f"# Guessed from {path.name}: read every line, and give the labels their names (QCD, Tbqq, Wqq, ...)."
    yield f"name = {json.dumps(re.sub(r'[^a-z0-9]+', '-', path.stem.lower()).strip('-') or 'mine')} # and NAME.toml"
    yield 'title = "..."'
    yield f"labels = {json.dumps(classes)}"
    yield f"truth = {json.dumps(guess.truth)} # columns that no backbone may see, beside the labels"
    yield "mixed_files = true # false where each file holds one class"
    yield ""
    yield "[[layouts]]"
    yield 'title = "as given"'
    yield f"formats = {json.dumps([guess.form])}"
    if guess.tree:
        yield f"tree = {json.dumps(guess.tree)}"
    yield f'units = "{guess.units}" # GeV, MeV or TeV'
    if guess.mask:
        yield f"mask = {json.dumps(guess.mask)}"
    elif guess.padded:
        yield 'padding = "zero" # places without energy or pT hold no constituent'
    if not {"part_energy", "part_mass"} & guess.columns.keys():
        yield 'mass = "zero" # or "pdg", by part_pid'
    if guess.feature_names:
        names = ", ".join(f"{json.dumps(array)} = {json.dumps(given)}" for array, given in guess.feature_names.items())
        yield f"feature_names = {{ {names} }}"
    yield ""
    yield "[layouts.columns]"
    yield from (f"{name} = {json.dumps(column)}" for name, column in guess.columns.items())
    if "part_px" not in guess.columns and "part_pt" not in guess.columns:
        yield '# part_px = "?" # four-vectors were not found: part_px, part_py, part_pz, or part_pt, part_eta, part_phi'
    yield from (f"# ? = {each}" for each in _listed(guess.left))
    yield ""
    yield "[layouts.labels]"
    if guess.one_hot:
        pairs = ", ".join(f"{name} = {json.dumps(column)}" for name, column in zip(classes, guess.one_hot, strict=True))
        yield f"columns = {{ {pairs} }}"
    elif guess.label:
        yield f"column = {json.dumps(guess.label)}"
        yield f"values = {{ {', '.join(f'{n} = {v}' for n, v in zip(classes, guess.values, strict=True))} }}"
    else:
        yield '# column = "?" # no label was found: a column and its values by name,'
        yield "# values = { QCD = 0, Tbqq = 1 } # or columns = { QCD = ..., Tbqq = ... } that are 1 or 0"


def _listed(names: Sequence[str]) -> Iterator[str]:
    """The names; the columns of an array that have no names of their own on one line."""
    places: dict[str, list[int]] = {}
    for name in names:
        if match := re.fullmatch(r"(.*)\[(\d+)\]", name):
            places.setdefault(match[1], []).append(int(match[2]))
        else:
            yield json.dumps(name)
    for array, found in places.items():
        yield f'"{array}[{found[0]}]" to "{array}[{found[-1]}]"'
