"""What makes a jet unusable: one named rule each, found for all jets of a chunk at once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetassay.jets.schema import CORE, Schema
from jetassay.jets.sources import Ragged

RULES: tuple[str, ...] = (
    "lengths_disagree",
    "no_constituents",
    "non_finite",
    "non_positive_energy",
    "not_one_hot",
    "label_out_of_range",
)
"""In this order: a jet that breaks several rules counts under the first."""

_POSITIVE_COLUMNS = ("jet_energy", "jet_pt")


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of J jets as they are checked.

    lists:   observed constituent columns; content float32
    numbers: observed jet columns, float32 (J,)
    labels:  the label branches as stored, (J,); empty where labels were not asked for
    """

    lists: Mapping[str, Ragged]
    numbers: Mapping[str, NDArray[np.float32]]
    labels: Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Problem:
    """Jets that break one rule in one branch: positions in the chunk, int64, rising, at least one."""

    rule: str
    branch: str
    jets: NDArray[np.int64]
    what: str


def find_problems(columns: Columns, schema: Schema) -> list[Problem]:
    """Everything that is wrong with the jets of one chunk, in the order of `RULES`."""
    problems = [*_lists(columns.lists), *_numbers(columns.numbers), *label_problems(columns.labels, schema)]
    return sorted(problems, key=lambda problem: RULES.index(problem.rule))


def decode_labels(labels: Mapping[str, NDArray[Any]], schema: Schema) -> NDArray[np.int64]:
    """Index into `schema.label_names`, int64 (J,), for jets whose labels are sound."""
    branch = schema.label_branch
    values = labels[branch] if branch is not None else np.argmax(_one_hot(labels, schema), axis=1)
    return np.asarray(values, dtype=np.int64)


def sound_labels(labels: Mapping[str, NDArray[Any]], schema: Schema) -> NDArray[np.int64]:
    """As `decode_labels`, without the jets whose labels are not sound."""
    unsound, _ = first_rule([*label_problems(labels, schema)], len(labels[schema.labels[0]]))
    return decode_labels({name: values[~unsound] for name, values in labels.items()}, schema)


def _lists(lists: Mapping[str, Ragged]) -> Iterator[Problem]:
    reference = lists[CORE[0]]
    yield from _problem("no_constituents", CORE[0], reference.counts == 0, "the jet has no constituents")
    for name, ragged in lists.items():
        if not np.array_equal(ragged.offsets, reference.offsets):
            differ = ragged.counts != reference.counts
            yield from _problem("lengths_disagree", name, differ, f"its list is not as long as that of {CORE[0]}")
        rows = ~np.isfinite(ragged.content)
        yield from _problem("non_finite", name, _any_row(ragged, rows), "NaN or infinity")
    energy = lists["part_energy"]
    rows = energy.content <= 0
    yield from _problem("non_positive_energy", "part_energy", _any_row(energy, rows), "a constituent has energy <= 0")


def _numbers(numbers: Mapping[str, NDArray[np.float32]]) -> Iterator[Problem]:
    for name, values in numbers.items():
        yield from _problem("non_finite", name, ~np.isfinite(values), "NaN or infinity")
        if name in _POSITIVE_COLUMNS:
            yield from _problem("non_positive_energy", name, values <= 0, "the value is not positive")


def label_problems(labels: Mapping[str, NDArray[Any]], schema: Schema) -> Iterator[Problem]:
    """What is wrong with the labels alone."""
    if not labels:
        return
    if schema.label_branch is not None:
        values = labels[schema.label_branch]
        last = len(schema.label_names) - 1
        wrong = ~((values >= 0) & (values <= last) & (values == np.floor(values)))
        yield from _problem(
            "label_out_of_range",
            schema.label_branch,
            wrong,
            f"the label is not a whole number from 0 to {last}",
        )
        return
    one_hot = _one_hot(labels, schema)
    wrong = ~(((one_hot == 0) | (one_hot == 1)).all(axis=1) & (one_hot.sum(axis=1) == 1))
    where = f"{schema.label_branches[0]} ... {schema.label_branches[-1]}"
    yield from _problem("not_one_hot", where, wrong, "not exactly one label is 1 and the others 0")


def _one_hot(labels: Mapping[str, NDArray[Any]], schema: Schema) -> NDArray[np.float64]:
    return np.stack([labels[name].astype(np.float64) for name in schema.label_branches], axis=1)


def _any_row(ragged: Ragged, rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether any constituent of a jet is flagged, bool (J,)."""
    flagged = np.zeros(len(ragged.offsets) - 1, dtype=np.bool_)
    if rows.any():
        flagged[np.searchsorted(ragged.offsets, np.flatnonzero(rows), side="right") - 1] = True
    return flagged


def _problem(rule: str, branch: str, wrong: NDArray[np.bool_], what: str) -> Iterator[Problem]:
    if wrong.any():
        yield Problem(rule, branch, np.flatnonzero(wrong), what)


def first_rule(problems: Sequence[Problem], count: int) -> tuple[NDArray[np.bool_], dict[str, int]]:
    """Which of `count` jets break a rule, bool, and how many fall to each rule; a jet falls to its first."""
    removed = np.zeros(count, dtype=np.bool_)
    dropped: dict[str, int] = {}
    for problem in problems:
        fresh = problem.jets[~removed[problem.jets]]
        removed[fresh] = True
        dropped[problem.rule] = dropped.get(problem.rule, 0) + len(fresh)
    return removed, {rule: jets for rule, jets in dropped.items() if jets}
