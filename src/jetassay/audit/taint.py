"""Truth, file names and the order of entries change, the observed side does not: nor may the embedding."""

from collections.abc import Iterator

import numpy as np

from jetassay.audit.deviation import deviation, same_bits, told
from jetassay.audit.finding import Finding
from jetassay.audit.forward import TOKEN_BUDGET, embed_inputs
from jetassay.audit.subject import Subject
from jetassay.audit.tainting import NotWritableError
from jetassay.features.inputs import compute_inputs

TOLERANCE = 1e-4
"""Of the largest embedding value: how far the same jets may differ in other batches, in float32."""


_REORDERED = 250
"""Jets that are embedded in another order, or a quarter of the subsample where that is more."""


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
    found = subject.embed(compute_inputs(subject.backbone.feature_set, double.jets))
    alike = same_bits(subject.embedding, found)
    differ = len(found) - int(alike.sum())
    yield Finding(
        check="taint",
        status="fail" if differ else "pass",
        figure=f"{differ} of {len(found)} jets differ",
        meaning=f"The embedding changes with what is not observed: the file's name, or one of {len(copy.columns)} "
        "columns that were shuffled. Truth is an input."
        if differ
        else f"Equal to the bit with {len(copy.columns)} columns of truth shuffled (another value for "
        f"{copy.moved:.0%} of the jets) in a file of another name.",
        numbers={"differ": differ, "columns": len(copy.columns), "moved": copy.moved},
    )


def batches(subject: Subject) -> Iterator[Finding]:
    """Some of the jets in another order, in other company and in smaller batches: equal but for rounding."""
    order = np.random.default_rng(subject.choice.seed).permutation(len(subject.subsample)).astype(np.int64)
    order = order[: max(_REORDERED, len(order) // 4)]
    inputs = compute_inputs(subject.backbone.feature_set, subject.subsample.jets.take(order))
    found = embed_inputs(subject.backbone, inputs, token_budget=TOKEN_BUDGET // 3, threads=subject.threads)
    apart = deviation(subject.embedding[order], found)
    yield Finding(
        check="batches",
        status="pass" if apart <= TOLERANCE else "fail",
        figure=told(apart),
        meaning="The same jets in another order and other batches get the same embeddings; differences are relative to "
        "the largest value."
        if apart <= TOLERANCE
        else f"Embeddings depend on the order of the entries or on their batch (more than {TOLERANCE:g}): where "
        "files are sorted by class, the class leaks.",
        numbers={"deviation": apart},
    )
