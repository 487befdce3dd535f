"""The jets of a dataset beside any backbone: where each came from, its label, its observed columns. Stored once."""

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetassay.embeddings.counts import Counts
from jetassay.embeddings.scratch import chunks
from jetassay.embeddings.store import Shard
from jetassay.embeddings.units import TableRecipe, Unit
from jetassay.errors import DataError
from jetassay.jets.containers import Jets
from jetassay.jets.dataset import DataFile
from jetassay.jets.mapped import open_jets
from jetassay.jets.reading import ENTRIES_PER_CHUNK
from jetassay.jets.schema import DERIVED

MULTIPLICITY = "multiplicity"
"""Column of the table: constituents of the jet in its file, none cut."""
N_DISPLACED = "n_displaced"
"""Column of the table: charged constituents with |d0| > 3 sigma(d0), where the file has what that takes."""
SIGNIFICANCE = 3.0
_TRACK = ("part_d0val", "part_d0err", "part_charge")
_UNCUT = 1 << 30
_CHUNK = 1 << 20  # jets whose files are looked at at once


@dataclass(frozen=True, slots=True, kw_only=True)
class JetTable:
    """J jets of a dataset in the order of its files and entries, without any embedding.

    files:       the files, in order
    counts:      what happened to the entries of each file, in the same order
    label_names: what `labels` are indices into
    labels:      int64 (J,); -1 for jets of files without labels
    file_index:  int64 (J,), index into `files`
    entries:     int64 (J,), entry number in the file
    columns:     name -> float32 (J,): the jet columns that every file has (GeV), `multiplicity`, and `n_displaced`
                 where every file has what it takes
    """

    files: tuple[DataFile, ...]
    counts: tuple[Counts, ...]
    label_names: tuple[str, ...]
    labels: NDArray[np.int64]
    file_index: NDArray[np.int64]
    entries: NDArray[np.int64]
    columns: Mapping[str, NDArray[np.float32]]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def total(self) -> Counts:
        """Entries in = jets + jets dropped, over all files."""
        return Counts.total(self.counts)

    def in_files(self, files: Iterable[DataFile]) -> NDArray[np.bool_]:
        """Which jets come from one of `files`, bool (J,). Raises `DataError` for a file that is not in the table."""
        position = {file.name: index for index, file in enumerate(self.files)}
        wanted = np.zeros(len(self.files), dtype=np.bool_)
        for file in files:
            if file.name not in position:
                raise DataError(f"{file.path}: not among the files of this table")
            wanted[position[file.name]] = True
        found = np.empty(len(self), dtype=np.bool_)
        for here, index in chunks(self.file_index, _CHUNK):
            found[here] = wanted[index]
        return found

    def rows_of(self, files: Iterable[DataFile]) -> "slice | NDArray[np.int64]":
        """Rows of the jets from `files`: a slice where they lie side by side, as those of a split do."""
        inside = self.in_files(files)
        first, jets = int(np.argmax(inside)) if len(inside) else 0, int(np.count_nonzero(inside))
        return slice(first, first + jets) if inside[first : first + jets].all() else np.flatnonzero(inside)

    def require_same_jets(self, other: "JetTable") -> None:
        """Raises `DataError` naming the first difference where the tables do not hold the same jets in one order."""
        mine, theirs = ([(file.name, file.digest) for file in table.files] for table in (self, other))
        for ours, others in zip_longest(mine, theirs):
            if ours != others:
                raise DataError(f"not the same jets: file {(ours or others)[0]} is missing or differs on one side")
        for name in ("file_index", "entries"):
            if not np.array_equal(getattr(self, name), getattr(other, name)):
                raise DataError(f"not the same jets: {len(self)} here and {len(other)} there, of the same files")


