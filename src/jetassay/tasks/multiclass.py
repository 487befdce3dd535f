"""All classes at once from frozen embeddings: how well one linear model with K outputs names the class of a jet."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from jetassay.embeddings.scratch import chunks, collect
from jetassay.errors import DataError
from jetassay.jets.classes import BACKGROUND
from jetassay.metrics.multiclass import accuracy, log_loss, macro_ovo_auc
from jetassay.tasks.catalogue import MULTICLASS
from jetassay.tasks.multinomial import GRADIENT_NORM, MultinomialFit, fit_multinomial_path
from jetassay.tasks.probe import PENALTIES
from jetassay.tasks.samples import Sample, Splits, require_finite
from jetassay.tasks.score import LEVEL, Outcome, Score, bounds
from jetassay.tasks.separation import FEWEST_JETS
from jetassay.tasks.standardisation import Standardisation

FloatArray = NDArray[np.float64]

_BLOCK = 1 << 14  # jets whose logits are held at once

CONFUSION = "confusion"
"""The table of counts: columns backbone, true, predicted (label names) and n (test jets)."""

PROTOCOL = (
    f"Multiclass probe, version {MULTICLASS.version}. One multinomial logistic regression on frozen embeddings of all "
    "classes: each dimension standardised by the training jets, all jets weighing the same, L2 penalty chosen from "
    f"{PENALTIES[0]:g}, {PENALTIES[1]:g}, ... {PENALTIES[-1]:g} by the log-loss on the validation jets, minimised "
    f"until no component of the gradient exceeds {GRADIENT_NORM:g}. On the test jets: accuracy of the most probable "
    "class (Clopper-Pearson); macro one-vs-one AUC (Hand and Till 2001; normal interval, variance after DeLong, of "
    "perfect order a limit); log-loss, the mean of -ln p of the true class (normal "
    "interval), ln K for K classes without knowledge. Accuracy "
    "and log-loss depend on the mixture of classes, which is that of the samples."
)
"""The definition behind every number of this task, to be shown beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MulticlassProbe:
    """A fitted probe of K classes, and what it says of the test jets.

    classes:         K names
    penalty:         the chosen one; validation_loss: penalty -> log-loss that it was chosen by
    rows:            int64 (J,), rows of the test sample
    probabilities:   float64 (J, K) of these jets; labels: int64 (J,), index into `classes`
    """

    classes: tuple[str, ...]
    penalty: float
    validation_loss: Mapping[float, float]
    rows: NDArray[np.int64]
    probabilities: FloatArray
    labels: NDArray[np.int64]


def multiclass(
    splits: Splits, *, backbone: str, background: str = BACKGROUND, seed: int = 0
) -> Outcome[MulticlassProbe]:
    """Probe all classes together; `PROTOCOL` says how.

    background: whose test jets `n_background` counts; seed: carried with the scores, nothing is random

    Details: "all classes" -> `MulticlassProbe`. A class with fewer than `FEWEST_JETS` jets in a sample is left out and
    named in `problems`. Raises `DataError` for fewer than two classes, NaN, or embeddings that do not vary;
    `ConvergenceError`.
    """
    where = f"multiclass probe of '{backbone}'"
    classes, problems = _classes_with_jets(splits, where)
    samples = {name: _of_classes(sample, classes) for name, sample in splits.by_name().items()}
    for name, (_, sample, _) in samples.items():
        require_finite(sample, f"{where}, {name} sample")
    found = _fit(samples["train"], samples["validation"], samples["test"], classes=classes, where=where)
    counts = np.bincount(found.labels, minlength=len(classes))
    n_background = int(counts[classes.index(background)]) if background in classes else 0
    facts: dict[str, Any] = {"task": MULTICLASS.name, "task_version": MULTICLASS.version, "backbone": backbone}
    facts |= {"n_signal": len(found.labels) - n_background, "n_background": n_background, "seed": seed}
    facts |= {"n_train": len(samples["train"][2])}
    measured = {
        "accuracy": accuracy(found.probabilities, found.labels, level=LEVEL),
        "macro_ovo_auc": macro_ovo_auc(found.probabilities, found.labels, level=LEVEL),
        "log_loss": log_loss(found.probabilities, found.labels, level=LEVEL),
    }
    scores = tuple(
        Score(**facts, metric=name, value=value, **bounds(interval)) for name, (value, interval) in measured.items()
    )
    tables = {CONFUSION: confusion(found).assign(backbone=backbone)}
    return Outcome(scores, problems, {"all classes": found}, protocol=PROTOCOL, tables=tables)


