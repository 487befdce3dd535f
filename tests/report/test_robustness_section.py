import pandas as pd
import pytest

from jetassay.report.figures import styles
from jetassay.report.sections.robustness import change_figure, loss_cells, shift_cells
from jetassay.tasks.score import Context, Score, result_frame

CONTEXT = Context(suite="m", dataset="sim", data_digest="d", split_seed=1, weights_sha256=None, dtype="float32")
SHARED = {"task": "robustness", "task_version": 1, "level": 0.68, "interval": "paired-bootstrap"}


@pytest.fixture
def changes():
    rows = [
        ("beta", "drop=0.2", "Hbb", -0.03, 0.01),
        ("beta", "drop=0.2", "Hcc", -0.05, 0.002),
        ("beta", "smear=0.1", "Hbb", -0.001, 0.01),
        ("beta", "smear=0.1", "Hcc", 0.004, 0.001),
        ("alpha", "drop=0.2", "Hbb", -0.2, 0.02),
        ("alpha", "drop=0.2", "Hcc", -0.3, 0.5),
    ]
    scores = [
        Score(**SHARED, backbone=name, bin=variation, signal=signal, background="QCD", metric="auc_change",
              value=value, low=value - half, high=value + half)
        for name, variation, signal, value, half in rows
    ]  # fmt: skip
    return result_frame((CONTEXT, score) for score in scores)


def test_a_loss_is_shown_with_its_signal_and_only_where_it_is_one(changes):
    cells = loss_cells(changes)
    assert list(cells.index) == ["beta", "alpha"]
    assert list(cells.columns) == ["drop=0.2", "smear=0.1"]
    assert cells.loc["beta"].tolist() == ["-0.050(2) Hcc", "none"]
    assert cells.loc["alpha"].tolist() == ["-0.200(20) Hbb", "none"]


def test_an_embedding_that_did_not_move_has_a_plain_zero():
    scores = [
        Score(**SHARED, backbone="a", bin=name, metric="embedding_shift", value=value, low=value, high=high)
        for name, value, high in (("drop=0.2", 0.5, 0.52), ("without=charge", 0.0, 0.0))
    ]
    cells = shift_cells(result_frame((CONTEXT, score) for score in scores))
    assert cells.loc["a"].tolist() == ["0.500(10)", "0"]


def test_every_signal_has_a_panel_and_every_change_a_point(changes):
    import matplotlib.pyplot as plt

    figure = change_figure(changes, style=styles(changes))
    drawn = [axes for axes in figure.axes if axes.get_visible()]
    assert len(drawn) == 2
    points = [line.get_ydata() for axes in drawn for box in axes.containers for line in [box.lines[0]]]
    assert sorted(value for each in points for value in pd.Series(each).dropna()) == pytest.approx(
        sorted(changes["value"].tolist())
    )
    plt.close(figure)
