"""The place of a jet in its file, as a label: jets of one class and file are exchangeable, so no probe can know it.

A label "in the later half of its class in this file", or "of odd entry number", has no relation to any jet. Given the
scores of a probe of it, the marked test jets are a random half of each class of each file, so their rank sum has a
known mean and variance, class by class and file by file. An embedding that holds the entry number fails, even where it
separates no class. Files that were sorted by something that jets show fail too; where the observed columns alone show
it, that is what the audit says.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from jetassay.audit.finding import Finding
from jetassay.audit.permutation import FEWEST_JETS, LIMIT
from jetassay.audit.subject import Subject
from jetassay.errors import DataError
from jetassay.tasks.least_squares import column_aucs, least_squares_scores
from jetassay.tasks.samples import IntArray, Sample, Splits, require_finite

FloatArray = NDArray[np.float64]

MOST_JETS = 20_000
"""Of each sample."""
_FEWEST_IN_STRATUM = 20

Deviations = dict[str, tuple[float, float]]
"""Kind of order, "late" or "odd" -> AUC of a probe of it, and standard deviations off chance."""


def entry_order(subject: Subject) -> Iterator[Finding]:
    """The row of the audit."""
    try:
        found = order_deviations(subject.splits, seed=subject.choice.seed)
    except DataError as error:
        yield Finding(check="entry-order", status="not run", figure="", meaning=f"{error}.")
        return
    columns: Deviations = {}
    if subject.splits.test.columns:
        try:
            columns = order_deviations(subject.splits, seed=subject.choice.seed, columns=True)
        except DataError:  # columns that are the same for every jet show no order
            columns = {}
    yield judge_order(found, columns)


def judge_order(found: Deviations, columns: Deviations) -> Finding:
    """The row: where observed columns show the same order, the files are sorted and the embedding is not to blame."""
    limit = float(stats.norm.isf(LIMIT / 2))
    kind = max(found, key=lambda each: abs(found[each][1]))
    auc, deviation = found[kind]
    failed = abs(deviation) > limit
    sorted_files = failed and kind in columns and abs(columns[kind][1]) > limit
    half = {"late": "the later half of each class of a file", "odd": "odd entries"}[kind]
    if sorted_files:
        meaning = f"A probe tells {half} from the rest, and so do the observed columns: the files are sorted."
    elif failed:
        meaning = f"A probe tells {half} from the rest, which no jet shows: the embedding knows the entry number."
    else:
        meaning = "Of jets of one class, a probe cannot tell which come later in the file, nor which entries are odd."
    return Finding(
        check="entry-order",
        status="note" if sorted_files else "fail" if failed else "pass",
        figure=f"AUC {auc:.3f}, {abs(deviation):.1f} sd",
        meaning=meaning,
        numbers={
            f"{name}_{what}": value
            for name, pair in found.items()
            for what, value in zip(("auc", "sd"), pair, strict=True)
        },
    )


def order_deviations(splits: Splits, *, seed: int, columns: bool = False) -> Deviations:
    """What a probe of each kind of order reaches on the test jets.

    columns: take the observed jet columns in place of the embedding

    Raises `DataError` where no class of a file has enough jets, or nothing varies.
    """
    train, test = (_ordered(each, seed=seed, columns=columns) for each in (splits.train, splits.test))
    found: Deviations = {}
    for kind in ("late", "odd"):
        marked = test.kinds[kind]
        if marked.all() or not marked.any():  # only even entries were kept, say
            continue
        scores = least_squares_scores(train.values, 2.0 * train.kinds[kind][:, None] - 1, test.values)[:, 0]
        ranks = stats.rankdata(scores)
        expected, variance = _stratified(ranks, marked, test.stratum)
        auc = float(column_aucs(scores[:, None], marked)[0])
        away = float(ranks[marked].sum()) - expected
        found[kind] = auc, away / np.sqrt(variance) if variance > 0 else 0.0
    return found


@dataclass(frozen=True, slots=True)
class _Ordered:
    """Jets of classes and files that have enough of them.

    values: float32 (J, D); stratum: int64 (J,), number of file and class; kinds: kind of order -> bool (J,)
    """

    values: NDArray[np.float32]
    stratum: IntArray
    kinds: dict[str, NDArray[np.bool_]]


def _ordered(sample: Sample, *, seed: int, columns: bool) -> _Ordered:
    rows = np.arange(len(sample))
    if len(rows) > MOST_JETS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_JETS, replace=False))
    kept = sample.take(rows)
    stratum = kept.keys.file * len(kept.names) + kept.labels
    enough = np.flatnonzero(np.bincount(stratum)[stratum] >= _FEWEST_IN_STRATUM) if len(kept) else rows
    kept = kept.take(enough)
    if len(kept) < FEWEST_JETS:
        raise DataError(f"order of entries: no {FEWEST_JETS} jets of one class and file ({len(sample)} jets in all)")
    require_finite(kept, "order of entries")
    stratum = np.unique(stratum[enough], return_inverse=True)[1].astype(np.int64)
    values = np.stack(list(kept.columns.values()), axis=1) if columns else kept.embedding
    sizes = np.bincount(stratum)
    order = np.lexsort((kept.keys.entries, stratum))
    place = np.empty(len(kept), np.int64)
    place[order] = np.arange(len(kept)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return _Ordered(values, stratum, {"late": place >= sizes[stratum] / 2, "odd": kept.keys.entries % 2 == 1})


def _stratified(ranks: FloatArray, marked: NDArray[np.bool_], stratum: IntArray) -> tuple[float, float]:
    """Mean and variance of the rank sum of the marked jets, where marks are exchangeable within each stratum."""
    sizes, ours = np.bincount(stratum), np.bincount(stratum, weights=marked)
    means = np.bincount(stratum, weights=ranks) / sizes
    squares = np.bincount(stratum, weights=(ranks - means[stratum]) ** 2)
    return float((ours * means).sum()), float((ours * (sizes - ours) / sizes * squares / (sizes - 1)).sum())
