"""HDF5 files: arrays of fixed shape, and tables as pandas writes them."""

import pickletools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetassay.errors import DataError
from jetassay.jets.arrays import ArrayColumn, array_columns
from jetassay.jets.sources import RawChunk, sound

_DAMAGE = (OSError, ValueError, KeyError, RuntimeError)
_PICKLED = (b"\x80", b"(l", b"]")  # how a pickled list begins, by protocol
_TEXT = {"UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING", "SHORT_BINSTRING"}
_TEXT |= {"INT", "BININT", "BININT1", "BININT2", "LONG1"}  # columns that pandas numbered
_REMEMBER = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}
_RECALL = {"GET", "BINGET", "LONG_BINGET"}
_SILENT = {"PROTO", "FRAME", "MARK", "LIST", "EMPTY_LIST", "APPEND", "APPENDS", "STOP"}


class Hdf5Source:
    """Arrays and tables of an HDF5 file, in and below the group `tree` where there is one; see `arrays`.

    Columns of a table have their own names; where pandas wrote it, those of the data frame.
    """

    def __init__(self, path: Path, *, tree: str, feature_names: Mapping[str, str]) -> None:
        self.path = path
        h5py = _library(path)
        try:
            self._file = h5py.File(path, "r")
        except _DAMAGE as error:
            raise _broken(path, error) from error
        try:
            base = self._file[tree] if tree and tree in self._file else self._file
            self._arrays = dict(_arrays(base, h5py))
            shapes = {name: (array.shape, array.dtype) for name, array in self._arrays.items()}
            names = {
                array: [each.decode() if isinstance(each, bytes) else str(each) for each in base[source][()].ravel()]
                for array, source in feature_names.items()
                if source in base
            }
            self._classify(shapes, names)
        except DataError:
            self.close()
            raise
        except _DAMAGE as error:
            self.close()
            raise _broken(path, error) from error

    def _classify(self, shapes: dict[str, Any], names: dict[str, list[str]]) -> None:
        columns = array_columns(shapes, names)
        self.aliases = columns.aliases
        self.n_entries = columns.n_entries
        numbers, lists = dict(columns.numbers), dict(columns.lists)
        for name, array in self._arrays.items():
            if isinstance(array, _Block) and array.names:
                lists.pop(name, None)
                for place, column in enumerate(array.names):
                    numbers.pop(f"{name}[{place}]", None)
                    numbers[column] = ArrayColumn(name, place)
        self._columns = {**lists, **numbers}
        self.numbers, self.lists = tuple(numbers), tuple(lists)
        self.others: Mapping[str, str] = columns.others

    def chunks(self, names: Sequence[str], *, start: int, stop: int, step: int) -> Iterator[RawChunk]:
        """See `sources.Source`."""
        wanted = {name: self._columns[name] for name in names}
        for begin in range(start, stop, step):
            end = min(begin + step, stop)
            try:
                arrays = dict.fromkeys(column.array for column in wanted.values())
                rows = {array: self._arrays[array][begin:end] for array in arrays}
            except _DAMAGE as error:
                raise _broken(self.path, error, first=begin) from error
            numbers = {name: each.numbers(rows[each.array]) for name, each in wanted.items() if name in self.numbers}
            lists = {name: each.lists(rows[each.array]) for name, each in wanted.items() if name in self.lists}
            yield sound(RawChunk(begin, end, numbers, lists), path=self.path)

    def close(self) -> None:
        """See `sources.Source`."""
        self._file.close()


class _Block:
    """One field of a table, as an array; `names` are those of its columns where pandas wrote them."""

    def __init__(self, table: Any, field: str, names: Sequence[str]) -> None:
        self._table, self._field = table, field
        kind = table.dtype[field]
        self.shape: tuple[int, ...] = (*table.shape, *kind.shape)
        self.dtype: np.dtype[Any] = kind.base
        self.names = tuple(names) if self.shape[1:] == (len(names),) else ()

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        values: NDArray[Any] = self._table.fields(self._field)[rows]
        return values


def _arrays(base: Any, h5py: Any) -> Iterator[tuple[str, Any]]:
    """Every array in `base` by its path, the fields of tables apart."""
    found = _datasets(base, h5py)
    tables = [path for path, each in found.items() if each.dtype.names]
    for path, each in found.items():
        if not each.dtype.names:
            yield path, each
            continue
        prefix = "" if len(tables) == 1 else f"{path}."
        for field in each.dtype.names:
            yield (
                f"{prefix}{field}",
                _Block(each, field, _pandas_names(each, field)),
            )


def _datasets(base: Any, h5py: Any) -> dict[str, Any]:
    """Every data set by its path; of a data frame of pandas its table alone, and not the table's index."""
    groups = {"": base}
    if isinstance(base, h5py.Dataset):
        return groups
    found: dict[str, Any] = {}

    def sort(path: str, each: Any) -> None:
        (found if isinstance(each, h5py.Dataset) else groups)[path] = each

    base.visititems(sort)
    for path, group in groups.items():
        if group.attrs.get("pandas_type") in {"frame_table", b"frame_table"} and "table" in group:
            inside = f"{path}/" if path else ""
            found = {name: each for name, each in found.items() if not name.startswith(inside)}
            found[f"{inside}table"] = group["table"]
    return found


def _pandas_names(table: Any, field: str) -> list[str]:
    """The column names of a block of a pandas table; none where it is not one.

    pandas stores them as a pickled list. Its opcodes are read as data, and nothing is unpickled: those for a list of
    text and whole numbers are known here. Raises `DataError` for any other.
    """
    stored = table.attrs.get(f"{field}_kind")
    stored = stored.tobytes() if isinstance(stored, np.void) else stored
    if not isinstance(stored, bytes) or not stored.startswith(_PICKLED) or not stored.endswith(b"."):
        return []  # an attribute of another meaning
    names: list[str] = []
    memo: dict[int, str] = {}
    for opcode, argument, _ in pickletools.genops(stored):
        if opcode.name in _TEXT:
            names.append(str(argument))
        elif opcode.name in _REMEMBER:
            memo[len(memo) if argument is None else int(argument)] = names[-1] if names else ""
        elif opcode.name in _RECALL and argument in memo:
            names.append(memo[argument])
        elif opcode.name not in _SILENT:
            raise DataError(
                f"{table.file.filename}: the column names of {table.name}, {field}, are a pickle that is more than a "
                f"list of text ({opcode.name}), which is never run; write the file again with plain names"
            )
    return names


def _library(path: Path) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise DataError(f"{path}: HDF5 files need h5py; install it with: pip install 'jetassay[data]'") from error
    with suppress(ImportError):  # brings the filters of PyTables; without it a file that needs one is an error
        import hdf5plugin  # noqa: F401
    return h5py


def _broken(path: Path, error: Exception, *, first: int | None = None) -> DataError:
    where = f", from entry {first}" if first is not None else ""
    reason = (str(error).strip().splitlines() or ["no reason given"])[0]
    if "filter" in reason:
        return DataError(
            f"{path}{where}: compressed with a filter that is not installed ({reason}); "
            "install it with: pip install 'jetassay[data]'"
        )
    return DataError(
        f"{path}{where}: truncated or damaged HDF5 file ({type(error).__name__}: {reason}); fetch or make it again"
    )
