"""Scores that are too good to be true: what no tagger reaches is a leak, once there are enough jets to say so.

The best published taggers separate Hgg, Zqq and Wqq from QCD with an AUC near 0.98 (at half of the signal they keep one
QCD jet in 128, 432 and 588: L-GATr in arXiv:2505.20280, Table 1), while four jets have an AUC of 1 one time in six by
chance alone. So an AUC is suspicious where both hold:

    AUC > 0.995    and    exp(-n KL(1 - AUC, 0.02)) < 1e-5,

n the smaller number of jets and KL(a, b) = a ln(a / b) + (1 - a) ln((1 - a) / (1 - b)). The second is Chernoff's bound
on the chance that a tagger of a true AUC of at most 0.98 looks so good. It holds for scores of any distribution: an AUC
is an average over all ways to pair the jets of both sides, each of which gives n independent comparisons (Hoeffding,
J. Am. Stat. Assoc. 58 (1963) 13, section 5). It asks for 570 jets a side at an AUC of 1, 1,408 just above 0.995.

Hqql, Tbl and the classes with b quarks have no such limit: a lepton or a displaced vertex can give a class away.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

import numpy as np

from jetassay.audit.finding import Finding
from jetassay.audit.subject import Subject
from jetassay.errors import DataError, LeakageError
from jetassay.jets.classes import BACKGROUND
from jetassay.metrics.roc import auc
from jetassay.tasks.least_squares import least_squares_scores
from jetassay.tasks.samples import Splits, require_finite
from jetassay.tasks.score import Score

CEILING = 0.995
BEST = 0.98
"""A true AUC that no tagger is known to exceed on the classes of `CEILINGS`."""
CHANCE = 1e-5
"""Of a false alarm, for each score, at most."""

CEILINGS: Mapping[tuple[str, str], float] = MappingProxyType(
    {(signal, BACKGROUND): CEILING for signal in ("Hgg", "Zqq", "Wqq")}
)
"""Signal and background -> AUC above which nobody has come."""


def chance_of(value: float, *, jets: int) -> float:
    """Upper bound on the chance of an AUC of at least `value` where the true one is at most `BEST`; 1 below `BEST`.

    jets: of the smaller side

    >>> f"{chance_of(1.0, jets=570):.1e}"
    '1.0e-05'
    """
    if value <= BEST:
        return 1.0
    missing, expected = 1 - value, 1 - BEST
    divergence = (missing * math.log(missing / expected) if missing else 0.0) + value * math.log(value / BEST)
    return math.exp(-jets * divergence)


def is_suspicious(value: float, *, signal: str, background: str, n_signal: int, n_background: int) -> bool:
    """Whether an AUC is too good to be true; see above."""
    ceiling = CEILINGS.get((signal, background))
    return ceiling is not None and value > ceiling and chance_of(value, jets=min(n_signal, n_background)) < CHANCE


def suspicious_scores(scores: Iterable[Score]) -> tuple[Score, ...]:
    """The AUCs among the scores, of any task, that are too good to be true."""
    return tuple(
        score
        for score in scores
        if score.metric == "auc"
        and score.value is not None
        and is_suspicious(
            score.value,
            signal=score.signal or "",
            background=score.background or "",
            n_signal=score.n_signal or 0,
            n_background=score.n_background or 0,
        )
    )


def require_plausible(scores: Iterable[Score]) -> None:
    """Raises `LeakageError` naming every score that is too good to be true."""
    found = suspicious_scores(scores)
    if found:
        named = "; ".join(
            f"{each.backbone}, {each.task}: AUC {each.value:.5f} of {each.signal} against {each.background} with "
            f"{each.n_signal} and {each.n_background} jets"
            for each in found
        )
        raise LeakageError(
            f"too good to be true, for no tagger exceeds {CEILING:g} there: {named}. Truth has reached the inputs, or "
            "test jets the training; `jetassay audit` looks for where. Scores and report are written, but not tracked"
        )


def too_good(subject: Subject) -> Iterator[Finding]:
    """A row of the audit: a probe of each class that has a limit, on all jets of the splits."""
    splits = subject.splits
    told, untold = [], []
    for signal, background in CEILINGS:
        try:
            told.append((signal, background, *probe_auc(splits, signal=signal, background=background)))
        except DataError as error:
            untold.append(f"{signal}: {error}")
    if not told:
        meaning = f"No class that has a limit can be probed. {'; '.join(untold)}."
        yield Finding(check="too-good", status="not run", figure="", meaning=meaning)
        return
    failed = [
        f"{signal} {value:.4f}"
        for signal, background, value, jets in told
        if is_suspicious(value, signal=signal, background=background, n_signal=jets, n_background=jets)
    ]
    highest = max(told, key=lambda each: each[2])
    meaning = f"No AUC above {CEILING:g}, which no tagger has reached for {', '.join(each[0] for each in told)}."
    if failed:
        meaning = f"{', '.join(failed)}: no tagger exceeds {CEILING:g} there. Truth has reached the embedding."
    elif highest[2] > CEILING:
        meaning = f"{highest[3]} jets a side are too few to call {highest[0]} too good: chance is not excluded."
    yield Finding(
        check="too-good",
        status="fail" if failed else "note" if highest[2] > CEILING else "pass",
        figure=f"AUC {highest[2]:.4f} ({highest[0]})",
        meaning=meaning,
        numbers={signal: value for signal, _, value, _ in told},
    )


def probe_auc(splits: Splits, *, signal: str, background: str) -> tuple[float, int]:
    """AUC of a least-squares probe on the test jets, and the jets of the smaller side.

    Raises `DataError` for fewer than two jets of a class in a sample, NaN, or an embedding that does not vary.
    """
    rows = [{name: sample.rows(name) for name in (signal, background)} for sample in (splits.train, splits.test)]
    fewest = min(len(each) for found in rows for each in found.values())
    if fewest < 2:
        raise DataError(f"{fewest} jets of {signal} or {background} in a sample; at least 2 are needed")
    train = splits.train.take(np.concatenate([rows[0][signal], rows[0][background]]))
    require_finite(train, "train sample")
    targets = np.where(train.labels == train.names.index(signal), 1.0, -1.0)[:, None]
    scores = least_squares_scores(train.embedding, targets, splits.test.embedding)[:, 0]
    value = auc(scores[rows[1][signal]], scores[rows[1][background]])
    return value, min(len(each) for each in rows[1].values())
