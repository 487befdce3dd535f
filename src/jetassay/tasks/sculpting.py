"""Mass sculpting: how far cuts on the probes' scores pull the background's soft-drop mass towards the signal's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jetassay.jets.classes import jet_class
from jetassay.metrics.divergence import Sculpting, sculpting
from jetassay.metrics.intervals import Interval
from jetassay.metrics.roc import jets_to_keep
from jetassay.tasks.binning import Binning, equal_widths
from jetassay.tasks.catalogue import SCULPTING
from jetassay.tasks.probe import Probed, ProbeResult
from jetassay.tasks.score import LEVEL, Outcome, Score, bounds

MASS = "jet_sdmass"
"""Soft-drop mass in GeV, as the dataset has it."""

BACKGROUND_EFFICIENCIES: tuple[float, ...] = (0.5, 0.1, 0.01)
"""Cuts that keep this fraction of the background, beside the cut at the class's working point."""

_DRAWS = 200

PROTOCOL = (
    f"Mass sculpting, version {SCULPTING.version}. 'jsd': Jensen-Shannon divergence, base 2, between the soft-drop "
    "mass of the background's test jets that pass a cut on the probe's score and that of all of them: 0 where the cut "
    "leaves the shape alone, 1 where the two share no mass. Papers quote its inverse, 'inverse_jsd'; some compare "
    "passing with failing jets, and all depend on the binning, so compare only numbers of one binning. Here: {n_bins} "
    "bins {edges}.\n"
    "Cuts: at the class's working point (signal efficiency), and at the scores that keep a fraction of the background. "
    "A divergence is never negative, so few jets alone make one: 'jsd_null' is the mean and central interval of "
    f"{_DRAWS} random parts of the background of the same size, 'jsd_p_value' the share of them at or above the "
    "observed one, 1 added to both counts. Only what lies above the null is sculpting. The interval of 'jsd' is the "
    "bootstrap's scatter over passing and failing jets, not freed of that bias."
)


def protocol(binning: Binning) -> str:
    """The definition behind every number of this task, to be shown beside it."""
    low, high = binning.edges[0], binning.edges[-1]
    edges = f"from {low:g} to {high:g} GeV, jets beyond in the outermost"
    return PROTOCOL.format(n_bins=len(binning), edges=edges)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """One cut on the background.

    name:          such as "background efficiency 0.1", for tables and figures
    working_point: signal efficiency; None for a cut on the background itself
    passing:       bool (n_background,), in the order of the probe's background jets
    """

    name: str
    working_point: float | None
    passing: NDArray[np.bool_]


def mass_sculpting(
    probed: Probed,
    *,
    backbone: str,
    background_efficiencies: Sequence[float] = BACKGROUND_EFFICIENCIES,
    edges: Sequence[float] | None = None,
    n_bins: int = 30,
    seed: int = 0,
) -> Outcome[dict[str, Sculpting]]:
    """Divergence of the background's soft-drop mass after cuts from that before; `PROTOCOL` says how.

    edges:  of the mass bins, GeV, strictly rising; None for equal widths of 1, 2 or 5 times a power of ten
    n_bins: at most, where there are no edges

    Details: signal -> name of the cut -> `Sculpting`; table "sculpting": the two histograms as fractions of jets. A cut
    that nothing passes, or that ties make looser than asked, is in `undefined`; so is a dataset without the mass.
    Raises `ConfigError` for edges that do not rise, `DataError` for masses that are all 0.
    """
    sample = probed.splits.test
    mass = sample.columns.get(MASS)
    if mass is None or not probed.probes:
        reason = "there are no probes to cut on" if mass is not None else f"the dataset has no column {MASS}"
        return Outcome((), undefined={"soft-drop mass": reason})
    of_background = mass[next(iter(probed.probes.values())).background_rows]
    if edges is None:
        binning = equal_widths(MASS, of_background, bins=n_bins)
    else:
        binning = Binning(MASS, np.asarray(edges, np.float64))
    every = binning.count(of_background, fold=True)
    scores: list[Score] = []
    undefined: dict[str, str] = {}
    details: dict[str, dict[str, Sculpting]] = {}
    tables: list[pd.DataFrame] = []
    for signal, result in probed.probes.items():
        cuts, problems = _cuts(result, background_efficiencies)
        undefined |= problems
        for cut in cuts:
            passing = binning.count(of_background[cut.passing], fold=True)
            found = sculpting(passing, every, level=LEVEL, draws=_DRAWS, seed=seed)
            details.setdefault(signal, {})[cut.name] = found
            if not found.value:
                undefined[f"{signal}, {cut.name}, inverse"] = "the divergence is 0"
            scores += _scores(found, cut, result, backbone=backbone, seed=seed)
            tables.append(_histograms(binning, cut, signal, before=every, after=passing))
    table = {"sculpting": pd.concat(tables, ignore_index=True)} if tables else {}
    return Outcome(tuple(scores), {}, details, undefined, (), protocol(binning), table)


