"""Dense layers that several architectures share: on constituents laid end to end, and the head on a whole jet."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


def on_rows(layer: nn.Conv1d | nn.Conv2d, rows: Tensor) -> Tensor:
    """A convolution of length one, as it stands in checkpoints, on rows: (N, before) to (N, after)."""
    return functional.linear(rows, layer.weight.flatten(1), layer.bias)


def masked_mean(table: Tensor, mask: Tensor) -> Tensor:
    """The mean (J, D) over the constituents of each jet of `table` (J, C, D); padded slots are never read."""
    return torch.where(mask[..., None], table, 0).sum(dim=1) / mask.sum(dim=1, keepdim=True)


def sum_by_jet(rows: Tensor, mask: Tensor) -> Tensor:
    """The sum (J, D) over the constituents (N, D) of each jet, in the order of `mask` (J, C); float32 at least.

    On a processor rows are added one after the other, which takes a thirtieth of the time of padding them. Elsewhere
    that would be done in any order, with other bits each time.
    """
    wide = rows.to(torch.promote_types(rows.dtype, torch.float32))
    if rows.device.type == "cpu":
        return wide.new_zeros(len(mask), wide.shape[-1]).index_add(0, mask.nonzero()[:, 0], wide)
    padded: Tensor = wide.new_zeros(*mask.shape, wide.shape[-1]).masked_scatter(mask[..., None], wide)
    return padded.sum(dim=1)


def drop(x: Tensor, rate: float) -> Tensor:
    """Dropout, in training: each element is 0 with probability `rate` (to 2^-16), and the others rise to keep the mean.

    Four elements share one 64-bit random number; torch's own draws one for each, which costs half as much again.
    """
    dropped = round(rate * 65536)
    if not dropped:
        return x
    if dropped == 65536:
        return x * 0.0
    words = torch.empty(-(-x.numel() // 4), dtype=torch.int64, device=x.device).random_(-(1 << 63), None)
    kept = words.view(torch.int16)[: x.numel()].view(x.shape) >= dropped - 32768
    return x * (kept.to(x.dtype) * (65536 / (65536 - dropped)))


class Dropout(nn.Dropout):
    """`torch.nn.Dropout` by `drop`."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Any shape."""
        return drop(input, self.p) if self.training else input


class Head(nn.Sequential):
    """Hidden layers (width, dropout), each with a ReLU, and the linear classifier after them.

    layers: names and widths of what can be read: the last hidden layer, `hidden-1` and so on; or `pooled` without any
    """

    def __init__(self, dim: int, hidden: Sequence[tuple[int, float]], num_classes: int) -> None:
        layers: list[nn.Module] = []
        for width, dropout in hidden:
            layers.append(nn.Sequential(nn.Linear(dim, width), nn.ReLU(), nn.Dropout(dropout)))
            dim = width
        super().__init__(*layers, nn.Linear(dim, num_classes))
        widths = {f"hidden-{k + 1}": width for k, (width, _) in enumerate(hidden)}
        self.layers = dict([*list(widths.items())[-1:], *widths.items()]) or {"pooled": dim}

    def read_at(self, layer: str, pooled: Tensor) -> Tensor:
        """What hidden layer `hidden-K` gives after its ReLU (J, width), of pooled jets (J, dim)."""
        for hidden in list(self)[: int(layer.removeprefix("hidden-"))]:
            pooled = hidden(pooled)
        return pooled

    def read(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """What the linear classifier sees (J, D), and its logits (J, K), of pooled jets (J, dim)."""
        *hidden, last = self
        for layer in hidden:
            pooled = layer(pooled)
        return pooled, last(pooled)
