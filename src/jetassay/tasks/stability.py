"""How much of a probe's score is chance: which jets tested it, which trained it, and how files were split."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from jetassay.embeddings.scratch import chunks, collect, gather
from jetassay.errors import JetAssayError
from jetassay.jets.classes import jet_class
from jetassay.metrics.intervals import delong_variance
from jetassay.metrics.resampling import PairedScores, paired_bootstrap
from jetassay.metrics.roc import Cut, auc, cut_at, signal_jets_needed
from jetassay.tasks.catalogue import STABILITY
from jetassay.tasks.probe import PENALTIES, Probe, Probed, ProbeResult, fit_probe
from jetassay.tasks.samples import IntArray, JetKeys, Sample, Splits, jets_of
from jetassay.tasks.score import LEVEL, Outcome, Score
from jetassay.tasks.separation import FEWEST_JETS

FloatArray = NDArray[np.float64]

HALVES, RESPLITS = 8, 4
_DRAWS = 500
_CHUNK = 8192  # jets copied at once
_NONE: dict[str, Any] = {"value": None, "interval": "undefined"}
"""Of a spread that does not show."""

_SAME = {
    "test": "every resample of the test jets gives the same number",
    "train": "every half of the training jets gives the same number",
    "splits": "every split of the files gives the same number",
    "total": "a part of it has no number",
}
_TAILS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)

PROTOCOL = (
    f"Stability, version {STABILITY.version}. Standard deviations of a probe's AUC and of ln of its rejection at the "
    "signal's own working point (1/2 added to survivors), by what varies. The fit has no randomness of its own, so "
    "there are no seeds to vary.\n"
    "'..._sd_test': the test jets, the probe held; DeLong for the AUC, bootstrap for the rejection. '..._sd_train': "
    "the training and validation jets, the test jets held; the spread over probes fitted on random halves of them, "
    "each class apart, which estimates that of whole samples (delete-half jackknife, Shao and Wu 1989); in simulations "
    "it is 1.2 to 2.2 times too large for the AUC, the more so the more test jets, and 0.9 to 1.3 times for the "
    "rejection. '..._sd_total': both in quadrature, what an independent "
    "repetition of the whole measurement would scatter by. '..._sd_splits': the spread over new random splits of the "
    "same files; splits share jets, so it checks the total and does not replace it. Every refit chooses its penalty "
    "again, from the probe's own and its two neighbours.\n"
    "Intervals of spreads: chi-squared of their number less one. A rejection without survivors has a limit and no "
    "spread; nor is there one where every refit, or every resample, gives the same number: survivors are whole jets, "
    "and few of them hide a spread."
)
"""The definition behind every number of this task, to be shown beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refit:
    """One probe fitted again.

    kind: "half" or "split"; draw: which
    log_rejection: ln (n_background / (survivors + 1/2)) at the class's own working point; None where out of reach
    """

    kind: str
    draw: int
    auc: float
    log_rejection: float | None
    penalty: float
    n_train: int


def stability(
    probed: Probed, *, backbone: str, halves: int = HALVES, resplits: int = RESPLITS, seed: int = 0
) -> Outcome[tuple[Refit, ...]]:
    """Fit every probe again on halves of its training jets and on other splits of the files; `PROTOCOL` says how.

    halves, resplits: how many, two at least; seed: of the halves, the splits and the bootstrap

    Scores: auc_sd_test, auc_sd_train, auc_sd_total, auc_sd_splits, and the same of log_rejection. Details: signal ->
    its refits; table "stability": the same, one a row. A signal that cannot be fitted again is in `problems`, a
    rejection without survivors and a spread of equal numbers in `undefined`.
    """
    if not probed.probes:
        return Outcome((), undefined={"probes": "there are none to fit again"}, protocol=PROTOCOL)
    details, problems = _refits(probed, backbone, halves=halves, resplits=resplits, seed=seed)
    scores: list[Score] = []
    undefined: dict[str, str] = {}
    for signal, refits in details.items():
        result = probed.probes[signal]
        found, lacking = _scores(result, refits, backbone=backbone, seed=seed)
        scores += found
        undefined |= lacking
        if _own_cut(result) is None or any(each.log_rejection is None for each in refits):
            where = _where(result, backbone)
            problems[signal] = f"{where}: a test sample does not resolve the working point of the rejection"
        elif not _has_survivors(result):
            undefined[f"{signal} rejection"] = "no background jet survives, so it has a limit and no spread"
    rows = [
        {"signal": signal, "background": probed.probes[signal].background, **asdict(each)}
        for signal, refits in details.items()
        for each in refits
    ]
    tables = {"stability": pd.DataFrame(rows)} if rows else {}
    return Outcome(tuple(scores), problems, details, undefined, protocol=PROTOCOL, tables=tables)