def confusion(probe: MulticlassProbe) -> pd.DataFrame:
    """Test jets by true and predicted class, all pairs: columns true, predicted, n."""
    size = len(probe.classes)
    predicted = probe.probabilities.argmax(axis=1)
    counts = np.bincount(size * probe.labels + predicted, minlength=size**2)
    names = np.array(probe.classes, dtype=object)
    return pd.DataFrame({"true": np.repeat(names, size), "predicted": np.tile(names, size), "n": counts})


def _fit(
    train: "_Chosen", validation: "_Chosen", test: "_Chosen", *, classes: tuple[str, ...], where: str
) -> MulticlassProbe:
    """Standardise, fit along `PENALTIES`, and keep the fit of smallest validation log-loss (of equals, the first)."""
    standardisation = Standardisation.of(train[1].embedding)
    if standardisation.all_constant:
        raise DataError(f"{where}: the embedding is the same for all {len(train[2])} training jets")
    features = standardisation.stored(train[1].embedding)
    fits = fit_multinomial_path(features, train[2], classes=len(classes), penalties=PENALTIES)
    losses = []
    for fit in fits:
        total = 0.0
        for here, logits in _logits(fit, standardisation, validation[1]):
            own = logits[np.arange(len(logits)), validation[2][here]]
            total += float((special.logsumexp(logits, axis=1) - own).sum())
        losses.append(total / len(validation[2]))
    best = fits[int(np.argmin(losses))]
    tested = (special.softmax(logits, axis=1) for _, logits in _logits(best, standardisation, test[1]))
    probabilities = collect(tested, rows=len(test[2]))
    if np.ptp(probabilities, axis=0).max() == 0:
        raise DataError(f"{where}: every test jet has the same class probabilities; look at its embeddings")
    return MulticlassProbe(
        classes=classes,
        penalty=best.penalty,
        validation_loss=dict(zip(PENALTIES, losses, strict=True)),
        rows=test[0],
        probabilities=probabilities,
        labels=test[2],
    )


def _logits(
    fit: MultinomialFit, standardisation: Standardisation, sample: Sample
) -> Iterator[tuple[slice, FloatArray]]:
    """Logits (j, K) of some jets after others, and where these are."""
    for here, rows in chunks(sample.embedding, _BLOCK):
        yield here, standardisation.project(rows, on=fit.coefficients) + fit.intercepts


_Chosen = tuple[NDArray[np.int64], Sample, NDArray[np.int64]]
"""Rows of a sample, the sample of these rows, and for each the index of its class among those that take part."""


def _of_classes(sample: Sample, classes: tuple[str, ...]) -> _Chosen:
    number = np.full(len(sample.names), -1, np.int64)
    number[[sample.names.index(name) for name in classes]] = np.arange(len(classes))
    rows = np.flatnonzero(number[sample.labels] >= 0).astype(np.int64, copy=False)
    return rows, sample.take(rows), number[sample.labels[rows]]


def _classes_with_jets(splits: Splits, where: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """The labels with enough jets in every sample, and why each of the others is left out."""
    left_out: dict[str, str] = {}
    for split, sample in splits.by_name().items():
        for name, count in zip(sample.names, np.bincount(sample.labels, minlength=len(sample.names)), strict=True):
            if count < FEWEST_JETS and name not in left_out:
                left_out[name] = f"{count} jets in the {split} sample; at least {FEWEST_JETS} are needed; left out"
    classes = tuple(name for name in splits.test.names if name not in left_out)
    if len(classes) < 2:
        raise DataError(f"{where}: {len(classes)} classes have {FEWEST_JETS} jets in each sample; two are needed")
    return classes, left_out
