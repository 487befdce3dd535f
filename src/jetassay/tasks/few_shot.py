"""How quality grows with the number of training jets: learning curves of every backbone, and where they cross."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jetassay.errors import ConfigError, DataError, JetAssayError
from jetassay.jets.classes import BACKGROUND
from jetassay.metrics.intervals import perfect_order_margin
from jetassay.metrics.learning_curves import LearningCurve, area_weights, crossing
from jetassay.tasks.catalogue import FEW_SHOT
from jetassay.tasks.heads import HEADS, LINEAR, MOST_JETS, Draw
from jetassay.tasks.samples import Splits, same_jets
from jetassay.tasks.score import LEVEL, Outcome, Score
from jetassay.tasks.trial import Labelled, Trial

FloatArray = NDArray[np.float64]

SMALLEST = 10
"""Training jets of each class where the curves begin."""

DRAWS = 10

TABLE = "few_shot"
"""The table of single draws: columns backbone, head, signal, n_per_class, draw, auc."""

_STEPS = (1, 2, 5)  # of a decade
_RESAMPLES = 1000
_ROUNDING = 1e-12  # of a mean of ones

_PROTOCOL = (
    f"Few-shot, version {FEW_SHOT.version}. Learning curves: each signal against the background, trained on n jets of "
    "each class, n = {smallest} and then 1, 2, 5, 10, ... times a power of ten up to all training jets. A draw orders "
    "the training jets of each class at random and takes the first n, so its samples are nested; {draws} draws from "
    "seed {seed}, the same jets for every backbone. Penalty, k, or the epoch to stop at is chosen on min(n, all) "
    "validation jets of each class, drawn in the same way: never more than there are for training. The head is the "
    "linear probe; where 'bin' names another ('knn', 'mlp'), it is that of the task of this name. Of each sample "
    f"at most {MOST_JETS[LINEAR]} jets of each class are taken ('knn': {MOST_JETS['knn']}), drawn once. With all of "
    "them there is one draw, "
    "which has no spread and takes all validation jets; near it draws share most of their jets, and their "
    "spread is too small.\n"
    "'auc' without a draw: mean over draws, with the standard deviation over draws, which holds no fluctuation of the "
    "test jets; 'auc_over_test_jets': the same mean with the fluctuation of the test jets alone (normal, DeLong's "
    "variance of the mean; of perfect order in all draws, the limit of the AUC). 'area_under_curve': mean of AUC over "
    "ln n from the first to the last n (trapezoids), so between 0 and 1, with the standard deviation over draws; "
    "'area_under_curve_over_test_jets' as above.\n"
    "'crossing': the n (of each class) where the mean curves of two backbones cross for the last time, linear in ln n "
    f"between the points; interval from {_RESAMPLES} resamples of the draws (the same for both backbones), each with a "
    "normal fluctuation of the test jets (DeLong's covariance of the difference). An end is missing where it lies "
    "before the first or beyond the last n: the backbone that is ahead at the end was so throughout, or is not yet. "
    "'crossing_share': the fraction of resamples in which it overtakes the other in between."
)


def protocol(*, smallest: int = SMALLEST, draws: int = DRAWS, seed: int = 0) -> str:
    """The definition behind every number of this task, to be shown beside it."""
    return _PROTOCOL.format(smallest=smallest, draws=draws, seed=seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What is drawn, and of what."""

    background: str
    draws: int
    smallest: int
    seed: int


@dataclass(slots=True)
class _Found:
    """What an `Outcome` will hold, as it grows."""

    plan: _Plan
    scores: list[Score] = field(default_factory=list)
    draws: list[pd.DataFrame] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    undefined: dict[str, str] = field(default_factory=dict)

    def add(self, samples: Mapping[str, Splits], signal: str, head: str) -> None:
        """The curves of every backbone, and the crossings of every two."""
        curves: dict[str, LearningCurve] = {}
        facts: dict[str, Any] = {}
        for backbone, splits in samples.items():
            try:
                curves[backbone], facts = _curve(splits, backbone, signal, head, self.plan)
            except JetAssayError as error:
                self.problems[f"{backbone}, {signal}, {head}"] = str(error)
                continue
            self.scores += _scores(curves[backbone], facts)
            self.draws.append(_draws(curves[backbone], backbone=backbone, head=head, signal=signal))
            if len(curves[backbone].jets) < 2:
                self.undefined[f"{signal}, area under the curve"] = f"{facts['n_train']} training jets make one point"
        for first, second in combinations(curves, 2):
            pair = {**facts, "backbone": first, "backbone_b": second, "n_train": None}
            self.scores += _crossing(curves[first], curves[second], pair)


