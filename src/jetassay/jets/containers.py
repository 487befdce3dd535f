"""Jets as arrays: the observed side, the truth side, and where each jet came from, as three separate types.

Axis letters: J jets, N constituents of all J jets laid end to end. A feature set takes `Jets` and nothing else,
so neither `Truth` nor `Origin` (file names, entry numbers) can reach a backbone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from jetassay.errors import DataError

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Jets:
    """What a detector saw of J jets. Constituents of a jet stand by falling pT; nothing is padded.

    constituents: name -> float32 (N,), e.g. `part_px` in GeV; every array has the same length
    offsets:      int64 (J + 1,), jet j owns rows offsets[j]:offsets[j + 1]; every jet has at least one
    columns:      name -> float32 (J,), observed jet columns such as `jet_pt` in GeV

    Raises `DataError` where shapes disagree.
    """

    constituents: Mapping[str, FloatArray]
    offsets: IntArray
    columns: Mapping[str, FloatArray]

    def __post_init__(self) -> None:
        object.__setattr__(self, "constituents", MappingProxyType(dict(self.constituents)))
        object.__setattr__(self, "columns", MappingProxyType(dict(self.columns)))
        _check_offsets(self.offsets)
        rows = int(self.offsets[-1])
        for name, array in self.constituents.items():
            _check_array(name, array, (rows,), np.float32)
        for name, array in self.columns.items():
            _check_array(name, array, (len(self),), np.float32)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def multiplicities(self) -> IntArray:
        """Constituents of each jet, int64 (J,)."""
        return np.diff(self.offsets)

    def take(self, order: IntArray) -> "Jets":
        """The jets `order` (int64, any length, repeats allowed), in that order."""
        rows, offsets = ragged_rows(self.offsets, order)
        return Jets(
            constituents={name: array[rows] for name, array in self.constituents.items()},
            offsets=offsets,
            columns={name: array[order] for name, array in self.columns.items()},
        )


@dataclass(frozen=True, slots=True)
class Truth:
    """What the generator knows of J jets: never an input.

    labels:  int64 (J,), index into `names`
    names:   label names in the dataset's order, e.g. the ten of `jets.classes`
    columns: name -> (J,), generator-level columns that were asked for (`aux_*`); often empty
    """

    labels: IntArray
    names: tuple[str, ...]
    columns: Mapping[str, NDArray[np.generic]]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, order: IntArray) -> Self:
        """The truth of the jets `order`, in that order."""
        return type(self)(self.labels[order], self.names, {name: array[order] for name, array in self.columns.items()})


@dataclass(frozen=True, slots=True)
class Origin:
    """Where J jets came from: one file and the entry of each jet in it. Never an input.

    entries: int64 (J,), entry number in the file's tree or table, strictly rising
    """

    file: str
    entries: IntArray


@dataclass(frozen=True, slots=True)
class Chunk:
    """One range of entries of one file after reading: J jets, and what was lost on the way.

    n_entries: entries in the range; len(jets) + sum(dropped.values()) == n_entries
    dropped:   rule -> number of jets that it removed
    truncated_jets, truncated_constituents: jets with more than the allowed constituents, and how many
                                            constituents were cut from them in all
    removed_constituents: rule -> constituents that the file format's own rules left out; see `delphes`
    """

    jets: Jets
    truth: Truth
    origin: Origin
    n_entries: int
    dropped: Mapping[str, int]
    truncated_jets: int
    truncated_constituents: int
    removed_constituents: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.jets)
        if not len(self.truth) == len(self.origin.entries) == n or n + sum(self.dropped.values()) != self.n_entries:
            raise DataError(
                f"{self.origin.file}: {self.n_entries} entries became {n} jets, {len(self.truth)} labels and "
                f"{sum(self.dropped.values())} dropped jets; jets in must equal jets kept plus jets dropped"
            )


def ragged_rows(offsets: IntArray, order: IntArray) -> tuple[IntArray, IntArray]:
    """Rows (int64) and new offsets that gather the lists `order` of a ragged array, all lists at once."""
    lengths = np.diff(offsets)[order]
    new_offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
    rows = np.arange(new_offsets[-1], dtype=np.int64) + np.repeat(offsets[order] - new_offsets[:-1], lengths)
    return rows, new_offsets


def _check_offsets(offsets: IntArray) -> None:
    if offsets.dtype != np.int64 or offsets.ndim != 1 or len(offsets) < 1 or offsets[0] != 0:
        raise DataError(f"offsets must be int64 (J + 1,) starting at 0, not {offsets.dtype} {offsets.shape}")
    if (np.diff(offsets) < 1).any():
        jet = int(np.flatnonzero(np.diff(offsets) < 1)[0])
        raise DataError(f"jet {jet} has no constituents; drop such jets by a named rule when reading")


def _check_array(name: str, array: NDArray[np.generic], shape: tuple[int, ...], dtype: type) -> None:
    if array.dtype != dtype or array.shape != shape:
        raise DataError(f"{name}: expected {np.dtype(dtype)} {shape}, got {array.dtype} {array.shape}")
