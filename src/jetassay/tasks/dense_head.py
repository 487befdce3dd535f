"""Small networks on frozen embeddings: one hidden layer, several trained side by side, each stopped by its own loss.

h = relu(x W1 + b1) with `HIDDEN` units, logit = h W2 + b2. All networks of a call take the same number of jets, so that
each operation works on all of them at once; none sees another.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from jetassay.embeddings.threads import one_thread_per_operator
from jetassay.errors import ConvergenceError

if TYPE_CHECKING:
    import torch

FloatArray = NDArray[np.float64]

HIDDEN = 64
"""Units of the hidden layer."""

BATCH = 256
RATE = 3e-3  # of Adam, the usual momenta; standardised inputs bear three times the customary rate
DECAY = 1e-2  # of the weights in each step, times the rate, apart from the gradient (AdamW)
MOST_EPOCHS = 200
PATIENCE = 10
"""Epochs without a smaller validation loss after which a network is left as it was at the smallest."""

_HELD = 1 << 13  # validation jets at once: their hidden units, of all networks together, are many times their inputs

_MOMENTA = 0.9, 0.999
_TINY = 1e-8


@dataclass(frozen=True, slots=True)
class DenseHeads:
    """S trained networks.

    parameters: float32 W1 (S, D, H), b1 (S, 1, H), W2 (S, H, 1), b2 (S, 1, 1), at the smallest validation loss
    losses:     float64 (S,), that loss, both classes weighing the same
    epochs:     int64 (S,), when it was reached, from 1
    """

    parameters: tuple[NDArray[np.float32], ...]
    losses: FloatArray
    epochs: NDArray[np.int64]

    def logits(self, network: int, features: NDArray[np.float32]) -> FloatArray:
        """Scores, float64 (J,), of standardised embeddings (J, D) by one of the networks."""
        first, first_bias, second, second_bias = (each[network].astype(np.float64) for each in self.parameters)
        hidden = np.maximum(features @ first + first_bias, 0)
        scores: FloatArray = (hidden @ second + second_bias)[:, 0]
        return scores


@dataclass(frozen=True, slots=True)
class Stack:
    """The jets of S networks, or those of all of them, the first axis being 1.

    features: float32 (S or 1, J, D), standardised; is_signal: bool (S or 1, J), both sides present in each
    """

    features: NDArray[np.float32]
    is_signal: NDArray[np.bool_]

    @property
    def weights(self) -> NDArray[np.float32]:
        """float32 (S or 1, J), which sum to 1/2 over the jets of each side."""
        signal = self.is_signal.sum(axis=1, keepdims=True)
        weights: FloatArray = np.where(self.is_signal, 0.5 / signal, 0.5 / (self.is_signal.shape[1] - signal))
        return weights.astype(np.float32, copy=False)


def train_heads(train: Stack, validation: Stack, *, seeds: NDArray[np.int64]) -> DenseHeads:
    """Train one network per seed (S,), which sets its first weights and the order of its jets.

    Adam on the cross-entropy of random batches, both classes weighing the same; see the constants of this module. On
    one thread, so that the bits do not depend on cores. Raises `ConvergenceError` where a loss is not finite.
    """
    with one_thread_per_operator():
        return _train(train, validation, [np.random.default_rng(int(seed)) for seed in seeds])


def _train(train: Stack, validation: Stack, streams: list[np.random.Generator]) -> DenseHeads:
    import torch

    with torch.no_grad():
        parameters = _Parts(_first_weights(streams, train.features.shape[2]))
        optimiser, best = _Adam(parameters), _Best(parameters.each)
        x, y, w = (each.flatten(0, 1) for each in _tensors(train))
        held = tuple(each.expand(len(streams), *each.shape[1:]) for each in _tensors(validation))
        stacks, jets = train.is_signal.shape
        own = jets * (torch.arange(len(streams))[:, None] % stacks)
        for epoch in range(1, MOST_EPOCHS + 1):
            order = own + torch.from_numpy(np.stack([stream.permutation(jets) for stream in streams]))
            for start in range(0, jets, BATCH):
                rows = order[:, start : start + BATCH]
                share = jets / rows.shape[1]  # weights sum to 1 over all jets
                batch = (each.index_select(0, rows.flatten()).unflatten(0, rows.shape) for each in (x, y, share * w))
                _differentiate(parameters, optimiser.gradients, *batch)
                optimiser.step()
            parts = (slice(start, start + _HELD) for start in range(0, held[0].shape[1], _HELD))
            blocks = [_losses(parameters.each, *(each[:, part] for each in held)) for part in parts]
            best.take(torch.stack(blocks).sum(dim=0), parameters.each, epoch)
            if best.all_done(epoch):
                break
    return best.heads()


class _Parts:
    """W1 (S, D, H), b1 (S, 1, H), W2 (S, H, 1) and b2 (S, 1, 1) of S networks: views, `each`, of one table, `all`."""

    def __init__(self, parts: "Sequence[torch.Tensor]") -> None:
        import torch

        self.all = torch.cat([part.flatten() for part in parts])
        pieces = torch.split(self.all, [part.numel() for part in parts])
        self.each = [piece.view_as(part) for piece, part in zip(pieces, parts, strict=True)]


def _differentiate(
    parameters: _Parts, gradients: _Parts, x: "torch.Tensor", y: "torch.Tensor", w: "torch.Tensor"
) -> None:
    """Put the gradients of the sum of `_losses` into `gradients`: by hand, a third faster than by torch's graph."""
    import torch

    first, first_bias, second, second_bias = parameters.each
    hidden = torch.baddbmm(first_bias, x, first).relu_()
    wrong = torch.baddbmm(second_bias, hidden, second).sigmoid_()
    wrong[..., 0].sub_(y).mul_(w)
    below = torch.bmm(wrong, second.transpose(1, 2)).mul_(hidden.sign())  # a mask takes thirty times as long
    into = gradients.each
    torch.bmm(x.transpose(1, 2), below, out=into[0])
    torch.sum(below, dim=1, keepdim=True, out=into[1])
    torch.bmm(hidden.transpose(1, 2), wrong, out=into[2])
    torch.sum(wrong, dim=1, keepdim=True, out=into[3])


