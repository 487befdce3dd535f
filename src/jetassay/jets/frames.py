"""Jets in a DataFrame: a row each, a list or an array for every constituent column, a number for every jet column."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jetassay.errors import DataError
from jetassay.jets.sources import Ragged, RawChunk

NAME = "DataFrame"
"""What messages call it, where others name a file."""


class FrameSource:
    """A DataFrame as an open file of jets; see `sources.Source`. Entries are its rows in order, whatever its index."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.path = Path(NAME)
        self._frame = frame
        self.n_entries = len(frame)
        doubles = sorted({str(name) for name in frame.columns[frame.columns.duplicated()]})
        if doubles:
            raise DataError(f"{NAME}: {', '.join(doubles)} stands in it more than once; give each column one name")
        kinds = {str(name): _kind(frame[name]) for name in frame.columns}
        self.numbers = tuple(name for name, kind in kinds.items() if kind == "number")
        self.lists = tuple(name for name, kind in kinds.items() if kind == "list")
        self.others: Mapping[str, str] = {n: kind for n, kind in kinds.items() if kind not in {"number", "list"}}

    def chunks(self, names: Sequence[str], *, start: int, stop: int, step: int) -> Iterator[RawChunk]:
        """See `sources.Source`."""
        for first in range(start, stop, step):
            last = min(first + step, stop)
            part = self._frame.iloc[first:last]
            yield RawChunk(
                first,
                last,
                {name: part[name].to_numpy() for name in names if name in self.numbers},
                {name: _ragged(part[name], name, first) for name in names if name in self.lists},
            )

    def close(self) -> None:
        """See `sources.Source`; a DataFrame is the caller's."""


def _kind(column: pd.Series) -> str:
    if column.dtype != object:
        return "number" if np.issubdtype(column.to_numpy().dtype, np.number) else f"a column of {column.dtype}"
    first = column.iloc[0] if len(column) else None
    if isinstance(first, list | tuple | np.ndarray):
        return "list"
    return "number" if isinstance(first, int | float) else f"a column of {type(first).__name__}"


def _ragged(column: pd.Series, name: str, first: int) -> Ragged:
    cells: list[NDArray[Any]] = []
    for row, cell in enumerate(column):
        try:
            values = np.asarray(cell, dtype=np.float64)
        except (ValueError, TypeError) as error:
            raise DataError(f"{NAME}, branch {name}, entry {first + row}: not a list of numbers ({error})") from error
        if values.ndim != 1:
            raise DataError(f"{NAME}, branch {name}, entry {first + row}: one list a jet, not {type(cell).__name__}")
        cells.append(values)
    lengths = np.array([len(each) for each in cells], dtype=np.int64)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
    return Ragged(offsets, np.concatenate(cells) if cells else np.empty(0))