def join_tables(parts: Sequence[JetTable]) -> JetTable:
    """The jets of `parts`, one after the other; parts of one file become one file again.

    Columns that not every part has are left out. Raises `DataError` where labels mean different things.
    """
    if len({part.label_names for part in parts}) > 1:
        raise DataError("tables with different label names cannot be joined")
    position: dict[DataFile, int] = {}
    for file in (file for part in parts for file in part.files):
        position.setdefault(file, len(position))
    counts: list[list[Counts]] = [[] for _ in position]
    for part in parts:
        for file, each in zip(part.files, part.counts, strict=True):
            counts[position[file]].append(each)
    names = [name for name in parts[0].columns if all(name in part.columns for part in parts)]
    return JetTable(
        files=tuple(position),
        counts=tuple(Counts.total(each) for each in counts),
        label_names=parts[0].label_names,
        labels=np.concatenate([part.labels for part in parts]),
        file_index=np.concatenate(
            [np.array([position[file] for file in part.files])[part.file_index] for part in parts]
        ),
        entries=np.concatenate([part.entries for part in parts]),
        columns={name: np.concatenate([part.columns[name] for part in parts]) for name in names},
    )


def tabulate(unit: Unit[TableRecipe]) -> Shard:
    """Read the jets of one unit into the columns of a table."""
    began = time.perf_counter()
    counts: list[Counts] = []
    parts: list[dict[str, NDArray[Any]]] = []
    needs = _needs(unit)
    for chunk in unit.read(needs=needs, entries_per_chunk=ENTRIES_PER_CHUNK, max_constituents=_UNCUT):
        counts.append(Counts.of(chunk))
        parts.append(
            {
                "entry_index": chunk.origin.entries,
                "label": chunk.truth.labels,
                **chunk.jets.columns,
                MULTIPLICITY: chunk.jets.multiplicities.astype(np.float32),
                **({N_DISPLACED: count_displaced(chunk.jets)} if set(_TRACK) <= set(needs) else {}),
            }
        )
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    cost = {"seconds": time.perf_counter() - began}
    return Shard(columns, {"counts": Counts.total(counts).facts(), "cost": cost, "file": unit.file.name})


def as_table(unit: Unit[TableRecipe], shard: Shard) -> JetTable:
    """The jets of one unit, from its shard."""
    columns = dict(shard.columns)
    entries, labels = columns.pop("entry_index"), columns.pop("label")
    return JetTable(
        files=(unit.file,),
        counts=(Counts(**shard.facts["counts"]),),
        label_names=unit.reading.schema.label_names,
        labels=labels.astype(np.int64, copy=False),
        file_index=np.zeros(len(shard), np.int64),
        entries=entries.astype(np.int64, copy=False),
        columns={name: column.astype(np.float32, copy=False) for name, column in columns.items()},
    )


def count_displaced(jets: Jets) -> NDArray[np.float32]:
    """Displaced tracks of each jet, float32 (J,): charged constituents with sigma(d0) > 0 and |d0| > 3 sigma(d0).

    d0 is the transverse impact parameter `part_d0val`, sigma(d0) its uncertainty `part_d0err`, in one unit; a track
    without a measured uncertainty is not counted. No constituent is cut before.
    """
    value, error, charge = (jets.constituents[name] for name in _TRACK)
    displaced = (charge != 0) & (error > 0) & (np.abs(value) > np.float32(SIGNIFICANCE) * error)
    so_far = np.concatenate([np.zeros(1, np.int64), np.cumsum(displaced)])
    return np.diff(so_far[jets.offsets]).astype(np.float32)


def _needs(unit: Unit[TableRecipe]) -> tuple[str, ...]:
    """The observed jet columns of the file, those that can be computed from them, and what `n_displaced` takes."""
    schema = unit.reading.schema
    with closing(open_jets(unit.file.path, schema)) as source:
        stored = tuple(name for name in schema.columns if name in source.numbers)
        tracks = _TRACK if set(_TRACK) <= {*schema.constituents} & {*source.lists} else ()
    return (*stored, *(name for name in schema.derived if set(DERIVED[name]) <= set(stored)), *tracks)
