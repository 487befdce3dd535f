"""A plain multi-layer perceptron on the leading constituents: what no structure at all can do."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from jetassay.errors import ConfigError


class LeadingConstituents(nn.Module):
    """The features of the constituents of highest pT side by side, zero where a jet has fewer, through dense layers.

    input_dim, num_classes: F and K
    constituents:           how many are looked at; the others are not
    hidden:                 widths of the hidden layers; the last is D, and its output the embedding
    dropout:                after each hidden layer, in training
    """

    def __init__(
        self,
        *,
        input_dim: int,
        num_classes: int,
        constituents: int = 32,
        hidden: Sequence[int] = (256, 128, 128),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if not hidden or constituents < 1:
            raise ConfigError("an MLP needs at least one hidden layer and one constituent")
        self.constituents = constituents
        layers: list[nn.Module] = []
        for before, after in pairwise((constituents * input_dim, *hidden)):
            layers += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout)]
        self.hidden = nn.Sequential(*layers)
        self.fc = nn.Linear(hidden[-1], num_classes)
        widths = {f"hidden-{k + 1}": width for k, width in enumerate(hidden)}
        self.layers = dict([*list(widths.items())[-1:], *widths.items()])

    def forward(self, features: Tensor, p4: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG002 - p4: one signature for all
        """Embedding (J, D) and logits (J, K); features (J, C, F) by falling pT, mask bool (J, C)."""
        embedding: Tensor = self.hidden(self.side_by_side(features, mask))
        return embedding, self.fc(embedding)

    def embed_at(self, layer: str, features: Tensor, p4: Tensor, mask: Tensor) -> Tensor:  # noqa: ARG002 - p4: one signature for all
        """`hidden-K`: what the K-th hidden layer gives (J, D), after its ReLU, K from 1."""
        layers = 3 * int(layer.removeprefix("hidden-"))  # linear, ReLU, dropout
        found: Tensor = self.hidden[:layers](self.side_by_side(features, mask))
        return found

    def embed_layers(self, features: Tensor, p4: Tensor, mask: Tensor) -> dict[str, Tensor]:  # noqa: ARG002 - p4: one signature for all
        """Every layer of `layers` (J, D) from one pass."""
        found, rows = {}, self.side_by_side(features, mask)
        for k in range(len(self.layers)):
            rows = self.hidden[3 * k : 3 * (k + 1)](rows)
            found[f"hidden-{k + 1}"] = rows
        return found

    def side_by_side(self, features: Tensor, mask: Tensor) -> Tensor:
        """The features of the leading constituents (J, constituents F), zero where a jet has fewer."""
        kept = min(self.constituents, mask.shape[1])
        leading = features.new_zeros(len(features), self.constituents, features.shape[-1])
        leading[:, :kept] = torch.where(mask[:, :kept, None], features[:, :kept], 0)
        return leading.flatten(1)


def build(**parameters: Any) -> LeadingConstituents:
    """What a card's `architecture` names; the parameters are those of `LeadingConstituents`."""
    return LeadingConstituents(**parameters)
