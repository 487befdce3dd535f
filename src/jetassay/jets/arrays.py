"""Arrays of fixed shape, as HDF5 and npz files hold them, seen as columns of numbers and lists.

An array `a` of J entries and shape (J,) is the number `a`. One of shape (J, K) is the list `a`, and each of its K
columns the number `a[k]`. One of shape (J, C, K) is K lists `a[k]`. Where the names of the K columns are known, they
stand in the brackets: `a[NAME]`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetassay.jets.sources import Ragged


@dataclass(frozen=True, slots=True)
class ArrayColumn:
    """One column: the array it is in, and its place on the last axis; None for the whole array."""

    array: str
    place: int | None

    def numbers(self, values: NDArray[Any]) -> NDArray[Any]:
        """One number per entry, (J,), from the rows of the array."""
        return values if self.place is None else values[:, self.place]

    def lists(self, values: NDArray[Any]) -> Ragged:
        """One list of C values per entry, from the rows of the array."""
        table = values if self.place is None else values[:, :, self.place]
        return Ragged(np.arange(len(table) + 1, dtype=np.int64) * table.shape[1], np.ascontiguousarray(table).ravel())


@dataclass(frozen=True, slots=True)
class ArrayColumns:
    """The columns of all arrays of a file; `aliases` are places by number where columns have names."""

    n_entries: int
    numbers: Mapping[str, ArrayColumn]
    lists: Mapping[str, ArrayColumn]
    aliases: Mapping[str, str]
    others: Mapping[str, str]


def array_columns(
    shapes: Mapping[str, tuple[tuple[int, ...], np.dtype[Any]]], names: Mapping[str, Sequence[str]]
) -> ArrayColumns:
    """The columns of arrays given by shape and type; `names` are those of the last axis, where known.

    The entries are as many as the longest array of numbers has; arrays of other lengths are no columns.
    """
    numeric = {name: shape for name, (shape, dtype) in shapes.items() if dtype.kind in "biuf" and shape}
    entries = max((shape[0] for shape in numeric.values()), default=0)
    numbers: dict[str, ArrayColumn] = {}
    lists: dict[str, ArrayColumn] = {}
    aliases: dict[str, str] = {}
    others: dict[str, str] = {}
    for name, (shape, dtype) in shapes.items():
        if name not in numeric or shape[0] != entries or len(shape) > 3:
            others[name] = f"{dtype} of shape {shape}"
            continue
        if len(shape) == 1:
            numbers[name] = ArrayColumn(name, None)
            continue
        if len(shape) == 2:
            lists[name] = ArrayColumn(name, None)
        parts = numbers if len(shape) == 2 else lists
        for place, address, alias in _places(name, shape[-1], names.get(name, ())):
            parts[address] = ArrayColumn(name, place)
            if alias:
                aliases[alias] = address
    return ArrayColumns(entries, numbers, lists, aliases, others)


def _places(name: str, width: int, known: Sequence[str]) -> Iterator[tuple[int, str, str]]:
    for place in range(width):
        by_number = f"{name}[{place}]"
        if place < len(known):
            yield place, f"{name}[{known[place]}]", by_number
        else:
            yield place, by_number, ""
