"""npz files: arrays of fixed shape in a zip archive, streamed; no array is ever in memory as a whole."""

import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from jetassay.errors import DataError
from jetassay.jets.arrays import array_columns
from jetassay.jets.sources import RawChunk, sound

_DAMAGE = (
    zipfile.BadZipFile, zlib.error, tokenize.TokenError, struct.error, OSError, ValueError, EOFError, RuntimeError,
    SyntaxError, TypeError, LookupError, MemoryError, OverflowError,
)  # fmt: skip
"""What zipfile and numpy raise for broken bytes; RuntimeError also for an encrypted archive."""
_SKIP = 1 << 20


class NpzSource:
    """The arrays of an npz file; see `sources.Source` and `arrays`. Arrays of Python objects are never read."""

    def __init__(self, path: Path, *, feature_names: Mapping[str, str]) -> None:
        self.path = path
        try:
            self._file = zipfile.ZipFile(path)
        except _DAMAGE as error:
            raise _broken(path, error) from error
        try:
            shapes = {}
            for member in self._file.namelist():
                if member.endswith(".npy"):
                    with self._file.open(member) as stream:
                        shapes[member.removesuffix(".npy")] = _header(stream)
            names = {array: self._names(source) for array, source in feature_names.items() if source in shapes}
        except _DAMAGE as error:
            self.close()
            raise _broken(path, error) from error
        numeric = {name: (shape, dtype) for name, (shape, fortran, dtype) in shapes.items() if not fortran}
        columns = array_columns(numeric, names)
        self._columns = {**columns.lists, **columns.numbers}
        self.aliases = columns.aliases
        self._dtypes = {name: (shape[1:], dtype) for name, (shape, dtype) in numeric.items()}
        self.n_entries = columns.n_entries
        self.numbers, self.lists = tuple(columns.numbers), tuple(columns.lists)
        fortran_order = dict.fromkeys(shapes.keys() - numeric, "an array in Fortran order; save it in C order")
        self.others: Mapping[str, str] = {**columns.others, **fortran_order}

    def _names(self, member: str) -> list[str]:
        with self._file.open(f"{member}.npy") as stream:
            values = npy.read_array(stream, allow_pickle=False)
        return [each.decode() if isinstance(each, bytes) else str(each) for each in values.ravel().tolist()]

    def chunks(self, names: Sequence[str], *, start: int, stop: int, step: int) -> Iterator[RawChunk]:
        """See `sources.Source`."""
        with ExitStack() as opened:
            begin = start
            try:
                streams = {}
                for array in dict.fromkeys(self._columns[name].array for name in names):
                    streams[array] = opened.enter_context(self._file.open(f"{array}.npy"))
                    _header(streams[array])
                    _skip(streams[array], start * self._row_bytes(array))
                while begin < stop:
                    end = min(begin + step, stop)
                    rows = {array: self._rows(stream, array, end - begin) for array, stream in streams.items()}
                    numbers = {
                        n: self._columns[n].numbers(rows[self._columns[n].array]) for n in names if n in self.numbers
                    }
                    lists = {n: self._columns[n].lists(rows[self._columns[n].array]) for n in names if n in self.lists}
                    yield sound(RawChunk(begin, end, numbers, lists), path=self.path)
                    begin = end
            except _DAMAGE as error:
                raise _broken(self.path, error, first=begin) from error

    def _row_bytes(self, array: str) -> int:
        shape, dtype = self._dtypes[array]
        return int(np.prod(shape, dtype=np.int64)) * dtype.itemsize

    def _rows(self, stream: IO[bytes], array: str, count: int) -> NDArray[Any]:
        shape, dtype = self._dtypes[array]
        data = stream.read(count * self._row_bytes(array))
        return np.frombuffer(data, dtype=dtype).reshape(count, *shape)

    def close(self) -> None:
        """See `sources.Source`."""
        self._file.close()


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether rows do not lie in one piece, and type."""
    version = npy.read_magic(stream)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    return shape, fortran and len(shape) > 1, dtype


def _skip(stream: IO[bytes], size: int) -> None:
    while size > 0:
        size -= len(stream.read(min(size, _SKIP)) or b"\0" * size)


def _broken(path: Path, error: Exception, *, first: int | None = None) -> DataError:
    where = f", from entry {first}" if first is not None else ""
    reason = (str(error).strip().splitlines() or ["no reason given"])[0]
    return DataError(
        f"{path}{where}: truncated or damaged npz file ({type(error).__name__}: {reason}); fetch or make it again"
    )
