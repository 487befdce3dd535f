"""Values of the expected kind from a tree of YAML; each error names file, line and key."""

import math
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from itertools import pairwise

from jetassay.features.expressions.parsing import Expression, ExpressionError, parse_expression
from jetassay.features.weaver.yaml_tree import Node


def mapping(node: Node, what: str) -> Mapping[str, Node]:
    """A mapping; an empty value counts as one without entries."""
    if node.value is None:
        return {}
    if not isinstance(node.value, dict):
        raise node.error(f"{what} must be a mapping of names to values")
    return node.value


def section(node: Node, what: str, *, known: Collection[str], required: Collection[str] = ()) -> dict[str, Node]:
    """The entries of a mapping: those that are required, and those that have a value.

    An unknown key is an error, and so is a required one that is missing; its value may be empty.
    """
    entries = mapping(node, what)
    for key in entries:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
            raise node.keys[key].error(f"unknown key '{key}' in {what}; {hint}")
    for key in required:
        if key not in entries:
            raise node.error(f"{what} lacks the key '{key}'")
    return {key: value for key, value in entries.items() if value.value is not None or key in required}


def items(node: Node, what: str) -> tuple[Node, ...]:
    """A list; an empty value counts as one without entries."""
    if node.value is None:
        return ()
    if not isinstance(node.value, tuple):
        raise node.error(f"{what} must be a list, as in [a, b]")
    return node.value


def text(node: Node, what: str) -> str:
    """Text that is not empty."""
    if not isinstance(node.value, str) or not node.value.strip():
        raise node.error(f"{what} must be text")
    return node.value


def texts(node: Node, what: str) -> tuple[str, ...]:
    """A list of different texts."""
    found: dict[str, None] = {}
    for item in items(node, what):
        name = text(item, f"each entry of {what}")
        if name in found:
            raise item.error(f"'{name}' stands twice in {what}")
        found[name] = None
    return tuple(found)


def number(node: Node, what: str) -> float:
    """A number that is not NaN; `1e-3`, which YAML takes for text, counts."""
    value = node.value
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            value = None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise node.error(f"{what} must be a number, not {node.raw[:40] or 'a list or mapping'}")
    try:
        value = float(value)
    except OverflowError as error:
        raise node.error(f"{what} is too large") from error
    if math.isnan(value):
        raise node.error(f"{what} must not be NaN")
    return value


def numbers(node: Node, what: str) -> tuple[float, ...]:
    """A list of numbers."""
    return tuple(number(item, f"each entry of {what}") for item in items(node, what))


def rising(node: Node, what: str) -> tuple[float, ...]:
    """At least two numbers, each larger than the one before: edges of bins."""
    edges = numbers(node, what)
    if len(edges) < 2 or any(low >= high for low, high in pairwise(edges)):
        raise node.error(f"{what} must be at least two rising numbers")
    return edges


def flag(node: Node, what: str) -> bool:
    """True or false."""
    if not isinstance(node.value, bool):
        raise node.error(f"{what} must be true or false")
    return node.value


def formula(node: Node, what: str) -> Expression:
    """A formula; what is refused in it is named with its place in the file."""
    if not isinstance(node.value, str):
        raise node.error(f"{what} must be a formula; put it in quotes if it is one")
    try:
        return parse_expression(node.value)
    except ExpressionError as error:
        raise node.place_in_text(error.column).error(f"{what}: {error.reason}") from error
