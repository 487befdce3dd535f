"""Whether probabilities can be taken at their word: of the probes, and of a classifier's own outputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from jetassay.jets.classes import BACKGROUND
from jetassay.metrics.calibration import Calibration, calibration
from jetassay.metrics.intervals import Interval
from jetassay.tasks.catalogue import CALIBRATION
from jetassay.tasks.grouping import Grouping, find_grouping
from jetassay.tasks.probe import Probed
from jetassay.tasks.samples import Sample
from jetassay.tasks.score import LEVEL, Outcome, Score, bounds
from jetassay.tasks.zero_shot import log_odds

FloatArray = NDArray[np.float64]

OUTPUTS, TOP_LABEL = "own outputs", "top label"
"""What the column `bin` says of scores of the classifier's own outputs; it is empty for those of the probe."""

PROBE = "probe"
"""What the table says of the probe's curves."""

_DRAWS = 200

PROTOCOL = (
    f"Calibration, version {CALIBRATION.version}. On the test jets of one signal and the background, the probability "
    "of signal is 1 / (1 + exp(-l - ln(n_S / n_B))): l the probe's logit, which is meant for equally many of both, and "
    "the prior odds those of the test jets, so nothing is added where there are equally many. 'own outputs': the same "
    "with l = ln p_S - ln p_B of the classifier, which takes it to be trained on equally many. 'top label': the "
    "largest class probability against how often that class is right, all test jets together in their own mixture.\n"
    "Bins of equally many jets by probability ({n_bins} unless many are equal); fractions with Clopper-Pearson "
    "intervals. 'ece': sum over bins of the share of jets times |mean probability - observed fraction|. It is biased "
    "upwards: 'ece_null', mean and central interval, is what outcomes drawn from the stated probabilities give, "
    "perfectly calibrated ones; 'ece_p_value' the share of those draws at or above the observed ECE, 1 added to both "
    "counts. 'brier': mean squared difference of probability and outcome, and its parts reliability, resolution and "
    "uncertainty (Murphy 1973; what is missing to the sum is the spread of probabilities within bins). Intervals: "
    f"bootstrap within bins ({_DRAWS} draws) of ECE, reliability and resolution, not freed of their bias; normal for "
    "'brier' and the uncertainty."
)
"""The definition behind every number of this task, to be shown beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Subject:
    """Probabilities and outcomes of some jets, and what scores say of them."""

    of: str
    probabilities: FloatArray
    outcomes: NDArray[np.bool_]
    facts: Mapping[str, Any]


def calibrated(
    probed: Probed,
    *,
    backbone: str,
    groupings: Sequence[Grouping] = (),
    n_bins: int = 15,
    background: str = BACKGROUND,
    seed: int = 0,
) -> Outcome[Calibration]:
    """Reliability, ECE and Brier score of the probes and of the classifier's own outputs; `PROTOCOL` says how.

    groupings:  how outputs stand for classes, before those that ship
    background: what the top label's counts call background

    Details: "signal, probe", "signal, own outputs" and "top label" -> `Calibration`; table "calibration": the curves.
    Own outputs that stand for nothing of the dataset are in `undefined`, those that are no probabilities in `problems`.
    """
    sample = probed.splits.test
    subjects = [_of_logits(PROBE, each, each.signal_logits, each.background_logits) for each in probed.probes.values()]
    undefined = {} if subjects else {"probes": "there are no probes to look at"}
    broken = _broken(sample)
    if not broken:
        own, missing = _own_outputs(probed, groupings)
        undefined |= missing
        subjects += own
    if not broken and sample.scores is not None and set(sample.outputs) == set(sample.names):
        subjects.append(_top_label(sample, background))
    scores: list[Score] = []
    details: dict[str, Calibration] = {}
    tables: list[pd.DataFrame] = []
    for each in subjects:
        found = calibration(each.probabilities, each.outcomes, level=LEVEL, bins=n_bins, draws=_DRAWS, seed=seed)
        shared: dict[str, Any] = {
            "task": CALIBRATION.name,
            "task_version": CALIBRATION.version,
            "backbone": backbone,
            "seed": seed,
        }
        scores += [Score(**shared, **each.facts, **row) for row in _rows(found)]
        signal = each.facts.get("signal")
        details[f"{signal}, {each.of}" if signal else each.of] = found
        tables.append(_curve(found, each))
    table = {"calibration": pd.concat(tables, ignore_index=True)} if tables else {}
    problems = {OUTPUTS: broken} if broken else {}
    return Outcome(tuple(scores), problems, details, undefined, (), PROTOCOL.format(n_bins=n_bins), table)


def _broken(sample: Sample) -> str:
    """Why the classifier's outputs are no probabilities; empty where they are, or where there are none."""
    if sample.scores is None:
        return ""
    wrong = np.flatnonzero(~((sample.scores >= 0) & (sample.scores <= 1)).all(axis=1))
    where = f"the first is row {wrong[0]}" if len(wrong) else ""
    return f"{len(wrong)} of {len(sample)} test jets have outputs that are no probabilities, {where}" if where else ""


