"""What every backbone can do, whatever runs underneath."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from jetassay.backbones.card import Card
from jetassay.features.batch import InputBatch


@dataclass(frozen=True, slots=True)
class Output:
    """What a backbone gives for J jets, in the order of the batch.

    embedding: float32 (J, D)
    scores:    float32 (J, K), class probabilities that sum to 1, or None without a classifier head
    """

    embedding: NDArray[np.float32]
    scores: NDArray[np.float32] | None


class Backbone(Protocol):
    """A card with its weights loaded, frozen, in inference mode.

    card:           the facts
    weights_sha256: digest of the weights in memory, in names and values; of seed and architecture for a control
    labels:         K names of the score columns, () without a classifier head
    dtype:          what the forward pass computes in, e.g. "float32"
    """

    card: Card
    weights_sha256: str
    labels: tuple[str, ...]
    dtype: str

    def embed(self, batch: InputBatch) -> Output:
        """Embed the whole batch in one forward pass; any J >= 1, any multiplicity from 1 to `max_constituents`.

        The same batch gives the same bits; other batches of the same jets agree to 1e-4. Several threads may call
        this at once.
        """
        ...