def _losses(
    parameters: "list[torch.Tensor]", x: "torch.Tensor", y: "torch.Tensor", w: "torch.Tensor"
) -> "torch.Tensor":
    """Weighted cross-entropy (S,) of each network on its jets (S, B, D)."""
    import torch
    from torch.nn import functional

    first, first_bias, second, second_bias = parameters
    logits = torch.baddbmm(second_bias, functional.relu(torch.baddbmm(first_bias, x, first)), second)[..., 0]
    return (w * functional.binary_cross_entropy_with_logits(logits, y, reduction="none")).sum(dim=1)


def _first_weights(streams: list[np.random.Generator], width: int) -> "list[torch.Tensor]":
    """Uniform within 1 / sqrt(inputs), as torch initialises a linear layer; every network from its own stream."""
    import torch

    shapes = ((width, HIDDEN), width), ((1, HIDDEN), width), ((HIDDEN, 1), HIDDEN), ((1, 1), HIDDEN)
    drawn = [[stream.uniform(-1, 1, shape) / np.sqrt(inputs) for shape, inputs in shapes] for stream in streams]
    return [torch.from_numpy(np.stack(each).astype(np.float32)) for each in zip(*drawn, strict=True)]


def _tensors(stack: Stack) -> "tuple[torch.Tensor, torch.Tensor, torch.Tensor]":
    import torch

    labels = stack.is_signal.astype(np.float32)
    return torch.from_numpy(stack.features), torch.from_numpy(labels), torch.from_numpy(stack.weights)


class _Adam:
    """AdamW (Loshchilov and Hutter, arXiv:1711.05101) of all networks; `gradients` is where it takes theirs from."""

    def __init__(self, parameters: _Parts) -> None:
        import torch

        self._parameters = parameters.all
        self.gradients = _Parts(parameters.each)
        self._first, self._second = torch.zeros_like(parameters.all), torch.zeros_like(parameters.all)
        self._steps = 0

    def step(self) -> None:
        self._steps += 1
        one, two = _MOMENTA
        rate = RATE / (1 - one**self._steps)
        scale = (1 - two**self._steps) ** 0.5
        gradient = self.gradients.all
        self._first.lerp_(gradient, 1 - one)
        self._second.mul_(two).addcmul_(gradient, gradient, value=1 - two)
        self._parameters.mul_(1 - RATE * DECAY)
        self._parameters.addcdiv_(self._first, self._second.sqrt().div_(scale).add_(_TINY), value=-rate)


class _Best:
    """Each network as it was at its smallest validation loss, up to the epoch when its patience ended."""

    def __init__(self, parameters: "list[torch.Tensor]") -> None:
        self._kept = [each.detach().clone() for each in parameters]
        self._losses = np.full(len(parameters[0]), np.inf)
        self._epochs = np.zeros(len(parameters[0]), np.int64)

    def take(self, losses: "torch.Tensor", parameters: "list[torch.Tensor]", epoch: int) -> None:
        import torch

        found = losses.numpy().astype(np.float64)
        if not np.isfinite(found).all():
            raise ConvergenceError(f"the validation loss of a dense head is not finite after {epoch} epochs")
        better = (found < self._losses) & (epoch - self._epochs <= PATIENCE)
        self._losses = np.where(better, found, self._losses)
        self._epochs = np.where(better, epoch, self._epochs)
        which = torch.from_numpy(np.flatnonzero(better))
        for kept, now in zip(self._kept, parameters, strict=True):
            kept[which] = now.detach()[which]

    def all_done(self, epoch: int) -> bool:
        return bool((epoch - self._epochs >= PATIENCE).all())

    def heads(self) -> DenseHeads:
        return DenseHeads(tuple(each.numpy() for each in self._kept), self._losses, self._epochs)
