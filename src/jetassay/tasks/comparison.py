"""Which backbone is better, on the same jets: differences with intervals, corrected p-values, verdicts and ranks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from jetassay.errors import DataError
from jetassay.jets.classes import in_order, jet_class
from jetassay.metrics.paired import holm, rank_ranges
from jetassay.metrics.resampling import PairedScores, paired_bootstrap
from jetassay.metrics.roc import Cut
from jetassay.tasks.catalogue import COMPARISON
from jetassay.tasks.pairs import POWER, TEST_LEVEL, Estimate, Pair, auc_pairs, rejection_pairs
from jetassay.tasks.samples import same_jets
from jetassay.tasks.score import LEVEL, Outcome, Score

if TYPE_CHECKING:
    from jetassay.tasks.probe import Probed, ProbeResult

FAMILY_LEVEL = 0.05
DRAWS = 1000

BETTER, WORSE, TIED = "better", "worse", "not distinguishable"

_NO_SURVIVORS = "no background jet survives the cut of either"
_AS_MANY = "as many background jets pass the cut of the one alone as of the other alone"

_DIFFERENCES = {"auc": "auc_difference", "rejection": "log_rejection_difference"}

_PROTOCOL = (
    f"Comparison, version {COMPARISON.version}. Every two backbones on the same test jets, by the scores of their "
    "probes as they are fitted; what another training sample would change is not in it (task 'stability').\n"
    "'auc_difference': AUC of the first minus that of the second; interval by the paired bootstrap ({draws} draws, the "
    "same resampled jets for all backbones), where both order every pair of jets what either may be short of 1; "
    "p-value of DeLong's test, normal with the covariance of both AUCs.\n"
    "'log_rejection_difference': ln of the first's rejection over the second's at the signal's own working point; "
    "interval by the same draws, each of which sets its own cuts. 'mcnemar_p': McNemar's exact test on background jets "
    "that pass the cut of one and not of the other, cuts as given. The p-value of a rejection is the larger of that "
    "and of the normal test of sqrt(survivors + 3/8) by the spread of the bootstrap, which covers the cuts too.\n"
    "p-values are corrected by Holm over all pairs and signals of one metric ('auc_p_holm', 'rejection_p_holm'). The "
    "first is better or worse where the corrected p-value is at most {level:g}, else the two are not distinguishable: "
    "of all verdicts on one metric together, any is wrong with probability {level:g} at most. Ranks reach from 1 + the "
    "number of backbones that are better to the number that are not worse, its own included.\n"
    f"'jets_needed': background jets, signal growing alike, with which the test of this pair alone at level "
    f"{TEST_LEVEL:g} tells the two apart with probability {POWER:g}, if the rates of discordant jets (Connor 1987) and "
    "the spread are those seen; an upper end is missing where no number of jets is known to be enough."
)


def protocol(level: float = FAMILY_LEVEL, draws: int = DRAWS) -> str:
    """The definition behind every number of this task, to be shown beside it."""
    return _PROTOCOL.format(level=level, draws=draws)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One signal.

    results: backbone -> its probe, in the rows' order of `scores`; cuts: of each, at the class's own working point
    pairs:   metric -> every pair
    """

    results: "Mapping[str, ProbeResult]"
    scores: PairedScores
    cuts: Sequence[Cut] | None
    pairs: Mapping[str, Sequence[Pair]]


def comparison(
    probed: "Mapping[str, Probed]", *, level: float = FAMILY_LEVEL, draws: int = DRAWS, seed: int = 0
) -> Outcome[Compared]:
    """Compare every pair of backbones on every signal; `protocol` says how.

    probed: backbone name -> its samples and fitted probes; two at least
    level:  chance of any false verdict among all of one metric, in (0, 1)
    draws, seed: of the paired bootstrap

    Scores of pairs: auc_difference, auc_p_holm, log_rejection_difference, rejection_p_holm, mcnemar_p, jets_needed. Of
    backbones: auc_rank and rejection_rank, whose low and high are the range of ranks. Tables "comparison" and "ranks".
    Details: signal -> `Compared`. What a signal lacks is in `problems`, and all else is compared; numbers that pairs
    cannot have are in `undefined`.
    Raises `DataError` where the samples are not of the same jets in the same order.
    """
    if len(probed) < 2:
        raise DataError(f"a comparison needs two backbones; got {len(probed)}: {', '.join(probed) or 'none'}")
    if not 0 < level < 1:
        raise DataError(f"the level of the verdicts lies between 0 and 1, not {level}")
    same_jets({name: each.splits.test for name, each in probed.items()})
    found, problems = _gather(probed)
    resampled = paired_bootstrap({name: scores for name, (_, scores, _) in found.items()}, draws=draws, seed=seed)
    details: dict[str, Compared] = {}
    for signal, (results, scores, cuts) in found.items():
        pairs = {"auc": list(auc_pairs(scores, resampled[signal]))}
        if cuts is not None:
            pairs["rejection"] = list(rejection_pairs(scores, resampled[signal], cuts))
        details[signal] = Compared(results=results, scores=scores, cuts=cuts, pairs=pairs)
    families = [_comparisons(details, metric, level) for metric in _DIFFERENCES]
    comparisons = pd.concat(families, ignore_index=True)
    ranks = _ranks(comparisons, details)
    found_scores = [*_pair_scores(comparisons, seed), *_rank_scores(ranks, level)]
    tables = {"comparison": comparisons, "ranks": ranks}
    return Outcome(
        tuple(found_scores),
        problems,
        details,
        undefined=_undefined(comparisons),
        protocol=protocol(level, draws),
        tables=tables,
    )


