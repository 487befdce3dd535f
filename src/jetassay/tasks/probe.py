"""How much a linear model gets out of frozen embeddings: one signal class against QCD at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jetassay.errors import DataError, JetAssayError
from jetassay.jets.classes import BACKGROUND
from jetassay.metrics.roc import Cut
from jetassay.tasks.catalogue import PROBE
from jetassay.tasks.curves import logit_table, roc_table
from jetassay.tasks.logistic import GRADIENT_NORM, fit_path, log_loss
from jetassay.tasks.samples import Sample, Splits, jets_of
from jetassay.tasks.score import Outcome, Score
from jetassay.tasks.separation import DEFINITIONS, FEWEST_JETS, separation
from jetassay.tasks.standardisation import Standardisation

FloatArray = NDArray[np.float64]

PENALTIES: tuple[float, ...] = tuple(10.0**-power for power in range(8))
"""Strengths of the L2 penalty on standardised features and the mean loss, from strong to weak: 1 to 1e-7."""

PROTOCOL = (
    f"Linear probe, version {PROBE.version}. For each signal class, a logistic regression is trained on frozen "
    "embeddings of that class and of QCD alone: each dimension standardised by mean and standard deviation of the "
    "training jets, both classes weighing the same, L2 penalty chosen from "
    f"{PENALTIES[0]:g}, {PENALTIES[1]:g}, ... {PENALTIES[-1]:g} by the log-loss on the validation jets, minimised "
    f"until no component of the gradient exceeds {GRADIENT_NORM:g}. The score of a test jet is the logit.\n"
    f"{DEFINITIONS}\n"
    "A probe is one signal against QCD. Published JetClass rejections come from p_S / (p_S + p_QCD) of one network "
    "trained on ten classes (task 'zero-shot'): the two are not the same quantity."
)
"""The definition behind every number of this task, to be shown beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A fitted probe.

    standardisation: of the training jets
    coefficients, intercept: float64 (D,) on standardised dimensions, and a number
    penalty:      the chosen one; validation_loss: penalty -> log-loss that it was chosen by
    gradient_norm, n_train: what was left of the gradient, and training jets of both classes together
    """

    standardisation: Standardisation
    coefficients: FloatArray
    intercept: float
    penalty: float
    validation_loss: Mapping[float, float]
    gradient_norm: float
    n_train: int

    def logits(self, embedding: NDArray[np.float32]) -> FloatArray:
        """Scores, float64 (J,), of embeddings (J, D): ln p_signal / p_background for equal numbers of both."""
        return self.standardisation.project(embedding, on=self.coefficients) + self.intercept


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """One signal against the background: scores, and what ROC curves and paired comparisons need.

    signal_rows, background_rows:     int64, rows of the test sample
    signal_logits, background_logits: float64, scores of these jets, in the same order
    cuts:     one for each working point that the sample resolves
    problems: what it does not resolve, one sentence each
    """

    signal: str
    background: str
    probe: Probe
    signal_rows: NDArray[np.int64]
    background_rows: NDArray[np.int64]
    signal_logits: FloatArray
    background_logits: FloatArray
    cuts: tuple[Cut, ...]
    scores: tuple[Score, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Probed:
    """The samples of one backbone, and the probes that were fitted on them: signal -> its result."""

    splits: Splits
    probes: Mapping[str, ProbeResult]


def probe(
    splits: Splits,
    *,
    backbone: str,
    signals: Sequence[str] | None = None,
    background: str = BACKGROUND,
    seed: int = 0,
) -> Outcome[ProbeResult]:
    """Probe every signal against the background; `PROTOCOL` says how.

    signals: label names; None for all but the background
    seed:    of the bootstrap; the fit itself has no randomness

    Details hold a `ProbeResult` per signal; tables are those of `tasks.curves`. A signal that cannot be probed is in
    `problems`, and the others go on.
    """
    results: dict[str, ProbeResult] = {}
    problems: dict[str, str] = {}
    for signal in signals if signals is not None else [name for name in splits.test.names if name != background]:
        try:
            result = probe_signal(splits, signal=signal, backbone=backbone, background=background, seed=seed)
        except JetAssayError as error:
            problems[signal] = str(error)
            continue
        results[signal] = result
        if result.problems:
            problems[signal] = " ".join(result.problems)
    scores = tuple(score for each in results.values() for score in each.scores)
    return Outcome(scores, problems, results, protocol=PROTOCOL, tables=_tables(results, splits.test))


def _tables(results: Mapping[str, ProbeResult], test: Sample) -> dict[str, pd.DataFrame]:
    curves = {name: (each.signal_logits, each.background_logits) for name, each in results.items()}
    logits = {name: each.probe.logits(test.embedding) for name, each in results.items()}
    return roc_table(PROBE.name, curves) | logit_table(logits)


def probe_signal(
    splits: Splits, *, signal: str, backbone: str, background: str = BACKGROUND, seed: int = 0
) -> ProbeResult:
    """One signal against the background: fit, score the test jets, and give every metric with interval and counts.

    Raises `DataError` for too few jets of a class, NaN, or embeddings that do not vary; `ConvergenceError`.
    """
    where = f"probe of '{backbone}', {signal} against {background}"
    kept: dict[str, Sample] = {}
    for split, sample in splits.by_name().items():
        _, kept[split] = jets_of(sample, (signal, background), fewest=FEWEST_JETS, where=f"{where}, {split} sample")
    fitted = fit_probe(kept["train"], kept["validation"], signal=signal, where=where)
    rows = {name: splits.test.rows(name) for name in (signal, background)}
    logits = {name: fitted.logits(splits.test.embedding[each]) for name, each in rows.items()}
    both = np.concatenate(list(logits.values()))
    if both.min() == both.max():
        raise DataError(f"{where}: every test jet has the same score, so nothing can be ranked; look at its embeddings")
    cuts, scores, problems = separation(logits[signal], logits[background], signal=signal, seed=seed)
    facts: dict[str, Any] = {"backbone": backbone, "signal": signal, "background": background}
    facts |= {"n_train": fitted.n_train, "seed": seed, "n_signal": len(rows[signal])}
    facts |= {"n_background": len(rows[background]), "task": PROBE.name, "task_version": PROBE.version}
    return ProbeResult(
        signal=signal,
        background=background,
        probe=fitted,
        signal_rows=rows[signal],
        background_rows=rows[background],
        signal_logits=logits[signal],
        background_logits=logits[background],
        cuts=cuts,
        scores=tuple(Score(**facts, **each) for each in scores),
        problems=tuple(f"{where}: {each}." for each in problems),
    )


def fit_probe(
    train: Sample, validation: Sample, *, signal: str, where: str = "probe", penalties: Sequence[float] = PENALTIES
) -> Probe:
    """Standardise, fit along falling `penalties`, and keep the fit of lowest validation log-loss (of two, the first).

    Every jet that is not `signal` is background. Raises `DataError` for embeddings that are all alike,
    `ConvergenceError`; `where` begins the message.
    """
    standardisation = Standardisation.of(train.embedding)
    if standardisation.all_constant:
        raise DataError(f"{where}: the embedding is the same for all {len(train)} training jets")
    number = train.names.index(signal)
    fits = fit_path(standardisation.apply(train.embedding), train.labels == number, penalties=penalties)
    grid = np.stack([each.coefficients for each in fits], axis=1)
    logits = standardisation.project(validation.embedding, on=grid) + [each.intercept for each in fits]
    losses = [log_loss(column, validation.labels == number) for column in logits.T]
    best = fits[int(np.argmin(losses))]
    return Probe(
        standardisation=standardisation,
        coefficients=best.coefficients,
        intercept=best.intercept,
        penalty=best.penalty,
        validation_loss=dict(zip(penalties, losses, strict=True)),
        gradient_norm=best.gradient_norm,
        n_train=len(train),
    )
