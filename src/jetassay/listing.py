"""What `jetassay list` prints: one aligned line for each entry, broken ones with their reason."""

import textwrap
from collections.abc import Callable, Mapping
from typing import Any

from jetassay.errors import UnknownNameError
from jetassay.registry import Broken, Registry


def listing(kind: str, *, width: int | None = None) -> str:
    """The entries of one kind: backbones, datasets, tasks, suites, features or checks.

    width: columns of the terminal; a longer line goes on below, indented. None breaks no line.
    """
    if kind not in _LISTINGS:
        raise UnknownNameError(f"There is no listing '{kind}'. Known: {', '.join(_LISTINGS)}.")
    registry, describe = _LISTINGS[kind]()
    found = [(name, *_cells(entry, describe)) for name, entry in registry.survey().items()]
    most = max((len(row) for row in found), default=0)
    rows = [(*row[:-1], *[""] * (most - len(row)), row[-1]) for row in found]
    widths = [max(len(row[k]) for row in rows) for k in range(most - 1)]
    lines = [
        "  ".join([*(cell.ljust(space) for cell, space in zip(row[:-1], widths, strict=True)), row[-1]]) for row in rows
    ]
    if width is not None:
        wrap = textwrap.TextWrapper(width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
        lines = [wrap.fill(line) for line in lines]
    return "\n".join(lines)


def _cells(entry: Any, describe: Callable[[Any], tuple[str, ...]]) -> tuple[str, ...]:
    return ("broken", entry.reason) if isinstance(entry, Broken) else describe(entry)


def _backbones() -> tuple[Registry[Any], Callable[[Any], tuple[str, ...]]]:
    from jetassay.backbones.catalogue import backbone_cards
    from jetassay.backbones.weights import weights_state

    def describe(card: Any) -> tuple[str, ...]:
        return card.role, card.feature_set, f"{card.embedding_dim}-d", weights_state(card), card.title

    return backbone_cards(), describe


def _datasets() -> tuple[Registry[Any], Callable[[Any], tuple[str, ...]]]:
    from jetassay.jets.catalogue import dataset_cards

    return dataset_cards(), lambda card: (card.schema_name, card.title)


def _tasks() -> tuple[Registry[Any], Callable[[Any], tuple[str, ...]]]:
    from jetassay.tasks.catalogue import TASKS

    return TASKS, lambda task: (f"version {task.version}", task.description)


def _suites() -> tuple[Registry[Any], Callable[[Any], tuple[str, ...]]]:
    from jetassay.suite import suites

    return suites(), lambda suite: (f"{len(suite.backbones)} backbones", suite.dataset.card, suite.title)


def _features() -> tuple[Registry[Any], Callable[[Any], tuple[str, ...]]]:
    from jetassay.features.sets import FEATURE_SETS

    def describe(each: Any) -> tuple[str, ...]:
        width = f"{len(each.features)} + {len(each.jet_features)}"
        return width, ", ".join(feature.name for feature in (*each.features, *each.jet_features))

    return FEATURE_SETS, describe


def _checks() -> tuple[Registry[Any], Callable[[Any], tuple[str, ...]]]:
    from jetassay.audit.catalogue import CHECKS

    return CHECKS, lambda check: (check.depth, "leak" if check.leak else "", check.proves)


_LISTINGS: Mapping[str, Callable[[], tuple[Registry[Any], Callable[[Any], tuple[str, ...]]]]] = {
    "backbones": _backbones,
    "datasets": _datasets,
    "tasks": _tasks,
    "suites": _suites,
    "features": _features,
    "checks": _checks,
}
