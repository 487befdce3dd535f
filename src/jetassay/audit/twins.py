"""Untrained twins: the same architecture with random weights, and how much of an AUC they reach on the same jets.

What a twin reaches was not learned: it is what the input recipe and the architecture hand to any linear probe. The
share of what exceeds chance is (AUC of the twins - 0.5) / (AUC - 0.5), with AUCs averaged over the
signals; for single signals the same. Probes are least squares (`tasks.least_squares`) for backbone and twins alike.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetassay.audit.finding import Finding
from jetassay.audit.subject import Subject
from jetassay.audit.subsample import AuditedJets, Subsample
from jetassay.backbones.card import Card
from jetassay.errors import DataError
from jetassay.features.inputs import compute_inputs
from jetassay.jets.classes import BACKGROUND
from jetassay.metrics.roc import auc
from jetassay.tasks.least_squares import least_squares_scores

FloatArray = NDArray[np.float64]

JETS_FACTOR = 2
"""Training and test jets of the probes each, in sizes of the audit's subsample."""
FEWEST_JETS = 20
"""Of each class and sample."""
REDRAWN = "jetassay.backbones.foreign:load"
"""The one `load` function that draws random weights for a card without weights: networks written for weaver."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Twins:
    """AUC of a backbone and of its twins on the same jets.

    signals: S names; own: float64 (S,); twins: float64 (T, S), one row a seed
    """

    signals: tuple[str, ...]
    own: FloatArray
    twins: FloatArray

    @property
    def share(self) -> float:
        """Of what the mean AUC has above chance, the part that twins reach; NaN where it has nothing above chance."""
        above = float(self.own.mean()) - 0.5
        return float(self.twins.mean() - 0.5) / above if above > 0 else float("nan")

    @property
    def shares(self) -> FloatArray:
        """The same signal by signal, float64 (S,)."""
        return np.asarray((self.twins.mean(axis=0) - 0.5) / np.where(self.own > 0.5, self.own - 0.5, np.nan))


def no_twin(card: Card) -> str | None:
    """Why there is no untrained twin of a card, one clause; None where there is one."""
    if card.untrained_twin_of is not None:
        return f"it is itself {card.untrained_twin_of} with random weights"
    if card.weights is None:
        return "it has no weights that could be random"
    if card.architecture.endswith(":load") and card.architecture != REDRAWN:
        return f"'{card.architecture}' makes no network with other weights than those of its file"
    return None


def twin_card(card: Card, *, seed: int) -> Card:
    """The card with random weights from `seed` in place of its own, at the same layer."""
    changes: dict[str, Any] = {"weights": None, "training": None, "trained_on": (), "role": "control", "seed": seed}
    return card.model_copy(update=changes | {"untrained_twin_of": card.name})


def untrained_twins(subject: Subject) -> Iterator[Finding]:
    """The row of the audit; its numbers hold AUCs of backbone and twins, and the share, for every signal."""
    card, reason = subject.backbone.card, no_twin(subject.backbone.card)
    if reason is not None:
        yield Finding(check="untrained-twins", status="not run", figure="", meaning=f"There is no twin: {reason}.")
        return
    try:
        found = measure_twins(subject)
    except DataError as error:
        yield Finding(check="untrained-twins", status="not run", figure="", meaning=f"{error}.")
        return
    yield judge_twins(found, trained=card.role == "backbone")


def measure_twins(subject: Subject) -> Twins:
    """Embed the first jets of one training and one test file of each group by the backbone and by each twin.

    Raises `DataError` where no signal has `FEWEST_JETS` jets in both.
    """
    from jetassay.backbones.loading import load_backbone

    backbone, choice = subject.backbone, subject.choice
    samples = [_first_jets(subject, split) for split in ("train", "test")]
    inputs = [compute_inputs(backbone.feature_set, each.jets) for each in samples]
    labels = [each.truth.labels for each in samples]
    background, signals = _pairs(labels, samples[0].truth.names)
    twins = [
        load_backbone(
            twin_card(backbone.card, seed=choice.seed + number),
            device=str(getattr(backbone, "device", "cpu")),
            dtype=backbone.dtype,
        )
        for number in range(1, choice.twins + 1)
    ]
    found = [
        _aucs([subject.embed(each, backbone=one) for each in inputs], labels, background=background, signals=signals)
        for one in (backbone, *twins)
    ]
    return Twins(signals=tuple(signals), own=found[0], twins=np.stack(found[1:]))


def judge_twins(found: Twins, *, trained: bool) -> Finding:
    """The row. trained: the card says that its weights are trained, so to be no better than a twin is a failure."""
    means = found.twins.mean(axis=1)
    spread = f" ± {means.std(ddof=1):.3f}" if len(means) > 1 else ""
    worse = trained and float(found.own.mean()) <= float(means.max())
    if worse:
        meaning = "It is no better than networks with random weights: look whether its weights were loaded, and fit."
    elif np.isnan(found.shares).any():
        meaning = "Its AUC does not exceed chance for every signal, so there is nothing to share."
    else:
        shares, order = 100 * found.shares, np.argsort(found.shares)
        least, most = order[0], order[-1]
        meaning = (
            f"Random weights ({len(means)} seeds) reach {100 * found.share:.0f}% of what the AUC has above chance, "
            f"from {shares[least]:.0f}% ({found.signals[least]}) to {shares[most]:.0f}% ({found.signals[most]}): that "
            f"much is architecture and inputs. Backbone, twins: {_by_signal(found)}."
        )
    return Finding(
        check="untrained-twins",
        status="fail" if worse else "note",
        figure=f"AUC {found.own.mean():.3f}, twins {means.mean():.3f}{spread}",
        meaning=meaning,
        numbers=_numbers(found),
    )


def _by_signal(found: Twins) -> str:
    """AUC of the backbone, and mean and spread of the twins', for each signal."""
    spreads = found.twins.std(axis=0, ddof=1) if len(found.twins) > 1 else np.zeros(len(found.signals))
    rows = zip(found.signals, found.own, found.twins.mean(axis=0), spreads, strict=True)
    return "; ".join(f"{name} {own:.3f}, {mean:.3f} ± {spread:.3f}" for name, own, mean, spread in rows)


