"""How separation depends on the jet: AUC and rejection of the probes in bins of pT, mass, |eta| and multiplicity."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jetassay.errors import DataError
from jetassay.jets.classes import jet_class
from jetassay.metrics.intervals import (
    clopper_pearson,
    delong_interval,
    rejection_interval,
    rejection_interval_over_cuts,
)
from jetassay.metrics.roc import auc, cut_at, signal_jets_needed
from jetassay.tasks.binning import Binning, equal_counts
from jetassay.tasks.catalogue import BINS
from jetassay.tasks.probe import Probed, ProbeResult
from jetassay.tasks.samples import Sample
from jetassay.tasks.score import LEVEL, Outcome, Score, bounds
from jetassay.tasks.separation import FEWEST_JETS

FloatArray = NDArray[np.float64]

VARIABLES: tuple[str, ...] = ("jet_pt", "jet_sdmass", "abs_eta", "multiplicity")
"""What jets are binned in, where a suite does not say: GeV, GeV, |eta|, constituents."""

ABS_ETA = "abs_eta"
"""The one variable that is no column: |jet_eta|."""

PROTOCOL = (
    f"Bins, version {BINS.version}. The probes' scores of the test jets, signal and background both restricted to one "
    "bin of an observed jet variable, low <= value < high; nothing is trained again. Edges are the suite's, else "
    "quantiles of the background's test jets, rounded, the outermost so that every test jet is in a bin.\n"
    "AUC as the probe's; interval: DeLong's variance, normal in the logit of the AUC. 'rejection' and "
    "'rejection_over_cuts' as the probe's, with the cut at the class's working point set by the signal within the bin. "
    "'signal_efficiency' and 'background_efficiency': fractions of the bin's jets at or above the one cut of all test "
    "jets at that working point (turn-on), with Clopper-Pearson intervals."
)
"""The definition behind every number of this task, to be shown beside it."""


@dataclass(frozen=True, slots=True)
class _InBin:
    """Scores of the jets of one bin: float64 (n,) each."""

    signal: FloatArray
    background: FloatArray


def bins(
    probed: Probed,
    *,
    backbone: str,
    variables: Sequence[str] = VARIABLES,
    edges: Mapping[str, Sequence[float]] | None = None,
    n_bins: int = 4,
    seed: int = 0,
) -> Outcome[Binning]:
    """AUC, rejection, and efficiencies of the global cut in bins of each variable; `PROTOCOL` says how.

    variables: observed jet columns, `multiplicity`, or `abs_eta`
    edges:     variable -> edges of its bins, strictly rising
    n_bins:    for variables without edges

    Details hold the `Binning` of each variable, and table "bins" the edges of each `bin`. What a bin has too few jets
    for, and variables that the dataset lacks, are in `undefined`; a note counts the jets outside of given edges.
    A variable without a finite value is in `problems`. Raises `ConfigError` for edges that do not rise.
    """
    sample = probed.splits.test
    if not probed.probes:
        return Outcome((), undefined={"all bins": "there are no probes to look at"}, protocol=PROTOCOL)
    background = next(iter(probed.probes.values())).background_rows
    undefined: dict[str, str] = {}
    problems: dict[str, str] = {}
    found: dict[str, Binning] = {}
    for variable in variables:
        values = values_of(variable, sample)
        if values is None:
            undefined[variable] = "the dataset has no such observed jet column"
            continue
        try:
            given = (edges or {}).get(variable)
            found[variable] = (
                equal_counts(variable, values[background], within=values, bins=n_bins)
                if given is None
                else Binning(variable, np.asarray(given, np.float64))
            )
        except DataError as error:
            problems[variable] = str(error)
    scores, lacking = _measure_all(probed, found, backbone=backbone, seed=seed)
    notes = tuple(note for each in found.values() for note in _outside(each, sample))
    tables = [_edges(each, sample, background) for each in found.values()]
    table = {"bins": pd.concat(tables, ignore_index=True)} if tables else {}
    return Outcome(tuple(scores), problems, found, undefined | lacking, notes, PROTOCOL, table)


def _measure_all(
    probed: Probed, found: Mapping[str, Binning], *, backbone: str, seed: int
) -> tuple[list[Score], dict[str, str]]:
    """Every score, and which bins have too few jets of which signals for what."""
    scores: list[Score] = []
    lacking: dict[tuple[str, str], list[str]] = {}
    for binning in found.values():
        where = binning.find(_known(binning.variable, probed.splits.test))
        for signal, result in probed.probes.items():
            of_signal, of_background = where[result.signal_rows], where[result.background_rows]
            for number, name in enumerate(binning.names):
                part = _InBin(
                    result.signal_logits[of_signal == number], result.background_logits[of_background == number]
                )
                rows, reason = _measure(part, result)
                facts = {"bin": name, "n_signal": len(part.signal), "n_background": len(part.background)}
                scores += [_score(result, backbone, seed, {**facts, **row}) for row in rows]
                if reason:
                    lacking.setdefault((signal, reason), []).append(name)
    return scores, _reasons(lacking)


def _reasons(lacking: Mapping[tuple[str, str], list[str]]) -> dict[str, str]:
    """One sentence for all signals that lack the same in the same bins."""
    signals: dict[tuple[str, str], list[str]] = {}
    for (signal, reason), names in lacking.items():
        signals.setdefault((", ".join(names), reason), []).append(signal)
    return {f"{', '.join(each)} in {names}": reason for (names, reason), each in signals.items()}


def values_of(variable: str, sample: Sample) -> NDArray[np.float32] | None:
    """The variable of each jet, float32 (J,); None where the dataset does not have it."""
    column = sample.columns.get("jet_eta" if variable == ABS_ETA else variable)
    if column is None:
        return None
    return np.abs(column) if variable == ABS_ETA else column


def _measure(part: _InBin, result: ProbeResult) -> tuple[list[dict[str, Any]], str]:
    """What each `Score` of one bin holds beyond the facts that all share, and what the bin has too few jets for."""
    point = jet_class(result.signal).working_point
    undefined: dict[str, Any] = {"value": None, "interval": "undefined"}
    no_rejection = {"metric": "rejection", "working_point": point, **undefined}
    turn_on = _turn_on(part, result, point)
    if min(len(part.signal), len(part.background)) < FEWEST_JETS:
        return [{"metric": "auc", **undefined}, no_rejection, *turn_on], f"fewer than {FEWEST_JETS} jets of a class"
    interval = delong_interval(part.signal, part.background, level=LEVEL)
    area = {"metric": "auc", "value": auc(part.signal, part.background), **bounds(interval)}
    needed = signal_jets_needed(point)
    if len(part.signal) < needed:
        return [area, no_rejection, *turn_on], f"a working point of {point:g} needs {needed} signal jets in the bin"
    return [area, *_rejection(part, point), *turn_on], ""


def _rejection(part: _InBin, point: float) -> list[dict[str, Any]]:
    """The rejection at the cut that the signal within the bin sets."""
    cut = cut_at(part.signal, part.background, signal_efficiency=point)
    shared = {"working_point": point, "value": cut.rejection, "n_survivors": cut.n_survivors}
    over_cuts = rejection_interval_over_cuts(part.signal, part.background, signal_efficiency=point, level=LEVEL)
    return [
        {"metric": "rejection", **shared, **bounds(rejection_interval(cut, level=LEVEL))},
        {"metric": "rejection_over_cuts", **shared, **bounds(over_cuts)},
    ]


def _turn_on(part: _InBin, result: ProbeResult, point: float) -> list[dict[str, Any]]:
    """Efficiencies of the one cut of all test jets, for the sides that have jets in the bin."""
    cut = next((each for each in result.cuts if abs(each.requested - point) < 1e-9), None)
    rows: list[dict[str, Any]] = []
    for metric, scores in (("signal_efficiency", part.signal), ("background_efficiency", part.background)):
        if cut is None or not len(scores):
            continue
        passing = int(np.count_nonzero(scores >= cut.score))
        interval = clopper_pearson(passing, len(scores), level=LEVEL)
        rows.append({"metric": metric, "working_point": point, "value": passing / len(scores), **bounds(interval)})
    return rows


def _score(result: ProbeResult, backbone: str, seed: int, row: Mapping[str, Any]) -> Score:
    facts: dict[str, Any] = {"task": BINS.name, "task_version": BINS.version, "backbone": backbone, "seed": seed}
    facts |= {"signal": result.signal, "background": result.background, "n_train": result.probe.n_train}
    return Score(**facts, **row)


def _known(variable: str, sample: Sample) -> NDArray[np.float32]:
    """The variable of each jet, where it is known that the dataset has it."""
    values = values_of(variable, sample)
    assert values is not None
    return values


def _outside(binning: Binning, sample: Sample) -> list[str]:
    where = binning.find(_known(binning.variable, sample))
    outside = int(np.count_nonzero(where < 0))
    if not outside:
        return []
    low, high = binning.edges[0], binning.edges[-1]
    return [
        f"Bins of {binning.variable}: {outside} of {len(where)} test jets are outside of {low:g}-{high:g}, in no bin."
    ]


def _edges(binning: Binning, sample: Sample, background: NDArray[np.int64]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "variable": binning.variable,
            "bin": list(binning.names),
            "low": binning.edges[:-1],
            "high": binning.edges[1:],
            "n_background": binning.count(_known(binning.variable, sample)[background]),
        }
    )