def few_shot(
    samples: Mapping[str, Splits],
    *,
    signals: Sequence[str] | None = None,
    background: str = BACKGROUND,
    heads: Sequence[str] = (LINEAR,),
    draws: int = DRAWS,
    smallest: int = SMALLEST,
    seed: int = 0,
) -> Outcome[None]:
    """Learning curves of every backbone and signal, and the crossings of every two; `protocol` says how.

    samples:  backbone name -> its embeddings of the same jets in the same order
    signals:  label names; None for all but the background
    heads:    names of `HEADS`
    draws:    random choices of training jets; smallest: jets of each class where the curves begin
    seed:     of the draws, of networks, and of the resampling of crossings

    A curve that cannot be made is in `problems`, an area that a single point does not have in `undefined`. Curves of
    one signal are held at a time: 8 bytes for each backbone, point and test jet of it. Raises `DataError` where the
    samples are not of the same jets in the same order, `ConfigError` for an unknown head.
    """
    unknown = sorted(set(heads) - set(HEADS))
    if unknown:
        raise ConfigError(f"few-shot: unknown heads {', '.join(unknown)}; known: {', '.join(HEADS)}")
    for split in ("train", "validation", "test"):
        same_jets({name: splits.by_name()[split] for name, splits in samples.items()})
    names = next(iter(samples.values())).test.names
    found = _Found(_Plan(background=background, draws=draws, smallest=smallest, seed=seed))
    for signal in signals if signals is not None else [name for name in names if name != background]:
        for head in heads:
            found.add(samples, signal, head)
    said = protocol(smallest=smallest, draws=draws, seed=seed)
    tables = {TABLE: pd.concat(found.draws, ignore_index=True)} if found.draws else {}
    return Outcome(tuple(found.scores), found.problems, undefined=found.undefined, protocol=said, tables=tables)


def jets_per_class(train: Labelled, *, smallest: int) -> tuple[int, ...]:
    """Where a curve has its points: `smallest`, then 1, 2, 5 times powers of ten, and last all jets.

    All jets are those of the class that has fewer, if one has. Raises `DataError` for fewer than `smallest`.
    """
    if train.fewest < smallest:
        raise DataError(f"{train.fewest} training jets of a class; learning curves begin at {smallest}")
    decades = range(len(str(train.fewest)))
    inner = (step * 10**decade for decade in decades for step in _STEPS)
    return tuple(sorted({smallest, train.fewest, *(n for n in inner if smallest < n < train.fewest)}))


def draws_of(trial: Trial, jets: int, *, draws: int, seed: int) -> list[Draw]:
    """`draws` random choices of `jets` training jets of each class, and of at most as many validation jets.

    They depend on the seed and the numbers of jets alone, so they are the same for every backbone, and the same
    background jets for every signal; that of fewer jets is a part of that of more. All jets are one draw, with all
    validation jets.
    """
    if jets >= trial.train.fewest:
        return [Draw(np.arange(len(trial.train)), np.arange(len(trial.validation)))]
    return [
        Draw(
            trial.train.drawn(jets, seed=(seed, draw, 0)),
            trial.validation.drawn(min(jets, trial.validation.fewest), seed=(seed, draw, 1)),
        )
        for draw in range(draws)
    ]


def _curve(splits: Splits, backbone: str, signal: str, head: str, plan: _Plan) -> tuple[LearningCurve, dict[str, Any]]:
    """The learning curve, and the facts that all of its scores share."""
    where = f"few-shot of '{backbone}', {signal} against {plan.background}"
    trial = Trial.of(splits, signal=signal, background=plan.background, where=where)
    trial = trial.at_most(MOST_JETS[head], seed=plan.seed)
    jets = jets_per_class(trial.train, smallest=plan.smallest)
    scores = _of_points(trial, jets, head, plan)
    facts: dict[str, Any] = {"task": FEW_SHOT.name, "task_version": FEW_SHOT.version, "backbone": backbone}
    facts |= {"signal": signal, "background": plan.background, "seed": plan.seed, "n_train": len(trial.train)}
    facts |= {"bin": None if head == LINEAR else head, "n_signal": int(np.count_nonzero(trial.test.is_signal))}
    facts |= {"n_background": len(trial.test) - facts["n_signal"]}
    return LearningCurve.of(np.array(jets), scores, trial.test.is_signal), facts


