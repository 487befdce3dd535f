"""What an embedding holds of physics: how well a linear model reads observables of the jet from it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jetassay.errors import DataError
from jetassay.features.quantities import QUANTITIES
from jetassay.jets.classes import BACKGROUND
from jetassay.metrics.determination import explained, r_squared
from jetassay.metrics.intervals import Interval
from jetassay.tasks.catalogue import CONTENT
from jetassay.tasks.families import subset
from jetassay.tasks.ridge import fit_ridge
from jetassay.tasks.samples import Sample, Splits, require_finite
from jetassay.tasks.score import LEVEL, Outcome, Score, bounds

Values = NDArray[np.float32]

PENALTIES: tuple[float, ...] = tuple(10.0**-power for power in range(9))
"""Strengths of the L2 penalty on standardised dimensions and the mean squared error: 1 to 1e-8."""

MOST_JETS = 50_000
"""Jets of each sample that are taken at most, and as many of the background: each has ten shuffled observables too."""

ALL_JETS = "all jets"
"""What a `bin` says of scores over every class."""

FEWEST_JETS = 10
"""Of each split, for a ridge probe; fewer say nothing."""

PERMUTATIONS = 10
"""Of the floor: one alone has an R^2 as far from 0 as 2 / sqrt(training jets), on either side."""

PROTOCOL = (
    f"Content, version {CONTENT.version}. A ridge regression of each observable on the frozen embedding: dimensions "
    "standardised by the training jets, L2 penalty chosen from "
    f"{PENALTIES[0]:g}, {PENALTIES[1]:g}, ... {PENALTIES[-1]:g} by the squared error on the validation jets, for each "
    "observable on its own. 'r2': 1 - sum of squared errors / sum of squared deviations from the mean, on the test "
    "jets: 1 is perfect, 0 no better than their mean, below 0 worse; interval by bootstrap over test jets. "
    f"Of a sample of more than {MOST_JETS} jets, so many drawn at random are taken. "
    "'r2_permuted', the floor: the same with the observable shuffled among the training and among the validation jets, "
    f"mean and central interval of {PERMUTATIONS} times. 'all jets' takes every class, where an embedding can know an "
    "observable through the class alone; '{background} alone' is fitted and measured on the background.\n"
    "Observables: mass and soft-drop mass in GeV, ln pT, multiplicity (constituents), tau21 = tau2 / tau1, "
    "tau32 = tau3 / tau2, and displaced tracks: charged constituents with |d0| > 3 sigma(d0). A linear probe finds "
    "what lies there linearly: a low R^2 is not a proof of absence."
)
"""The definition behind every number of this task, to be shown beside it; `{background}` is filled in."""


@dataclass(frozen=True, slots=True)
class Observable:
    """`function` of the jet columns named in `of`."""

    name: str
    of: tuple[str, ...]
    function: Callable[..., Values]


def _same(values: Values) -> Values:
    return values


OBSERVABLES = MappingProxyType(
    {
        each.name: each
        for each in (
            Observable("mass", ("jet_mass",), _same),
            Observable("soft-drop mass", ("jet_sdmass",), _same),
            Observable("log pT", ("jet_pt",), np.log),
            Observable("multiplicity", ("multiplicity",), _same),
            Observable("tau21", QUANTITIES["tau21"].of, QUANTITIES["tau21"].function),
            Observable("tau32", QUANTITIES["tau32"].of, QUANTITIES["tau32"].function),
            Observable("displaced tracks", ("n_displaced",), _same),
        )
    }
)
"""What embeddings are asked for, in the order of the report."""


@dataclass(frozen=True, slots=True)
class Readable:
    """One observable as far as a ridge probe reads it.

    r2, floor: on the test jets, and the mean of those with shuffled observables; penalty: the chosen one
    """

    r2: float
    floor: float
    penalty: float


def content(
    splits: Splits,
    *,
    backbone: str,
    observables: Sequence[str] | None = None,
    background: str = BACKGROUND,
    seed: int = 0,
) -> Outcome[Readable]:
    """How well each observable can be read from the embedding; `PROTOCOL` says how.

    observables: names in `OBSERVABLES`; None for all
    seed:        of shuffling and bootstrap, and of the choice among more than `MOST_JETS` jets

    The `bin` of a score is "tau21, all jets" or "tau21, QCD alone"; details have the same keys. What the dataset lacks,
    or what does not vary, is in `undefined`; an embedding that does not vary in `problems`. Raises `DataError` for NaN.
    """
    for name, sample in splits.by_name().items():
        require_finite(sample, f"content of '{backbone}', {name} sample")
    wanted = tuple(observables if observables is not None else OBSERVABLES)
    undefined = {name: reason for name in wanted if (reason := _lacking(name, splits))}
    problems = {name: reason for name in wanted if name not in undefined and (reason := _broken(name, splits))}
    there = [name for name in wanted if name not in undefined and name not in problems]
    scores: list[Score] = []
    details: dict[str, Readable] = {}
    rows: list[dict[str, Any]] = []
    for where in (ALL_JETS, f"{background} alone"):
        samples = {name: _jets(sample, where, background, seed) for name, sample in splits.by_name().items()}
        short = [f"{len(each)} {name} jets" for name, each in samples.items() if len(each) < FEWEST_JETS]
        if where != ALL_JETS and background not in splits.test.names:
            undefined[where] = f"the jets have no label {background}; name their background in [content]"
        elif short:
            undefined[where] = f"{', '.join(short)}; at least {FEWEST_JETS} are needed"
        else:
            varying = [name for name in there if all(np.ptp(_target(each, name)) > 0 for each in samples.values())]
            same = [name for name in there if name not in varying]
            undefined |= {f"{name}, {where}": "it is the same for all jets" for name in same}
            facts = _facts(samples, background, whole=where == ALL_JETS)
            shared: dict[str, Any] = {**facts, "backbone": backbone, "seed": seed}
            try:
                read = _read(samples, varying, seed)
            except DataError as error:
                problems[where] = str(error)
                continue
            for name, (found, numbers) in read.items():
                scores += [Score(**shared, bin=f"{name}, {where}", **each) for each in numbers]
                details[f"{name}, {where}"] = found
                rows.append({"observable": name, "jets": where, **_row(found, numbers)})
    text = PROTOCOL.format(background=background)
    tables = {"content": pd.DataFrame(rows)} if rows else {}
    return Outcome(tuple(scores), problems, details, undefined, (), text, tables)


def _read(
    samples: Mapping[str, Sample], names: Sequence[str], seed: int
) -> dict[str, tuple[Readable, list[dict[str, Any]]]]:
    """Of each observable what was found, and what its scores hold beyond the facts that all share."""
    if not names:
        return {}
    targets = {split: np.stack([_target(each, name) for name in names], axis=1) for split, each in samples.items()}
    stream = np.random.default_rng(seed)
    both = {
        name: np.concatenate([each, *(stream.permutation(each) for _ in range(PERMUTATIONS))], axis=1)
        for name, each in targets.items()
        if name != "test"
    }  # (J, (1 + permutations) T): the observables, then the same with whole rows shuffled
    fitted = fit_ridge(samples["train"].embedding, both["train"], penalties=PENALTIES)
    best = fitted.squared_errors(samples["validation"].embedding, both["validation"]).argmin(axis=0)
    predictions = fitted.predict(samples["test"].embedding, at=best)
    n_targets = targets["train"].shape[1]
    measured = r_squared(targets["test"], predictions[:, :n_targets], level=LEVEL, seed=seed)
    shuffled = predictions[:, n_targets:].reshape(len(predictions), PERMUTATIONS, n_targets)
    floors = explained(targets["test"][:, None], shuffled)  # (permutations, T)
    ends = np.quantile(floors, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    found = {}
    for k, (name, (value, interval)) in enumerate(zip(names, measured, strict=True)):
        floor = float(floors[:, k].mean())
        of_floor = Interval(float(ends[0, k]), float(ends[1, k]), LEVEL, "permutation")
        numbers = [
            {"metric": "r2", "value": value, **bounds(interval)},
            {"metric": "r2_permuted", "value": floor, **bounds(of_floor)},
        ]
        found[name] = Readable(value, floor, PENALTIES[best[k]]), numbers
    return found


def _lacking(name: str, splits: Splits) -> str:
    """Why the dataset cannot give an observable; empty where it can. Raises `DataError` for an unknown one."""
    if name not in OBSERVABLES:
        raise DataError(f"content: there is no observable '{name}'; there are {', '.join(OBSERVABLES)}")
    wanted = OBSERVABLES[name].of
    lacking = [each for each in wanted if any(each not in sample.columns for sample in splits.by_name().values())]
    return f"the dataset has no column {', '.join(lacking)}" if lacking else ""


def _jets(sample: Sample, where: str, background: str, seed: int) -> Sample:
    if where == ALL_JETS:
        rows = np.arange(len(sample))
    else:
        rows = sample.rows(background) if background in sample.names else np.empty(0, np.int64)
    chosen = rows[subset(len(rows), MOST_JETS, seed)]
    return sample if len(chosen) == len(sample) else sample.take(chosen)


def _broken(name: str, splits: Splits) -> str:
    """Which jets have no finite observable; empty where all have."""
    for split, sample in splits.by_name().items():
        bad = np.flatnonzero(~np.isfinite(_target(sample, name)))
        if len(bad):
            return f"of {len(bad)} {split} jets it is not finite, the first is row {bad[0]}"
    return ""


def _target(sample: Sample, name: str) -> NDArray[np.float64]:
    """One observable, float64 (J,)."""
    observable = OBSERVABLES[name]
    with np.errstate(divide="ignore", invalid="ignore"):  # what is not finite is named by `_broken`
        return observable.function(*(sample.columns[each] for each in observable.of)).astype(np.float64)


def _facts(samples: Mapping[str, Sample], background: str, *, whole: bool) -> dict[str, Any]:
    """What all scores of the same jets share."""
    test = samples["test"]
    n_background = len(test.rows(background)) if background in test.names else 0
    facts: dict[str, Any] = {"task": CONTENT.name, "task_version": CONTENT.version}
    facts |= {"n_signal": len(test) - n_background, "n_background": n_background, "n_train": len(samples["train"])}
    return facts if whole else {**facts, "background": background}


def _row(found: Readable, facts: list[dict[str, Any]]) -> dict[str, Any]:
    r2, _ = facts
    return {"r2": found.r2, "low": r2["low"], "high": r2["high"], "floor": found.floor, "penalty": found.penalty}
