"""Whether what is scored, out of the store, is what the backbone gives here and now."""

from collections.abc import Iterator

import numpy as np

from jetassay.audit.deviation import deviation
from jetassay.audit.finding import Finding
from jetassay.audit.subject import Subject


def stored(subject: Subject) -> Iterator[Finding]:
    """Outputs and labels of the subsample's jets among the jets that are scored: equal but for rounding.

    All other checks look at what they embed themselves. This one ties them to the numbers: a store that holds another
    network's embeddings, or a leak that begins after many batches, is seen here alone.
    """
    test, sample = subject.splits.test, subject.subsample
    found = test.keys.find(sample.keys)
    there = np.flatnonzero(found >= 0)
    rows, missing = found[there], len(found) - len(there)
    relabelled = int((test.labels[rows] != sample.truth.labels[there]).sum())
    scored = test.embedding[rows]
    if test.scores is not None:
        scored = np.concatenate([scored, test.scores[rows]], axis=1)
    apart = deviation(subject.outputs[there], scored)
    said = [f"{missing} of them are not scored"] * bool(missing)
    said += [f"{relabelled} are scored under another label"] * bool(relabelled)
    if not apart.is_rounding:
        said.append("what is scored is not what the backbone gives now: it has a state, or the store is another's")
    yield Finding(
        check="stored",
        status="fail" if said else "pass",
        figure=str(apart) if len(there) else f"{missing} of {len(found)} jets missing",
        meaning=f"Of {len(found)} jets embedded again: {'; '.join(said)}."
        if said
        else f"The {len(found)} jets embedded again have the embeddings and labels that are scored.",
        numbers={**apart.numbers, "missing": missing, "relabelled": relabelled},
    )
