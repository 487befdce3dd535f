"""Labels that mean nothing, and what a probe makes of them: anything but chance is a leak, or a probe that cheats.

Two questions, each with an exact null distribution, so that the rate of false alarms is what it is said to be:

1. Training labels shuffled, test labels true. Exchanging the two halves of a draw turns its AUC into 1 - AUC, so the
   draws are symmetric about 0.5 whatever the embedding: Wilcoxon's signed-rank test over the draws of all signals.
   Their spread says nothing: a random direction separates classes that the embedding separates. A probe that knows
   the labels of test jets from elsewhere fails.
2. All labels shuffled, jet by jet, in training and test samples alike; a jet that is in both keeps one label. Given
   the embeddings, the test labels are random beside whatever the probe has learned, so each AUC has mean 0.5 and the
   variance of a rank sum, and draws are independent although they share their jets: a normal test of the mean, and a
   chi-squared test of the spread. Copies of test jets among the training jets fail, and a probe that trains on test
   jets.

Whether an embedding knows the place of a jet in its file is asked in `order`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from jetassay.audit.finding import Finding
from jetassay.audit.subject import Subject
from jetassay.errors import DataError
from jetassay.jets.classes import BACKGROUND
from jetassay.tasks.least_squares import column_aucs, least_squares_scores
from jetassay.tasks.samples import IntArray, Splits, require_finite
from jetassay.tasks.shuffled import random_halves, shuffled

FloatArray = NDArray[np.float64]
Labels = NDArray[np.float32]

FALSE_ALARM = 1e-4
"""Chance that a clean backbone fails one of the five tests here and in `order`; each gets a fifth of it."""

LIMIT = FALSE_ALARM / 5
MOST_JETS = 2000
"""Of each sample in question 2."""
FEWEST_JETS = 50
_DISTINCT = 0.9  # of the test jets must differ in what is to tell jets apart

Probing = Callable[[Splits, Labels, Labels], FloatArray]
"""A probe under test: samples, training labels (J, P) and test labels (T, P), -1 and +1; gives test scores (T, P)."""


def honest(splits: Splits, train: Labels, test: Labels) -> FloatArray:  # noqa: ARG001 - what makes it honest
    """Least squares on the training jets."""
    return least_squares_scores(splits.train.embedding, train, splits.test.embedding)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """AUC of P independent draws.

    auc:      float64 (P,)
    variance: of one draw by chance alone, float64 (P,); None where only the symmetry about 0.5 is known
    copies:   test jets that are among the training jets too
    """

    auc: FloatArray
    variance: FloatArray | None = None
    copies: int = 0

    @property
    def mean(self) -> float:
        """Over the draws."""
        return float(self.auc.mean())

    @property
    def p_mean(self) -> float:
        """Two-sided, of a mean so far from 0.5."""
        if self.variance is None:
            away = self.auc - 0.5
            return float(stats.wilcoxon(away).pvalue) if away.any() else 1.0
        return float(2 * stats.norm.sf(abs(self.auc.sum() - len(self.auc) / 2) / np.sqrt(self.variance.sum())))

    @property
    def p_spread(self) -> float:
        """Two-sided, of a spread so far from chance; 1 where the variance is not known."""
        if self.variance is None:
            return 1.0
        squares = ((self.auc - 0.5) ** 2 / self.variance).sum()
        tails = stats.chi2.sf(squares, len(self.auc)), stats.chi2.cdf(squares, len(self.auc))
        return float(min(1.0, 2 * min(tails)))


def shuffle_everywhere(splits: Splits, *, permutations: int, seed: int, probe: Probing = honest) -> Draws:
    """Question 2: one random label a jet, in training and test sample alike.

    Raises `DataError` for fewer than `FEWEST_JETS` in a sample, NaN, or an embedding that does not vary.
    """
    stream = np.random.default_rng(seed)
    train, test = identities(splits)
    priority = stream.permutation(max(train.max(initial=-1), test.max(initial=-1)) + 1)
    rows = [_each_once(priority[each])[:MOST_JETS] for each in (train, test)]
    kept = Splits(splits.train.take(rows[0]), splits.validation, splits.test.take(rows[1]))
    _require(kept)
    jets, number = np.unique(np.concatenate([train[rows[0]], test[rows[1]]]), return_inverse=True)
    labels = random_halves(len(jets), draws=permutations, stream=stream)[number]
    test_labels = labels[len(rows[0]) :]
    scores = probe(kept, labels[: len(rows[0])], test_labels)
    is_signal = test_labels > 0
    return Draws(
        auc=column_aucs(scores, is_signal), variance=_variance(scores, is_signal), copies=len(number) - len(jets)
    )


def identities(splits: Splits) -> tuple[IntArray, IntArray]:
    """A number for each jet of the training and of the test sample, equal for copies of one jet; int64.

    Jets are told apart by all their observed columns; where these are too few to tell, by the embedding; else by file
    and entry, and then no copy is found.
    """
    train, test = splits.train, splits.test
    names = sorted(set(train.columns) & set(test.columns))
    seen = [np.stack([sample.columns[name] for name in names], axis=1) for sample in (train, test) if names]
    for matrices in (seen, [train.embedding, test.embedding]):
        if matrices:
            number = _numbered(np.concatenate(matrices))
            ours, theirs = number[: len(train)], number[len(train) :]
            if min(len(np.unique(each)) / max(len(each), 1) for each in (ours, theirs)) >= _DISTINCT:
                return ours, theirs
    return np.arange(len(train)), len(train) + np.arange(len(test))


def shuffle_training(splits: Splits, *, permutations: int, seed: int) -> Draws:
    """Question 1, by the task that gives the floor: `permutations` draws at least, spread over all signals.

    Raises `DataError` where no signal has enough jets.
    """
    background = background_of(splits)
    signals = [name for name in splits.test.names if name != background and len(splits.test.rows(name))]
    each = max(5, -(-permutations // max(len(signals), 1)))
    found = shuffled(splits, backbone="", signals=signals, background=background, permutations=each, seed=seed)
    if not found.details:
        raise DataError(next(iter(found.problems.values()), f"no jets but those of {background}"))
    return Draws(auc=np.concatenate(list(found.details.values())))


def shuffled_labels(subject: Subject) -> Iterator[Finding]:
    """Questions 1 and 2 as rows of the audit."""
    choice = subject.choice
    options: dict[str, Any] = {"permutations": choice.permutations, "seed": choice.seed}
    rows: dict[str, Callable[[], Draws]] = {
        "Training labels": lambda: shuffle_training(subject.splits, **options),
        "All labels": lambda: shuffle_everywhere(subject.splits, **options),
    }
    for what, draw in rows.items():
        try:
            yield judged(draw(), what=what)
        except DataError as error:
            meaning = f"{what} shuffled: {error}."
            yield Finding(check="shuffled-labels", status="not run", figure="", meaning=meaning)


def judged(draws: Draws, *, what: str) -> Finding:
    """The row of one distribution of draws."""
    failed = min(draws.p_mean, draws.p_spread) < LIMIT
    means = (
        f"{what} shuffled: probes are {'not ' if failed else ''}at chance over {len(draws.auc)} draws (p = "
        f"{min(draws.p_mean, draws.p_spread):.2g}, limit {LIMIT:.0e})."
    )
    if failed:
        means += " Look for test jets among the training jets, or a probe that sees test jets or their labels."
    if draws.copies:
        means += f" {draws.copies} of the test jets compared are copies of training jets."
    return Finding(
        check="shuffled-labels",
        status="fail" if failed else "pass",
        figure=f"AUC {draws.mean:.4f} ± {draws.auc.std(ddof=1) / np.sqrt(len(draws.auc)):.4f}",
        meaning=means,
        numbers={"auc": draws.mean, "p_mean": draws.p_mean, "p_spread": draws.p_spread, "copies": draws.copies},
    )


def background_of(splits: Splits) -> str:
    """QCD where there are such jets to train and test on, or else the first of the labels that have some."""
    there = [name for name in splits.test.names if all(len(each.rows(name)) for each in (splits.train, splits.test))]
    return BACKGROUND if BACKGROUND in there else next(iter(there), splits.test.names[0])


def _numbered(rows: NDArray[np.float32]) -> IntArray:
    """A number for each row (J, F), equal for rows that are equal to the bit; int64 (J,)."""
    whole = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.itemsize * rows.shape[1])))
    return np.unique(whole[:, 0], return_inverse=True)[1].astype(np.int64)


def _each_once(priority: IntArray) -> IntArray:
    """One row for each different jet, those of lowest priority first."""
    return np.unique(priority, return_index=True)[1]


def _variance(scores: FloatArray, is_signal: NDArray[np.bool_]) -> FloatArray:
    """Of the AUC of each column (T, P) over all labellings with as many signal jets, ties included; float64 (P,)."""
    signal, jets = is_signal.sum(axis=0), len(scores)
    ranks = stats.rankdata(scores, axis=0)
    return np.asarray(ranks.var(axis=0, ddof=1) / (jets * signal * (jets - signal)), np.float64)


def _require(splits: Splits) -> None:
    for name, sample in (("train", splits.train), ("test", splits.test)):
        if len(sample) < FEWEST_JETS:
            raise DataError(f"{len(sample)} different jets in the {name} sample; at least {FEWEST_JETS} are needed")
        require_finite(sample, f"{name} sample")
