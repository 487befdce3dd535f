"""ROC curves show the table's numbers, with the ratio to the first trained backbone."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from jetassay.report.content import Content, Fold
from jetassay.report.sections.roc import roc_figure, section

STYLE = {"alpha": ("#3f90da", "o"), "beta": ("#bd1f01", "s")}


@pytest.fixture
def table():
    efficiency = np.array([0.1, 0.5, 0.9])
    rows = [
        pd.DataFrame({"signal_efficiency": efficiency, "rejection": values, "backbone": name})
        for name, values in (("alpha", [np.nan, 100.0, 10.0]), ("beta", [400.0, 50.0, 20.0]))
    ]
    whole = pd.concat(rows, ignore_index=True).assign(signal="Hbb", task="probe")
    return whole.assign(low=whole["rejection"] * 0.8, high=whole["rejection"] * 1.3)


def curves(axes):
    return [line.get_ydata() for line in axes.lines if len(line.get_ydata()) == 3]


def test_the_lower_panel_is_the_ratio_to_the_reference_where_it_has_one(table):
    figure = roc_figure(table, style=STYLE, reference="alpha", controls=frozenset({"beta"}))
    main, below = figure.axes
    drawn, ratios = curves(main), curves(below)
    dashed = [line.get_linestyle() for line in main.lines if len(line.get_ydata()) == 3]
    plt.close(figure)
    np.testing.assert_allclose(drawn, [[np.nan, 100, 10], [400, 50, 20]])
    np.testing.assert_allclose(ratios, [[np.nan, 1, 1], [np.nan, 0.5, 2]])
    assert dashed == ["-", "--"]


def test_other_tasks_than_the_first_are_folded_and_no_curves_make_no_section(table, frame):
    frame = frame.assign(backbone=frame["backbone"].replace("beta-long-name", "beta"))
    both = pd.concat([table, table.assign(task="zero-shot")], ignore_index=True)
    options = {"frame": frame, "counts": pd.DataFrame(), "provenance": {}, "protocol": "", "roles": {"alpha": "floor"}}
    made = section(Content(tables={"roc": both}, **options))
    assert [each.name for each in made.figures] == ["roc_probe", "roc_zero-shot"]
    assert isinstance(made.blocks[1], Fold)
    assert "ratio to beta" in made.figures[0].caption
    assert section(Content(tables={}, **options)) is None
