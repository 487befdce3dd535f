"""One signal against the background: the jets of both, as heads take them, and what every head's scores become."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from jetassay.embeddings.scratch import gather
from jetassay.errors import DataError, JetAssayError
from jetassay.jets.classes import BACKGROUND
from jetassay.metrics.roc import Cut
from jetassay.tasks.catalogue import Task
from jetassay.tasks.curves import jet_scores_table
from jetassay.tasks.samples import Sample, Splits, jets_of
from jetassay.tasks.score import Outcome, Score
from jetassay.tasks.separation import FEWEST_JETS, separation

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SAMPLES = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Labelled:
    """J jets of one signal and the background, in the order of their sample.

    embedding: float32 (J, D), finite; is_signal: bool (J,); rows: int64 (J,), rows of the sample
    """

    embedding: NDArray[np.float32]
    is_signal: NDArray[np.bool_]
    rows: IntArray

    @classmethod
    def of(cls, sample: Sample, *, signal: str, background: str, where: str) -> Self:
        """Raises `DataError` for too few jets of either, or NaN; `where` begins the message."""
        rows, kept = jets_of(sample, (signal, background), fewest=FEWEST_JETS, where=where)
        return cls(kept.embedding, kept.labels == sample.names.index(signal), rows)

    def __len__(self) -> int:
        return len(self.embedding)

    def take(self, positions: IntArray) -> "Labelled":
        """The jets at `positions` (int64, from 0 to J - 1), in that order."""
        return Labelled(gather(self.embedding, positions), self.is_signal[positions], self.rows[positions])

    def drawn(self, jets: int, *, seed: tuple[int, ...]) -> IntArray:
        """Positions, int64, rising, of `jets` jets of each side; all of a side that has no more.

        They depend on the seed and on the number of jets of that side alone, and those of fewer jets are among those
        of more.
        """
        parts = []
        for side in (False, True):
            positions = self.positions(signal=side)
            parts.append(positions[np.random.default_rng([*seed, int(side)]).permutation(len(positions))[:jets]])
        return np.sort(np.concatenate(parts))

    def positions(self, *, signal: bool) -> IntArray:
        """Where the jets of one side are, int64, rising."""
        return np.flatnonzero(self.is_signal == signal).astype(np.int64, copy=False)

    @property
    def fewest(self) -> int:
        """Jets of the side that has fewer."""
        n_signal = int(np.count_nonzero(self.is_signal))
        return min(n_signal, len(self) - n_signal)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The three samples of one signal against the background; `where` begins messages about it."""

    signal: str
    background: str
    where: str
    train: Labelled
    validation: Labelled
    test: Labelled

    @classmethod
    def of(cls, splits: Splits, *, signal: str, background: str, where: str) -> Self:
        """Raises `DataError` as `Labelled.of` does."""
        parts = {
            split: Labelled.of(sample, signal=signal, background=background, where=f"{where}, {split} sample")
            for split, sample in splits.by_name().items()
        }
        return cls(signal=signal, background=background, where=where, **parts)

    def at_most(self, jets: int, *, seed: int, samples: Sequence[str] = SAMPLES) -> "Trial":
        """The trial with at most `jets` jets of each class in `samples`, drawn alike for all backbones."""
        fewer = {
            name: part.take(part.drawn(jets, seed=(seed, 0, 2 + SAMPLES.index(name))))
            for name in samples
            if len(part := getattr(self, name)) - part.fewest > jets
        }
        return replace(self, **fewer)


@dataclass(frozen=True, slots=True)
class Ranking:
    """What a head makes of the test jets of a trial.

    scores: float64 (T,), larger is more like signal
    about:  what else there is to say of the head: each a metric with a value, and an interval where it has one
    """

    scores: FloatArray
    about: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadResult:
    """One signal against the background by one head: scores, and what ROC curves and paired comparisons need.

    signal_rows, background_rows:     int64, rows of the test sample
    signal_scores, background_scores: float64, of these jets, in the same order
    cuts: one for each working point that the sample resolves
    """

    signal: str
    background: str
    signal_rows: IntArray
    background_rows: IntArray
    signal_scores: FloatArray
    background_scores: FloatArray
    cuts: tuple[Cut, ...]
    scores: tuple[Score, ...]
    problems: tuple[str, ...] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a head is measured on: backbone, signals (None for all but the background), background, and the seed.

    most_jets: of each class that it is trained on at most, and as many to choose with, drawn at random with the seed
    """

    backbone: str
    signals: Sequence[str] | None
    most_jets: int
    background: str = BACKGROUND
    seed: int = 0


def score_head(
    splits: Splits, rank: Callable[[Trial], Ranking], *, task: Task, setting: Setting, protocol: str
) -> Outcome[HeadResult]:
    """Rank the test jets of every signal and the background with a head, and give every metric of the linear probe.

    A signal that cannot be scored is in `problems`, and the others go on. Details hold a `HeadResult` per signal, the
    table is that of `curves.jet_scores_table`.
    """
    results: dict[str, HeadResult] = {}
    problems: dict[str, str] = {}
    names = [name for name in splits.test.names if name != setting.background]
    for signal in setting.signals if setting.signals is not None else names:
        try:
            where = f"{task.name} of '{setting.backbone}', {signal} against {setting.background}"
            whole = Trial.of(splits, signal=signal, background=setting.background, where=where)
            trial = whole.at_most(setting.most_jets, seed=setting.seed, samples=SAMPLES[:2])
            result = _measured(trial, rank(trial), task, setting)
        except JetAssayError as error:
            problems[signal] = str(error)
            continue
        results[signal] = result
        if result.problems:
            problems[signal] = " ".join(result.problems)
    scores = tuple(score for each in results.values() for score in each.scores)
    ranked = {
        name: [(each.signal_rows, each.signal_scores), (each.background_rows, each.background_scores)]
        for name, each in results.items()
    }
    jet_tables = jet_scores_table(task.name, ranked, names=splits.test.names)
    return Outcome(scores, problems, results, protocol=protocol, jet_tables=jet_tables)


def _measured(trial: Trial, ranking: Ranking, task: Task, setting: Setting) -> HeadResult:
    scores, is_signal = ranking.scores, trial.test.is_signal
    if scores.min() == scores.max():
        raise DataError(f"{trial.where}: every test jet has the same score, so nothing can be ranked")
    sides = scores[is_signal], scores[~is_signal]
    cuts, found, problems = separation(*sides, signal=trial.signal)
    facts: dict[str, Any] = {"task": task.name, "task_version": task.version, "backbone": setting.backbone}
    facts |= {"signal": trial.signal, "background": trial.background, "seed": setting.seed}
    facts |= {"n_train": len(trial.train), "n_signal": len(sides[0]), "n_background": len(sides[1])}
    return HeadResult(
        signal=trial.signal,
        background=trial.background,
        signal_rows=trial.test.rows[is_signal],
        background_rows=trial.test.rows[~is_signal],
        signal_scores=sides[0],
        background_scores=sides[1],
        cuts=cuts,
        scores=tuple(Score(**facts, **each) for each in [*found, *ranking.about]),
        problems=tuple(f"{trial.where}: {each}." for each in problems),
    )
