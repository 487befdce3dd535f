"""Logistic regressions of many signals against one background by a grid of penalties, in few passes over the jets.

The objective and its minima are those of `jetassay.tasks.logistic`, jets standardised for each signal by the jets of
that signal and the background. Newton's method on an even sample of each class (all of it, where it is small: then that
is all) gives a point and a Hessian for every penalty. On all jets each penalty starts from whichever of the points is
lowest for it, and goes down by L-BFGS with that Hessian in front (`jetassay.tasks.descent`). The losses and gradients
of all signals and penalties come from the same pass, two matrix products a chunk, in float64. A fit that the sample's
Hessian serves badly, as where classes hardly overlap, gets the Hessian of all jets.

Memory does not grow with the jets but for their labels: chunks, sums, and the sample, which is `SAMPLE` jets of a
class, or the `SHARE`-th part of it up to `MOST_SAMPLED`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from jetassay.embeddings.scratch import gather
from jetassay.errors import ConvergenceError, DataError, JetAssayError
from jetassay.tasks.descent import Descent
from jetassay.tasks.logistic import GRADIENT_NORM, Fit, Point, newton_path, not_converged
from jetassay.tasks.passes import Found, Labels, Moments, Wanted, evaluate, undivided
from jetassay.tasks.standardisation import Standardisation

FloatArray = NDArray[np.float64]

SAMPLE, SHARE, MOST_SAMPLED = 1024, 8, 1 << 15
_SAMPLE_GRADIENT = 1e-3  # of the sample's own minimum: what the sample leaves open is more
_STALE, _FAR = 7, 100.0  # passes after which a fit with so many times the gradient gets the Hessian of all jets
_MOST_PASSES = 200


@dataclass(frozen=True, slots=True)
class Grid:
    """The fits of one signal: one for each penalty, on dimensions standardised so; `steps` of a fit counts passes.

    n_train: jets of both classes; passes: over all jets, by all fits together
    """

    standardisation: Standardisation
    fits: tuple[Fit, ...]
    n_train: int
    passes: int

    @property
    def points(self) -> FloatArray:
        """Parameters (D + 1, P), intercept last, on standardised dimensions."""
        return np.stack([np.append(fit.coefficients, fit.intercept) for fit in self.fits], axis=1)


@dataclass(slots=True)
class _Signal:
    """One signal on its way: how it is standardised, what its sample gave, and its descents, one a penalty."""

    standardisation: Standardisation
    shift: FloatArray
    sample: tuple[Point, ...]
    descents: list[Descent]

    def raw(self, points: FloatArray) -> FloatArray:
        """Parameters (D + 1, K) of x - shift that give the same logits as these of standardised dimensions."""
        return parameters_of(self.standardisation, points, shift=self.shift)

    def standard(self, gradients: FloatArray) -> FloatArray:
        """Gradients (D + 1, K) with respect to standardised parameters, from those of `raw` ones."""
        moved = self.standardisation.mean - self.shift
        slopes = (gradients[:-1] - moved[:, None] * gradients[-1]) / self.standardisation.scale[:, None]
        return np.concatenate([slopes, gradients[-1:]])

    def standard_hessian(self, hessian: FloatArray) -> FloatArray:
        return self.standard(self.standard(hessian).T)

    def begin(self, found: Found, penalties: Sequence[float]) -> None:
        """A descent for each penalty, from the sample's point that is lowest on all jets, of which `found` is."""
        gradients = self.standard(found.gradients)
        squares = [float(point.parameters[:-1] @ point.parameters[:-1]) for point in self.sample]
        for penalty in penalties:
            best = int(np.argmin(found.losses + penalty / 2 * np.array(squares)))
            point = self.sample[best]
            ridge = np.append(np.full(len(point.parameters) - 1, penalty), 0.0)
            loss, gradient = float(found.losses[best]), gradients[:, best]
            self.descents.append(Descent(point.parameters, loss=loss, gradient=gradient, ridge=ridge))
            _curve(self.descents[-1], point.hessian)

    def take(self, found: Found, still: Sequence[int]) -> None:
        """Let the descents `still`, in this order, go where `found` is of."""
        gradients = self.standard(found.gradients)
        for place, k in enumerate(still):
            self.descents[k].take(float(found.losses[place]), gradients[:, place])
            if place in found.hessians and self.descents[k].moved:  # else it is that of a point too far away
                _curve(self.descents[k], self.standard_hessian(found.hessians[place]))