def _refits(
    probed: Probed, backbone: str, *, halves: int, resplits: int, seed: int
) -> tuple[dict[str, tuple[Refit, ...]], dict[str, str]]:
    """Of each signal its refits, halves first, and why others have none. One new split is held at a time."""
    found: dict[str, tuple[Refit, ...]] = dict.fromkeys(probed.probes, ())
    problems: dict[str, str] = {}
    for draw in range(halves + resplits):
        splits = probed.splits if draw < halves else resplit(probed.splits, seed=seed, draw=draw - halves)
        for signal in list(found):
            result = probed.probes[signal]
            where = _where(result, backbone)
            try:
                if draw < halves:
                    refit = _half(splits, result, seed=seed, draw=draw, where=where)
                else:
                    refit = _split(splits, result, draw=draw - halves, where=f"{where}, files dealt anew")
            except JetAssayError as error:
                problems[signal] = str(error)
                del found[signal]
                continue
            found[signal] += (refit,)
    return found, problems


def _where(result: ProbeResult, backbone: str) -> str:
    return f"stability of '{backbone}', {result.signal} against {result.background}"


def resplit(splits: Splits, *, seed: int, draw: int) -> Splits:
    """The same jets with files dealt anew to training, validation and test, as many of each kind to each as before.

    Files are of one kind where most of their jets have the same label.
    """
    samples = list(splits.by_name().values())
    pool = _joined(samples)
    before = np.repeat(np.arange(len(samples)), [len(each) for each in samples])
    _, first, file = np.unique(pool.keys.file, return_index=True, return_inverse=True)
    counts = np.zeros((len(first), len(pool.names)), np.int64)
    np.add.at(counts, (file, pool.labels), 1)
    kinds, part = counts.argmax(axis=1), before[first]
    stream = np.random.default_rng([seed, 1, draw])
    for kind in np.unique(kinds):
        members = np.flatnonzero(kinds == kind)
        part[members] = stream.permutation(part[members])
    return Splits(*(pool.take(np.flatnonzero(part[file] == number)) for number in range(len(samples))))


def _joined(samples: list[Sample]) -> Sample:
    """All jets of several samples in one, without classifier scores and columns."""
    names = tuple(dict.fromkeys(digest for each in samples for digest in each.keys.files))
    number = {digest: index for index, digest in enumerate(names)}
    file = [np.array([number[d] for d in each.keys.files], np.int64)[each.keys.file] for each in samples]
    keys = JetKeys(names, np.concatenate(file), np.concatenate([each.keys.entries for each in samples]))
    labels = np.concatenate([each.labels for each in samples])
    parts = (rows for each in samples for _, rows in chunks(each.embedding, _CHUNK))
    return Sample(collect(parts, rows=len(labels)), labels, samples[0].names, keys)


def _half(splits: Splits, result: ProbeResult, *, seed: int, draw: int, where: str) -> Refit:
    """A probe on half of the training and half of the validation jets of each class, measured on the same test jets."""
    stream = np.random.default_rng([seed, 0, draw])
    halves = []
    for sample in (splits.train, splits.validation):
        rows = [_half_of(sample.rows(name), stream) for name in (result.signal, result.background)]
        halves.append(sample.take(np.sort(np.concatenate(rows))))
    fitted = fit_probe(*halves, signal=result.signal, where=where, penalties=_near(result))
    return _measured(fitted, splits.test, result, kind="half", draw=draw)


