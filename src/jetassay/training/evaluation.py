"""How good a classifier is on jets that it has not seen: one number for all labels, and one for each label."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jetassay.jets.classes import BACKGROUND
from jetassay.metrics.multiclass import macro_ovo_auc
from jetassay.metrics.roc import auc

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

FEWEST_JETS = 20
"""Labels with fewer jets in a part take no part in its AUCs: one jet would move them by more than 0.02."""

_TINY = 1e-12
_TOP = 5
_ANY_LEVEL = 0.68  # of an interval that is not kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """What a network reaches on J jets.

    loss: mean cross-entropy in nats, all jets alike, no smoothing
    accuracy, top5_accuracy: fraction of jets whose label scores highest, or is among the five highest
    macro_ovo_auc: see `metrics.multiclass`; None with fewer than two labels of `FEWEST_JETS` jets
    auc_vs_background: label -> AUC of p_S / (p_S + p_B) of the network itself, against all background jets
    """

    loss: float
    accuracy: float
    top5_accuracy: float
    macro_ovo_auc: float | None
    auc_vs_background: dict[str, float]

    @property
    def mean_auc_vs_background(self) -> float | None:
        """Mean over the signals, each alike."""
        values = list(self.auc_vs_background.values())
        return float(np.mean(values)) if values else None


def measure(probabilities: FloatArray, labels: IntArray, names: Sequence[str]) -> Performance:
    """The performance of probabilities (J, K) on jets of known labels (J,), K names."""
    own = probabilities[np.arange(len(labels)), labels]
    rank = (probabilities > own[:, None]).sum(axis=1)
    return Performance(
        loss=float(-np.log(np.maximum(own, _TINY, dtype=np.float64)).mean()),
        accuracy=float((probabilities.argmax(axis=1) == labels).mean()),
        top5_accuracy=float((rank < _TOP).mean()),
        macro_ovo_auc=_macro_ovo_auc(probabilities, labels),
        auc_vs_background=auc_vs_background(probabilities, labels, names),
    )


def _macro_ovo_auc(probabilities: FloatArray, labels: IntArray) -> float | None:
    """The mean over pairs of those labels that have enough jets; None where fewer than two have."""
    frequent = _frequent(labels)
    if len(frequent) < 2:
        return None
    kept = np.isin(labels, frequent)
    value, _ = macro_ovo_auc(probabilities[kept], labels[kept], level=_ANY_LEVEL)
    return value


def auc_vs_background(probabilities: FloatArray, labels: IntArray, names: Sequence[str]) -> dict[str, float]:
    """Label -> AUC against the background of p_S / (p_S + p_B), p_B the sum over all background labels.

    Background is the label QCD, or all labels that begin with QCD_. Signals with fewer than `FEWEST_JETS` jets are
    left out, and all of them where the background has fewer.
    """
    is_background = np.array([name == BACKGROUND or name.startswith(f"{BACKGROUND}_") for name in names])
    background = is_background[labels]
    if background.sum() < FEWEST_JETS:
        return {}
    p_background = probabilities[:, is_background].sum(axis=1, dtype=np.float64)
    found = {}
    for label in _frequent(labels):
        if not is_background[label]:
            p_signal = probabilities[:, label].astype(np.float64)
            score = p_signal / np.maximum(p_signal + p_background, _TINY)
            found[names[label]] = auc(score[labels == label], score[background])
    return found


def _frequent(labels: IntArray) -> list[int]:
    present, counts = np.unique(labels, return_counts=True)
    return [int(label) for label in present[counts >= FEWEST_JETS]]