def fit_grids(
    train: Labels, *, signals: Sequence[int], background: int, penalties: Sequence[float]
) -> Mapping[int, Grid | JetAssayError]:
    """The minimum for each signal and penalty, or why a signal has none; jets of other labels take no part.

    signals, background: labels, each with jets; penalties: falling, each above 0

    A signal's result is `DataError` for NaN or infinity or an embedding that is the same for all its jets,
    `ConvergenceError` where a fit does not reach `GRADIENT_NORM`.
    """
    with undivided():
        return _fit_grids(train, signals, background, penalties)


def _fit_grids(
    train: Labels, signals: Sequence[int], background: int, penalties: Sequence[float]
) -> Mapping[int, Grid | JetAssayError]:
    moments = Moments.of(train, frozenset({*signals, background}))
    found: dict[int, Grid | JetAssayError] = {}
    going: dict[int, _Signal] = {}
    for signal in signals:
        try:
            started = _start(train, moments, signal, background, penalties)
        except JetAssayError as error:
            found[signal] = error
            continue
        if isinstance(started, Grid):
            found[signal] = started
        else:
            going[signal] = started
    found |= _descend(train, going, background=background, penalties=penalties) if going else {}
    return found


def validation_losses(held: Labels, grids: Mapping[int, Grid], *, background: int) -> Mapping[int, FloatArray]:
    """Mean -ln p of the true class, both classes weighing one half, of each signal and penalty; NaN for NaN jets."""
    shift = held.middle()
    points = {s: parameters_of(grid.standardisation, grid.points, shift=shift) for s, grid in grids.items()}
    with undivided(), np.errstate(invalid="ignore"):
        found = evaluate(held, Wanted(points, {}), background=background, shift=shift, slopes=False)
    return {signal: each.losses for signal, each in found.items()}


def parameters_of(standardisation: Standardisation, points: FloatArray, *, shift: FloatArray) -> FloatArray:
    """Parameters (D + 1, K) of x - shift that give the same logits as `points` of standardised dimensions."""
    slopes = points[:-1] / standardisation.scale[:, None]
    return np.concatenate([slopes, points[-1:] - (standardisation.mean - shift) @ slopes])


