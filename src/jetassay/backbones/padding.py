"""The one place where jets are padded: right before a network that wants rectangles."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from jetassay.features.batch import InputBatch


@dataclass(frozen=True, slots=True)
class PaddedJets:
    """J jets padded with zeros to the C constituents of the longest.

    features (J, C, F); p4 (J, C, 4) in GeV; mask bool (J, C), True where there is a constituent; jet_features (J, G)
    """

    features: Tensor
    p4: Tensor
    mask: Tensor
    jet_features: Tensor


def pad(batch: InputBatch, *, device: torch.device | None = None, dtype: torch.dtype = torch.float32) -> PaddedJets:
    """The jets of `batch`, in its order, on `device` (the CPU by default)."""
    lengths = batch.multiplicities
    mask = np.arange(lengths.max()) < lengths[:, None]

    def moved(array: NDArray[Any]) -> Tensor:
        tensor = torch.from_numpy(array)
        if device is not None and device.type == "cuda":  # from pinned memory, while the device works
            tensor = tensor.pin_memory()
        return tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else None, non_blocking=True)

    def padded(rows: NDArray[np.float32]) -> Tensor:
        table = np.zeros((*mask.shape, rows.shape[1]), np.float32)
        table[mask] = rows
        return moved(table)

    return PaddedJets(
        padded(batch.features),
        padded(batch.p4),
        moved(mask),
        moved(np.array(batch.jet_features)),
    )
