"""No network: the jet-level inputs are the embedding. What a backbone must beat to have learned anything."""

from torch import Tensor, nn


class Observables(nn.Module):
    """Passes the jet features on; nothing to learn, no classifier."""

    def forward(
        self,
        features: Tensor,  # noqa: ARG002 - one signature for all architectures
        p4: Tensor,  # noqa: ARG002
        mask: Tensor,  # noqa: ARG002
        jet_features: Tensor,
    ) -> tuple[Tensor, None]:
        """Embedding (J, G), the jet features as they are; a probe standardises them."""
        return jet_features, None


def build() -> Observables:
    """What a card's `architecture` names."""
    return Observables()