def _start(
    train: Labels, moments: Moments, signal: int, background: int, penalties: Sequence[float]
) -> "Grid | _Signal":
    """The whole grid where the sample is all there is, else what its fits give to begin with."""
    both = (background, signal)
    mean, spread = moments.together(both)
    if not np.isfinite(spread).all():
        raise DataError("embeddings hold NaN or infinity")
    standardisation = Standardisation.by(mean, spread)
    jets = sum(moments.counts[label] for label in both)
    if standardisation.all_constant:
        raise DataError(f"the embedding is the same for all {jets} training jets")
    parts = [train.rows(label, most=min(max(SAMPLE, moments.counts[label] // SHARE), MOST_SAMPLED)) for label in both]
    rows = np.sort(np.concatenate(parts))
    whole = len(rows) == jets
    path = newton_path(
        (gather(train.embedding, rows) - standardisation.mean) / standardisation.scale,
        train.labels[rows] == signal,
        penalties=penalties,
        gradient_norm=GRADIENT_NORM if whole else _SAMPLE_GRADIENT,
    )
    if whole:
        fits = [_fit(point.parameters, penalty, norm, steps) for penalty, (point, norm, steps) in
                zip(penalties, path, strict=True)]  # fmt: skip
        return Grid(standardisation, tuple(fits), jets, 0)
    return _Signal(standardisation, moments.shift, tuple(point for point, _, _ in path), [])


def _descend(
    train: Labels, going: dict[int, _Signal], *, background: int, penalties: Sequence[float]
) -> dict[int, Grid | JetAssayError]:
    """All open fits, pass by pass, until none is left."""
    jets = {signal: int(np.isin(train.labels, (signal, background)).sum()) for signal in going}
    shift = next(iter(going.values())).shift
    found: dict[int, Grid | JetAssayError] = {}
    first = {
        signal: each.raw(np.stack([one.parameters for one in each.sample], axis=1)) for signal, each in going.items()
    }
    results = evaluate(train, Wanted(first, {}), background=background, shift=shift)
    found |= _each(going, lambda signal: going[signal].begin(results[signal], penalties))
    for passes in range(1, _MOST_PASSES):
        found |= _each(going, partial(_finished, going, jets=jets, passes=passes))
        if not going:
            return found
        found |= _one_pass(train, going, background=background, shift=shift)
    for signal, each in going.items():
        worst = max(each.descents, key=lambda one: one.norm)
        reason = f"{_MOST_PASSES} passes over the jets were not enough"
        found[signal] = not_converged(worst.ridge[0], worst.norm, reason)
    return found


def _each(going: dict[int, _Signal], step: Callable[[int], Grid | None]) -> dict[int, Grid | JetAssayError]:
    """Take a step of every signal; what gives its grid or cannot go on is given back, and is no longer going."""
    found: dict[int, Grid | JetAssayError] = {}
    for signal in list(going):
        try:
            end: Grid | JetAssayError | None = step(signal)
        except ConvergenceError as error:
            end = error
        if end is not None:
            found[signal] = end
            del going[signal]
    return found


def _one_pass(
    train: Labels, going: dict[int, _Signal], *, background: int, shift: FloatArray
) -> dict[int, Grid | JetAssayError]:
    """Evaluate every open fit where it wants to go, and let it go there; gives the signals that cannot."""
    still = {s: [k for k, one in enumerate(each.descents) if one.norm > GRADIENT_NORM] for s, each in going.items()}
    points, curved = {}, {}
    for signal, each in going.items():
        trials = [each.descents[k].trial for k in still[signal]]
        points[signal] = each.raw(np.stack([trial for trial in trials if trial is not None], axis=1))
        curved[signal] = tuple(place for place, k in enumerate(still[signal]) if _served_badly(each.descents[k]))
    results = evaluate(train, Wanted(points, curved), background=background, shift=shift)
    return _each(going, lambda signal: going[signal].take(results[signal], still[signal]))


def _served_badly(descent: Descent) -> bool:
    """A Hessian costs as much as some thirty evaluations, so it is not for fits that are nearly done."""
    return descent.since_curved >= _STALE and descent.norm > _FAR * GRADIENT_NORM


def _curve(descent: Descent, hessian: FloatArray) -> None:
    try:
        descent.curve(hessian)
    except linalg.LinAlgError as error:
        reason = "the Hessian is not positive definite in float64"
        raise not_converged(descent.ridge[0], descent.norm, reason) from error


def _finished(going: Mapping[int, _Signal], signal: int, *, jets: Mapping[int, int], passes: int) -> Grid | None:
    """The grid where every fit has converged. Raises `ConvergenceError` where one cannot."""
    descents = going[signal].descents
    still = [one for one in descents if one.norm > GRADIENT_NORM]
    for one in still:
        if one.trial is None:
            raise not_converged(one.ridge[0], one.norm, "no step lowers the objective")
    if still:
        return None
    fits = [_fit(one.point, float(one.ridge[0]), one.norm, one.evaluations) for one in descents]
    return Grid(going[signal].standardisation, tuple(fits), jets[signal], passes)


def _fit(parameters: FloatArray, penalty: float, norm: float, steps: int) -> Fit:
    return Fit(
        coefficients=parameters[:-1], intercept=float(parameters[-1]), penalty=penalty, gradient_norm=norm, steps=steps
    )
