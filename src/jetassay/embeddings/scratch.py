"""Arrays as long as the dataset, in files without a name: mapped into memory page by page, and gone with the process.

A file here has no name from its first moment on, so the system frees it however the process ends; kill -9 too. Rows are
written like any file, so that a full disk is an error and not a bus error, and are then mapped for reading only.
Resident are the pages that were looked at last: whoever goes through the rows lets go of those behind.
"""

import errno
import mmap
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from itertools import chain
from typing import IO, Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from jetassay.errors import StoreError
from jetassay.places import cache_folder, workspace

T = TypeVar("T", bound=np.generic)

SMALL = 16 << 20
"""Bytes of a selection of rows up to which it is held in memory."""
_CHUNK = 1 << 20  # bytes of a selection that are read at once


class RowFile:
    """Rows in a file of no name in the cache, written block after block, then mapped.

    width: numbers in a row; None for an array of one dimension
    """

    def __init__(self, dtype: DTypeLike, width: int | None = None) -> None:
        self._dtype, self._tail = np.dtype(dtype), () if width is None else (width,)
        self._rows = 0
        self._file = nameless_file()

    def append(self, rows: NDArray[Any]) -> None:
        """Rows (j, width) after those that are there. Raises `StoreError` where the disk is full."""
        assert rows.shape[1:] == self._tail, f"{rows.shape} into rows of {self._tail}"
        try:
            self._file.write(np.ascontiguousarray(rows, self._dtype).data)
        except OSError as error:
            raise unwritable(error) from error
        self._rows += len(rows)

    def array(self) -> NDArray[Any]:
        """All rows, to be read and not written; nothing can be appended any more."""
        shape = (self._rows, *self._tail)
        with self._file as file:
            try:
                file.flush()
            except OSError as error:
                raise unwritable(error) from error
            if 0 in shape:
                return np.empty(shape, self._dtype)
            pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return np.frombuffer(pages, self._dtype).reshape(shape)

    def close(self) -> None:
        """Drop what was written."""
        with suppress(OSError):  # of rows that did not go to the full disk, and are dropped anyway
            self._file.close()


def nameless_file() -> IO[bytes]:
    """A file of no name in the cache; in the workspace where the cache may only be read, which a full one may be.

    Raises `StoreError`.
    """
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=folder)
    except OSError as error:
        if error.errno not in {errno.EROFS, errno.EACCES, errno.EPERM}:
            raise unwritable(error) from error
    try:
        return tempfile.TemporaryFile(dir=workspace())
    except OSError as error:
        raise unwritable(error) from error


class RowList:
    """What `RowFile` is, in memory."""

    def __init__(self, dtype: DTypeLike, width: int | None = None) -> None:
        self._parts: list[NDArray[Any]] = [np.empty((0,) if width is None else (0, width), dtype)]

    def append(self, rows: NDArray[Any]) -> None:
        """Rows after those that are there."""
        self._parts.append(rows)

    def array(self) -> NDArray[Any]:
        """All rows."""
        return np.concatenate(self._parts)

    def close(self) -> None:
        """Drop them."""
        self._parts.clear()


def room_for(rows: int, dtype: DTypeLike, width: int | None = None, *, small: int | None = None) -> RowFile | RowList:
    """Where rows are put together: in memory up to `small` bytes (`SMALL`) in all, else in a file of no name."""
    kind = RowList if rows * np.dtype(dtype).itemsize * (width or 1) <= (SMALL if small is None else small) else RowFile
    return kind(dtype, width)


def gather(array: NDArray[T], rows: NDArray[np.int64], *, small: int | None = None) -> NDArray[T]:
    """`array[rows]`: in memory where that is at most `small` bytes (`SMALL`), else in a file of no name."""
    step = max(1, _CHUNK // (array[:1].nbytes or 1))  # few: rows far apart are a page each, which is many rows

    def parts() -> Iterator[NDArray[T]]:
        for start in range(0, max(len(rows), 1), step):
            taken = array[rows[start : start + step]]
            let_go(array)
            yield taken

    return collect(parts(), rows=len(rows), small=small)


def collect(parts: Iterable[NDArray[T]], *, rows: int, small: int | None = None) -> NDArray[T]:
    """Arrays one after the other as one of `rows` rows: in memory where that is small, else in a file of no name."""
    each = iter(parts)
    first = next(each)
    if len(first) == rows:
        return first
    with closing(room_for(rows, first.dtype, *first.shape[1:], small=small)) as room:
        for part in chain([first], each):
            room.append(part)
        return room.array()


def chunks(array: NDArray[T], step: int) -> Iterator[tuple[slice, NDArray[T]]]:
    """Every `step` rows with where they are; their pages are let go of when the next are asked for."""
    for start in range(0, len(array), step):
        where = slice(start, min(start + step, len(array)))
        rows = array[where]
        yield where, rows
        let_go(rows)


def let_go(*arrays: NDArray[Any]) -> None:
    """Take the pages of mapped rows out of this process; read again, they come back. Nothing for other arrays."""
    for array in arrays:
        owner: Any = array
        while isinstance(owner, np.ndarray) and isinstance(owner.base, np.ndarray):
            owner = owner.base
        pages = owner.base if isinstance(owner, np.ndarray) else None
        if isinstance(pages, memoryview):
            pages = pages.obj
        if not isinstance(pages, mmap.mmap) or not hasattr(pages, "madvise") or not array.nbytes:
            continue
        first = _address(array) - _address(owner)
        start = first - first % mmap.PAGESIZE
        pages.madvise(mmap.MADV_DONTNEED, start, min(first + array.nbytes, len(pages)) - start)


def _address(array: NDArray[Any]) -> int:
    return int(array.__array_interface__["data"][0])


def unwritable(error: OSError) -> StoreError:
    """What a run that finds no room for its files of no name is told."""
    return StoreError(
        f"{cache_folder()}: no room for the embeddings of this run: {error.strerror or error}. Free some space or "
        "choose another place (JETASSAY_CACHE); what was written before is whole."
    )
