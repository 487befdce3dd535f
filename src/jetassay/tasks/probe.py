"""How much a linear model gets out of frozen embeddings: one signal class against QCD at a time."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from jetassay.embeddings.scratch import SMALL, chunks, gather, room_for
from jetassay.errors import DataError, JetAssayError
from jetassay.jets.classes import BACKGROUND
from jetassay.metrics.roc import Cut
from jetassay.tasks.catalogue import PROBE
from jetassay.tasks.curves import logit_table, roc_table
from jetassay.tasks.logistic import GRADIENT_NORM
from jetassay.tasks.logistic_grid import Grid, fit_grids, validation_losses
from jetassay.tasks.passes import CHUNK, Labels
from jetassay.tasks.samples import Sample, Splits, require_finite, require_jets
from jetassay.tasks.score import Outcome, Score
from jetassay.tasks.separation import DEFINITIONS, FEWEST_JETS, separation
from jetassay.tasks.standardisation import Standardisation

FloatArray = NDArray[np.float64]
K = TypeVar("K", str, float)

_HELD = 1 << 20
"""Bytes of the logits of one signal that a result has in memory; there are many results as long as tasks go on."""

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
        """Scores, float64 (J,), of embeddings (J, D): ln p_signal / p_background for equal numbers of both.

        NaN for embeddings with NaN. The same embedding has the same score to the bit, whatever stands beside it.
        """
        return logits_of({self.penalty: self}, embedding)[self.penalty]


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
    seed:    carried with the scores; nothing is random

    Details hold a `ProbeResult` per signal; tables are those of `tasks.curves`. A signal that cannot be probed is in
    `problems`, and the others go on.
    """
    names = signals if signals is not None else [name for name in splits.test.names if name != background]
    results: dict[str, ProbeResult] = {}
    task = _Task(splits, backbone, background, seed)
    probes, errors = task.fit(names)
    logits = logits_of(probes, splits.test.embedding)
    for signal, fitted in probes.items():
        try:
            results[signal] = task.score(fitted, logits[signal], signal=signal)
        except JetAssayError as error:
            errors[signal] = error
    problems = {name: " ".join(results[name].problems) if name in results else str(errors[name]) for name in names}
    problems = {name: problem for name, problem in problems.items() if problem}
    scores = tuple(score for name in names if name in results for score in results[name].scores)
    curves = {name: (each.signal_logits, each.background_logits) for name, each in results.items()}
    return Outcome(
        scores,
        problems,
        results,
        protocol=PROTOCOL,
        tables=roc_table(PROBE.name, curves),
        jet_tables=logit_table({name: logits[name] for name in results}),
    )


def probe_signal(
    splits: Splits, *, signal: str, backbone: str, background: str = BACKGROUND, seed: int = 0
) -> ProbeResult:
    """One signal against the background: fit, score the test jets, and give every metric with interval and counts.

    Raises `DataError` for too few jets of a class, NaN, or embeddings that do not vary; `ConvergenceError`.
    """
    task = _Task(splits, backbone, background, seed)
    probes, errors = task.fit([signal])
    if errors:
        raise errors[signal]
    return task.score(probes[signal], logits_of(probes, splits.test.embedding)[signal], signal=signal)


def fit_probe(
    train: Sample, validation: Sample, *, signal: str, where: str = "probe", penalties: Sequence[float] = PENALTIES
) -> Probe:
    """Standardise, fit along falling `penalties`, and keep the fit of lowest validation log-loss (of two, the first).

    Every jet that is not `signal` is background. Raises `DataError` for embeddings that are all alike, NaN or infinity,
    `ConvergenceError`; `where` begins the message.
    """
    number = train.names.index(signal)
    tables = [Labels(each.embedding, (each.labels == number).astype(np.int64)) for each in (train, validation)]
    (found,) = _chosen(*tables, signals=(1,), background=0, penalties=penalties).values()
    if isinstance(found, JetAssayError):
        raise type(found)(f"{where}: {found}") from found
    return found


