"""Pages on similarity show the numbers of frame and tables, in their places, with what chance gives."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from jetassay.report.content import Content, Figure, Row, Table, Text
from jetassay.report.sections import layers, similarity_families
from jetassay.report.similarity_figures import bins_figure, convergence_figure, layers_figure, pair_matrix
from jetassay.tasks.convergence import NOISE
from jetassay.tasks.families import FAMILIES
from jetassay.tasks.score import Context, Score, result_frame

NAMES = ("alpha", "beta", "alpha-untrained")
CONTEXT = Context(suite="s", dataset="d", data_digest="d", split_seed=1, weights_sha256=None, dtype="float32")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def scores(bins=("all", "all, residual", "QCD", "Hbb")):
    for where in bins:
        for first, second in combinations(NAMES, 2):
            for metric in FAMILIES:
                facts = {"task": "similarity-families", "task_version": 1, "bin": where}
                pair = {"backbone": first, "backbone_b": second}
                yield Score(**facts, **pair, metric=metric, value=0.25, low=0.24, high=0.26)
                if metric == "cross_r2":
                    back = {"backbone": second, "backbone_b": first}
                    yield Score(**facts, **back, metric=metric, value=0.75, low=0.74, high=0.76)
                yield Score(**facts, **pair, metric=f"{metric}_null", value=-0.004)
                yield Score(**facts, **pair, metric=f"{metric}_p_value", value=0.05)


def anchor_table():
    rows = [("untrained twin", "alpha", "alpha-untrained", metric, 0.1, 0.09, 0.11, 99) for metric in FAMILIES]
    rows.append(("untrained twin", "alpha-untrained", "alpha", "cross_r2", 0.2, 0.19, 0.21, 99))
    columns = ["kind", "backbone", "backbone_b", "metric", "value", "low", "high", "n_jets"]
    return pd.DataFrame(rows, columns=columns)


def curves():
    rows = [
        (first, second, metric, estimator, n, 0, 0.5 if estimator in ("biased", "in sample") else 0.0)
        for first, second in (*combinations(NAMES, 2), NOISE)
        for metric, estimators in (("linear_cka", ("debiased", "biased")), ("svcca", ("held out", "in sample")))
        for estimator in estimators
        for n in (128, 256)
    ]
    return pd.DataFrame(rows, columns=["backbone", "backbone_b", "metric", "estimator", "n_jets", "draw", "value"])


def layer_table():
    keys = [("alpha", "one"), ("alpha", "out"), ("beta", "one"), ("beta", "out")]
    rows = [
        (*a, *b, metric, where, 0.1 * (k + 1), 0.0, 1.0, 500)
        for metric in ("linear_cka", "rbf_cka")
        for where in ("all", "QCD")
        for k, (a, b) in enumerate(combinations(keys, 2))
    ]
    columns = ["backbone", "layer", "backbone_b", "layer_b", "metric", "bin", "value", "low", "high", "n_jets"]
    return pd.DataFrame(rows, columns=columns)


def content_of(found, **tables):
    frame = result_frame((CONTEXT, each) for each in found)
    roles = {"alpha-untrained": "control"}
    return Content(frame=frame, tables=tables, counts=pd.DataFrame(), provenance={}, protocol="", roles=roles)


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_all_families_stand_side_by_side_with_their_nulls_and_anchors():
    made = similarity_families.section(
        content_of(scores(), cka_convergence=curves(), similarity_anchors=anchor_table())
    )
    assert [each.name for each in made.figures] == [
        "similarity_families",
        "similarity_bins_linear_cka",
        "similarity_bins_mutual_knn",
        "cka_convergence",
    ]
    notes = " ".join(block.text for block in made.blocks if isinstance(block, Text))
    assert "0 within 0.004" in notes
    assert "72 of 72 p-values are 0.05" in notes
    anchors, pairs = (block.cells for block in made.blocks if isinstance(block, Table))
    assert anchors.loc["untrained twin: alpha", "cross-prediction R²"] == "0.100(10) / 0.200(10)"
    assert pairs.loc["alpha – beta", "linear CKA"] == "0.250(10)"
    assert pairs.loc["alpha – beta", "cross-prediction R²"] == "0.250(10) / 0.750(10)"


def test_the_heat_map_has_a_panel_for_each_family_and_its_values():
    made = similarity_families.section(content_of(scores()))
    figure = made.figures[0].draw()
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_title(loc="left")]
    assert len(titles) == len(FAMILIES)
    assert texts(figure).count("0.25") == 5 * 6 + 3
    assert texts(figure).count("0.75") == 3


def test_a_matrix_is_symmetric_unless_both_ways_are_there():
    frame = result_frame((CONTEXT, each) for each in scores(bins=("all",)))
    linear = pair_matrix(frame[frame["metric"] == "linear_cka"], NAMES)
    assert np.array_equal(linear, linear.T)
    assert np.array_equal(np.diag(linear), np.ones(3))
    cross = pair_matrix(frame[frame["metric"] == "cross_r2"], NAMES)
    assert (cross[0, 1], cross[1, 0]) == (0.25, 0.75)
    assert np.isnan(pair_matrix(frame[:0], NAMES)[0, 1])


def test_bins_are_in_order_each_with_its_residual():
    frame = result_frame((CONTEXT, each) for each in scores())
    chosen = frame[frame["metric"] == "linear_cka"]
    made = similarity_families.section(content_of(scores()))
    figure = made.figures[1].draw()
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["all", "all, residual", "QCD", "Hbb"]
    figure = bins_figure(chosen, [("beta", "alpha"), ("alpha", "nowhere")], ["all", "Hgg"])
    assert texts(figure) == ["0.25"]


def test_convergence_draws_the_usual_estimate_dashed():
    figure = convergence_figure(curves(), [("alpha", "beta")], NOISE, {"linear_cka": "b", "svcca": "r"})
    left, right = figure.axes
    assert [text.get_text() for text in left.get_legend().get_texts()] == [
        "linear CKA, debiased",
        "linear CKA, biased",
        "SVCCA, held out",
        "SVCCA, in sample",
    ]
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["alpha – beta"]


def test_layers_stand_by_backbone_and_depth():
    table = layer_table()
    chosen = table[(table["metric"] == "linear_cka") & (table["bin"] == "all")]
    figure = layers_figure(chosen.sample(frac=1, random_state=0).sort_values("value"))
    labels = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert labels == ["alpha  one", "alpha  out", "beta  one", "beta  out"]
    assert texts(figure)[:4] == ["1.00", "0.10", "0.20", "0.30"]
    made = layers.section(content_of((), layer_similarity=table))
    assert [each.name for each in made.figures] == [
        "layers_linear_cka_all",
        "layers_linear_cka_QCD",
        "layers_rbf_cka_all",
    ]
    assert all(isinstance(block, Row) for block in made.blocks)
    assert "QCD alone (500)" in made.figures[1].caption


def test_without_scores_there_is_no_section():
    assert similarity_families.section(content_of(())) is None
    assert layers.section(content_of(())) is None
    some = similarity_families.section(content_of(scores(bins=("QCD",))))
    assert next(each.name for each in some.blocks if isinstance(each, Figure)) == "similarity_bins_linear_cka"
