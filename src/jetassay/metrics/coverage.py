"""How often the intervals of the project hold the truth, on made-up scores whose truth is known.

Signal scores are normal of width 1 around `shift`, background scores around 0. The AUC is then Phi(shift / sqrt 2), and
at a signal efficiency e the background efficiency is 1 - Phi(shift + z), z the point that a fraction e of the standard
normal lies above.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from jetassay.metrics.intervals import (
    Interval,
    auc_interval,
    delong_interval,
    rejection_interval,
    rejection_interval_over_cuts,
)
from jetassay.metrics.resampling import PairedScores, paired_bootstrap
from jetassay.metrics.roc import cut_at

FloatArray = NDArray[np.float64]
Intervals = Callable[[FloatArray, FloatArray, float, int], Interval]
"""(signal, background, level, seed) -> an interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One set of made-up samples.

    jets:  of each side
    shift: of the signal's scores
    truth: what the intervals ought to hold
    about: what the row of the table says of it
    """

    jets: int
    shift: float
    truth: float
    about: Mapping[str, Any]


def rejection_trial(jets: int, *, signal_efficiency: float, survivors: float) -> Trial:
    """A working point at which `survivors` background jets of `jets` are expected to pass the true cut."""
    shift = float(stats.norm.isf(survivors / jets) - stats.norm.isf(signal_efficiency))
    about = {"quantity": "rejection", "jets": jets, "signal_efficiency": signal_efficiency, "survivors": survivors}
    return Trial(jets=jets, shift=shift, truth=jets / survivors, about=about)


def auc_trial(jets: int, *, auc: float) -> Trial:
    """Samples whose true AUC is `auc`."""
    about = {"quantity": "auc", "jets": jets, "auc": auc}
    return Trial(jets=jets, shift=float(np.sqrt(2) * stats.norm.ppf(auc)), truth=auc, about=about)


def coverage(trial: Trial, *, levels: Sequence[float], repeats: int, seed: int) -> pd.DataFrame:
    """How often each interval holds the truth: one row for each method and level.

    Columns: those of `trial.about`, method, level, repeats, covered (a fraction), error (its binomial standard error),
    below and above (fractions of intervals that lie entirely on one side of the truth). An interval without an upper
    end holds all that is above its lower one.
    """
    methods = _methods(trial)
    found = {(name, level): np.zeros(3) for name in methods for level in levels}
    for repeat in range(repeats):
        stream = np.random.default_rng([seed, repeat])
        signal, background = stream.normal(trial.shift, 1, trial.jets), stream.normal(0, 1, trial.jets)
        for name, level in found:
            interval = methods[name](signal, background, level, repeat)
            found[name, level] += _where(trial.truth, interval.low, interval.high)
    rows = [
        {**trial.about, "method": name, "level": level, **_fractions(counts, repeats)}
        for (name, level), counts in found.items()
    ]
    return pd.DataFrame(rows)


def paired_coverage(
    jets: int, *, signal_efficiency: float, shift: float, levels: Sequence[float], repeats: int, seed: int
) -> pd.DataFrame:
    """The same for the paired bootstrap of the differences of AUC and of ln rejection between two backbones.

    Both see the jets' latent score with noise of their own, of width 0.3 and 0.6, so that the first is better.
    """
    noises = np.array([0.3, 0.6])
    widths = np.sqrt(1 + noises**2)
    aucs = stats.norm.cdf(shift / widths / np.sqrt(2))
    logs = -stats.norm.logsf(shift / widths + stats.norm.isf(signal_efficiency))
    truths = {"auc difference": aucs[0] - aucs[1], "ln rejection difference": logs[0] - logs[1]}
    found = {(name, level): np.zeros(3) for name in truths for level in levels}
    for repeat in range(repeats):
        stream = np.random.default_rng([seed, repeat])
        sides = [stream.normal(mean, 1, jets) + noises[:, None] * stream.normal(size=(2, jets)) for mean in (shift, 0)]
        scores = PairedScores(sides[0], sides[1], signal_efficiency)
        drawn = paired_bootstrap({"x": scores}, draws=500, seed=repeat)["x"]
        assert drawn.survivors is not None
        logs_drawn = np.log(drawn.survivors + 0.5)
        values = dict(
            zip(truths, (drawn.auc[:, 0] - drawn.auc[:, 1], logs_drawn[:, 1] - logs_drawn[:, 0]), strict=True)
        )
        for name, level in found:
            low, high = np.quantile(values[name], [(1 - level) / 2, (1 + level) / 2])
            found[name, level] += _where(float(truths[name]), low, high)
    expected = jets * np.exp(-logs[0])
    about = {"jets": jets, "signal_efficiency": signal_efficiency, "survivors": expected, "shift": shift}
    return pd.DataFrame(
        [
            {"quantity": n, **about, "method": "paired bootstrap", "level": level, **_fractions(counts, repeats)}
            for (n, level), counts in found.items()
        ]
    )


def _methods(trial: Trial) -> Mapping[str, Intervals]:
    if trial.about["quantity"] == "auc":
        return {
            "bootstrap": lambda s, b, level, seed: auc_interval(s, b, level=level, draws=500, seed=seed),
            "DeLong": lambda s, b, level, _: delong_interval(s, b, level=level),
        }
    efficiency = trial.about["signal_efficiency"]
    return {
        "Clopper-Pearson": lambda s, b, level, _: rejection_interval(
            cut_at(s, b, signal_efficiency=efficiency), level=level
        ),
        "over cuts": lambda s, b, level, _: rejection_interval_over_cuts(
            s, b, signal_efficiency=efficiency, level=level
        ),
    }


def _where(truth: float, low: float, high: float | None) -> FloatArray:
    """Whether the interval holds the truth, is below it, is above it."""
    below = high is not None and high < truth
    above = low > truth
    return np.array([not below and not above, below, above], np.float64)


def _fractions(counts: FloatArray, repeats: int) -> dict[str, float]:
    covered, below, above = counts / repeats
    shrunk = (counts[0] + 0.5) / (repeats + 1)  # so that 1000 of 1000 are not certain either
    error = float(np.sqrt(shrunk * (1 - shrunk) / repeats))
    return {"repeats": repeats, "covered": covered, "error": error, "below": below, "above": above}
