"""A classifier as it is: its own class probabilities, any set of its outputs against any other, nothing trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetassay.embeddings.scratch import chunks, collect, gather
from jetassay.errors import ConfigError, DataError, JetAssayError
from jetassay.jets.classes import BACKGROUND
from jetassay.metrics.multiclass import SMALLEST, accuracy, log_loss, macro_ovo_auc
from jetassay.metrics.roc import Cut
from jetassay.tasks.catalogue import ZERO_SHOT
from jetassay.tasks.curves import jet_scores_table, roc_table
from jetassay.tasks.grouping import Grouping, find_grouping
from jetassay.tasks.passes import CHUNK
from jetassay.tasks.samples import Sample, Splits
from jetassay.tasks.score import LEVEL, Outcome, Score, bounds
from jetassay.tasks.separation import DEFINITIONS, FEWEST_JETS, separation

FloatArray = NDArray[np.float64]

MULTICLASS = "all classes"
"""What problems and details call the scores of all classes together."""

PROTOCOL = (
    f"Zero-shot, version {ZERO_SHOT.version}. The class probabilities of a classifier as it is, on the test jets; "
    "nothing is trained. The discriminant is p_S / (p_S + p_B), p_S and p_B sums over the outputs that stand for "
    "signal and background, ranked as ln p_S - ln p_B: the same order, without saturation near 1. A p of 0 counts as "
    f"{SMALLEST:.1e}. For a network of ten classes this is how the published JetClass rejections are defined; the "
    "probe's are not.\n"
    f"{DEFINITIONS}\n"
    "Where the outputs are the dataset's own classes, all test jets together: accuracy of the most probable class "
    "(Clopper-Pearson); macro one-vs-one AUC (Hand and Till 2001; normal interval, variance after DeLong, of perfect "
    "order a limit); log-loss, the mean of -ln p of the true class (normal interval). "
    "Accuracy and log-loss depend on the mixture of classes, "
    "which is that of the test sample."
)
"""The definition behind every number of this task, to be shown beside it; the notes of its outcome belong to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZeroShotResult:
    """One signal against the background.

    signal_outputs, background_outputs: the classifier's classes on each side
    signal_rows, background_rows:       int64, rows of the test sample
    signal_log_odds, background_log_odds: float64, ln p_S / p_B of these jets, in the same order
    cuts:     one for each working point that the sample resolves
    problems: what it does not resolve, one sentence each
    """

    signal: str
    background: str
    signal_outputs: tuple[str, ...]
    background_outputs: tuple[str, ...]
    signal_rows: NDArray[np.int64]
    background_rows: NDArray[np.int64]
    signal_log_odds: FloatArray
    background_log_odds: FloatArray
    cuts: tuple[Cut, ...]
    scores: tuple[Score, ...]
    problems: tuple[str, ...]


def zero_shot(
    splits: Splits,
    *,
    backbone: str,
    signals: Sequence[str] | None = None,
    background: str = BACKGROUND,
    groupings: Sequence[Grouping] = (),
    seed: int = 0,
) -> Outcome[ZeroShotResult]:
    """Score every signal against the background by the classifier's own outputs; `PROTOCOL` says how.

    signals:   label names; None for all but the background
    groupings: how outputs stand for classes, before those that ship
    seed:      carried with the scores; nothing is random

    Details hold a `ZeroShotResult` per signal. What the outputs cannot mean is in `undefined`, what this sample cannot
    give in `problems`. Raises `ConfigError` where signal and background share an output.
    """
    sample = splits.test
    if sample.scores is None:
        return Outcome((), undefined={MULTICLASS: "it has no classifier"})
    grouping = find_grouping(sample.outputs, sample.names, declared=groupings)
    if grouping is None:
        reason = (
            f"no grouping says which of its {len(sample.outputs)} outputs stand for the classes "
            f"{', '.join(sample.names[:3])}, ...; declare one in [[zero_shot.groupings]]"
        )
        return Outcome((), undefined={MULTICLASS: reason})
    wanted = signals if signals is not None else [name for name in sample.names if name != background]
    undefined = {name: grouping.undefined[name] for name in (background, *wanted) if name in grouping.undefined}
    results: dict[str, ZeroShotResult] = {}
    problems: dict[str, str] = {}
    for signal in wanted if background not in undefined else ():
        if signal in undefined:
            continue
        try:
            result = _one_signal(sample, grouping, signal, background, backbone=backbone, seed=seed)
        except ConfigError:
            raise
        except JetAssayError as error:
            problems[signal] = str(error)
            continue
        results[signal] = result
        if result.problems:
            problems[signal] = " ".join(result.problems)
    scores = [score for each in results.values() for score in each.scores]
    if set(sample.outputs) == set(sample.names):
        try:
            scores += _all_classes(sample, background, backbone=backbone)
        except DataError as error:
            problems[MULTICLASS] = str(error)
    curves = {name: (each.signal_log_odds, each.background_log_odds) for name, each in results.items()}
    ranked = {
        name: [(each.signal_rows, each.signal_log_odds), (each.background_rows, each.background_log_odds)]
        for name, each in results.items()
    }
    tables = roc_table(ZERO_SHOT.name, curves)
    jet_tables = jet_scores_table(ZERO_SHOT.name, ranked, names=sample.names)
    return Outcome(tuple(scores), problems, results, undefined, _notes(grouping, sample), PROTOCOL, tables, jet_tables)


