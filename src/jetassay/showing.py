"""The jets that a report shows: which jet each row of the test sample is, and the constituents of a few of them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jetassay.embeddings.heap import give_back
from jetassay.jets.dataset import DataFile, Dataset
from jetassay.jets.mapped import open_jets
from jetassay.progress import Reporter
from jetassay.report.jet_rows import JetRows
from jetassay.scoring import Files, Scored
from jetassay.suite import Suite
from jetassay.tasks.curves import LOGITS, blocks, numbers
from jetassay.tasks.displays import (
    CONSTITUENTS,
    JETS,
    KINDS,
    SHOWN,
    TRACK,
    constituents_table,
    extremes_table,
)

if TYPE_CHECKING:
    from jetassay.embeddings.embedded import Embedded
    from jetassay.embeddings.tables import JetTable

_MAP = "map"
_GAP = 500  # entries between two wanted ones that are read rather than skipped


def show_jets(
    suite: Suite,
    scored: Scored,
    embedded: "Mapping[str, Embedded]",
    dataset: Dataset,
    splits: Files,
    *,
    reporter: Reporter,
) -> None:
    """Tables for the report: `test_jets` always, the jets worth a look and their constituents where there are probes.

    scored: what the tasks left, of which `probe_logits` and `map` say which jets are wanted; takes the tables
    """
    table = next(iter(embedded.values())).jets
    rows = table.rows_of(splits["test"])
    scored.jet_tables[JETS] = JetRows.of(jets_table(table, rows))
    wanted: list[NDArray[np.int32]] = []
    if LOGITS in scored.jet_tables and suite.probe is not None:
        logits = scored.jet_tables[LOGITS].blocks()
        shown = extremes_table(logits, table.labels[rows], names=table.label_names, background=suite.probe.background)
        scored.tables[SHOWN] = shown
        wanted.append(shown["jet"].to_numpy())
    if _MAP in scored.tables:
        wanted.append(scored.tables[_MAP]["jet"].to_numpy())
    if wanted:
        jets = np.unique(np.concatenate(wanted))
        reporter.line(f"jets to look at: the constituents of {len(jets)} test jets")
        options = {"on_invalid": suite.dataset.on_invalid}
        parts = [each for file in splits["test"] for each in _read(dataset, file, table, rows, jets, **options)]
        constituents = pd.concat(parts, ignore_index=True).sort_values("jet", kind="stable", ignore_index=True)
        scored.tables[CONSTITUENTS] = constituents
    for each in embedded.values():
        each.let_go()
    give_back()


def jets_table(table: "JetTable", rows: "slice | NDArray[np.int64]") -> Iterator[pd.DataFrame]:
    """Which jets the test sample holds, in its order: sha256 of their file, entry in it, label, observed columns."""
    file_index, entries, labels = (each[rows] for each in (table.file_index, table.entries, table.labels))
    columns = {name: column[rows] for name, column in table.columns.items()}
    digests = [file.digest for file in table.files]
    return (
        pd.DataFrame(
            {
                "jet": numbers(here),
                "file": _named(file_index[here], digests),
                "entry": entries[here],
                "label": _named(labels[here], table.label_names),
                **{name: column[here] for name, column in columns.items()},
            }
        )
        for here in blocks(len(labels))
    )


def _named(numbers: NDArray[np.int64], names: Sequence[str]) -> "pd.Categorical[str]":
    """Names by their numbers: each is held once, however many jets have it."""
    unique = list(dict.fromkeys(names))
    places = np.array([unique.index(name) for name in names], np.int64)
    return pd.Categorical.from_codes(places[numbers], categories=pd.Index(unique))


def _read(
    dataset: Dataset,
    file: DataFile,
    table: "JetTable",
    rows: "slice | NDArray[np.int64]",
    jets: NDArray[np.int32],
    **options: str,
) -> Iterator[pd.DataFrame]:
    """The constituents of those of `jets` that are in `file`."""
    here = jets[[table.files[index] == file for index in table.file_index[rows][jets]]]
    entries = table.entries[rows][here]
    with closing(open_jets(file.path, dataset.schema)) as source:
        there = set(source.lists) & set(dataset.schema.constituents)
    needs = tuple(name for name in (*KINDS, *TRACK) if name in there)
    number = dict(zip(entries.tolist(), here.tolist(), strict=True))
    for start, stop in runs(np.sort(entries), gap=_GAP):
        for chunk in dataset.read(file, start=start, stop=stop, needs=needs, **options):
            kept = np.flatnonzero(np.isin(chunk.origin.entries, entries))
            if len(kept):
                some = chunk.jets.take(kept)
                names = np.array([number[entry] for entry in chunk.origin.entries[kept].tolist()], np.int32)
                yield constituents_table(some.constituents, some.offsets, names)


def runs(entries: NDArray[np.int64], *, gap: int) -> Iterator[tuple[int, int]]:
    """Ranges start:stop that hold all of the rising `entries`, with no more than `gap` entries between two of one."""
    for part in np.split(entries, np.flatnonzero(np.diff(entries) > gap) + 1):
        if len(part):
            yield int(part[0]), int(part[-1]) + 1
