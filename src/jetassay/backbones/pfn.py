"""Particle Flow Network: a sum over constituents of what a net makes of each, and a net on the sum.

Komiske, Metodiev, Thaler, arXiv:1810.05165. Names of layers equal those of networks/example_PFN.py of
jet-universe/particle_transformer (2925bdb), whose published networks for JetClass are `ParticleFlowNetwork` with its
defaults and input_dim = 7 (kin), 13 (kinpid) or 17 (full), num_classes = 10. No weights were published.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from jetassay.backbones.dense import Head, on_rows, sum_by_jet


class ParticleFlowNetwork(nn.Module):
    """Constituents one by one through Phi, summed over the jet, and the sum through F.

    input_dim, num_classes: F and K
    phi_sizes, f_sizes:     widths of the layers of Phi and F; the last of F is D
    use_bn:                 normalise inputs and layers of Phi over the constituents of a batch
    """

    def __init__(
        self,
        *,
        input_dim: int,
        num_classes: int,
        phi_sizes: Sequence[int] = (128, 128, 128),
        f_sizes: Sequence[int] = (128, 128, 128),
        use_bn: bool = False,
    ) -> None:
        super().__init__()
        self.input_bn = nn.BatchNorm1d(input_dim) if use_bn else nn.Identity()
        self.phi = nn.ModuleList(
            nn.ModuleList((nn.Conv1d(before, after, 1), nn.BatchNorm1d(after) if use_bn else nn.Identity()))
            for before, after in pairwise((input_dim, *phi_sizes))
        )
        self.fc = Head(phi_sizes[-1], [(width, 0.0) for width in f_sizes], num_classes)
        self.layers = self.fc.layers | {"sum": phi_sizes[-1]}

    def forward(self, features: Tensor, p4: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG002 - p4: one signature for all
        """Embedding (J, D), the last hidden layer of F after its ReLU, and logits (J, K) of J jets.

        features (J, C, F) after the feature set; mask bool (J, C), True where there is a constituent. What stands in
        padded slots is never read.
        """
        return self.fc.read(self.add_up(features, mask))

    def embed_at(self, layer: str, features: Tensor, p4: Tensor, mask: Tensor) -> Tensor:  # noqa: ARG002 - p4: one signature for all
        """`sum`: that of Phi over constituents (J, D); `hidden-K`: a layer of F."""
        summed = self.add_up(features, mask)
        return summed if layer == "sum" else self.fc.read_at(layer, summed)

    def embed_layers(self, features: Tensor, p4: Tensor, mask: Tensor) -> dict[str, Tensor]:  # noqa: ARG002 - p4: one signature for all
        """Every layer of `layers` (J, D) from one sum over constituents."""
        summed = self.add_up(features, mask)
        return {"sum": summed} | {layer: self.fc.read_at(layer, summed) for layer in self.fc.layers}

    def add_up(self, features: Tensor, mask: Tensor) -> Tensor:
        """The sum (J, D) of Phi over the constituents of each jet."""
        rows = self.input_bn(features[mask])
        for layer in self.phi:
            assert isinstance(layer, nn.ModuleList)
            conv, norm = layer
            assert isinstance(conv, nn.Conv1d)
            rows = torch.relu_(norm(on_rows(conv, rows)))
        return sum_by_jet(rows, mask)


def build(**parameters: Any) -> ParticleFlowNetwork:
    """What a card's `architecture` names; the parameters are those of `ParticleFlowNetwork`."""
    return ParticleFlowNetwork(**parameters)
