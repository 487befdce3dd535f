"""What the nearest training jets say: k nearest neighbours on frozen embeddings, each signal class against QCD.

Nothing is fitted but k, so it sees structure that no hyperplane can, and pays for every dimension without information.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from jetassay.embeddings.scratch import chunks
from jetassay.errors import DataError
from jetassay.jets.classes import BACKGROUND
from jetassay.metrics.roc import auc
from jetassay.tasks.catalogue import KNN
from jetassay.tasks.samples import Splits
from jetassay.tasks.score import Outcome
from jetassay.tasks.separation import DEFINITIONS
from jetassay.tasks.standardisation import Standardisation
from jetassay.tasks.trial import HeadResult, Labelled, Ranking, Setting, Trial, score_head

FloatArray = NDArray[np.float64]
Features = NDArray[np.float32]
Metric = Literal["euclidean", "cosine"]

NEIGHBOURS: tuple[int, ...] = (1, 2, 5, 10, 20, 50, 100, 200)
"""Values of k to choose from; those above the training jets of either class are left out."""

MOST_JETS = 10_000
"""Training jets of each class, and validation jets, that are taken at most: every test jet is held against each."""

_QUERIES = 1 << 14  # jets whose neighbours are held at once: 26 MB
_BLOCK = 1 << 20  # distances held at once: 4 MiB, which stay in a cache while the nearest are picked out

PROTOCOL = (
    f"k nearest neighbours, version {KNN.version}. For each signal class, the training jets of that class and of QCD; "
    "each dimension standardised by them; distances Euclidean, or, where the suite says cosine, Euclidean between the "
    "standardised embeddings scaled to length 1, which orders as the cosine does. A test jet scores (s + t) / (k + 1): "
    "s of its k nearest training jets are signal, and t = d_B / (d_S + d_B) orders jets of equal s by the distances to "
    "the k-th nearest signal and the k-th nearest background jet. Every training jet is looked at, of more than "
    f"{MOST_JETS} of a class so many drawn at random (and for choosing k likewise), all test jets; distances are in "
    "float32. k is chosen from "
    f"{', '.join(str(k) for k in NEIGHBOURS)} by the AUC on the validation jets (of equals, the largest).\n"
    f"{DEFINITIONS}\n"
    "'neighbours' is the chosen k."
)
"""The definition behind every number of this task, to be shown beside it."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Scores of the test jets, float64 (T,), the k that they were made with, and validation AUC by k."""

    scores: FloatArray
    k: int
    validation_auc: dict[int, float]


def knn(
    splits: Splits,
    *,
    backbone: str,
    signals: Sequence[str] | None = None,
    background: str = BACKGROUND,
    metric: Metric = "euclidean",
    seed: int = 0,
) -> Outcome[HeadResult]:
    """Score every signal against the background by its neighbours; `PROTOCOL` says how.

    signals: label names; None for all but the background; seed: of the choice among more than `MOST_JETS` jets
    """

    def rank(trial: Trial) -> Ranking:
        found = neighbours(trial.train, trial.validation, trial.test.embedding, metric=metric, where=trial.where)
        return Ranking(found.scores, ({"metric": "neighbours", "value": float(found.k)},))

    setting = Setting(backbone=backbone, signals=signals, most_jets=MOST_JETS, background=background, seed=seed)
    return score_head(splits, rank, task=KNN, setting=setting, protocol=PROTOCOL)


def neighbours(
    train: Labelled,
    validation: Labelled,
    test: Features,
    *,
    metric: Metric = "euclidean",
    where: str = "knn",
) -> Neighbours:
    """Choose k on the validation jets and score the test jets (T, D).

    Raises `DataError` for embeddings that are all alike; `where` begins the message.
    """
    standardisation = Standardisation.of(train.embedding)
    if standardisation.all_constant:
        raise DataError(f"{where}: the embedding is the same for all {len(train)} training jets")
    ks = tuple(k for k in NEIGHBOURS if k <= train.fewest)
    reference = _prepared(standardisation, train.embedding, metric)
    sides = reference[train.is_signal], reference[~train.is_signal]

    def score(embedding: Features, ks: Sequence[int]) -> FloatArray:
        parts = []
        for _, rows in chunks(embedding, _QUERIES):
            queries = _prepared(standardisation, rows, metric)
            parts.append(neighbour_scores(*(nearest(queries, side, k=ks[-1]) for side in sides), ks=ks))
        return np.concatenate(parts, axis=1)

    scored, is_signal = score(validation.embedding, ks), validation.is_signal
    measured = {k: auc(row[is_signal], row[~is_signal]) for k, row in zip(ks, scored, strict=True)}
    best = max(ks, key=lambda k: (measured[k], k))
    return Neighbours(score(test, (best,))[0], best, measured)


def nearest(queries: Features, jets: Features, *, k: int) -> Features:
    """Euclidean distances (Q, k) from each of Q queries to its k nearest of the jets (J, D), the nearest first.

    Squares are off by the rounding of |a|^2 - 2 a.b + |b|^2 in float32, some 1e-6 (|a|^2 + |b|^2); k <= J.
    """
    found = np.empty((len(queries), k), np.float32)
    lengths, squares = (np.einsum("jd,jd->j", side, side) for side in (queries, jets))
    # |b|^2 is one more product with 1, which spares a pass over all distances.
    right = np.concatenate([-2 * jets.T, squares[None]])
    left = np.concatenate([queries, np.ones_like(lengths)[:, None]], axis=1)
    step = max(1, _BLOCK // len(jets))
    for start in range(0, len(queries), step):
        block = slice(start, start + step)
        distances = left[block] @ right
        if k < len(jets):
            distances.partition(k - 1, axis=1)  # in place: a copy costs a third of the product
        found[block] = np.sort(distances[:, :k], axis=1) + lengths[block, None]
    return np.sqrt(np.maximum(found, 0, out=found), out=found)


def neighbour_scores(to_signal: Features, to_background: Features, *, ks: Sequence[int]) -> FloatArray:
    """Scores (len(ks), Q) from the distances (Q, k) to the nearest jets of each side, rising; `PROTOCOL` says how.

    Every k is at most the width of both. Of equal distances to both sides, the signal counts as the nearer.
    """
    scores = np.empty((len(ks), len(to_signal)))
    for row, k in zip(scores, ks, strict=True):
        # The i-th nearest signal jet is among the k nearest where fewer than k - i + 1 background jets are nearer.
        among = np.count_nonzero(to_signal[:, :k] <= to_background[:, k - 1 :: -1], axis=1)
        d_signal, d_background = to_signal[:, k - 1].astype(np.float64), to_background[:, k - 1].astype(np.float64)
        both = d_signal + d_background
        tie = np.divide(d_background, both, out=np.full(len(both), 0.5), where=both > 0)
        row[:] = (among + tie) / (k + 1)
    return scores


def _prepared(standardisation: Standardisation, embedding: Features, metric: Metric) -> Features:
    features = standardisation.apply(embedding)
    if metric == "euclidean":
        return features
    lengths = np.sqrt(np.einsum("jd,jd->j", features, features, dtype=np.float64))[:, None]
    scaled: Features = np.divide(features, lengths, out=np.zeros_like(features), where=lengths > 0, casting="same_kind")
    return scaled
