"""One observed jet column alone: what it tells of a class, by its values, its range, its peak and its last digits."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from jetassay.metrics.roc import auc
from jetassay.tasks.least_squares import column_aucs
from jetassay.tasks.samples import Splits

Values = NDArray[np.float32]

BINS = 20
_SENTINEL = 0.02  # a value that so many jets share stands for "none" and has no digits
_LAST_BITS = 4
_COARSE = 0xFFF  # float16 and other short formats leave these bits of the mantissa empty
_DECIMALS = 4
KINDS = (_DECIMALS + 1) << _LAST_BITS
"""Categories of `last_digits`."""
_MANY = 8  # half of the jets spread over so many whole numbers: then odd and even ones are equally frequent
_FEWEST_FOR_WIDTHS = 50
_FAR = 100  # a decimal step of so many units in the last place is met by chance in one value of a hundred


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What one column tells of `signal` against the background; learned on training jets, measured on test jets.

    jets:     on the smaller side of the test sample
    auc:      of the value itself, whichever way round: in [0.5, 1]
    binned:   of the ratio of signal to background in `BINS` bins of equal counts, which also finds peaks
    chance:   standard deviation of an AUC by chance
    outside:  share of the signal's jets beyond the lowest and highest background jet, or of background jets beyond
              those of the signal, whichever is larger; p_outside: bound on the chance of so many
    narrow:   width of the shortest interval with half of the signal's jets, over that of the background; None for
              whole numbers, and for fewer than 50 jets of either
    digits:   AUC of the last digits (decimal places and last bits) alone; of whole numbers that spread over many, of
              being odd; 0.5 for few whole numbers
    digits_sd: how many standard deviations that is off chance
    """

    name: str
    signal: str
    jets: int
    auc: float
    binned: float
    chance: float
    outside: float
    p_outside: float
    narrow: float | None
    digits: float
    digits_sd: float


def measure_columns(splits: Splits, *, signals: tuple[str, ...], background: str) -> list[Column]:
    """Every column that both the training and the test sample have, for every signal with two jets in each of them."""
    names = [name for name in splits.test.columns if name in splits.train.columns]
    found = []
    for name in names:
        sides = [sample.columns[name] for sample in (splits.train, splits.test)]
        marks = [last_digits(side) for side in sides]
        for signal in signals:
            rows = [(sample.rows(signal), sample.rows(background)) for sample in (splits.train, splits.test)]
            if min(len(each) for pair in rows for each in pair) < 2:
                continue
            values = [[side[each] for each in pair] for side, pair in zip(sides, rows, strict=True)]
            digits = [[mark[each] for each in pair] for mark, pair in zip(marks, rows, strict=True)]
            found.append(_measure(name, signal, values, digits))
    return found


def _measure(name: str, signal: str, values: list[list[Values]], digits: list[list[NDArray[np.int64]]]) -> Column:
    (train, test) = values
    plain = auc(*test)
    edges = np.unique(np.quantile(np.concatenate(train), np.arange(1, BINS) / BINS))
    bins = [[np.searchsorted(edges, side, side="right") for side in pair] for pair in values]
    binned, _ = by_category(bins[0], bins[1], kinds=BINS)
    marked = [[side[side >= 0] for side in pair] for pair in digits]
    enough = min(len(side) for pair in marked for side in pair) >= 2
    by_digits, sd = by_category(*marked, kinds=KINDS) if enough else (0.5, 0.0)
    n_signal, n_background = (len(side) for side in test)
    outside, p_outside = _outside(*(np.concatenate(both) for both in zip(*values, strict=True)))
    return Column(
        name=name,
        signal=signal,
        jets=min(n_signal, n_background),
        auc=max(plain, 1 - plain),
        binned=binned,
        chance=float(np.sqrt((n_signal + n_background + 1) / (12 * n_signal * n_background))),
        outside=outside,
        p_outside=p_outside,
        narrow=_narrow(*test),
        digits=by_digits,
        digits_sd=sd,
    )


def by_category(train: list[Any], test: list[Any], *, kinds: int) -> tuple[float, float]:
    """AUC on the test jets of the log ratio of category frequencies in the training jets, and its deviation in sd."""
    counts = [np.bincount(side, minlength=kinds) + 0.5 for side in train]
    ratio = np.log(counts[0] / counts[0].sum()) - np.log(counts[1] / counts[1].sum())
    scores = np.concatenate([ratio[side] for side in test])
    is_signal = np.arange(len(scores)) < len(test[0])
    value = float(column_aucs(scores[:, None], is_signal)[0])
    n_signal, n_background = (len(side) for side in test)
    variance = stats.rankdata(scores).var(ddof=1) / len(scores) / (n_signal * n_background)
    return value, (value - 0.5) / float(np.sqrt(variance)) if variance > 0 else 0.0


def _outside(signal: Values, background: Values) -> tuple[float, float]:
    """Share of one side beyond the range of the other, whichever is larger, and a bound on the chance of so many.

    If both come from one distribution, the k highest of all jets are of a side with n of all jets with probability
    (n / all)^k at most; so are the k lowest.
    """
    found, jets = [(0.0, 1.0)], len(signal) + len(background)
    for side, other in ((signal, background), (background, signal)):
        beyond = int((side > other.max()).sum()), int((side < other.min()).sum())
        found.append((sum(beyond) / len(side), min(1.0, 4 * (len(side) / jets) ** max(beyond))))
    return max(found)


def _narrow(signal: Values, background: Values) -> float | None:
    if min(len(signal), len(background)) < _FEWEST_FOR_WIDTHS or (np.floor(signal) == signal).mean() > 0.1:
        return None
    widths = []
    for side in (signal, background):
        ordered = np.sort(side.astype(np.float64))
        half = len(ordered) // 2
        widths.append(float((ordered[half:] - ordered[: len(ordered) - half]).min()))
    return widths[0] / widths[1] if widths[1] > 0 else None


def last_digits(values: Values) -> NDArray[np.int64]:
    """A category by decimal places and last bits of the mantissa, int64; -1 for sentinels.

    Whole numbers that spread over many are odd or even, without the largest, at which longer lists were cut; of few
    whole numbers, which may be odd for a reason, all are -1.
    """
    number, counts = np.unique(values, return_inverse=True, return_counts=True)[1:]
    if (np.floor(values) == values).all():
        low, high = np.quantile(values, [0.25, 0.75])
        many = min(high - low, len(counts) / 2) >= _MANY
        return np.where(many & (values < values.max()), values.astype(np.int64) & 1, -1)
    bits = values.view(np.uint32)
    spacing = np.spacing(np.abs(values)).astype(np.float64)
    places = np.full(len(values), _DECIMALS, np.int64)
    for decimals in range(_DECIMALS - 1, -1, -1):
        step = 10.0**-decimals
        rounded = (np.round(values.astype(np.float64) / step) * step).astype(np.float32)
        places[(rounded == values) & (step > _FAR * spacing) & ((bits & _COARSE) != 0)] = decimals
    found = (places << _LAST_BITS) + (bits & ((1 << _LAST_BITS) - 1)).astype(np.int64)
    return np.where(counts[number] > _SENTINEL * len(values), -1, found)
