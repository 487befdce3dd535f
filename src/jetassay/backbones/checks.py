"""What every backbone checks, whatever runs underneath: the batch that it is given, and that it fits its card."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetassay.backbones.card import Card
from jetassay.backbones.protocol import Backbone
from jetassay.errors import ConfigError, DataError, NotFiniteError
from jetassay.features.batch import InputBatch

REFUSALS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What code raises that a card's parameters or feature set do not fit."""


def check_batch(backbone: Backbone, batch: InputBatch) -> None:
    """Raises `DataError` where a batch is not of the backbone's feature set, is empty, or has too many constituents."""
    feature_set, card = backbone.feature_set, backbone.card
    widths = batch.features.shape[1], batch.jet_features.shape[1]
    if widths != (feature_set.width, feature_set.jet_width):
        raise DataError(
            f"{card.name} takes feature set '{feature_set.name}' ({feature_set.width} features a constituent, "
            f"{feature_set.jet_width} a jet), but the batch has {widths[0]} and {widths[1]}"
        )
    if len(batch) == 0:
        raise DataError(f"{card.name}: a batch needs at least one jet")
    longest = int(batch.multiplicities.max())
    if longest > card.max_constituents:
        raise DataError(
            f"{card.name} takes at most {card.max_constituents} constituents, but a jet has {longest}; "
            "cut them when reading"
        )


def check_finite(card: Card, embedding: NDArray[Any]) -> None:
    """Raises `NotFiniteError` naming the first jet whose embedding is not finite."""
    if not np.isfinite(embedding).all():
        jet = int(np.flatnonzero(~np.isfinite(embedding).all(axis=1))[0])
        raise NotFiniteError(f"{card.name}: the embedding of jet {jet} of the batch is not finite; look at its inputs")


def check_widths(backbone: Backbone) -> None:
    """One jet through the backbone, so that a card that does not fit its architecture shows at once (`ConfigError`)."""
    card, feature_set = backbone.card, backbone.feature_set
    jet = InputBatch(
        np.zeros((1, feature_set.width), np.float32),
        np.array([[1, 0, 0, 1]], np.float32),
        np.array([0, 1]),
        np.zeros((1, feature_set.jet_width), np.float32),
    )
    try:
        found = backbone.embed(jet)
    except REFUSALS as error:
        raise ConfigError(
            f"{card.name}: the architecture does not take inputs of feature set '{feature_set.name}' "
            f"({feature_set.width} features a constituent, {feature_set.jet_width} a jet): {error}"
        ) from error
    got = {
        "embedding_dim": found.embedding.shape[1],
        "labels": 0 if found.scores is None else found.scores.shape[1],
    }
    said = {"embedding_dim": card.embedding_dim, "labels": len(backbone.labels)}
    if got != said:
        raise ConfigError(f"{card.name}: the card says {said}, the architecture gives {got}; correct the card")
