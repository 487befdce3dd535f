"""HDF5 files as `converting` writes them: lists padded with zeros to the longest, and their lengths beside them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetassay.errors import DataError
from jetassay.jets.sources import Ragged, RawChunk, Source, sound


def counter_of(name: str) -> str:
    """The column with the length of the list `name`, shared by all of its kind: `npart` for `part_px`."""
    return f"n{name.partition('_')[0]}"


def unpadded(source: Source) -> Source:
    """The file with its lists as long as its counters say; itself where it has no counters of its lists."""
    counted = tuple(name for name in source.lists if counter_of(name) in source.numbers)
    return PaddedSource(source, counted) if counted else source


class PaddedSource:
    """A file whose lists `counted` are padded; see `sources.Source`."""

    def __init__(self, source: Source, counted: Sequence[str]) -> None:
        self.path, self.n_entries, self.lists = source.path, source.n_entries, tuple(counted)
        self._source = source
        counters = {counter_of(name) for name in counted}
        self.numbers = tuple(name for name in source.numbers if "[" not in name and name not in counters)
        self.others: Mapping[str, str] = source.others

    def chunks(self, names: Sequence[str], *, start: int, stop: int, step: int) -> Iterator[RawChunk]:
        """See `sources.Source`."""
        needed = tuple(dict.fromkeys((*names, *(counter_of(name) for name in names if name in self.lists))))
        for raw in self._source.chunks(needed, start=start, stop=stop, step=step):
            lists = {name: self._cut(raw, name) for name in names if name in self.lists}
            numbers = {name: raw.numbers[name] for name in names if name in self.numbers}
            yield sound(RawChunk(raw.start, raw.stop, numbers, lists), path=self.path)

    def _cut(self, raw: RawChunk, name: str) -> Ragged:
        counts = raw.numbers[counter_of(name)].astype(np.int64)
        table: NDArray[Any] = raw.lists[name].content.reshape(len(raw), -1)
        if ((counts < 0) | (counts > table.shape[1])).any():
            raise DataError(f"{self.path}: {counter_of(name)} and the shape of {name} do not belong together")
        used = np.arange(table.shape[1]) < counts[:, None]
        return Ragged(np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]), table[used])

    def close(self) -> None:
        """See `sources.Source`."""
        self._source.close()