def _half_of(rows: IntArray, stream: np.random.Generator) -> IntArray:
    return stream.choice(rows, max(len(rows) // 2, min(len(rows), FEWEST_JETS)), replace=False)


def _split(splits: Splits, result: ProbeResult, *, draw: int, where: str) -> Refit:
    """A probe fitted and measured on another split. Raises `DataError` where that has too few jets of a class."""
    names = (result.signal, result.background)
    train, validation, test = (
        jets_of(sample, names, fewest=FEWEST_JETS, where=f"{where}, {name} sample")[1]
        for name, sample in splits.by_name().items()
    )
    fitted = fit_probe(train, validation, signal=result.signal, where=where, penalties=_near(result))
    return _measured(fitted, test, result, kind="split", draw=draw)


def _near(result: ProbeResult) -> tuple[float, ...]:
    """The penalties that a refit may choose: the whole grid would cost twice the time."""
    chosen = PENALTIES.index(result.probe.penalty)
    return PENALTIES[max(chosen - 1, 0) : chosen + 2]


def _measured(fitted: Probe, test: Sample, result: ProbeResult, *, kind: str, draw: int) -> Refit:
    names = result.signal, result.background
    signal, background = (fitted.logits(gather(test.embedding, test.rows(name))) for name in names)
    point, log_rejection = jet_class(result.signal).working_point, None
    if len(signal) >= signal_jets_needed(point):
        survivors = cut_at(signal, background, signal_efficiency=point).n_survivors
        log_rejection = float(np.log(len(background) / (survivors + 0.5)))
    return Refit(
        kind=kind,
        draw=draw,
        auc=auc(signal, background),
        log_rejection=log_rejection,
        penalty=fitted.penalty,
        n_train=fitted.n_train,
    )


def _has_survivors(result: ProbeResult) -> bool:
    cut = _own_cut(result)
    return cut is not None and cut.n_survivors > 0


def _own_cut(result: ProbeResult) -> Cut | None:
    """The cut at the class's own working point."""
    point = jet_class(result.signal).working_point
    return next((cut for cut in result.cuts if abs(cut.requested - point) < 1e-9), None)


def _scores(
    result: ProbeResult, refits: Sequence[Refit], *, backbone: str, seed: int
) -> tuple[list[Score], dict[str, str]]:
    """Every spread of one signal, and why some have no value."""
    facts: dict[str, Any] = {"task": STABILITY.name, "task_version": STABILITY.version, "backbone": backbone}
    facts |= {"signal": result.signal, "background": result.background, "seed": seed}
    facts |= {"n_signal": len(result.signal_rows), "n_background": len(result.background_rows)}
    facts |= {"n_train": result.probe.n_train}
    scores: list[Score] = []
    undefined: dict[str, str] = {}
    spread_of_test = {"auc": float(np.sqrt(delong_variance(result.signal_logits, result.background_logits)))}
    if _has_survivors(result) and all(each.log_rejection is not None for each in refits):
        spread_of_test["log_rejection"] = _spread_of_log_rejection(result, seed)
    for metric, of_test in spread_of_test.items():
        values = {kind: [getattr(each, metric) for each in refits if each.kind == kind] for kind in ("half", "split")}
        point = jet_class(result.signal).working_point if metric == "log_rejection" else None
        measured = {"test": {"value": of_test} if of_test else _NONE, "train": _spread(values["half"])}
        of_train = measured["train"]["value"]
        measured["total"] = {"value": float(np.hypot(of_test, of_train))} if of_test and of_train else _NONE
        measured["splits"] = _spread(values["split"])
        for name, found in measured.items():
            scores.append(Score(**facts, metric=f"{metric}_sd_{name}", working_point=point, **found))
            if found is _NONE:
                undefined[f"{result.signal}, {metric}_sd_{name}"] = _SAME[name]
    return scores, undefined


def _spread_of_log_rejection(result: ProbeResult, seed: int) -> float:
    """Standard deviation over test jets, each resample setting its own cut."""
    point = jet_class(result.signal).working_point
    scores = PairedScores(result.signal_logits[None], result.background_logits[None], point)
    survivors = paired_bootstrap({"": scores}, draws=_DRAWS, seed=seed)[""].survivors
    assert survivors is not None
    return float(np.log(survivors + 0.5).std(ddof=1)) if np.ptp(survivors) else 0.0


def _spread(values: list[float]) -> dict[str, Any]:
    """Standard deviation of normal values with its central interval: (m - 1) s^2 / sigma^2 is chi-squared.

    Of equal values `_NONE`: they say that the spread is too small to be seen, and not that there is none.
    """
    if min(values) == max(values):
        return _NONE
    spread, freedom = float(np.std(values, ddof=1)), len(values) - 1
    low, high = (spread * float(np.sqrt(freedom / stats.chi2.isf(tail, freedom))) for tail in _TAILS)
    return {"value": spread, "low": low, "high": high, "level": LEVEL, "interval": "chi-squared"}
