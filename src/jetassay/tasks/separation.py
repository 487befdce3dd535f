"""Signal against background by one score a jet: AUC and rejections with intervals, as every task states them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetassay.errors import DataError
from jetassay.jets.classes import JET_CLASSES
from jetassay.metrics.intervals import delong_interval, rejection_interval, rejection_interval_over_cuts
from jetassay.metrics.roc import Cut, auc, cut_at
from jetassay.tasks.score import LEVEL, bounds

WORKING_POINTS: tuple[float, ...] = (0.3, 0.5)
"""Signal efficiencies at which every class has its rejection, beside the class's own (`jets.classes`)."""

FEWEST_JETS = 2
"""Of each class; so few make an interval that says how little they are."""

METRICS = ("auc", "rejection", "rejection_over_cuts")

DEFINITIONS = (
    "One class against one: only jets of the signal and of the background take part. AUC: probability that a signal "
    "jet scores above a background jet, ties counting one half; interval normal in ln(AUC / (1 - AUC)) with DeLong's "
    "variance over test jets, of perfect order the limit ((1 - level) / 2)**(1 / jets of the smaller class).\n"
    "Rejection: 1 / background efficiency at the score of the k-th highest signal jet, k the smallest number with "
    "k / n_signal >= working point; jets at the cut pass. Its interval is Clopper-Pearson on the surviving background "
    "jets at this cut; 'rejection_over_cuts' is the same number with an interval that also covers the finite number of "
    "signal jets that set the cut."
)


def separation(
    signal_scores: NDArray[np.float64], background_scores: NDArray[np.float64], *, signal: str
) -> tuple[tuple[Cut, ...], list[dict[str, Any]], list[str]]:
    """Cuts, what each `Score` holds beyond the facts that all share, and the working points out of reach.

    signal: the class, whose own working point is taken beside `WORKING_POINTS`
    """
    interval = delong_interval(signal_scores, background_scores, level=LEVEL)
    scores = [{"metric": "auc", "value": auc(signal_scores, background_scores), **bounds(interval)}]
    cuts, problems = [], []
    own = (JET_CLASSES[signal].working_point,) if signal in JET_CLASSES else ()
    for point in sorted({*WORKING_POINTS, *own}):
        try:
            cut = cut_at(signal_scores, background_scores, signal_efficiency=point)
        except DataError as error:
            problems.append(str(error))
            scores.append({"metric": "rejection", "working_point": point, "value": None, "interval": "undefined"})
            continue
        over_cuts = rejection_interval_over_cuts(signal_scores, background_scores, signal_efficiency=point, level=LEVEL)
        shared = {"working_point": point, "value": cut.rejection, "n_survivors": cut.n_survivors}
        scores.append({"metric": "rejection", **shared, **bounds(rejection_interval(cut, level=LEVEL))})
        scores.append({"metric": "rejection_over_cuts", **shared, **bounds(over_cuts)})
        cuts.append(cut)
    return tuple(cuts), scores, problems