def _cuts(result: ProbeResult, efficiencies: Sequence[float]) -> tuple[list[Selected], dict[str, str]]:
    """The cut at the class's working point and those on the background; and those that make no sense here."""
    logits = result.background_logits
    own = jet_class(result.signal).working_point
    falling = np.sort(logits)[::-1]
    wanted: list[tuple[str, float | None, float, float]] = [
        (f"signal efficiency {own:g}", own, cut.score, 1.0) for cut in result.cuts if abs(cut.requested - own) < 1e-9
    ]
    for efficiency in sorted(efficiencies, reverse=True):
        score = float(falling[jets_to_keep(len(logits), efficiency) - 1])
        wanted.append((f"background efficiency {efficiency:g}", None, score, efficiency))
    cuts, problems = [], {}
    for name, point, score, most in wanted:
        passing = logits >= score
        share = float(passing.mean())
        if not passing.any():
            problems[f"{result.signal}, {name}"] = f"none of {len(logits)} {result.background} jets passes"
        elif share > 1.5 * most + 1 / len(logits):
            problems[f"{result.signal}, {name}"] = f"so many scores are equal that {share:.3g} passes"
        else:
            cuts.append(Selected(name=name, working_point=point, passing=passing))
    return cuts, problems


def _scores(found: Sculpting, cut: Selected, result: ProbeResult, *, backbone: str, seed: int) -> list[Score]:
    n_passing = int(cut.passing.sum())
    facts: dict[str, Any] = {"task": SCULPTING.name, "task_version": SCULPTING.version, "backbone": backbone}
    facts |= {"signal": result.signal, "background": result.background, "working_point": cut.working_point}
    facts |= {"bin": None if cut.working_point is not None else cut.name, "seed": seed}
    facts |= {"n_background": len(cut.passing), "n_survivors": n_passing, "n_train": result.probe.n_train}
    low, high = np.quantile(found.null, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    null = Interval(float(low), float(high), LEVEL, "random-parts")
    rows: list[Mapping[str, Any]] = [
        {"metric": "jsd", "value": found.value, **bounds(found.interval)},
        {"metric": "inverse_jsd", **_inverse(found)},
        {"metric": "jsd_null", "value": float(found.null.mean()), **bounds(null)},
        {"metric": "jsd_p_value", "value": found.p_value},
    ]
    return [Score(**facts, **row) for row in rows]


def _inverse(found: Sculpting) -> dict[str, Any]:
    """1 / JSD; without a value where the JSD is 0, without an upper bound where its interval reaches 0."""
    low, high = found.interval.low, found.interval.high
    assert high is not None
    if not found.value or not high:
        return {"value": None, "interval": "undefined"}
    return {"value": 1 / found.value, **bounds(Interval(1 / high, 1 / low if low else None, LEVEL, "bootstrap"))}


def _histograms(
    binning: Binning, cut: Selected, signal: str, *, before: NDArray[np.int64], after: NDArray[np.int64]
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "signal": signal,
            "cut": cut.name,
            "working_point": np.nan if cut.working_point is None else cut.working_point,
            "mass_low": binning.edges[:-1],
            "mass_high": binning.edges[1:],
            "before": before / before.sum(),
            "after": after / after.sum(),
            "n_before": before,
            "n_after": after,
        }
    )