def _numbers(found: Twins) -> dict[str, float]:
    rows = {"share": found.share, "auc": float(found.own.mean()), "twins": float(found.twins.mean())}
    for name, own, twins, share in zip(found.signals, found.own, found.twins.T, found.shares, strict=True):
        rows |= {f"auc, {name}": float(own), f"twins, {name}": float(twins.mean()), f"share, {name}": float(share)}
        rows[f"spread, {name}"] = float(twins.std(ddof=1)) if len(twins) > 1 else 0.0
    return {name: value for name, value in rows.items() if not np.isnan(value)}


def _first_jets(subject: Subject, split: str) -> Subsample:
    jets, card = subject.jets, subject.backbone.card
    some = AuditedJets(
        jets.dataset,
        {"test": subject.files[split]},
        jets=JETS_FACTOR * subject.choice.jets,
        on_invalid=jets.reading.on_invalid,
    )
    return some.of(needs=subject.backbone.feature_set.needs, max_constituents=card.max_constituents)


def _pairs(labels: Sequence[NDArray[np.int64]], names: Sequence[str]) -> tuple[int, dict[str, int]]:
    """Number of the background, and name -> number of each signal with enough jets in every sample."""
    background = names.index(BACKGROUND) if BACKGROUND in names else 0
    counts = np.stack([np.bincount(each[each >= 0], minlength=len(names)) for each in labels]).min(axis=0)
    enough = {name: number for number, name in enumerate(names) if counts[number] >= FEWEST_JETS}
    signals = {name: number for name, number in enough.items() if number != background}
    if background not in enough.values() or not signals:
        told = ", ".join(f"{count} of {name}" for name, count in zip(names, counts, strict=True) if count) or "no label"
        raise DataError(
            f"untrained twins: {told} in training and test jets; {FEWEST_JETS} of a background and a signal are needed"
        )
    return background, signals


def _aucs(
    embeddings: Sequence[NDArray[np.float32]],
    labels: Sequence[NDArray[np.int64]],
    *,
    background: int,
    signals: Mapping[str, int],
) -> FloatArray:
    """AUC of a probe of each signal, trained on the first embedding and measured on the second; float64 (S,)."""
    (train, test), (known, asked) = embeddings, labels
    found = []
    for number in signals.values():
        rows = np.flatnonzero((known == number) | (known == background))
        targets = np.where(known[rows] == number, 1.0, -1.0)[:, None]
        scores = least_squares_scores(train[rows], targets, test)[:, 0]
        found.append(auc(scores[asked == number], scores[asked == background]))
    return np.array(found)
