"""Truth, file names and the order of entries change, the observed side does not: nor may the embedding."""

from collections.abc import Iterator

import numpy as np

from jetassay.audit.deviation import SHIFT, TOLERANCE, deviation, same_bits
from jetassay.audit.finding import Finding
from jetassay.audit.forward import TOKEN_BUDGET, embed_inputs
from jetassay.audit.subject import Subject
from jetassay.audit.tainting import NotWritableError
from jetassay.features.inputs import compute_inputs

_REORDERED = 250
"""Jets that are embedded in another order: a quarter of the subsample where that is more, half of it where it is small,
so that others are left out and no mean over all of them stays the same."""


def taint(subject: Subject) -> Iterator[Finding]:
    """The same jets out of a file of another name with all truth shuffled, in the same batches: equal to the bit."""
    card = subject.backbone.card
    try:
        double, copy = subject.jets.double(
            needs=subject.backbone.feature_set.needs, max_constituents=card.max_constituents
        )
    except NotWritableError as error:
        yield Finding(check="taint", status="not run", figure="", meaning=f"{error}.")
        return
    inputs = compute_inputs(subject.backbone.feature_set, double.jets)
    found = embed_inputs(subject.backbone, inputs, threads=subject.threads)
    alike = same_bits(subject.outputs, found)
    differ = len(found) - int(alike.sum())
    yield Finding(
        check="taint",
        status="fail" if differ else "pass" if copy.moved else "note",
        figure=f"{differ} of {len(found)} jets differ",
        meaning="The embedding, or a score, changes with what is not observed: the file's name, or one of "
        f"{len(copy.columns)} columns that were shuffled. Truth is an input."
        if differ
        else "Equal to the bit in a file of another name; but no truth of these jets differs from jet to jet, so none "
        "could be shuffled."
        if not copy.moved
        else f"Equal to the bit with {len(copy.columns)} columns of truth shuffled (another value for "
        f"{copy.moved:.0%} of the jets) in a file of another name.",
        numbers={"differ": differ, "columns": len(copy.columns), "moved": copy.moved},
    )


def batches(subject: Subject) -> Iterator[Finding]:
    """Some of the jets in another order, in other company and in smaller batches: equal but for rounding."""
    order = np.random.default_rng(subject.choice.seed).permutation(len(subject.subsample)).astype(np.int64)
    order = order[: max(1, min(_REORDERED, len(order) // 2), len(order) // 4)]
    inputs = compute_inputs(subject.backbone.feature_set, subject.subsample.jets.take(order))
    found = embed_inputs(subject.backbone, inputs, token_budget=TOKEN_BUDGET // 3, threads=subject.threads)
    apart = deviation(subject.outputs[order], found, beside=subject.outputs)
    yield Finding(
        check="batches",
        status="pass" if apart.is_rounding else "fail",
        figure=str(apart),
        meaning="The same jets in another order and other batches get the same embeddings; differences are relative to "
        "the largest value."
        if apart.is_rounding
        else f"Embeddings depend on the order of the entries or on their batch (more than {TOLERANCE:g}, or {SHIFT:g} "
        "standard deviations of a dimension): where files are sorted by class, the class leaks.",
        numbers=apart.numbers,
    )