def _of_logits(of: str, result: Any, signal: FloatArray, background: FloatArray, **facts: Any) -> _Subject:
    """Log-odds for equally many of both, brought to the numbers that there are."""
    odds = np.concatenate([signal, background]) + np.log(len(signal) / len(background))
    is_signal = np.arange(len(odds)) < len(signal)
    counts = {"n_signal": len(signal), "n_background": len(background)}
    named = {"signal": result.signal, "background": result.background, **counts, **facts}
    return _Subject(of=of, probabilities=special.expit(odds), outcomes=is_signal, facts=named)


def _own_outputs(probed: Probed, groupings: Sequence[Grouping]) -> tuple[list[_Subject], dict[str, str]]:
    """The classifier's p_S / (p_S + p_B) on the jets of each probe, and what it has no outputs for."""
    sample = probed.splits.test
    if sample.scores is None:
        return [], {OUTPUTS: "it has no classifier"}
    grouping = find_grouping(sample.outputs, sample.names, declared=groupings)
    if grouping is None:
        return [], {OUTPUTS: "no grouping says which outputs stand for the classes"}
    subjects, missing = [], {}
    for signal, each in probed.probes.items():
        lacking = [name for name in (signal, each.background) if name in grouping.undefined]
        if lacking:
            missing[f"{OUTPUTS}, {signal}"] = grouping.undefined[lacking[0]]
            continue
        shared = grouping.shared(signal, each.background)
        if shared:
            missing[f"{OUTPUTS}, {signal}"] = f"{', '.join(shared)} would stand for signal and background"
            continue
        of_signal, of_background = grouping.sides(signal, each.background)
        odds = [
            log_odds(sample.scores[rows], sample.outputs, signal=of_signal, background=of_background)
            for rows in (each.signal_rows, each.background_rows)
        ]
        subjects.append(_of_logits(OUTPUTS, each, *odds, bin=OUTPUTS))
    return subjects, missing


def _top_label(sample: Sample, background: str) -> _Subject:
    """The largest class probability of every test jet, and whether it names the jet's class."""
    assert sample.scores is not None
    probabilities = sample.scores[:, [sample.outputs.index(name) for name in sample.names]]
    n_background = len(sample.rows(background)) if background in sample.names else 0
    return _Subject(
        of=TOP_LABEL,
        probabilities=probabilities.max(axis=1).astype(np.float64),
        outcomes=probabilities.argmax(axis=1) == sample.labels,
        facts={"bin": TOP_LABEL, "n_signal": len(sample) - n_background, "n_background": n_background},
    )


def _rows(found: Calibration) -> list[dict[str, Any]]:
    low, high = np.quantile(found.null, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    null = Interval(float(low), float(high), LEVEL, "outcomes-drawn")
    return [
        *({"metric": name, "value": value, **bounds(found.intervals[name])} for name, value in found.numbers.items()),
        {"metric": "ece_null", "value": float(found.null.mean()), **bounds(null)},
        {"metric": "ece_p_value", "value": found.p_value},
    ]


def _curve(found: Calibration, subject: _Subject) -> pd.DataFrame:
    curve = found.curve
    return pd.DataFrame(
        {
            "signal": subject.facts.get("signal", ""),
            "of": subject.of,
            "low": curve.low,
            "high": curve.high,
            "probability": curve.probability,
            "fraction": curve.fraction,
            "fraction_low": curve.fraction_low,
            "fraction_high": curve.fraction_high,
            "n_jets": curve.jets,
        }
    )
