"""ParticleNet: edge convolutions between each constituent and its nearest neighbours.

Qu and Gouskos, arXiv:1902.08570, after the edge convolutions of arXiv:1801.07829. Names of layers equal those of
weaver-core's checkpoints. The defaults are the network published for JetClass (networks/example_ParticleNet.py of
jet-universe/particle_transformer 2925bdb): without its fusion layer, pooled over the constituents that a jet has.

The published network sees every jet padded to 128 slots. Empty slots lie far away and have no features, so only a
jet with k constituents or fewer finds them among its neighbours. Here a jet is never padded, but for finding
neighbours; where an empty slot is one, a row of zeros stands for it. So a jet is the same in any batch.

One thing differs from the published training code, not in inference: the batch normalisations see the edges of real
constituents only.
"""

from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from typing import Any

import torch
from torch import Tensor, nn

from jetassay.backbones.dense import Head, on_rows, sum_by_jet
from jetassay.errors import ConfigError, DataError

_FAR = 1e9
"""Where empty slots lie in every coordinate: further than anything real."""

_CENTRES_AT_ONCE = 128
_JETS_AT_ONCE = 128
"""Inference goes through constituents and jets in blocks: there are k pairs of each, and `length` squared of each."""


class EdgeConv(nn.Module):
    """Each constituent takes the mean over its k neighbours of a small net on the pair, and adds itself."""

    def __init__(self, before: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(n, m, 1, bias=False) for n, m in pairwise((2 * before, *widths)))
        self.bns = nn.ModuleList(nn.BatchNorm1d(width) for width in widths)
        self.sc: nn.Conv1d | None = None
        if before != widths[-1]:
            self.sc = nn.Conv1d(before, widths[-1], 1, bias=False)
            self.sc_bn = nn.BatchNorm1d(widths[-1])

    def forward(self, rows: Tensor, neighbours: Tensor) -> Tensor:
        """Constituents (N, D) to (N, D'); neighbours (N, k) are rows, N where an empty slot is the neighbour."""
        # The first layer on (x_i, x_j - x_i) is linear: done once for each constituent instead of for each pair.
        first = self.convs[0]
        assert isinstance(first, nn.Conv2d)
        of_centre, of_difference = first.weight.flatten(1).chunk(2, dim=1)
        centre = rows @ (of_centre - of_difference).T
        other = nn.functional.pad(rows @ of_difference.T, (0, 0, 0, 1))
        block = len(rows) if self.training else _CENTRES_AT_ONCE
        blocks = zip(torch.split(centre, block), torch.split(neighbours, block), strict=True)
        messages = torch.cat([self._messages(*each, other) for each in blocks])
        itself = rows if self.sc is None else self.sc_bn(on_rows(self.sc, rows))
        return torch.relu(itself + messages)

    def _messages(self, centre: Tensor, neighbours: Tensor, other: Tensor) -> Tensor:
        """What n constituents (n, D') hear from their neighbours (n, k), rows of `other`, on average: (n, D')."""
        edges = (centre[:, None] + other[neighbours]).flatten(0, 1)
        edges = torch.relu_(self.bns[0](edges))
        for conv, bn in zip(list(self.convs)[1:], list(self.bns)[1:], strict=True):
            assert isinstance(conv, nn.Conv2d)
            edges = torch.relu_(bn(on_rows(conv, edges)))
        return edges.view(*neighbours.shape, -1).mean(dim=1)


