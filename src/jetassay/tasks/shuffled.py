"""The floor of every table: what a linear probe scores where training labels mean nothing."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetassay.errors import DataError, JetAssayError
from jetassay.jets.classes import BACKGROUND
from jetassay.tasks.catalogue import SHUFFLED_LABELS
from jetassay.tasks.least_squares import PENALTY, column_aucs, least_squares_scores
from jetassay.tasks.samples import IntArray, Sample, Splits, require_finite
from jetassay.tasks.score import LEVEL, Outcome, Score

FloatArray = NDArray[np.float64]

MOST_JETS = 2000
"""Of a sample, both classes together: more would make the same floor slower."""

FEWEST_JETS = 10
"""Of each class and sample."""

PROTOCOL = (
    f"Shuffled labels, version {SHUFFLED_LABELS.version}. For each signal class, equal numbers of signal and QCD jets, "
    f"at most {MOST_JETS} in all, are drawn from the training jets; half of them, at random, are called signal, "
    "whatever they are. A linear probe is trained on that by least squares (standardised dimensions, penalty "
    f"{PENALTY:g}) and scored on test jets, drawn alike, with their true labels. The value is the mean AUC over the "
    "draws, the interval the central 68 % of the draws. Exchanging the two halves turns an AUC into 1 - AUC, so the "
    "distribution is symmetric about 0.5 whatever the embedding; its width says how far a random direction in the "
    "embedding separates the class, so it is wide where the class is all that the embedding holds."
)
"""The definition behind every number of this task, to be shown beside it."""


def shuffled(
    splits: Splits,
    *,
    backbone: str,
    signals: Sequence[str] | None = None,
    background: str = BACKGROUND,
    permutations: int = 50,
    seed: int = 0,
) -> Outcome[FloatArray]:
    """AUC of probes on shuffled training labels, every signal against the background; `PROTOCOL` says how.

    signals:      label names; None for all but the background
    permutations: draws, at least 2

    Details hold the AUC of each draw per signal, float64 (permutations,). A signal that cannot be scored is in
    `problems`, and the others go on.
    """
    if permutations < 2:
        raise DataError(f"shuffled labels: {permutations} draws have no distribution; ask for at least 2")
    scores: list[Score] = []
    problems: dict[str, str] = {}
    details: dict[str, FloatArray] = {}
    for signal in signals if signals is not None else [name for name in splits.test.names if name != background]:
        where = f"shuffled labels of '{backbone}', {signal} against {background}"
        streams = np.random.default_rng([seed, splits.test.names.index(signal)])
        try:
            train, test = (
                balanced(sample, (signal, background), stream=streams, where=f"{where}, {name} sample")
                for name, sample in (("train", splits.train), ("test", splits.test))
            )
            is_signal = test.labels == test.names.index(signal)
            targets = random_halves(len(train), draws=permutations, stream=streams)
            draws = column_aucs(least_squares_scores(train.embedding, targets, test.embedding), is_signal)
        except JetAssayError as error:
            problems[signal] = str(error)
            continue
        details[signal] = draws
        facts: dict[str, Any] = {"backbone": backbone, "signal": signal, "background": background, "seed": seed}
        scores.append(_score(draws, facts | {"n_train": len(train)}, jets=len(test) // 2))
    return Outcome(tuple(scores), problems, details, protocol=PROTOCOL)


def balanced(sample: Sample, names: Sequence[str], *, stream: np.random.Generator, where: str) -> Sample:
    """Equal numbers of jets of each class, at most `MOST_JETS` in all, drawn at random; in the sample's order.

    Raises `DataError` for fewer than `FEWEST_JETS` of a class, or NaN; `where` begins the message.
    """
    rows = [sample.rows(name) for name in names]
    each = min(MOST_JETS // len(names), *(len(found) for found in rows))
    if each < FEWEST_JETS:
        counts = ", ".join(f"{len(found)} of {name}" for name, found in zip(names, rows, strict=True))
        raise DataError(f"{where}: {counts} jets; at least {FEWEST_JETS} of each are needed")
    chosen = np.concatenate([stream.choice(found, each, replace=False) for found in rows])
    kept = sample.take(np.sort(chosen))
    require_finite(kept, where)
    return kept


def random_halves(jets: int, *, draws: int, stream: np.random.Generator) -> NDArray[np.float32]:
    """Labels -1 and +1, half of each (one more of -1 for odd numbers), in a random order for each draw; (J, draws)."""
    order: IntArray = stream.random((jets, draws)).argsort(axis=0)
    return np.where(order < jets // 2, 1, -1).astype(np.float32)


def _score(draws: FloatArray, facts: dict[str, Any], *, jets: int) -> Score:
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Score(
        task=SHUFFLED_LABELS.name,
        task_version=SHUFFLED_LABELS.version,
        metric="auc",
        value=float(draws.mean()),
        low=float(low),
        high=float(high),
        level=LEVEL,
        interval=f"{len(draws)} permutations",
        n_signal=jets,
        n_background=jets,
        **facts,
    )
