"""Shortcuts: what single observed jet columns tell of the classes, and mass, multiplicity and pT together.

A backbone sees constituents from which such columns can be computed, so a column that gives a class away gives it to
every backbone. For each signal against the background, learned on the training jets and measured on the test jets, a
column is called

- near-perfect, where its AUC, or that of the ratio of its histograms, exceeds 0.99 and is no chance by the bound of
  `suspicion`: no jet column of a detector does that, but truth does. For Hqql and Tbl, where a count of leptons may,
  it is a note. Above 0.95 it is a note for any class.
- sculpted, for pT, eta and phi, which say where a jet is and not what: an AUC more than four standard deviations of
  chance above 0.65, or 2 % of one side beyond the range of the other (and a chance below 1e-6, were the two alike).
  Then the classes were selected differently.
- narrow, where half of the signal lies in an interval not a twentieth as wide as that of half of the background: a mass
  as the generator has it. Detectors smear masses by a tenth; measured ones come to 0.4.
- marked in its last digits, where decimal places and the last four bits of the stored numbers alone reach 0.55 and are
  6 standard deviations off chance: jets of one class went through another program, or carry their label. Of whole
  numbers that spread over many, whether they are odd.

A classifier finds such a mark without anybody having wanted it there.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from jetassay.audit.columns import Column, measure_columns
from jetassay.audit.finding import Finding, Status
from jetassay.audit.once import once_for_all_backbones
from jetassay.audit.permutation import background_of
from jetassay.audit.subject import Subject
from jetassay.audit.suspicion import CHANCE, chance_of
from jetassay.metrics.roc import auc
from jetassay.tasks.least_squares import least_squares_scores
from jetassay.tasks.samples import Sample, Splits

NEAR_PERFECT = 0.99
STRONG = 0.95
SCULPTED = 0.65
OUTSIDE = 0.02
OUTSIDE_CHANCE = 1e-6
NARROW = 0.05
DIGITS = 0.55
DIGITS_SD = 6.0
MARGIN_SD = 4.0

MOST_SIGNALS = 20
"""Of a dataset with more classes, those with most jets."""

KINEMATIC = ("jet_pt", "jet_eta", "jet_phi")
LEPTONIC = ("Hqql", "Tbl")
MASSES = ("jet_sdmass", "jet_mass")
MULTIPLICITIES = ("multiplicity", "jet_nparticles")


@once_for_all_backbones
def single_columns(subject: Subject) -> Iterator[Finding]:
    """Rows of the audit: one for each kind of shortcut that is there, or one that says that there is none."""
    splits = subject.splits
    background = background_of(splits)
    counts = {name: len(splits.test.rows(name)) for name in splits.test.names if name != background}
    signals = tuple(sorted(counts, key=counts.__getitem__, reverse=True)[:MOST_SIGNALS])
    columns = measure_columns(splits, signals=signals, background=background)
    if columns or not splits.test.columns:
        yield from judge_columns(columns)
    else:
        meaning = "No two classes have two jets each in the training and in the test sample."
        yield Finding(check="single-columns", status="not run", figure="", meaning=meaning)
    yield three_together(splits, signals=signals, background=background)


def judge_columns(columns: Iterable[Column]) -> Iterator[Finding]:
    """The rows of some columns; see above for the rules."""
    columns = list(columns)
    if not columns:
        yield Finding(
            check="single-columns", status="not run", figure="", meaning="The dataset has no observed jet columns."
        )
        return
    best = max(columns, key=_strength)
    figure = f"AUC {_strength(best):.3f} ({best.name}, {best.signal})"
    rows = list(_broken(columns))
    if not rows:
        strong = _named(each for each in columns if _strength(each) > STRONG)
        meaning = (
            f"Close to a class on their own, and what a backbone must beat: {strong}."
            if strong
            else ("No observed column gives a class away, says how it was selected, or marks it in its last digits.")
        )
        rows = [("note" if strong else "pass", figure, f"{meaning} Highest of each: {_highest(columns)}.")]
    numbers = {f"{each.name}, {each.signal}": _strength(each) for each in columns}
    for status, shown, meaning in rows:
        yield Finding(check="single-columns", status=status, figure=shown or figure, meaning=meaning, numbers=numbers)


def _broken(columns: list[Column]) -> Iterator[tuple[Status, str, str]]:
    """Result, figure and meaning of each rule that is broken."""
    perfect = [each for each in columns if _is_perfect(each)]
    leptonic = [each for each in perfect if each.signal in LEPTONIC]
    truth = [each for each in perfect if each.signal not in LEPTONIC]
    sculpted = [each for each in columns if each.name in KINEMATIC and _is_sculpted(each)]
    narrow = [each for each in columns if each.narrow is not None and each.narrow < NARROW]
    marked = [each for each in columns if each.digits > DIGITS and each.digits_sd > DIGITS_SD]
    if truth:
        meaning = f"{_named(truth)}: near-perfect alone. No detector measures that: look for truth."
        yield "fail", f"AUC {max(map(_strength, truth)):.4f}", meaning
    if leptonic:
        meaning = f"{_named(leptonic)}: near-perfect alone, as leptons may be. Make sure that it is no truth."
        yield "note", f"AUC {max(map(_strength, leptonic)):.4f}", meaning
    if sculpted:
        worst = max(sculpted, key=lambda each: (each.outside, _strength(each)))
        meaning = (
            "tells where a jet is, and with that its class. The classes were selected differently; cut them alike."
        )
        figure = f"AUC {_strength(worst):.3f}, {100 * worst.outside:.0f} % out of range ({worst.name}, {worst.signal})"
        yield "fail", figure, f"{_named(sculpted)}: {meaning}"
    if narrow:
        meaning = "a peak far narrower than a detector's resolution, as only the generator knows it."
        least = min(each.narrow for each in narrow if each.narrow is not None)
        yield "fail", f"{least:.3f} of the background's width", f"{_named(narrow)}: {meaning}"
    if marked:
        worst = max(marked, key=lambda each: each.digits)
        meaning = "decimal places or last bits tell the class. Write all classes by one program."
        figure = f"AUC {worst.digits:.3f} of the last digits ({worst.name}, {worst.signal})"
        yield "fail", figure, f"{_named(marked)}: {meaning}"


def three_together(splits: Splits, *, signals: tuple[str, ...], background: str) -> Finding:
    """The row of a probe of mass, multiplicity and pT: what three numbers of a jet reach."""
    known = splits.test.columns.keys() & splits.train.columns.keys()
    names = [next((name for name in some if name in known), None) for some in (MASSES, MULTIPLICITIES, ("jet_pt",))]
    chosen = [name for name in names if name is not None]
    if len(chosen) < 3:
        meaning = "The dataset lacks mass, multiplicity or pT as a column."
        return Finding(check="single-columns", status="not run", figure="", meaning=meaning)
    found = {}
    for signal in signals:
        rows = [sample.rows(signal) for sample in (splits.train, splits.test)]
        others = [sample.rows(background) for sample in (splits.train, splits.test)]
        if min(len(each) for each in (*rows, *others)) < 2:
            continue
        train = splits.train.take(np.concatenate([rows[0], others[0]]))
        targets = np.where(train.labels == train.names.index(signal), 1.0, -1.0)[:, None]
        scores = least_squares_scores(_basis(train, chosen), targets, _basis(splits.test, chosen))[:, 0]
        found[signal] = auc(scores[rows[1]], scores[others[1]])
    if not found:
        meaning = f"No signal has two jets in training and test samples, or {background} has none."
        return Finding(check="single-columns", status="not run", figure="", meaning=meaning)
    lowest, highest = min(found, key=found.__getitem__), max(found, key=found.__getitem__)
    return Finding(
        check="single-columns",
        status="note",
        figure=f"AUC {found[lowest]:.3f} ({lowest}) to {found[highest]:.3f} ({highest})",
        meaning=f"What {', '.join(chosen)} and their products reach together, and a backbone should exceed.",
        numbers={f"together, {signal}": value for signal, value in found.items()},
    )


def _basis(sample: Sample, names: list[str]) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """The columns, their logarithms and all products of two logarithms: what a probe needs to see a peak; (J, 12)."""
    values = np.stack([np.asarray(sample.columns[name], np.float64) for name in names], axis=1)
    logs = np.log1p(np.maximum(values, 0))
    products = [logs[:, i] * logs[:, j] for i in range(len(names)) for j in range(i, len(names))]
    return np.concatenate([values, logs, np.stack(products, axis=1)], axis=1).astype(np.float32)


def _strength(column: Column) -> float:
    return max(column.auc, column.binned)


def _is_perfect(column: Column) -> bool:
    value = _strength(column)
    return value > NEAR_PERFECT and chance_of(value, jets=column.jets) < CHANCE


def _is_sculpted(column: Column) -> bool:
    cut = column.outside > OUTSIDE and column.p_outside < OUTSIDE_CHANCE
    return cut or _strength(column) > SCULPTED + MARGIN_SD * column.chance


def _highest(columns: Iterable[Column]) -> str:
    """Each column with its highest AUC, and the signal that it has it for."""
    highest: dict[str, Column] = {}
    for each in columns:
        if each.name not in highest or _strength(each) > _strength(highest[each.name]):
            highest[each.name] = each
    return ", ".join(f"{name} {_strength(each):.2f} ({each.signal})" for name, each in highest.items())


def _named(columns: Iterable[Column]) -> str:
    """Column (signals), each column once."""
    signals: dict[str, list[str]] = {}
    for each in columns:
        signals.setdefault(each.name, []).append(each.signal)
    return "; ".join(f"{name} ({', '.join(some)})" for name, some in signals.items())
