"""The facts of one backbone, read from `models/NAME/card.toml`. Light: reading a card imports no torch."""

import hashlib
import json
import re
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, PrivateAttr, model_validator

from jetassay.errors import ConfigError
from jetassay.jets.labels import LABEL_LISTS
from jetassay.masking import has_secret
from jetassay.places import within
from jetassay.records import Record, parse_record, read_toml

LAYER_NAME = r"[a-z0-9]+(-[a-z0-9]+)*"

ALL_LAYERS = "all-layers"
"""Every layer that a card names, side by side in its order, from one pass."""

Role = Literal["backbone", "floor", "control"]
_NAME = r"[^\W\d]\w*"
CARD_NAME = r"^[a-z0-9][a-z0-9-]*$"


class Weights(Record):
    r"""Which weights these are, so that no other file can pass for them.

    file:     path inside the card's folder, for weights that ship with the project
    urls:     where official weights can be fetched, in order of preference
    sha256:   hex digest of the file's bytes
    git_blob: git blob id, SHA-1 of `blob SIZE\0` and the bytes, where only that is known
    size:     bytes of the file, so that one that was cut short is told from another one
    prefix:   what the names of layers in the checkpoint start with, removed when loading
    """

    file: str | None = None
    urls: tuple[str, ...] = ()
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    git_blob: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")
    size: int | None = Field(default=None, gt=0)
    prefix: str = ""
    licence: str

    @model_validator(mode="after")
    def _identified(self) -> "Weights":
        if self.sha256 is None and self.git_blob is None:
            raise ValueError("weights need a sha256 or a git_blob to be identified by")
        if (self.file is None) == (not self.urls):
            raise ValueError("weights come either from `file` in the card's folder or from `urls`")
        if self.file is not None and (Path(self.file).is_absolute() or ".." in Path(self.file).parts):
            raise ValueError(f"`file` must stay inside the card's folder, not {self.file}")
        if self.urls and PurePosixPath(urlsplit(self.urls[0]).path).name in {"", ".."}:
            raise ValueError(f"the first of `urls` must end with the name of a file, not {self.urls[0]}")
        if any(has_secret(url) for url in self.urls):
            raise ValueError("`urls` hold a user name, password or token; credentials do not belong in a card")
        return self


class Training(Record):
    """How shipped weights were made, in full: what `make train-mini` needs to make them again, and what came out.

    measured:    figures on jets that neither training nor the choice of the epoch saw
    environment: date, machine and versions
    """

    recipe: dict[str, Any]
    data_digest: str
    seed: int
    jets: int
    curves: str
    measured: dict[str, float] = Field(default_factory=dict)
    environment: dict[str, str] = Field(default_factory=dict)


