"""A backbone as a folder that needs nothing beside it: cards, and weights that no reader has to run.

model.json               which backbone, of which schema, and the digest of its weights in memory
cards/NAME/card.toml     and a safetensors or ONNX file, and a weaver data configuration, where it has such
"""

import hashlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jetassay.backbones.card import Card, read_card
from jetassay.backbones.feature_sets import FILE
from jetassay.errors import ConfigError, WeightsError
from jetassay.jets.catalogue import find_schema
from jetassay.records import read_toml
from jetassay.training.toml import to_toml

if TYPE_CHECKING:
    from jetassay.backbones.protocol import Backbone
    from jetassay.jets.schema import Schema

VERSION = 1
_PLAIN = (".safetensors", ".onnx")
"""Endings of weights that are copied as they are; others become safetensors."""

_RUNS_A_FILE = "jetassay.backbones.foreign:load"


def write_portable(backbone: "Backbone", *, schema: str, folder: Path) -> None:
    """Fill `folder`, which must not exist yet.

    Raises `ConfigError` for a backbone that brings a Python file along, or a card that was made in code; `WeightsError`
    where weights cannot be had without running what a file holds.
    """
    card = backbone.card
    if card.architecture == _RUNS_A_FILE:
        raise ConfigError(
            f"{card.name}: its network is a Python file, which a registered model never brings along; export it to "
            "ONNX and write a card for that (docs/howto-onnx.md)"
        )
    if card.folder is None:
        raise ConfigError(f"{card.name}: the card was not read from a folder, so it cannot be copied")
    inside = folder / "cards" / card.name
    inside.mkdir(parents=True)
    table = read_toml(card.folder / "card.toml")
    if card.weights is not None:
        table["weights"] = _write_weights(card, inside)
    if card.feature_set.startswith(FILE):
        source = card.inside(card.feature_set.removeprefix(FILE))
        target = inside / card.feature_set.removeprefix(FILE)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    (inside / "card.toml").write_text(to_toml(table), encoding="utf-8")
    if card.untrained_twin_of is not None:
        beside = folder / "cards" / card.untrained_twin_of
        beside.mkdir()
        shutil.copyfile(card.folder.parent / card.untrained_twin_of / "card.toml", beside / "card.toml")
    about = {"version": VERSION, "reference": card.reference, "schema": schema}
    (folder / "model.json").write_text(
        json.dumps({**about, "weights_sha256": backbone.weights_sha256}, indent=1) + "\n"
    )


def load_portable(folder: Path, *, device: str = "cpu") -> "tuple[Backbone, Schema]":
    """The backbone in `folder`, and the schema that its columns are named after.

    Raises `ConfigError` where the folder is none of `write_portable` or of another version, `WeightsError` where the
    weights in memory are not those that were registered.
    """
    from jetassay.backbones.loading import load_backbone

    about = _read(folder / "model.json")
    name, at, layer = str(about["reference"]).partition("@")
    card = read_card(folder / "cards" / name / "card.toml")
    backbone = load_backbone(card.at(layer) if at else card, device=device)
    if backbone.weights_sha256 != about["weights_sha256"]:
        raise WeightsError(
            f"{folder}: weights of '{name}' are {backbone.weights_sha256[:12]}, registered were "
            f"{str(about['weights_sha256'])[:12]}: another jetassay builds another network; register it again"
        )
    return backbone, find_schema(str(about["schema"]))


def _read(path: Path) -> dict[str, Any]:
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        if about["version"] != VERSION:
            raise ConfigError(f"{path}: a model of version {about['version']}, this jetassay reads {VERSION}")
        return {name: about[name] for name in ("reference", "schema", "weights_sha256")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: no model of `jetassay register` ({error}); register it again") from error


def _write_weights(card: Card, folder: Path) -> dict[str, Any]:
    """Put the card's weights into `folder`; gives the table for its card."""
    from safetensors.torch import save_file

    from jetassay.backbones.weights import locate_weights, read_state

    weights = card.weights
    assert weights is not None
    source = locate_weights(card)
    prefix = weights.prefix
    if source.suffix in _PLAIN:
        target = folder / source.name
        shutil.copyfile(source, target)
    elif card.architecture.endswith(":load"):
        raise WeightsError(
            f"{card.name}: {source.name} is read by '{card.architecture}' alone; give safetensors or ONNX"
        )
    else:
        target, state = folder / "weights.safetensors", read_state(source, prefix=prefix)
        save_file({name: tensor.contiguous().clone() for name, tensor in state.items()}, target)
        prefix = ""
    content = target.read_bytes()
    facts = {"file": target.name, "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    return {**facts, **({"prefix": prefix} if prefix else {}), "licence": weights.licence}
