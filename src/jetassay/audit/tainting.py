"""Copies of jets in which everything but the observed columns is shuffled: what a backbone sees must be the same."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetassay.audit.array_files import write_arrays
from jetassay.errors import DataError
from jetassay.jets.containers import ragged_rows
from jetassay.jets.converting import TREE, open_writer
from jetassay.jets.dataset import DataFile
from jetassay.jets.mapped import MappedSource, open_jets
from jetassay.jets.padded import PaddedSource, counter_of
from jetassay.jets.schema import Schema
from jetassay.jets.sources import Ragged, RawChunk, Source, file_format, open_source

IntArray = NDArray[np.int64]


class NotWritableError(DataError):
    """Files of this kind are read, but cannot be written; the message says why."""


@dataclass(frozen=True, slots=True)
class Shuffled:
    """A copy that was written.

    columns: those that were shuffled
    moved:   fraction of jets in which a number that is not observed, such as a label, is another one now
    """

    path: Path
    columns: tuple[str, ...]
    moved: float


def write_shuffled(
    folder: Path, files: Sequence[DataFile], kept: Sequence[IntArray], *, schema: Schema, seed: int
) -> Shuffled:
    """Write the entries `kept` of each file, one after the other, into one file of the same format, not of that name.

    Every column that is not observed is shuffled across all these jets, the same way for all of them, so that labels
    stay sound. Columns that are neither numbers nor lists are left out.

    Raises `NotWritableError` where files of this format and layout cannot be written.
    """
    raws = [_read(file.path, entries, schema) for file, entries in zip(files, kept, strict=True) if len(entries)]
    joined = _join(raws)
    observed = _observed_columns(files[0].path, schema)
    names = (*joined.lists, *joined.numbers)
    in_places = {name.partition("[")[0] for name in names if "[" in name}  # arrays that also come column by column
    hidden = tuple(
        name
        for name in names
        if name not in in_places and name not in observed and name.partition("[")[0] not in observed
    )
    order = np.random.default_rng(seed).permutation(len(joined)).astype(np.int64)
    shuffled = _shuffle(joined, hidden, order)
    path = folder / f"copy_000{files[0].path.suffix}"
    _write(path, shuffled, like=files[0].path, schema=schema)
    changed = [_differ(joined.numbers[name], shuffled.numbers[name]) for name in hidden if name in joined.numbers]
    return Shuffled(path, hidden, float(np.any(changed, axis=0).mean()) if changed else 0.0)


def _read(path: Path, entries: IntArray, schema: Schema) -> RawChunk:
    """The entries `entries` of a file with all columns that can be written, under the file's own names."""
    with closing(_raw_source(path, schema)) as source:
        stop = int(entries[-1]) + 1
        (raw,) = source.chunks(_columns(source), start=0, stop=stop, step=stop)
        return _take(raw, entries)


def _write(path: Path, raw: RawChunk, *, like: Path, schema: Schema) -> None:
    form = file_format(like)
    with closing(_raw_source(like, schema)) as source:
        if form == "npz" or (form == "hdf5" and schema.layouts and not isinstance(source, PaddedSource)):
            with closing(open_jets(like, schema)) as mapped:
                assert isinstance(mapped, MappedSource)
                layout = mapped.layout
            write_arrays(path, raw, like=like, tree=layout.tree, names=layout.feature_names.values())
            return
        with open_writer(path, source, to=form) as add:
            add(raw)


def _raw_source(path: Path, schema: Schema) -> Source:
    """The file under its own names of columns. Raises `NotWritableError` where it could not be written again."""
    if schema.tree.startswith("Delphes:"):
        raise NotWritableError(f"{path.name}: Delphes events are read, but not written")
    source = open_jets(path, schema)
    if isinstance(source, MappedSource):
        layout = source.layout
        source.close()
        tree = layout.tree
        source = open_source(path, tree=tree, feature_names=layout.feature_names)
    else:
        tree = schema.tree
    if file_format(path) == "root" and tree != TREE:
        source.close()
        raise NotWritableError(f"{path.name}: only ROOT files with a tree '{TREE}' are written, not '{tree}'")
    return source


def _columns(source: Source) -> tuple[str, ...]:
    """Every column that can be written, without the counters, which are written with the lists."""
    counters = {counter_of(name) for name in source.lists}
    return tuple(name for name in (*source.lists, *source.numbers) if name not in counters)


def _observed_columns(path: Path, schema: Schema) -> frozenset[str]:
    """The file's own names of what the schema lets a backbone see."""
    with closing(open_jets(path, schema)) as source:
        if not isinstance(source, MappedSource):
            return frozenset((*schema.constituents, *schema.columns))
        return frozenset(source.observed_columns)


def _take(raw: RawChunk, entries: IntArray) -> RawChunk:
    lists = {}
    for name, ragged in raw.lists.items():
        rows, offsets = ragged_rows(ragged.offsets, entries)
        lists[name] = Ragged(offsets, ragged.content[rows])
    return RawChunk(0, len(entries), {name: values[entries] for name, values in raw.numbers.items()}, lists)


def _join(raws: Sequence[RawChunk]) -> RawChunk:
    """One after the other; columns that not every file has are left out."""

    def joined(parts: Sequence[Ragged]) -> Ragged:
        counts = np.concatenate([part.counts for part in parts])
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
        return Ragged(offsets, np.concatenate([part.content for part in parts]))

    shared = [name for name in raws[0].numbers if all(name in raw.numbers for raw in raws)]
    numbers = {name: np.concatenate([raw.numbers[name] for raw in raws]) for name in shared}
    shared = [name for name in raws[0].lists if all(name in raw.lists for raw in raws)]
    lists = {name: joined([raw.lists[name] for raw in raws]) for name in shared}
    return RawChunk(0, sum(len(raw) for raw in raws), numbers, lists)


def _shuffle(raw: RawChunk, hidden: Sequence[str], order: IntArray) -> RawChunk:
    """Whole jets' values change places; of a list that belongs to the constituents, its values do, jet by jet's."""
    numbers: dict[str, NDArray[Any]] = dict(raw.numbers)
    lists: dict[str, Ragged] = dict(raw.lists)
    kinds_seen = {_kind(name) for name in raw.lists if name not in hidden}
    for name in hidden:
        if name in numbers:
            numbers[name] = numbers[name][order]
        elif _kind(name) in kinds_seen:
            content = lists[name].content
            lists[name] = Ragged(lists[name].offsets, content[_spread(order, len(content))])
        else:
            rows, offsets = ragged_rows(lists[name].offsets, order)
            lists[name] = Ragged(offsets, lists[name].content[rows])
    return RawChunk(raw.start, raw.stop, numbers, lists)


def _differ(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.bool_]:
    """Which of two (J,) are other values; NaN is no other value than NaN."""
    differ: NDArray[np.bool_] = one != other
    if one.dtype.kind == "f":
        differ &= ~(np.isnan(one) & np.isnan(other))
    return differ


def _spread(order: IntArray, rows: int) -> IntArray:
    """A permutation of `rows` values that follows from `order`."""
    return np.random.default_rng(int(order[0])).permutation(rows).astype(np.int64)


def _kind(name: str) -> str:
    return name.partition("_")[0]