class Card(Record):
    """One backbone.

    name:         registry name, kebab-case; equals the folder's name
    role:         backbone, floor (simple observables) or control (no trained weights)
    architecture: `package.module:function`, called with `parameters`; imported only when the backbone is loaded,
                  and with the user's consent where it is neither jetassay's nor a plug-in's
    feature_set:  name of the input recipe, which belongs to the backbone
    embedding_dim: D of the embedding
    layers:       names and widths of the layers that can be taken, the one that is the embedding first; none where only
                  that one can be had
    labels:       names of the output classes in order; a name of a shipped label list (`jetclass`, `jetclass2`)
                  or the names themselves; empty where the backbone has no classifier head
    trained_on:   names of the datasets seen in training, so that contamination shows
    untrained_twin_of, seed: a control that takes the other card's architecture with random weights
    permutation_invariant: the order of constituents changes nothing
    max_constituents: jets are cut to this many constituents of highest pT
    """

    name: str = Field(pattern=CARD_NAME)
    title: str
    role: Role = "backbone"
    architecture: str = Field(pattern=rf"^{_NAME}(\.{_NAME})*:{_NAME}$")
    parameters: dict[str, Any] = Field(default_factory=dict)
    feature_set: str
    embedding_dim: int = Field(gt=0)
    layers: dict[str, int] = Field(default_factory=dict)
    labels: str | tuple[str, ...] = ()
    trained_on: tuple[str, ...] = ()
    permutation_invariant: bool = True
    max_constituents: int = Field(default=128, gt=0)
    untrained_twin_of: str | None = None
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    weights: Weights | None = None
    training: Training | None = None
    paper: str | None = None
    notes: str = ""

    _folder: Path | None = PrivateAttr(default=None)
    _inner_layer: str | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _layers_begin_with_the_embedding(self) -> "Card":
        if self.layers and next(iter(self.layers.values())) != self.embedding_dim:
            raise ValueError("`layers` begins with the layer that is the embedding, as wide as `embedding_dim`")
        odd = [name for name in self.layers if not re.fullmatch(LAYER_NAME, name)]
        if ALL_LAYERS in self.layers:
            raise ValueError(f"'{ALL_LAYERS}' means all of `layers` side by side; call the layer otherwise")
        if odd:
            raise ValueError(f"names in `layers` are kebab-case, not {', '.join(odd)}")
        return self

    @model_validator(mode="after")
    def _known_labels(self) -> "Card":
        if isinstance(self.labels, str) and self.labels not in LABEL_LISTS:
            raise ValueError(f"there is no label list '{self.labels}'; known: {', '.join(LABEL_LISTS)}")
        if len(set(self.label_names)) < len(self.label_names):
            raise ValueError("a label stands twice in `labels`")
        return self

    @model_validator(mode="after")
    def _weights_or_control(self) -> "Card":
        if self.untrained_twin_of is not None:
            if self.weights is not None or self.seed is None or self.role != "control":
                raise ValueError('an untrained twin has role = "control", a `seed`, and no `weights`')
        elif self.role == "backbone" and self.weights is None:
            raise ValueError("a backbone without weights must be declared an untrained twin")
        return self

    @property
    def folder(self) -> Path | None:
        """Where the card was read from; its weights may lie there. None for a card made in code."""
        return self._folder

    def inside(self, name: str) -> Path:
        """The place of a file in the card's folder.

        Raises `ConfigError` for a name that leads out of it, by itself or through a link, and without a folder.
        """
        if self._folder is None:
            raise ConfigError(f"{self.name}: the card was not read from a folder, so there is no file '{name}'")
        parts = PurePosixPath(name)
        place = self._folder / parts
        if not name or parts.is_absolute() or ".." in parts.parts or not within(place, self._folder):
            raise ConfigError(f"{self._folder / 'card.toml'}: '{name}' must stay inside the card's folder")
        return place

    @property
    def label_names(self) -> tuple[str, ...]:
        """The names of the output classes, in order; () without a classifier head."""
        return LABEL_LISTS[self.labels] if isinstance(self.labels, str) else self.labels

    @property
    def inner_layer(self) -> str | None:
        """The layer chosen by `at`; None where it is the one that the card calls the embedding."""
        return self._inner_layer

    @property
    def layer(self) -> str | None:
        """The layer that is taken; None where the card names none."""
        return self._inner_layer or next(iter(self.layers), None)

    @property
    def reference(self) -> str:
        """`NAME`, or `NAME@LAYER` for an inner layer."""
        return f"{self.name}@{self._inner_layer}" if self._inner_layer else self.name

    def at(self, layer: str) -> "Card":
        """The same backbone with another layer as its embedding; without `labels`, for its scores stay what they are.

        `all-layers` is every layer of the card, one beside the other in its order, from one pass.

        Raises `ConfigError` naming the known layers where there is no such one.
        """
        widths = self.layers | ({ALL_LAYERS: sum(self.layers.values())} if self.layers else {})
        if layer not in widths:
            known = ", ".join(widths) or "none but the embedding itself"
            raise ConfigError(f"{self.name} has no layer '{layer}'; its card names {known}")
        if layer == next(iter(self.layers)):
            return self
        chosen = self.model_copy(update={"embedding_dim": widths[layer], "labels": ()})
        chosen._inner_layer = layer  # noqa: SLF001 - a choice of the user's, and no key of the file
        return chosen

    def digest(self) -> str:
        """sha256 hex over every fact that can change an embedding: not titles and notes, nor where weights lie."""
        facts = self.model_dump(
            mode="json",
            exclude={
                **dict.fromkeys(("title", "notes", "paper", "training", "trained_on", "role", "layers"), True),
                "weights": {"file", "urls", "size", "licence"},
            },
        )
        if self._inner_layer:
            facts["layer"] = self._inner_layer
        if self._inner_layer == ALL_LAYERS:
            facts["layers"] = list(self.layers)
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def read_card(path: Path) -> Card:
    """The card in `path`. Raises `ConfigError` naming the file and every wrong or unknown key.

    A card with only `untrained_twin_of`, `seed` and a title takes all else from the card of that name beside it.
    """
    table = read_toml(path)
    twin_of = table.get("untrained_twin_of")
    if isinstance(twin_of, str):
        if re.fullmatch(CARD_NAME, twin_of) is None:
            raise ConfigError(f"{path}: untrained_twin_of: '{twin_of}' is not the name of a card")
        try:
            original = read_toml(path.parent.parent / twin_of / "card.toml")
        except ConfigError as error:
            raise ConfigError(f"{path}: untrained_twin_of: {error}") from error
        inherited: dict[str, Any] = {
            key: original[key]
            for key in (
                "architecture",
                "parameters",
                "feature_set",
                "embedding_dim",
                "layers",
                "permutation_invariant",
                "max_constituents",
                "paper",
            )
            if key in original
        }
        table = {**inherited, "role": "control", **table}
    card = parse_record(table, Card, path=path)
    if card.name != path.parent.name:
        raise ConfigError(f"{path}: name is '{card.name}' but the folder is '{path.parent.name}'; make them equal")
    card._folder = path.parent  # noqa: SLF001 - where it lies is no fact of the card, so no key of its file
    return card