class ParticleNet(nn.Module):
    """Edge convolutions on neighbours in the plane, then on neighbours in what the last one gave; mean; dense layers.

    input_dim, num_classes: F and K
    points:                 which two features are the coordinates in the plane, deta and dphi, as they were measured
    conv_params:            k and the widths of each edge convolution
    fc_params:              width and dropout of each hidden layer after the mean; the last is D
    length:                 slots of a jet in the reference, and the most constituents that a jet may have
    """

    def __init__(
        self,
        *,
        input_dim: int,
        num_classes: int,
        points: tuple[int, int],
        conv_params: Sequence[tuple[int, Sequence[int]]] = ((16, (64,) * 3), (16, (128,) * 3), (16, (256,) * 3)),
        fc_params: Sequence[tuple[int, float]] = ((256, 0.1),),
        length: int = 128,
    ) -> None:
        super().__init__()
        self.points, self.length = list(points), length
        self.neighbours = [k for k, _ in conv_params]
        if not all(widths for _, widths in conv_params) or not all(1 <= k < length for k in self.neighbours or (0,)):
            raise ConfigError(
                f"conv_params: at least one (k, widths), each k from 1 to {length - 1} and one width or more"
            )
        if not all(-input_dim <= place < input_dim for place in self.points):
            raise ConfigError(f"points: {self.points} are not places among {input_dim} features")
        self.bn_fts = nn.BatchNorm1d(input_dim)
        sizes = (input_dim, *(widths[-1] for _, widths in conv_params))
        self.edge_convs = nn.ModuleList(
            EdgeConv(before, widths) for before, (_, widths) in zip(sizes, conv_params, strict=False)
        )
        self.fc = Head(sizes[-1], fc_params, num_classes)
        self.layers = self.fc.layers | {f"mean-conv-{k + 1}": width for k, width in enumerate(sizes[1:])}

    def forward(self, features: Tensor, p4: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG002 - p4: one signature for all
        """Embedding (J, D), the last hidden layer after its ReLU, and logits (J, K) of J jets.

        features (J, C, F) after the feature set; mask bool (J, C), True where there is a constituent, at least one
        in each jet. What stands in padded slots is never read.

        Raises `DataError` where C is above `length`.
        """
        return self.fc.read(self.convolve(features, mask))

    def embed_at(self, layer: str, features: Tensor, p4: Tensor, mask: Tensor) -> Tensor:  # noqa: ARG002 - p4: one signature for all
        """`mean-conv-K`: the mean (J, D) over constituents of what edge convolution K gives, or a hidden layer."""
        if layer.startswith("mean-conv-"):
            return self.convolve(features, mask, convs=int(layer.removeprefix("mean-conv-")))
        return self.fc.read_at(layer, self.convolve(features, mask))

    def embed_layers(self, features: Tensor, p4: Tensor, mask: Tensor) -> dict[str, Tensor]:  # noqa: ARG002 - p4: one signature for all
        """Every layer of `layers` (J, D) from one pass."""
        means = [_mean(rows, mask) for rows in self.constituents(features, mask)]
        found = {f"mean-conv-{k + 1}": mean for k, mean in enumerate(means)}
        return found | {layer: self.fc.read_at(layer, means[-1]) for layer in self.fc.layers}

    def convolve(self, features: Tensor, mask: Tensor, *, convs: int | None = None) -> Tensor:
        """The mean (J, D) over constituents after the last edge convolution, or after the first `convs`."""
        *_, rows = islice(self.constituents(features, mask), convs)
        return _mean(rows, mask)

    def constituents(self, features: Tensor, mask: Tensor) -> Iterator[Tensor]:
        """The constituents (N, D) after each edge convolution, in the order of `mask`."""
        if mask.shape[1] > self.length:
            raise DataError(f"ParticleNet sees {self.length} slots, but the batch has {mask.shape[1]}; cut its jets")
        given = features[mask]
        rows = self.bn_fts(given)
        for place, (k, conv) in enumerate(zip(self.neighbours, self.edge_convs, strict=True)):
            coordinates = rows if place else given[:, self.points]
            rows = conv(rows, nearest(coordinates, mask, k=k, slots=self.length))
            yield rows


def _mean(rows: Tensor, mask: Tensor) -> Tensor:
    """The mean (J, D) over the constituents (N, D) of each jet, in the order of `mask` (J, C)."""
    return sum_by_jet(rows, mask) / mask.sum(dim=1, keepdim=True)


@torch.no_grad()
def nearest(coordinates: Tensor, mask: Tensor, *, k: int, slots: int) -> Tensor:
    """The k nearest neighbours (N, k) of each constituent among all `slots` of its jet.

    coordinates (N, d) of the constituents that mask (J, C) counts, in its order. Neighbours are numbered likewise,
    N for any empty slot.

    Distances are those of weaver to the order of operations, and over as many slots, so that near ties fall the same
    way. The nearest of k + 1 is taken for the constituent itself and left out, as in weaver: of two at exactly the
    same place either may be.
    """
    seen = nn.functional.pad(mask, (0, slots - mask.shape[1]))
    numbers = torch.full(seen.shape, len(coordinates), device=mask.device)
    numbers[seen] = torch.arange(len(coordinates), device=mask.device)
    found = []
    blocks = torch.split(seen, _JETS_AT_ONCE)
    rows_of = torch.split(coordinates, [int(each.sum()) for each in blocks])
    for real, number, rows in zip(blocks, torch.split(numbers, _JETS_AT_ONCE), rows_of, strict=True):
        distances = _distances(rows, real)[real]
        order = distances.topk(k + 1, dim=-1, largest=False, sorted=True).indices[:, 1:]
        jet = torch.arange(len(real), device=real.device)[:, None].expand_as(real)[real]
        found.append(number[jet[:, None], order])
    return torch.cat(found)


def _distances(rows: Tensor, real: Tensor) -> Tensor:
    """Squared distances (J, slots, slots); constituents (N, d) stand where `real` (J, slots) says, the others far."""
    with torch.autocast(rows.device.type, enabled=False):
        full = rows.float() if rows.dtype == torch.bfloat16 else rows
        table = full.new_full((len(real), full.shape[1], real.shape[1]), _FAR)
        table.transpose(1, 2)[real] = full
        norms = table.square().sum(dim=1, keepdim=True)
        products = -2 * (table.transpose(1, 2) @ table)
        return (norms.transpose(1, 2) + products + norms).clamp_(min=0)


def build(**parameters: Any) -> ParticleNet:
    """What a card's `architecture` names; the parameters are those of `ParticleNet`."""
    return ParticleNet(**parameters)
