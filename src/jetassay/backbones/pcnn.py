"""P-CNN: a one-dimensional residual network over constituents in the order of their pT.

The particle-level network of DeepAK8 (CMS, arXiv:2004.08262), as the ParT paper compares it (arXiv:2202.03772).
Names of layers equal those of networks/example_PCNN.py of jet-universe/particle_transformer (2925bdb), whose
published networks for JetClass are `ResNet` with its defaults and input_dim = 7 (kin), 13 (kinpid) or 17 (full),
num_classes = 10. No weights were published.

A convolution sees the empty slots beside the last constituent, and the average is over all slots: the result depends
on how many there are. The published network has 128, and so have jets here, whatever the batch. Far from constituents
and ends, though, all empty slots give the same: inference computes one of those and counts it as often as it stands
there.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from jetassay.backbones.dense import Head
from jetassay.errors import DataError


class ResNetUnit(nn.Module):
    """Two convolutions of width three, the first one with the stride, beside a shortcut."""

    def __init__(self, before: int, after: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(before, after, 3, stride=stride, padding=1)
        self.bn1 = nn.BatchNorm1d(after)
        self.conv2 = nn.Conv1d(after, after, 3, padding=1)
        self.bn2 = nn.BatchNorm1d(after)
        self.conv_sc: nn.Conv1d | None = None
        if before != after or stride != 1:
            self.conv_sc = nn.Conv1d(before, after, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(J, before, C) to (J, after, C / stride)."""
        shortcut = x if self.conv_sc is None else self.conv_sc(x)
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.bn2(self.conv2(x)))
        return shortcut + x


class ResNet(nn.Module):
    """One convolution, stages of residual units (every stage but the first halves the slots), average, dense layers.

    input_dim, num_classes: F and K
    conv_params:            width of the first convolution, then the widths of the units of each stage
    fc_params:              width and dropout of each hidden layer after the average; the last is D
    length:                 slots of a jet, and the most constituents that it may have
    """

    def __init__(
        self,
        *,
        input_dim: int,
        num_classes: int,
        conv_params: Sequence[Sequence[int]] = ((32,), (64, 64), (64, 64), (128, 128)),
        fc_params: Sequence[tuple[int, float]] = ((512, 0.2),),
        length: int = 128,
    ) -> None:
        super().__init__()
        self.length = length
        (width,), *stages = conv_params
        self.fts_conv = nn.Sequential(
            nn.BatchNorm1d(input_dim), nn.Conv1d(input_dim, width, 3, padding=1), nn.BatchNorm1d(width), nn.ReLU()
        )
        self.resnet_units = nn.ModuleDict()
        self._stride, self._reach = 1, 1  # slots from one of the output to the next; and how far one of them sees
        for stage, widths in enumerate(stages):
            units = [
                ResNetUnit(before, after, stride=2 if stage > 0 and place == 0 else 1)
                for place, (before, after) in enumerate(pairwise((width, *widths)))
            ]
            self.resnet_units[f"resnet_unit_{stage}"] = nn.Sequential(*units)
            for unit in units:
                before, self._stride = self._stride, self._stride * int(unit.conv1.stride[0])
                self._reach += before + self._stride
            width = widths[-1]
        self.fc = Head(width, fc_params, num_classes)

    def forward(self, features: Tensor, p4: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG002 - p4: one signature for all
        """Embedding (J, D), the last hidden layer after its ReLU, and logits (J, K) of J jets.

        features (J, C, F) after the feature set, by falling pT; mask bool (J, C), True where there is a constituent.
        What stands in padded slots is never read.

        Raises `DataError` where C is above `length`.
        """
        if mask.shape[1] > self.length:
            raise DataError(f"P-CNN sees {self.length} slots, but the batch has {mask.shape[1]}; cut its jets")
        left_out = 0 if self.training else self._left_out(mask.shape[1])
        slots = features.new_zeros(len(features), self.length - left_out * self._stride, features.shape[-1])
        slots[:, : mask.shape[1]] = torch.where(mask[..., None], features, 0)
        x = self.fts_conv(slots.transpose(1, 2))
        for stage in self.resnet_units.values():
            x = stage(x)
        if not left_out:
            return self.fc.read(x.mean(dim=-1))
        empty = x[..., -(-(mask.shape[1] + self._reach) // self._stride)]
        return self.fc.read((x.sum(dim=-1) + left_out * empty) / (x.shape[-1] + left_out))

    def _left_out(self, constituents: int) -> int:
        """How many slots of the output need not be computed: those that see empty slots alone, but for one of them."""
        needed = constituents + 2 * (self._reach + self._stride)
        return max(0, (self.length - needed) // self._stride)


def build(**parameters: Any) -> ResNet:
    """What a card's `architecture` names; the parameters are those of `ResNet`."""
    return ResNet(**parameters)
