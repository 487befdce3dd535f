"""What can be known of the inputs before a jet is embedded: of which columns they are made, and what these are."""

import math
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from jetassay.audit.finding import Finding
from jetassay.audit.subject import Subject
from jetassay.jets.containers import Jets
from jetassay.jets.mapping import name_parts
from jetassay.jets.schema import SCHEMAS, Schema

_CHANCE = 1e-9
_JETS_PER_VALUE = 5
"""A column with fewer jets to a value than this is continuous, as far as the subsample shows."""


def columns(subject: Subject) -> Iterator[Finding]:
    """The feature set's columns against the dataset's allow-list."""
    needs, schema = subject.backbone.feature_set.needs, subject.dataset.schema
    truth = sorted({name for name in needs if schema.is_truth(name) or is_known_truth(name)})
    unlisted = [name for name in needs if name not in schema.observed and name not in truth]
    said = [f"{', '.join(truth)}: truth"] * bool(truth) + [f"{', '.join(unlisted)}: not observed"] * bool(unlisted)
    yield Finding(
        check="columns",
        status="fail" if said else "pass",
        figure=f"{len(needs) - len(truth) - len(unlisted)} of {len(needs)} columns",
        meaning=f"{'; '.join(said)} in dataset '{schema.name}'. Take them out of the feature set."
        if said
        else f"All inputs are made of columns that dataset '{schema.name}' lists as observed.",
    )


def schema(subject: Subject) -> Iterator[Finding]:
    """The allow-list itself against every name that is known as a label or as generator-level, in any dataset."""
    listed = subject.dataset.schema
    wrong = {name: source for name, source in _sources(listed) if is_known_truth(name) or is_known_truth(source)}
    shown = ", ".join(name if name == source else f"{name} (from {source})" for name, source in wrong.items())
    yield Finding(
        check="schema",
        status="fail" if wrong else "pass",
        figure=f"{len(listed.observed)} columns listed",
        meaning=f"The dataset lists truth as observed: {shown}. Correct the dataset's card."
        if wrong
        else "No column that the dataset lists as observed is called like a label or a generator-level column.",
    )


def label_columns(subject: Subject) -> Iterator[Finding]:
    """Inputs that take few values and a different one for each label: truth under another name."""
    jets, truth = subject.subsample.jets, subject.subsample.truth
    present = len(np.unique(truth.labels))
    given: dict[str, set[str]] = {}
    for name, values in _values_by_jet(jets):
        given.setdefault(name, set()).update(truth.names[label] for label in labels_given(values, truth.labels))
    found = {name: labels for name, labels in given.items() if labels}
    if present < 2:
        why = "The subsample holds one label only, so no column can tell labels apart."
        yield Finding(check="label-columns", status="not run", figure=f"{present} label", meaning=why)
        return
    yield Finding(
        check="label-columns",
        status="fail" if found else "pass",
        figure=f"{len(found)} of {len(subject.backbone.feature_set.needs)} columns",
        meaning=f"{_told(found, present)}: few values, some with one label alone; this is the label under another name."
        if found
        else "No column takes values that all jets of one label have, and no others.",
    )


def labels_given(values: NDArray[np.float32], labels: NDArray[np.int64]) -> list[int]:
    """Labels that `values` (J,) give away: all jets of the label have values that no other jet has.

    Only for columns of few values (five jets to a value at least), and where it is no chance: V values can be divided
    in 2^V ways, and each takes just the n jets of a label with probability 1 / C(J, n).
    """
    distinct, inverse = np.unique(values, return_inverse=True)
    if not 2 <= len(distinct) <= len(values) / _JETS_PER_VALUE:
        return []
    jets = np.zeros((len(distinct), int(labels.max()) + 1))
    np.add.at(jets, (inverse, labels), 1)
    totals = jets.sum(axis=1)
    found = []
    for label in np.unique(labels):
        own = jets[:, label] > 0
        chance = len(distinct) * math.log(2) - _log_choices(len(values), int(jets[:, label].sum()))
        if jets[own, label].sum() == totals[own].sum() < len(values) and chance < math.log(_CHANCE):
            found.append(int(label))
    return found


def _log_choices(of: int, some: int) -> float:
    """Logarithm of the ways to choose `some` of `of`."""
    return math.lgamma(of + 1) - math.lgamma(some + 1) - math.lgamma(of - some + 1)


def _told(found: Mapping[str, set[str]], present: int) -> str:
    """Columns, with the labels that they give away where these are not all that are there."""
    shown = {name: f" ({', '.join(sorted(given))})" if len(given) < present else "" for name, given in found.items()}
    return ", ".join(f"{name}{which}" for name, which in sorted(shown.items()))


def is_known_truth(name: str) -> bool:
    """Whether `name`, or what stands in its brackets, is a label or generator-level in a dataset that is known here.

    `jets[j_g]` is known, and so is `j_g` in any other array; of `GenJet.PT` the last part would say nothing.
    """
    known = _known_truth()
    return any(part in known for part in _names_of(name))


def _known_truth() -> frozenset[str]:
    names: set[str] = set()
    for each in SCHEMAS.survey().values():
        if isinstance(each, Schema):
            names |= {*each.labels, *each.truth_columns}
            names |= {source for layout in each.layouts for source in layout.labels.sources}
    return frozenset(part for name in names for part in _names_of(name))


def _names_of(column: str) -> tuple[str, ...]:
    """In small letters; single letters and numbers are no names."""
    parts = (column, name_parts(column)[-1]) if "[" in column else (column,)
    return tuple(part.casefold() for part in parts if len(part) > 1 and not part.isdecimal())


def _sources(listed: Schema) -> Iterable[tuple[str, str]]:
    """Observed columns with what the files call them."""
    yield from ((name, name) for name in listed.observed)
    for layout in listed.layouts:
        yield from layout.columns.items()
        if layout.mask:
            yield "mask", layout.mask


def _values_by_jet(jets: Jets) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Of each column one value a jet: of constituents that of the first, of the last, the least and the largest."""
    yield from jets.columns.items()
    for name, values in jets.constituents.items():
        yield name, values[jets.offsets[:-1]]
        yield name, values[jets.offsets[1:] - 1]
        yield name, np.minimum.reduceat(values, jets.offsets[:-1])
        yield name, np.maximum.reduceat(values, jets.offsets[:-1])
