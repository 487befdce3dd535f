"""Learning curves, the ladder of heads and the confusion matrices show the numbers of the frame."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from jetassay.report.content import Content, Figure, Table
from jetassay.report.figures import styles
from jetassay.report.sections import few_shot, ladder, multiclass
from jetassay.tasks.score import Context, Score, result_frame

NAMES = ("alpha", "beta-untrained")
CONTEXT = Context(suite="s", dataset="d", data_digest="d", split_seed=1, weights_sha256=None, dtype="float32")


def content_of(scores, **tables):
    frame = result_frame((CONTEXT, each) for each in scores)
    roles = {"beta-untrained": "control"}
    return Content(frame=frame, tables=tables, counts=pd.DataFrame(), provenance={}, protocol="", roles=roles)


def learning_curves(**more):
    facts = {"task": "few-shot", "task_version": 1, "signal": "Hbb", "background": "QCD", **more}
    for shift, name in enumerate(NAMES):
        for n_train, value in ((20, 0.8), (200, 0.9), (2000, 0.95)):
            here = {**facts, "backbone": name, "n_train": n_train, "value": value - 0.01 * shift}
            spread = {"low": here["value"] - 0.02, "high": here["value"] + 0.02} if n_train < 2000 else {}
            yield Score(**here, metric="auc", **spread)
            yield Score(**here, metric="auc", draw=0)
            yield Score(**here, metric="auc_over_test_jets", low=value - 0.03, high=value + 0.03)
        yield Score(**facts, backbone=name, metric="area_under_curve", value=0.875, low=0.87, high=0.88)
    pair = {**facts, "backbone": NAMES[0], "backbone_b": NAMES[1]}
    yield Score(**pair, metric="crossing", value=85.2, low=60.1, high=130.4)
    yield Score(**pair, metric="crossing_share", value=0.974)
    yield Score(**{**pair, "signal": "Tbl"}, metric="crossing", value=None, interval="none: alpha stays above beta")
    yield Score(**{**pair, "signal": "Tbl"}, metric="crossing_share", value=0.01)


def heads():
    for task, value in (("probe", 0.9), ("knn", 0.92), ("mlp-probe", 0.95)):
        for name in NAMES:
            facts = {"task": task, "task_version": 1, "backbone": name, "signal": "Hbb", "background": "QCD"}
            yield Score(**facts, metric="auc", value=value, low=value - 0.003, high=value + 0.003)
            rejection = {"metric": "rejection_over_cuts", "working_point": 0.5, "low": 9.0, "high": 11.0}
            yield Score(**facts, **rejection, value=10.0)


def all_classes(seen=NAMES):
    for name in seen:
        facts = {"task": "multiclass", "task_version": 1, "backbone": name}
        yield Score(**facts, metric="accuracy", value=0.7, low=0.69, high=0.71)
        yield Score(**facts, metric="log_loss", value=0.8, low=0.79, high=0.81)


def counts(backbone):
    rows = [("QCD", "QCD", 90), ("QCD", "Hbb", 10), ("Hbb", "QCD", 1), ("Hbb", "Hbb", 399)]
    return pd.DataFrame(rows, columns=["true", "predicted", "n"]).assign(backbone=backbone)


def drawn(section):
    figures = [block.draw() for block in section.blocks if isinstance(block, Figure)]
    for figure in figures:
        figure.canvas.draw()
        plt.close(figure)
    return figures


def tables_of(section):
    return [block for block in section.blocks if isinstance(block, Table)]


def test_a_suite_without_these_tasks_has_none_of_these_sections():
    nothing = content_of([Score(task="throughput", task_version=1, metric="jets_per_s", value=1.0, backbone="alpha")])
    assert [each.section(nothing) for each in (few_shot, ladder, multiclass)] == [None, None, None]


def test_a_learning_curve_is_drawn_from_the_means_against_jets_of_each_class():
    content = content_of(learning_curves())
    means = content.scores("few-shot")[lambda frame: frame["draw"].isna()]
    rows = [(name, "linear", "Hbb", n, k) for name in NAMES for n in (10, 100) for k in range(101)]
    draws = pd.DataFrame(rows, columns=["backbone", "head", "signal", "n_per_class", "draw"])
    draws["auc"] = 0.8 + 0.001 * draws["draw"]
    figure = few_shot.curves_figure(means, draws=draws, style=styles(content.frame))
    panel = next(axes for axes in figure.axes if "b" in axes.get_title(loc="left"))
    line = panel.lines[0]
    assert list(line.get_xdata()) == [10, 100, 1000]
    assert list(line.get_ydata()) == pytest.approx([0.2, 0.1, 0.05])
    corners = panel.collections[0].get_paths()[0].vertices[:, 1]
    assert (corners.min(), corners.max()) == (pytest.approx(1 - 0.884), pytest.approx(1 - 0.816))
    plt.close(figure)


def test_areas_and_crossings_stand_in_tables():
    section = few_shot.section(content_of(learning_curves()))
    areas, crossings = tables_of(section)
    assert areas.cells.loc["alpha", "Hbb"] == "0.875(5)"
    assert areas.groups["beta-untrained"] != areas.groups["alpha"]
    assert crossings.cells.to_dict() == {"Hbb": {"alpha / beta-untrained": "85 (60 to 130), 97 %"}}
    assert len(drawn(section)) == 1


def test_perfect_order_can_be_drawn():
    perfect = [replace(each, value=1.0, low=None, high=None) for each in heads()]
    assert len(drawn(ladder.section(content_of(perfect)))) == 1
    curves = [replace(each, value=1.0, low=None, high=None) for each in learning_curves() if "auc" in each.metric]
    assert len(drawn(few_shot.section(content_of(curves)))) == 1


def test_every_head_of_few_shot_has_its_own_figure():
    section = few_shot.section(content_of([*learning_curves(), *learning_curves(bin="knn")]))
    names = [block.name for block in section.blocks if isinstance(block, Figure)]
    assert names == ["few_shot_linear", "few_shot_knn"]


def test_the_ladder_has_a_line_for_every_backbone_and_head_controls_last():
    section = ladder.section(content_of(heads()))
    auc, rejection = tables_of(section)
    assert list(auc.cells["Hbb"]) == ["0.900(3)", "0.920(3)", "0.950(3)"] * 2
    assert list(auc.cells.index)[::3] == ["alpha: linear", "beta-untrained: linear"]
    assert rejection.folded
    assert rejection.cells.columns[0] == "Hbb 50%"
    (figure,) = drawn(section)
    assert figure.axes[0].lines[0].get_ydata() == pytest.approx([0.1, 0.08, 0.05])


def test_one_head_alone_is_no_ladder():
    assert ladder.section(content_of(score for score in heads() if score.task == "probe")) is None


def test_confusion_is_in_percent_of_the_true_class():
    shares = multiclass.percent(counts("alpha"))
    assert shares.to_numpy() == pytest.approx(np.array([[90, 10], [0.25, 99.75]]))
    both = pd.concat([counts(name) for name in NAMES])
    section = multiclass.section(content_of(all_classes(), confusion=both))
    (table,) = tables_of(section)
    assert table.cells.loc["alpha", "accuracy"] == "0.700(10)"
    (figure,) = drawn(section)
    texts = [[text.get_text() for text in axes.texts] for axes in figure.axes if axes.get_visible()]
    assert texts == [["90", "10", "100"]] * 2
