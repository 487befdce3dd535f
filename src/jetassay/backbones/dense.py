"""Dense layers that several architectures share: on constituents laid end to end, and the head on a whole jet."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional


def on_rows(layer: nn.Conv1d | nn.Conv2d, rows: Tensor) -> Tensor:
    """A convolution of length one, as it stands in checkpoints, on rows: (N, before) to (N, after)."""
    return functional.linear(rows, layer.weight.flatten(1), layer.bias)


class Head(nn.Sequential):
    """Hidden layers (width, dropout), each with a ReLU, and the linear classifier after them."""

    def __init__(self, dim: int, hidden: Sequence[tuple[int, float]], num_classes: int) -> None:
        layers: list[nn.Module] = []
        for width, dropout in hidden:
            layers.append(nn.Sequential(nn.Linear(dim, width), nn.ReLU(), nn.Dropout(dropout)))
            dim = width
        super().__init__(*layers, nn.Linear(dim, num_classes))

    def read(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """What the linear classifier sees (J, D), and its logits (J, K), of pooled jets (J, dim)."""
        *hidden, last = self
        for layer in hidden:
            pooled = layer(pooled)
        return pooled, last(pooled)
