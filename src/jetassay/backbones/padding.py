"""The one place where jets are padded: right before a network that wants rectangles."""

from dataclasses import dataclass

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

    def padded(rows: NDArray[np.float32]) -> Tensor:
        table = np.zeros((*mask.shape, rows.shape[1]), np.float32)
        table[mask] = rows
        return torch.from_numpy(table).to(device=device, dtype=dtype)

    return PaddedJets(
        padded(batch.features),
        padded(batch.p4),
        torch.from_numpy(mask).to(device=device),
        torch.tensor(batch.jet_features, dtype=dtype, device=device),
    )
