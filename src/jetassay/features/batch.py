"""What a backbone sees: features, four-vectors and offsets of J jets; no names, no truth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jetassay.errors import DataError
from jetassay.jets.containers import ragged_rows


@dataclass(frozen=True, slots=True)
class InputBatch:
    """Constituents of J jets laid end to end; nothing is padded.

    features:     float32 (N, F), after the feature set
    p4:           float32 (N, 4), (px, py, pz, E) in GeV, rescaled where the feature set says so
    offsets:      int64 (J + 1,); jet j owns rows offsets[j]:offsets[j + 1]
    jet_features: float32 (J, G), jet-level inputs; G = 0 for most feature sets

    Raises `DataError` where shapes or types disagree.
    """

    features: NDArray[np.float32]
    p4: NDArray[np.float32]
    offsets: NDArray[np.int64]
    jet_features: NDArray[np.float32]

    def __post_init__(self) -> None:
        rows, jets = int(self.offsets[-1]), len(self.offsets) - 1
        if self.offsets[0] != 0 or (self.multiplicities < 1).any():
            raise DataError("offsets must start at 0, and every jet needs at least one constituent")
        _check("features", self.features, np.float32, (rows, self.features.shape[-1]))
        _check("p4", self.p4, np.float32, (rows, 4))
        _check("offsets", self.offsets, np.int64, (jets + 1,))
        _check("jet_features", self.jet_features, np.float32, (jets, self.jet_features.shape[-1]))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def multiplicities(self) -> NDArray[np.int64]:
        """Constituents of each jet, int64 (J,)."""
        return np.diff(self.offsets)

    def take(self, order: NDArray[np.int64]) -> "InputBatch":
        """The jets `order`, in that order."""
        rows, offsets = ragged_rows(self.offsets, order)
        features, p4 = (table.take(rows, axis=0) for table in (self.features, self.p4))  # far faster than table[rows]
        return InputBatch(features, p4, offsets, self.jet_features[order])

    @classmethod
    def join(cls, parts: Sequence["InputBatch"]) -> "InputBatch":
        """The jets of several batches of one feature set, one after the other."""
        lengths = np.concatenate([part.multiplicities for part in parts])
        return cls(
            np.concatenate([part.features for part in parts]),
            np.concatenate([part.p4 for part in parts]),
            np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]),
            np.concatenate([part.jet_features for part in parts]),
        )


def _check(name: str, array: NDArray[np.generic], dtype: type, shape: tuple[int, ...]) -> None:
    if array.dtype != dtype or array.shape != shape:
        raise DataError(f"{name}: expected {np.dtype(dtype)} {shape}, got {array.dtype} {array.shape}")
