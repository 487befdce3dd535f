"""Which backbones there are: cards of the project, of the user's own folders, and of plug-ins. Imports no torch."""

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from jetassay.backbones.card import Card, read_card
from jetassay.errors import ConfigError
from jetassay.places import models_folder
from jetassay.registry import Registry

MODELS_VARIABLE = "JETASSAY_MODELS"
"""Environment variable with further folders of cards, separated as in PATH."""


def backbone_cards() -> Registry[Card]:
    """Every card, read when asked for; one that cannot be read is listed as broken by `Registry.survey`.

    A folder inside a folder of cards is a backbone; without `card.toml` it is a broken one.

    Raises `ConfigError` where a folder in `JETASSAY_MODELS` does not exist, `DuplicateNameError` where two folders
    hold a card of the same name.
    """
    registry: Registry[Card] = Registry("backbone", of=Card)
    for folder in (models_folder(), *_own_folders()):
        for card_folder in sorted(each for each in folder.iterdir() if each.is_dir() and each.name[0] != "."):
            path = card_folder / "card.toml"
            registry.add(card_folder.name, partial(read_card, path), origin=str(path))
    return registry


def find_card(cards: Mapping[str, Card], reference: str) -> Card:
    """The card that `NAME` or `NAME@LAYER` refers to.

    Raises `UnknownNameError` for an unknown name, `ConfigError` for a layer that the card does not name.
    """
    name, at, layer = reference.partition("@")
    return cards[name].at(layer) if at else cards[name]


def _own_folders() -> list[Path]:
    folders = [Path(each).expanduser() for each in os.environ.get(MODELS_VARIABLE, "").split(os.pathsep) if each]
    missing = [str(each) for each in folders if not each.is_dir()]
    if missing:
        raise ConfigError(f"{MODELS_VARIABLE}: no such folder: {', '.join(missing)}; create it or unset the variable")
    return folders
