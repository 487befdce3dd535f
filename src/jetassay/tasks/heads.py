"""Heads of few-shot: each scores the same test jets once for every draw of training jets, however small."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jetassay.errors import DataError
from jetassay.tasks.knn import neighbours
from jetassay.tasks.logistic import fit_path, log_loss
from jetassay.tasks.logistic_batch import fit_paths
from jetassay.tasks.probe import PENALTIES
from jetassay.tasks.standardisation import Standardisation
from jetassay.tasks.trial import Labelled, Trial

FloatArray = NDArray[np.float64]

LINEAR = "linear"

_MOST_BATCHED = 256  # jets of a draw up to which all draws are fitted at once; beyond, one at a time is as fast


@dataclass(frozen=True, slots=True)
class Draw:
    """Positions, int64, of the training and validation jets of one draw in a trial's samples."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]


Head = Callable[[Trial, Sequence[Draw], int], FloatArray]
"""Scores float64 (R, T) of a trial's test jets after training on each of R draws of equal sizes, with a seed."""


def linear(trial: Trial, draws: Sequence[Draw], seed: int) -> FloatArray:
    """The linear probe, as `jetassay.tasks.probe` fits it, on each draw; nothing is random, so `seed` is not used."""
    del seed
    scales = [_standardisation(trial, draw) for draw in draws]
    # One draw at a time: ten of 100,000 jets by 128 together would be half a gigabyte.
    features = (scale.apply(trial.train.embedding[draw.train]) for scale, draw in zip(scales, draws, strict=True))
    labels = np.stack([trial.train.is_signal[draw.train] for draw in draws])
    if len(draws[0].train) <= _MOST_BATCHED:
        batch = np.stack(list(features)).astype(np.float64)
        paths = list(zip(*fit_paths(batch, labels, penalties=PENALTIES), strict=True))
    else:
        fits = (fit_path(x, y, penalties=PENALTIES) for x, y in zip(features, labels, strict=True))
        paths = [
            (np.stack([fit.coefficients for fit in path]), np.array([fit.intercept for fit in path])) for path in fits
        ]
    weights, offsets = [], []
    for scale, draw, (coefficients, intercepts) in zip(scales, draws, paths, strict=True):
        held = trial.validation.take(draw.validation)
        logits = scale.project(held.embedding, on=coefficients.T) + intercepts
        best = int(np.argmin([log_loss(column, held.is_signal) for column in logits.T]))
        weights.append(coefficients[best] / scale.scale)
        offsets.append(intercepts[best] - scale.mean @ weights[-1])
    scores: FloatArray = np.stack(weights) @ trial.test.embedding.T.astype(np.float64) + np.array(offsets)[:, None]
    return scores


def nearest_neighbours(trial: Trial, draws: Sequence[Draw], seed: int) -> FloatArray:
    """The k nearest neighbours, as `jetassay.tasks.knn`, on each draw; nothing is random, so `seed` is not used."""
    del seed
    return np.stack(
        [
            neighbours(
                trial.train.take(draw.train),
                trial.validation.take(draw.validation),
                trial.test.embedding,
                where=trial.where,
            ).scores
            for draw in draws
        ]
    )


def small_networks(trial: Trial, draws: Sequence[Draw], seed: int) -> FloatArray:
    """One network of one hidden layer, as `jetassay.tasks.mlp_probe`, for each draw, all trained side by side."""
    from jetassay.tasks.dense_head import Stack, train_heads
    from jetassay.tasks.mlp_probe import seeds_of

    scales = [_standardisation(trial, draw) for draw in draws]
    stacks = []
    for name in ("train", "validation"):
        parts: list[Labelled] = [getattr(trial, name).take(getattr(draw, name)) for draw in draws]
        features = [scale.apply(part.embedding) for scale, part in zip(scales, parts, strict=True)]
        stacks.append(Stack(np.stack(features), np.stack([part.is_signal for part in parts])))
    heads = train_heads(*stacks, seeds=seeds_of(len(draws), seed=seed))
    return np.stack([heads.logits(k, scale.apply(trial.test.embedding)) for k, scale in enumerate(scales)])


HEADS: Mapping[str, Head] = {LINEAR: linear, "knn": nearest_neighbours, "mlp": small_networks}
"""What `heads` of the suite's [few_shot] may name."""

MOST_JETS: Mapping[str, int] = {LINEAR: 10_000, "knn": 1000, "mlp": 10_000}
"""Jets of each class in each sample that a head takes at most: draws hold their jets, and the probe itself takes all.

Neighbours cost training times test jets, every draw.
"""


def _standardisation(trial: Trial, draw: Draw) -> Standardisation:
    scale = Standardisation.of(trial.train.embedding[draw.train])
    if scale.all_constant:
        raise DataError(f"{trial.where}: the embedding is the same for all {len(draw.train)} training jets of a draw")
    return scale
