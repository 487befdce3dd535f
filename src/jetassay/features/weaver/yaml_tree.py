"""YAML as a tree that knows its lines: plain mappings, lists and scalars, and nothing that could grow or run.

Refused: anchors and aliases (a few lines of which can stand for gigabytes), tags, merge keys, doubled keys, more than
one document, deep nesting, files beyond 1 MB.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from jetassay.errors import ConfigError

LARGEST = 1_000_000
"""Bytes; published configurations have 3 to 17 kB, those with reweighting histograms inside some 400."""

DEEPEST = 12
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SCALARS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float", "str"))

Scalar = None | bool | int | float | str


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a text: the file, and line and column from 1."""

    path: Path
    line: int
    column: int

    def error(self, message: str) -> ConfigError:
        """What to raise for something wrong here."""
        return ConfigError(f"{self}: {message}")

    def __str__(self) -> str:
        return f"{self.path}, line {self.line}, column {self.column}"


@dataclass(frozen=True, slots=True)
class Node:
    """A value and its place.

    value: a scalar, a tuple of nodes, or nodes by key
    keys:  where each key of a mapping stands
    raw:   a scalar as it is written in the file, quotes and line breaks included
    """

    value: Any
    place: Place
    keys: Mapping[str, Place] = field(default_factory=dict)
    raw: str = ""

    def error(self, message: str) -> ConfigError:
        """What to raise where this value is wrong."""
        return self.place.error(message)

    def place_in_text(self, column: int) -> Place:
        """Where character `column`, from 1, of this text stands in the file, across line breaks of the file."""
        seen = sum(not character.isspace() for character in str(self.value)[: column - 1])
        line, start = self.place.line, self.place.column
        if self.raw[:1] in {"|", ">"}:
            seen += len(self.raw.split("\n", 1)[0].split()[0])  # the sign of a block, which is no part of the text
        elif self.raw[:1] in {"'", '"'}:
            seen += 1
        for character in self.raw:
            if not character.isspace():
                if seen == 0:
                    break
                seen -= 1
            line, start = (line + 1, 1) if character == "\n" else (line, start + 1)
        return Place(self.place.path, line, start)


def read_yaml(path: Path) -> Node:
    """The tree in a file. Raises `ConfigError` naming file, line and column."""
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise ConfigError(f"{path}: has {size} bytes; a configuration has at most {LARGEST}")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not text in UTF-8: {error.reason} at byte {error.start}") from error
    return parse_yaml(text, path=path)


def parse_yaml(text: str, *, path: Path) -> Node:
    """The tree in a text; `path` is what messages name."""
    if len(text.encode("utf-8", "replace")) > LARGEST:
        raise ConfigError(f"{path}: is longer than the {LARGEST} bytes that a configuration has at most")
    try:
        _check_events(text, path)
        root = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = _place(path, mark) if mark else path
        raise ConfigError(f"{where}: not YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, UnicodeError) as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if root is None:
        raise ConfigError(f"{path}: is empty")
    return _tree(root, text, path)


def _check_events(text: str, path: Path) -> None:
    """Before anything is built: no anchors, aliases, tags or second document, and no deep nesting."""
    depth = documents = 0
    for event in yaml.parse(text, Loader=_LOADER):
        place = _place(path, event.start_mark)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise place.error("anchors and aliases (& and *) are not read; write the value out")
        if getattr(event, "tag", None) is not None:
            raise place.error(f"the tag '{event.tag}' is not read; only plain values are")
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise place.error("a second document begins; a configuration is one")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                raise place.error(f"nested more than {DEEPEST} levels deep")
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _tree(node: yaml.Node, text: str, path: Path) -> Node:
    place = _place(path, node.start_mark)
    if isinstance(node, yaml.ScalarNode):
        raw = text[node.start_mark.index : node.end_mark.index]
        return Node(_scalar(node, place), place, raw=raw)
    if isinstance(node, yaml.SequenceNode):
        return Node(tuple(_tree(each, text, path) for each in node.value), place)
    values: dict[str, Node] = {}
    keys: dict[str, Place] = {}
    for key_node, value_node in node.value:
        where = _place(path, key_node.start_mark)
        key = _scalar(key_node, where) if isinstance(key_node, yaml.ScalarNode) else None
        if not isinstance(key, str):
            raise where.error("a key must be a name; put it in quotes if it is meant as text")
        if key in values:
            raise where.error(f"'{key}' is given twice, first in line {keys[key].line}")
        values[key], keys[key] = _tree(value_node, text, path), where
    return Node(values, place, keys)


def _scalar(node: yaml.ScalarNode, place: Place) -> Scalar:
    if node.tag not in _SCALARS:
        kind = node.tag.rsplit(":", 1)[-1]
        raise place.error(f"'{node.value}' reads as a {kind}, which has no place here; quote it if it is text")
    try:
        value: Scalar = yaml.constructor.SafeConstructor().construct_object(node)
    except (ValueError, OverflowError, yaml.YAMLError) as error:
        raise place.error(f"'{node.value[:60]}' is no number") from error
    return value


def _place(path: Path, mark: Any) -> Place:
    return Place(path, mark.line + 1, mark.column + 1)
