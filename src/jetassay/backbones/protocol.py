"""What every backbone can do, whatever runs underneath."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from jetassay.backbones.card import Card
from jetassay.features.batch import InputBatch
from jetassay.features.recipe import FeatureSet

if TYPE_CHECKING:
    from torch import Tensor


class Layered(Protocol):
    """An architecture whose inner layers can be taken as the embedding.

    layers: name -> width, the one that is the embedding first
    """

    layers: Mapping[str, int]

    def embed_at(self, layer: str, features: "Tensor", p4: "Tensor", mask: "Tensor") -> "Tensor":
        """The output (J, D) of an inner layer, one of `layers` but the first; arguments as those of the module."""
        ...

    def embed_layers(self, features: "Tensor", p4: "Tensor", mask: "Tensor") -> "Mapping[str, Tensor]":
        """Every one of `layers` (J, D), the first as well, from one pass."""
        ...


@dataclass(frozen=True, slots=True)
class Output:
    """What a backbone gives for J jets, in the order of the batch.

    embedding: float32 (J, D)
    scores:    float32 (J, K), class probabilities that sum to 1, or None without a classifier head
    """

    embedding: NDArray[np.float32]
    scores: NDArray[np.float32] | None


@runtime_checkable
class Backbone(Protocol):
    """A card with its weights loaded, frozen, in inference mode.

    card:           the facts
    weights_sha256: digest of the weights in memory, in names and values; of seed and architecture for a control
    feature_set:    the recipe of its inputs
    labels:         K names of the score columns, () without a classifier head
    dtype:          what the forward pass computes in, e.g. "float32"
    """

    card: Card
    weights_sha256: str
    feature_set: FeatureSet
    labels: tuple[str, ...]
    dtype: str

    def embed(self, batch: InputBatch) -> Output:
        """Embed the whole batch in one forward pass; any J >= 1, any multiplicity from 1 to `max_constituents`.

        The same batch gives the same bits; other batches of the same jets agree to 1e-4. Several threads may call
        this at once.
        """
        ...