def log_odds(
    scores: NDArray[np.float32], outputs: Sequence[str], *, signal: Sequence[str], background: Sequence[str]
) -> FloatArray:
    """The log-odds ln p_S - ln p_B of J jets, float64 (J,), each p the sum over a set of outputs, by name.

    scores: float32 (J, K), probabilities of the K `outputs`. A sum of 0 counts as `SMALLEST`.

    It orders jets as p_S / (p_S + p_B) does, but where that is 1 to the last bit of float32, for p_B below 6e-8 p_S,
    this goes on: a small p_B has all of its digits. Raises `ConfigError` for a name that is not among `outputs`.
    """
    sides = []
    for names in (signal, background):
        unknown = sorted(set(names) - set(outputs))
        if unknown:
            raise ConfigError(f"no such output: {', '.join(unknown)}")
        columns = [outputs.index(name) for name in names]
        sums = np.concatenate(
            [np.empty(0), *(rows[:, columns].sum(axis=1, dtype=np.float64) for _, rows in chunks(scores, CHUNK))]
        )
        sides.append(np.log(np.maximum(sums, SMALLEST)))
    odds: FloatArray = sides[0] - sides[1]
    return odds


def _one_signal(
    sample: Sample, grouping: Grouping, signal: str, background: str, *, backbone: str, seed: int
) -> ZeroShotResult:
    where = f"zero-shot of '{backbone}', {signal} against {background}"
    signal_outputs, background_outputs = grouping.sides(signal, background)
    assert sample.scores is not None
    rows: dict[str, NDArray[np.int64]] = {}
    odds: dict[str, FloatArray] = {}
    for name in (signal, background):
        rows[name] = sample.rows(name)
        if len(rows[name]) < FEWEST_JETS:
            raise DataError(f"{where}: {len(rows[name])} test jets of {name}; at least {FEWEST_JETS} are needed")
        scores = gather(sample.scores, rows[name])
        _require_probabilities(scores, f"{where}, jets of {name}")
        odds[name] = log_odds(scores, sample.outputs, signal=signal_outputs, background=background_outputs)
    both = np.concatenate(list(odds.values()))
    if both.min() == both.max():
        raise DataError(f"{where}: every test jet has the same score, so nothing can be ranked; look at its outputs")
    cuts, scores_found, problems = separation(odds[signal], odds[background], signal=signal)
    facts: dict[str, Any] = {"backbone": backbone, "signal": signal, "background": background, "seed": seed}
    facts |= {"n_signal": len(rows[signal]), "n_background": len(rows[background])}
    facts |= {"task": ZERO_SHOT.name, "task_version": ZERO_SHOT.version}
    return ZeroShotResult(
        signal=signal,
        background=background,
        signal_outputs=signal_outputs,
        background_outputs=background_outputs,
        signal_rows=rows[signal],
        background_rows=rows[background],
        signal_log_odds=odds[signal],
        background_log_odds=odds[background],
        cuts=cuts,
        scores=tuple(Score(**facts, **each) for each in scores_found),
        problems=tuple(f"{where}: {each}." for each in problems),
    )


def _all_classes(sample: Sample, background: str, *, backbone: str) -> list[Score]:
    """Accuracy, mean AUC over pairs and log-loss of all test jets, by the outputs in the order of the labels."""
    assert sample.scores is not None
    _require_probabilities(sample.scores, f"zero-shot of '{backbone}'")
    places = [sample.outputs.index(name) for name in sample.names]
    probabilities = collect((rows[:, places] for _, rows in chunks(sample.scores, CHUNK)), rows=len(sample))
    n_background = len(sample.rows(background)) if background in sample.names else 0
    facts: dict[str, Any] = {"task": ZERO_SHOT.name, "task_version": ZERO_SHOT.version, "backbone": backbone}
    facts |= {"n_signal": len(sample) - n_background, "n_background": n_background}
    measured: Mapping[str, Any] = {
        "accuracy": accuracy(probabilities, sample.labels, level=LEVEL),
        "macro_ovo_auc": macro_ovo_auc(probabilities, sample.labels, level=LEVEL),
        "log_loss": log_loss(probabilities, sample.labels, level=LEVEL),
    }
    return [
        Score(**facts, metric=name, value=value, **bounds(interval)) for name, (value, interval) in measured.items()
    ]


def _notes(grouping: Grouping, sample: Sample) -> tuple[str, ...]:
    """How outputs were grouped, where that was a choice."""
    if not grouping.choice:
        return ()
    groups = "; ".join(f"{name} = {' + '.join(patterns)}" for name, patterns in grouping.groups.items())
    left_out = "".join(f" Left out: {name}, since {reason}." for name, reason in grouping.undefined.items())
    counts = f"How {len(sample.outputs)} outputs stand for {len(sample.names)} classes"
    return (f"{counts} is a choice, not a fact. {grouping.choice.strip()} Groups: {groups}.{left_out}",)


def _require_probabilities(scores: NDArray[np.float32], where: str) -> None:
    parts = [here.start + np.flatnonzero(~((p >= 0) & (p <= 1)).all(axis=1)) for here, p in chunks(scores, CHUNK)]
    wrong = np.concatenate([np.empty(0, np.int64), *parts])
    if len(wrong):
        raise DataError(
            f"{where}: {len(wrong)} of {len(scores)} have class scores that are not between 0 and 1, the first is "
            f"number {wrong[0]}; the zero-shot task takes probabilities"
        )
