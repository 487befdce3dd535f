"""The feature set that a card names: one of the registry, or a weaver data configuration in the card's own folder."""

from jetassay.backbones.card import Card
from jetassay.errors import ConfigError
from jetassay.features.recipe import FeatureSet
from jetassay.features.sets import FEATURE_SETS
from jetassay.features.weaver.config import WeaverConfig
from jetassay.features.weaver.reading import read_weaver_config

FILE = "file:"
"""What a card's `feature_set` starts with where the rest names a data configuration in its folder."""


def feature_set_of(card: Card) -> FeatureSet:
    """The card's feature set.

    Raises `UnknownNameError` where no registry knows it, `ConfigError` where the file is missing or wrong,
    `LeakageError` where it reaches for anything but observed columns.
    """
    if not card.feature_set.startswith(FILE):
        return FEATURE_SETS[card.feature_set]
    return data_configuration(card).feature_set


def data_configuration(card: Card) -> WeaverConfig:
    """The weaver data configuration that the card's feature set is. Raises `ConfigError` where it is none."""
    if not card.feature_set.startswith(FILE):
        raise ConfigError(f"{card.name}: feature_set must be '{FILE}NAME.yaml', not '{card.feature_set}'")
    return read_weaver_config(card.inside(card.feature_set.removeprefix(FILE)))