def _of_points(trial: Trial, jets: Sequence[int], head: str, plan: _Plan) -> Iterator[FloatArray]:
    """Scores of the test jets, (R, T) for each number of training jets. Raises `DataError` where those of all tie."""
    for number in jets:
        scores = HEADS[head](trial, draws_of(trial, number, draws=plan.draws, seed=plan.seed), plan.seed)
        if number == jets[-1] and scores.min() == scores.max():
            raise DataError(f"{trial.where}: every test jet has the same score, so nothing can be ranked")
        yield scores


def _scores(curve: LearningCurve, facts: Mapping[str, Any]) -> list[Score]:
    """AUC of every number of jets and draw, their means, and the area."""
    scores, covariance = [], curve.covariance
    for k, (jets, values) in enumerate(zip(curve.jets, curve.aucs, strict=True)):
        last = k == len(curve.jets) - 1
        shared = {**facts, "n_train": facts["n_train"] if last else 2 * int(jets)}
        scores += [Score(**shared, metric="auc", draw=draw, value=float(value)) for draw, value in enumerate(values)]
        mean = float(values.mean())
        scores.append(Score(**shared, metric="auc", value=mean, **_spread(values)))
        over_jets = _over_test_jets(mean, float(covariance[k, k]), facts)
        scores.append(Score(**shared, metric="auc_over_test_jets", value=mean, **over_jets))
    if len(curve.jets) > 1:
        weights = area_weights(curve.jets)
        areas = weights @ curve.by_draw
        mean = float(weights @ curve.mean)
        shared = {**facts, "n_train": None}
        scores.append(Score(**shared, metric="area_under_curve", value=mean, **_spread(areas)))
        over_jets = _over_test_jets(mean, float(weights @ covariance @ weights), facts)
        scores.append(Score(**shared, metric="area_under_curve_over_test_jets", value=mean, **over_jets))
    return scores


def _crossing(first: LearningCurve, second: LearningCurve, facts: Mapping[str, Any]) -> list[Score]:
    """Where the curves of two backbones cross, or that they do not, and how often resamples do."""
    found = crossing(first, second, level=LEVEL, resamples=_RESAMPLES, seed=facts["seed"])
    share = Score(**facts, metric="crossing_share", value=found.share)
    if found.jets is None:
        above, below = (facts["backbone"], facts["backbone_b"])[:: 1 if found.ahead else -1]
        how = f"none: {above} stays above {below}" if found.ahead is not None else "none: the curves are equal"
        return [Score(**facts, metric="crossing", value=None, interval=how), share]
    interval: dict[str, Any] = {
        "low": found.low,
        "high": found.high,
        "level": LEVEL,
        "interval": "bootstrap over draws and test jets",
    }
    return [Score(**facts, metric="crossing", value=found.jets, **interval), share]


def _spread(values: FloatArray) -> dict[str, Any]:
    """Mean plus and minus the standard deviation over draws; nothing where there is one draw."""
    if len(values) < 2:
        return {}
    return _within(values.mean(), values.std(ddof=1), f"standard deviation over {len(values)} draws")


def _over_test_jets(mean: float, variance: float, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Normal; where every draw orders every pair, the limit: the chance of it is AUC**m at most, whichever the draw."""
    if not variance and mean > 1 - _ROUNDING:
        reach = perfect_order_margin(min(facts["n_signal"], facts["n_background"]), level=LEVEL)
        return _within(mean, reach, "disjoint-pairs")
    return _within(mean, np.sqrt(max(variance, 0.0)), "normal, test jets after DeLong")


def _within(mean: float, reach: float, how: str) -> dict[str, Any]:
    """Bounds of a number between 0 and 1."""
    low, high = max(mean - reach, 0.0), min(mean + reach, 1.0)
    return {"low": float(low), "high": float(high), "level": LEVEL, "interval": how}


def _draws(curve: LearningCurve, **about: str) -> pd.DataFrame:
    parts = [
        pd.DataFrame({"n_per_class": int(jets), "draw": np.arange(len(values)), "auc": values})
        for jets, values in zip(curve.jets, curve.aucs, strict=True)
    ]
    table = pd.concat(parts, ignore_index=True).assign(**about)
    return table[["backbone", "head", "signal", "n_per_class", "draw", "auc"]]
