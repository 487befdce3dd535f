"""Parquet files: one row a jet, constituents as lists."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from jetassay.errors import DataError
from jetassay.jets.sources import Ragged, RawChunk, sound

_BUFFER = 1 << 18
"""Bytes of a column that are read ahead; without it a whole row group, of any length, would be in memory."""
_DAMAGE = (pa.ArrowException, OSError, ValueError)
"""What pyarrow raises for broken bytes, among it UnicodeDecodeError for names."""


class ParquetSource:
    """The rows of a parquet file; see `sources.Source`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False)
            schema = self._file.schema_arrow
        except _DAMAGE as error:
            raise _broken(path, error) from error
        self.n_entries = int(self._file.metadata.num_rows)
        self.numbers = tuple(field.name for field in schema if _is_number(field.type))
        self.lists = tuple(field.name for field in schema if _is_list(field.type))
        known = {*self.numbers, *self.lists}
        self.others: Mapping[str, str] = {f.name: str(f.type) for f in schema if f.name not in known}

    def chunks(self, names: Sequence[str], *, start: int, stop: int, step: int) -> Iterator[RawChunk]:
        """See `sources.Source`."""
        waiting: list[Any] = []
        begin, ready = start, 0
        try:
            for batch in self._batches(names, start=start, stop=stop, step=step):
                waiting.append(batch)
                ready += batch.num_rows
                while ready >= min(step, stop - begin) > 0:
                    end = min(begin + step, stop)
                    table = pa.Table.from_batches(waiting)
                    yield self._chunk(table.slice(0, end - begin), begin, end)
                    rest = table.slice(end - begin)
                    waiting, ready, begin = rest.to_batches(), rest.num_rows, end
        except _DAMAGE as error:
            raise _broken(self.path, error, first=begin) from error

    def _batches(self, names: Sequence[str], *, start: int, stop: int, step: int) -> Iterator[Any]:
        """Record batches that together hold the rows start:stop; row groups outside are never read."""
        metadata = self._file.metadata
        sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        edges = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        groups = [group for group in range(len(sizes)) if edges[group] < stop and edges[group + 1] > start]
        if not groups:
            return
        position = int(edges[groups[0]])
        for batch in self._file.iter_batches(batch_size=step, row_groups=groups, columns=list(names)):
            low, high = max(start - position, 0), min(stop - position, batch.num_rows)
            position += batch.num_rows
            if low < high:
                yield batch.slice(low, high - low)

    def _chunk(self, table: Any, begin: int, end: int) -> RawChunk:
        columns = {name: table.column(name).combine_chunks() for name in table.column_names}
        numbers = {name: _numbers(array) for name, array in columns.items() if name in self.numbers}
        lists = {name: _ragged(array) for name, array in columns.items() if name in self.lists}
        return sound(RawChunk(begin, end, numbers, lists), path=self.path)

    def close(self) -> None:
        """See `sources.Source`."""
        self._file.close()


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def _is_list(kind: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind)) and _is_number(kind.value_type)


def _numbers(array: Any) -> NDArray[Any]:
    """Values as numpy; a missing value becomes NaN, which the reader then names."""
    if array.null_count:
        array = array.cast(pa.float64(), safe=False)
    values: NDArray[Any] = array.to_numpy(zero_copy_only=False)
    return values


def _ragged(array: Any) -> Ragged:
    """A missing list becomes an empty one, which the reader then names."""
    lengths = array.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
    return Ragged(offsets, _numbers(array.flatten()))


def _broken(path: Path, error: Exception, *, first: int | None = None) -> DataError:
    where = f", from row {first}" if first is not None else ""
    reason = (str(error).strip().splitlines() or ["no reason given"])[0]
    return DataError(
        f"{path}{where}: truncated or damaged parquet file ({type(error).__name__}: {reason}); fetch or make it again"
    )