_Gathered = tuple["Mapping[str, ProbeResult]", PairedScores, Sequence[Cut] | None]


def _gather(probed: "Mapping[str, Probed]") -> tuple[dict[str, _Gathered], dict[str, str]]:
    """Of each signal the probes of all backbones that have it, and what is missing."""
    found: dict[str, _Gathered] = {}
    problems: dict[str, str] = {}
    for signal in in_order(name for each in probed.values() for name in each.probes):
        results = {name: each.probes[signal] for name, each in probed.items() if signal in each.probes}
        lacking = [name for name in probed if name not in results]
        reasons = [f"not compared for want of a probe: {', '.join(lacking)}"] if lacking else []
        if len(results) > 1:
            point = jet_class(signal).working_point
            cuts = [cut for each in results.values() for cut in each.cuts if abs(cut.requested - point) < 1e-9]
            if len(cuts) < len(results):
                reasons.append(f"rejections are not compared: the sample does not resolve the working point {point:g}")
            complete = cuts if len(cuts) == len(results) else None
            found[signal] = results, _paired(results, complete), complete
        if reasons:
            problems[signal] = "; ".join(reasons)
    if not found:
        raise DataError("no signal has the probes of two backbones, so there is nothing to compare")
    return found, problems


def _paired(results: "Mapping[str, ProbeResult]", cuts: Sequence[Cut] | None) -> PairedScores:
    first, *others = results.values()
    for each in others:
        same = np.array_equal(each.signal_rows, first.signal_rows)
        if not same or not np.array_equal(each.background_rows, first.background_rows):
            raise DataError(f"the probes of {first.signal} were measured on different jets, and cannot be compared")
    return PairedScores(
        np.stack([each.signal_logits for each in results.values()]),
        np.stack([each.background_logits for each in results.values()]),
        None if cuts is None else cuts[0].requested,
    )


def _comparisons(details: Mapping[str, Compared], metric: str, level: float) -> pd.DataFrame:
    """All pairs and signals of one metric, a row each: one family, corrected together."""
    rows = [_row(each, metric, pair) for each in details.values() for pair in each.pairs.get(metric, ())]
    corrected = holm(np.array([row["p"] for row in rows]))
    for row, p_holm in zip(rows, corrected, strict=True):
        apart = p_holm <= level and row["lead"] != 0
        row["p_holm"], row["verdict"] = float(p_holm), (BETTER if row["lead"] > 0 else WORSE) if apart else TIED
    return pd.DataFrame(rows, columns=list(_COLUMNS)).astype(_COLUMNS)


def _undefined(comparisons: pd.DataFrame) -> dict[str, str]:
    """Of which pairs a number does not exist, by signal, and why."""
    rejections = comparisons[comparisons["metric"] == "rejection"]
    missing = {
        "ln of the ratio of rejections": (rejections["interval"] == "undefined", _NO_SURVIVORS),
        "jets needed": (rejections["jets_needed"].isna(), _AS_MANY),
    }
    found: dict[str, str] = {}
    for what, (lacking, why) in missing.items():
        for signal, rows in rejections[lacking].groupby("signal", sort=False):
            pairs = [f"{a} and {b}" for a, b in zip(rows["backbone"], rows["backbone_b"], strict=True)]
            found[f"{signal}, {what} of {', '.join(pairs)}"] = why
    return found