def logits_of(probes: Mapping[K, Probe], embedding: NDArray[np.float32]) -> dict[K, FloatArray]:
    """`Probe.logits` of each probe, in one pass over the embeddings (J, D)."""
    slopes = {name: each.coefficients / each.standardisation.scale for name, each in probes.items()}
    offsets = {name: each.intercept - each.standardisation.mean @ slopes[name] for name, each in probes.items()}
    with ExitStack() as undo:
        # all together are small, or in files
        rooms = (room_for(len(embedding), np.float64, small=SMALL // len(probes)) for _ in probes)
        found = {name: undo.enter_context(closing(room)) for name, room in zip(probes, rooms, strict=True)}
        for _, mapped in chunks(embedding, CHUNK):
            rows = mapped.astype(np.float64)
            for name, slope in slopes.items():
                # Not a product of BLAS, which adds up a row in another order at the end of a block.
                with np.errstate(invalid="ignore"):
                    found[name].append(np.einsum("jd,d->j", rows, slope) + offsets[name])
        return {name: each.array() for name, each in found.items()}


@dataclass(frozen=True, slots=True)
class _Task:
    """Samples, and what all signals share."""

    splits: Splits
    backbone: str
    background: str
    seed: int

    def where(self, signal: str) -> str:
        return f"probe of '{self.backbone}', {signal} against {self.background}"

    def fit(self, signals: Sequence[str]) -> tuple[dict[str, Probe], dict[str, JetAssayError]]:
        """The probes of these signals, and why others have none; all signals are fitted in the same passes."""
        probes: dict[str, Probe] = {}
        errors: dict[str, JetAssayError] = {}
        numbers: dict[int, str] = {}
        for signal in signals:
            try:
                for split, sample in self.splits.by_name().items():
                    where = f"{self.where(signal)}, {split} sample"
                    require_jets(sample, (signal, self.background), fewest=FEWEST_JETS, where=where)
                numbers[self.splits.train.names.index(signal)] = signal
            except JetAssayError as error:
                errors[signal] = error
        if not numbers:
            return probes, errors
        tables = [Labels(each.embedding, each.labels) for each in (self.splits.train, self.splits.validation)]
        background = self.splits.train.names.index(self.background)
        for number, found in _chosen(*tables, signals=tuple(numbers), background=background).items():
            signal = numbers[number]
            if isinstance(found, Probe):
                probes[signal] = found
            else:
                errors[signal] = self._in_full(signal, found)
        return probes, errors

    def _in_full(self, signal: str, error: JetAssayError) -> JetAssayError:
        """The error with where it happened; of NaN, the one that names the first jet."""
        try:
            for split in ("train", "validation"):
                self._finite(signal, split)
        except DataError as found:
            return found
        return type(error)(f"{self.where(signal)}: {error}")

    def _finite(self, signal: str, split: str) -> None:
        sample = self.splits.by_name()[split]
        rows = np.flatnonzero(np.isin(sample.labels, [sample.names.index(name) for name in (signal, self.background)]))
        require_finite(sample.take(rows), f"{self.where(signal)}, {split} sample")

    def score(self, fitted: Probe, logits: FloatArray, *, signal: str) -> ProbeResult:
        """Every metric, given the logits of all test jets. Raises `DataError` for NaN, or where all jets tie."""
        where = self.where(signal)
        rows = [self.splits.test.rows(name) for name in (signal, self.background)]
        own, other = (gather(logits, each, small=_HELD) for each in rows)
        if not (np.isfinite(own).all() and np.isfinite(other).all()):
            self._finite(signal, "test")
        if max(own.max(), other.max()) == min(own.min(), other.min()):
            raise DataError(
                f"{where}: every test jet has the same score, so nothing can be ranked; look at its embeddings"
            )
        cuts, scores, problems = separation(own, other, signal=signal)
        facts: dict[str, Any] = {"backbone": self.backbone, "signal": signal, "background": self.background}
        facts |= {"n_train": fitted.n_train, "seed": self.seed, "n_signal": len(own), "n_background": len(other)}
        facts |= {"task": PROBE.name, "task_version": PROBE.version}
        return ProbeResult(
            signal=signal,
            background=self.background,
            probe=fitted,
            signal_rows=rows[0],
            background_rows=rows[1],
            signal_logits=own,
            background_logits=other,
            cuts=cuts,
            scores=tuple(Score(**facts, **each) for each in scores),
            problems=tuple(f"{where}: {each}." for each in problems),
        )


def _chosen(
    train: Labels,
    validation: Labels,
    *,
    signals: tuple[int, ...],
    background: int,
    penalties: Sequence[float] = PENALTIES,
) -> dict[int, Probe | JetAssayError]:
    """Fit every signal at every penalty, and keep the fit of lowest validation log-loss (of two, the first)."""
    fitted = fit_grids(train, signals=signals, background=background, penalties=penalties)
    grids = {signal: each for signal, each in fitted.items() if isinstance(each, Grid)}
    found: dict[int, Probe | JetAssayError] = {s: each for s, each in fitted.items() if not isinstance(each, Grid)}
    losses = validation_losses(validation, grids, background=background) if grids else {}
    for signal, grid in grids.items():
        if not np.isfinite(losses[signal]).all():
            found[signal] = DataError("validation embeddings hold NaN or infinity")
            continue
        best = grid.fits[int(np.argmin(losses[signal]))]
        found[signal] = Probe(
            standardisation=grid.standardisation,
            coefficients=best.coefficients,
            intercept=best.intercept,
            penalty=best.penalty,
            validation_loss=dict(zip(penalties, losses[signal].tolist(), strict=True)),
            gradient_norm=best.gradient_norm,
            n_train=grid.n_train,
        )
    return found
