"""What can be known of the inputs before a jet is embedded: of which columns they are made, and what these are."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from jetassay.audit.finding import Finding
from jetassay.audit.subject import Subject
from jetassay.jets.containers import Jets
from jetassay.jets.mapping import name_parts
from jetassay.jets.schema import SCHEMAS, Schema

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
    jets, labels = subject.subsample.jets, subject.subsample.truth.labels
    found = sorted({name for name, values in _values_by_jet(jets) if gives_label(values, labels)})
    present = len(np.unique(labels))
    if present < 2:
        why = "The subsample holds one label only, so no column can tell labels apart."
        yield Finding(check="label-columns", status="not run", figure=f"{present} label", meaning=why)
        return
    yield Finding(
        check="label-columns",
        status="fail" if found else "pass",
        figure=f"{len(found)} of {len(subject.backbone.feature_set.needs)} columns",
        meaning=f"{', '.join(found)}: few values, each with one label alone; this is the label under another name."
        if found
        else "No column takes values that each belong to one label alone.",
    )


def gives_label(values: NDArray[np.float32], labels: NDArray[np.int64]) -> bool:
    """Whether `values` (J,) take few values (five jets to a value at least) that each come with one label alone."""
    distinct, inverse = np.unique(values, return_inverse=True)
    if not 2 <= len(distinct) <= len(values) / _JETS_PER_VALUE or len(np.unique(labels)) < 2:
        return False
    pairs = np.unique(np.stack([inverse, labels]), axis=1)
    return bool(pairs.shape[1] == len(distinct))


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
    """Of each column one value a jet: of constituents that of the first, and of the last."""
    yield from jets.columns.items()
    for name, values in jets.constituents.items():
        yield name, values[jets.offsets[:-1]]
        yield name, values[jets.offsets[1:] - 1]
