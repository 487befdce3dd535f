"""Quality against cost: who is beaten by nobody, and means over the same signals for all."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from jetassay.report.content import Content, Figure
from jetassay.report.sections.throughput import cost_cells, mean_quality, section, unbeaten
from jetassay.tasks.score import Context, Score, result_frame


def test_only_those_are_on_the_line_that_no_other_beats():
    cost, loss = np.array([1.0, 2.0, 3.0, 2.5, 2.0]), np.array([0.5, 0.3, 0.1, 0.4, 0.35])
    assert unbeaten(cost, loss) == [0, 1, 2]
    assert unbeaten(np.array([1.0, 1.0]), np.array([0.2, 0.2])) == [0, 1]


def test_quality_is_the_mean_over_signals_of_those_that_have_all(frame):
    quality = mean_quality(frame)
    assert quality.loc["alpha", "value"] == pytest.approx(1 - (0.95 + 0.99) / 2)
    assert quality.loc["alpha", "low"] == pytest.approx(1 - (0.953 + 0.9904) / 2)
    lacking = frame[~((frame["backbone"] == "alpha") & (frame["signal"] == "Tbl"))]
    assert list(mean_quality(lacking).index) == ["beta-long-name"]


@pytest.fixture
def costly(frame):
    context = Context(suite="mine", dataset="sim", data_digest="d", split_seed=1, weights_sha256=None, dtype="float32")
    facts = {"flops_per_jet": 2.5e6, "peak_memory_mib": 3.0, "constituents_per_jet": 41.5}
    shared = {"task": "throughput", "task_version": 1, "backbone": "alpha"}
    scores = [Score(metric=name, value=value, **shared) for name, value in facts.items()]
    return pd.concat([frame, result_frame((context, each) for each in scores)], ignore_index=True)


def test_a_cost_that_was_not_measured_is_a_dash(costly, frame):
    cells = cost_cells(costly)
    assert cells.loc["alpha"].tolist()[1:] == ["2.5", "3", "41.5"]
    assert cells.loc["beta-long-name"].tolist()[1:] == ["-", "-", "-"]
    assert list(cost_cells(frame).columns) == ["jets/s"]


def test_the_figure_has_a_panel_for_every_cost_and_the_caption_the_constituents(costly):
    made = section(Content(frame=costly, tables={}, counts=pd.DataFrame(), provenance={}, protocol=""))
    figure = next(each for each in made.blocks if isinstance(each, Figure) and each.name == "cost")
    assert "41.5 constituents a jet" in figure.caption
    drawn = figure.draw()
    labels = [axes.get_xlabel() for axes in drawn.axes]
    points = [len(axes.lines) - 1 for axes in drawn.axes]  # beside the line of the unbeaten
    plt.close(drawn)
    assert labels[0] == "jets per second"
    assert points == [2, 1, 1]