_COLUMNS = {
    **dict.fromkeys(("signal", "background", "metric", "backbone", "backbone_b", "interval", "verdict"), "string"),
    **dict.fromkeys(("n_signal", "n_background", "only_first", "only_second"), "Int64"),
    **dict.fromkeys(("working_point", "value", "low", "high", "lead", "p", "p_holm", "mcnemar_p"), "Float64"),
    **dict.fromkeys(("jets_needed", "jets_needed_low", "jets_needed_high"), "Float64"),
}


def _row(each: Compared, metric: str, pair: Pair) -> dict[str, Any]:
    names, any_result = list(each.results), next(iter(each.results.values()))
    difference, survivors = pair.difference, pair.survivors
    needed = survivors.needed if survivors else Estimate()
    return {
        "signal": any_result.signal,
        "background": any_result.background,
        "metric": metric,
        "working_point": each.cuts[0].requested if survivors and each.cuts else None,
        "backbone": names[pair.first],
        "backbone_b": names[pair.second],
        "value": difference.value,
        "low": difference.low,
        "high": difference.high,
        "interval": difference.method,
        "lead": pair.lead,
        "p": pair.p_value,
        "only_first": survivors.only_first if survivors else None,
        "only_second": survivors.only_second if survivors else None,
        "mcnemar_p": survivors.mcnemar_p if survivors else None,
        "jets_needed": needed.value,
        "jets_needed_low": needed.low,
        "jets_needed_high": needed.high,
        "n_signal": each.scores.signal.shape[1],
        "n_background": each.scores.background.shape[1],
    }


def _ranks(comparisons: pd.DataFrame, details: Mapping[str, Compared]) -> pd.DataFrame:
    """The ranks that each backbone may hold, by signal and metric."""
    rows: list[dict[str, Any]] = []
    for (signal, metric), group in comparisons.groupby(["signal", "metric"], sort=False):
        names = list(details[str(signal)].results)
        better = np.zeros((len(names), len(names)), np.bool_)
        for a, b, verdict in zip(group["backbone"], group["backbone_b"], group["verdict"], strict=True):
            better[names.index(a), names.index(b)] = verdict == BETTER
            better[names.index(b), names.index(a)] = verdict == WORSE
        shared = group.iloc[0]
        facts = {name: shared[name] for name in ("background", "working_point", "n_signal", "n_background")}
        rows += [
            {"signal": signal, "metric": metric, **facts, "backbone": name, "first": int(first), "last": int(last)}
            for name, (first, last) in zip(names, rank_ranges(better), strict=True)
        ]
    return pd.DataFrame(rows)


def _pair_scores(comparisons: pd.DataFrame, seed: int) -> list[Score]:
    scores: list[Score] = []
    for row in comparisons.astype(object).where(comparisons.notna(), None).to_dict("records"):
        facts = {**_facts(row), "backbone_b": row["backbone_b"]}
        bounds = {name: row[name] for name in ("value", "low", "high", "interval")}
        measured = {**bounds, "level": LEVEL if row["interval"] != "undefined" else None, "seed": seed}
        scores.append(Score(**facts, metric=_DIFFERENCES[row["metric"]], **measured))
        scores.append(Score(**facts, metric=f"{row['metric']}_p_holm", value=row["p_holm"], seed=seed))
        if row["metric"] == "rejection":
            scores.append(Score(**facts, metric="mcnemar_p", value=row["mcnemar_p"]))
            scores.append(Score(**facts, metric="jets_needed", **_needed(row), seed=seed))
    return scores


def _needed(row: Mapping[Any, Any]) -> dict[str, Any]:
    if row["jets_needed"] is None:
        return {"value": None, "interval": "undefined"}
    ends = {"low": row["jets_needed_low"], "high": row["jets_needed_high"]}
    return {"value": row["jets_needed"], **ends, "level": LEVEL, "interval": "clopper-pearson and normal"}


def _rank_scores(ranks: pd.DataFrame, level: float) -> list[Score]:
    method: dict[str, Any] = {"level": 1 - level, "interval": "simultaneous-ranks"}
    return [
        Score(
            **_facts(row),
            metric=f"{row['metric']}_rank",
            value=row["first"],
            low=row["first"],
            high=row["last"],
            **method,
        )
        for row in ranks.astype(object).where(ranks.notna(), None).to_dict("records")
    ]


def _facts(row: Mapping[Any, Any]) -> dict[str, Any]:
    """What scores of a pair and of a rank have in common."""
    names = ("backbone", "signal", "background", "working_point", "n_signal", "n_background")
    return {"task": COMPARISON.name, "task_version": COMPARISON.version, **{name: row[name] for name in names}}
