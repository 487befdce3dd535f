"""How much one hidden layer gets out of frozen embeddings, each signal class against QCD."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jetassay.embeddings.scratch import chunks
from jetassay.errors import DataError
from jetassay.jets.classes import BACKGROUND
from jetassay.metrics.roc import auc
from jetassay.tasks.catalogue import MLP_PROBE
from jetassay.tasks.dense_head import BATCH, DECAY, HIDDEN, MOST_EPOCHS, PATIENCE, RATE, Stack, train_heads
from jetassay.tasks.samples import Splits
from jetassay.tasks.score import LEVEL, Outcome
from jetassay.tasks.separation import DEFINITIONS
from jetassay.tasks.standardisation import Standardisation
from jetassay.tasks.trial import HeadResult, Ranking, Setting, Trial, score_head

FloatArray = NDArray[np.float64]

STARTS = 3
"""Networks of one signal, from as many seeds."""

MOST_JETS = 20_000
"""Training jets of each class, and validation jets, that are taken at most: every epoch goes over all of them."""

_TESTED = 1 << 14  # test jets at once

_PROTOCOL = (
    f"MLP probe, version {MLP_PROBE.version}. For each signal class, a network of one hidden layer ({HIDDEN} units, "
    "ReLU) is trained on frozen embeddings of that class and of QCD alone, standardised by the training jets, both "
    f"classes weighing the same: AdamW, rate {RATE:g}, decay {DECAY:g}, batches of {BATCH}, at most {MOST_EPOCHS} "
    f"epochs, left as it was at the smallest validation log-loss once {PATIENCE} epochs have brought no smaller one. "
    f"Of more than {MOST_JETS} training or validation jets of a class, so many are drawn at random and taken. "
    "Of {starts} networks from as many seeds, that of the smallest validation log-loss is scored; the score of a test "
    "jet is its logit.\n"
    f"{DEFINITIONS}\n"
    "'auc_over_seeds': mean AUC of all {starts} networks, with the standard deviation over them, which holds no "
    "fluctuation of the test jets."
)


def protocol(starts: int = STARTS) -> str:
    """The definition behind every number of this task, to be shown beside it."""
    return _PROTOCOL.format(starts=starts)


@dataclass(frozen=True, slots=True)
class Dense:
    """Scores of the test jets by each of S networks, float64 (S, T), and the validation losses, float64 (S,)."""

    scores: FloatArray
    losses: FloatArray


def mlp_probe(
    splits: Splits,
    *,
    backbone: str,
    signals: Sequence[str] | None = None,
    background: str = BACKGROUND,
    starts: int = STARTS,
    seed: int = 0,
) -> Outcome[HeadResult]:
    """Train small networks for every signal against the background; `protocol` says how.

    signals: label names; None for all but the background
    starts:  networks of one signal
    seed:    with the number of the network, of its weights and batches
    """

    def rank(trial: Trial) -> Ranking:
        found = dense(trial, starts=starts, seed=seed)
        is_signal = trial.test.is_signal
        values = np.array([auc(row[is_signal], row[~is_signal]) for row in found.scores])
        over_seeds = {"metric": "auc_over_seeds", "value": float(values.mean())}
        if starts > 1:
            spread = float(values.std(ddof=1))
            low, high = max(values.mean() - spread, 0.0), min(values.mean() + spread, 1.0)
            how = f"standard deviation over {starts} seeds"
            over_seeds |= {"low": float(low), "high": float(high), "level": LEVEL, "interval": how}
        return Ranking(found.scores[int(np.argmin(found.losses))], (over_seeds,))

    setting = Setting(backbone=backbone, signals=signals, most_jets=MOST_JETS, background=background, seed=seed)
    return score_head(splits, rank, task=MLP_PROBE, setting=setting, protocol=protocol(starts))


def dense(trial: Trial, *, starts: int = STARTS, seed: int = 0) -> Dense:
    """Train `starts` networks on a trial's training jets, stop by its validation jets, and score its test jets.

    Raises `DataError` for embeddings that are all alike, `ConvergenceError`.
    """
    standardisation = Standardisation.of(trial.train.embedding)
    if standardisation.all_constant:
        raise DataError(f"{trial.where}: the embedding is the same for all {len(trial.train)} training jets")
    both = trial.train, trial.validation
    stacks = (Stack(standardisation.apply(jets.embedding)[None], jets.is_signal[None]) for jets in both)
    heads = train_heads(*stacks, seeds=seeds_of(starts, seed=seed))
    parts = []
    for _, rows in chunks(trial.test.embedding, _TESTED):
        features = standardisation.apply(rows)
        parts.append(np.stack([heads.logits(k, features) for k in range(starts)]))
    return Dense(np.concatenate(parts, axis=1), heads.losses)


def seeds_of(networks: int, *, seed: int) -> NDArray[np.int64]:
    """The seed of each network, int64 (networks,); the first ones are the same however many there are."""
    children = np.random.SeedSequence(seed).spawn(networks)
    return np.array([each.generate_state(1, np.uint32)[0] for each in children], np.int64)
