"""Layers of a trained network as inference needs them: constants folded into the matrices beside them."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Linear:
    """A matrix product. weight (out, in), bias (out,); in float64 while things are folded into it, then `to` a type."""

    weight: Tensor
    bias: Tensor

    @classmethod
    def of(cls, layer: nn.Module) -> Self:
        """A linear layer, or a convolution of length one, as the module has it."""
        weight, bias = layer.get_parameter("weight"), layer.get_parameter("bias")
        return cls(weight.detach().double().flatten(1), bias.detach().double())

    def then(self, scale: Tensor, shift: Tensor | float = 0.0) -> Self:
        """With `scale` and `shift` (out,) applied to its outputs."""
        return type(self)(self.weight * scale[:, None], self.bias * scale + shift)

    def of_scaled(self, scale: Tensor, shift: Tensor) -> Self:
        """With `scale` and `shift` (in,) applied to its inputs."""
        return type(self)(self.weight * scale, self.bias + self.weight @ shift)

    def of_shifted(self, shift: Tensor) -> Self:
        """With `shift` (in,) added to its inputs."""
        return type(self)(self.weight, self.bias + self.weight @ shift)

    def of_centred(self) -> Self:
        """With the mean of each row subtracted from its inputs."""
        return type(self)(self.weight - self.weight.mean(dim=1, keepdim=True), self.bias)

    def without_bias(self) -> Self:
        """The matrix alone."""
        return type(self)(self.weight, torch.zeros_like(self.bias))

    def to(self, dtype: torch.dtype) -> "Product":
        """Ready for use."""
        bias = self.bias.to(dtype) if bool(self.bias.any()) else None
        # As kernels of each type like it: bfloat16 by rows of outputs, the others by rows of inputs.
        weight = self.weight.to(dtype)
        return Product(weight.T if dtype == torch.bfloat16 else weight.T.contiguous(), bias)

    def on_columns(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """The matrix (out, in) and the bias (out, 1), for tables with one column where others have a row."""
        return self.weight.to(dtype), self.bias[:, None].to(dtype)


@dataclass(frozen=True, slots=True)
class Product:
    """Rows times a matrix, plus a bias. matrix (in, out); bias (out,) or None.

    The bias is added after the product: kernels that take both first write the bias everywhere, which costs more; but
    those of bfloat16 do not.
    """

    matrix: Tensor
    bias: Tensor | None

    def __call__(self, rows: Tensor) -> Tensor:
        """Rows (N, in) to rows (N, out), in the type of the matrix."""
        if self.matrix.dtype == torch.bfloat16:
            return functional.linear(rows.to(torch.bfloat16), self.matrix.T, self.bias)
        found = torch.mm(rows, self.matrix)
        return found if self.bias is None else found.add_(self.bias)

    def into(self, out: Tensor, rows: Tensor) -> None:
        """Rows (N, in) to the rows of `out` (N, out), in its type."""
        if out.dtype == self.matrix.dtype and self.bias is None:
            torch.mm(rows, self.matrix, out=out)
        else:
            out.copy_(self(rows))


@dataclass(frozen=True, slots=True)
class Norm:
    """A normalisation of each row; its scale and shift stay with it, since kernels apply them in passing."""

    weight: Tensor
    bias: Tensor
    eps: float

    @classmethod
    def of(cls, layer: nn.LayerNorm, dtype: torch.dtype) -> Self:
        """As the module has it; a copy."""
        return cls(layer.weight.detach().to(dtype, copy=True), layer.bias.detach().to(dtype, copy=True), layer.eps)

    def __call__(self, x: Tensor) -> Tensor:
        """Rows (..., D) to rows."""
        return functional.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)

    def factor(self, x: Tensor) -> Tensor:
        """What centred rows (N, D) are multiplied by, (N, 1): one over their standard deviation.

        From sums of squares, which is faster; digits are lost where a mean is many times as large as the deviation.
        """
        width = x.shape[1]
        mean = torch.mv(x, x.new_full((width,), 1 / width))
        squares: Tensor = torch.linalg.vector_norm(x, dim=1).square_().div_(width)
        variance = squares.addcmul_(mean, mean, value=-1)
        return variance.clamp_(min=0).add_(self.eps).rsqrt_()[:, None]


def gelu_(x: Tensor) -> Tensor:
    """GELU in place: a table that the cache just holds is not read into a second one.

    `torch.nn.functional` has no name for this operator of torch.
    """
    found: Tensor = torch.ops.aten.gelu_(x)
    return found


def batch_norm(layer: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Scale and shift (D,), float64, that a batch normalisation is in inference."""
    assert layer.running_var is not None
    assert layer.running_mean is not None
    scale = layer.weight.detach().double() / (layer.running_var.double() + layer.eps).sqrt()
    return scale, layer.bias.detach().double() - layer.running_mean.double() * scale
