"""Figures show the numbers of the frame, the right way round."""

import pytest
from matplotlib import pyplot as plt

from jetassay.report.figures import auc_figure


def test_the_bars_of_one_minus_auc_span_the_interval(frame):
    figure = auc_figure(frame)
    shown = {each.get_label(): each for each in figure.axes[0].containers}
    low, high = shown["alpha"].lines[2][0].get_segments()[0][:, 1]  # Hbb stands first
    plt.close(figure)
    assert (low, high) == (pytest.approx(1 - 0.953), pytest.approx(1 - 0.947))
