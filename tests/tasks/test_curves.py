"""The points of a ROC curve are the cuts of `metrics.roc`, with the intervals of `metrics.intervals`."""

import numpy as np
import pandas as pd
import pytest

from jetassay.metrics.intervals import rejection_interval
from jetassay.metrics.roc import cut_at
from jetassay.tasks.curves import LOGITS, ROC, jet_scores_table, logit_table, roc_points, roc_table


@pytest.fixture
def sides():
    stream = np.random.default_rng(3)
    return stream.normal(1.5, 1, 400).round(2), stream.normal(0, 1, 300).round(2)  # rounded, so that scores tie


def test_each_point_is_the_cut_at_that_efficiency_with_its_own_interval(sides):
    points = roc_points(*sides)
    for wanted in (0.1, 0.5, 0.9):
        cut = cut_at(*sides, signal_efficiency=wanted)
        found = points[points["signal_efficiency"] == cut.signal_efficiency].iloc[0]
        interval = rejection_interval(cut, level=0.68)
        assert found["low"] == pytest.approx(interval.low)
        if cut.rejection is None:
            assert np.isnan([found["rejection"], found["high"]]).all()
        else:
            assert found["rejection"] == pytest.approx(cut.rejection)
            assert found["high"] == pytest.approx(interval.high)


def test_a_curve_rises_in_efficiency_falls_in_rejection_and_stays_within_its_band(sides):
    points = roc_points(*sides)
    assert (points["signal_efficiency"].diff().dropna() > 0).all()
    assert (points["rejection"].dropna().diff().dropna() <= 0).all()
    there = points.dropna()
    assert ((there["low"] < there["rejection"]) & (there["rejection"] < there["high"])).all()
    assert points["rejection"].min() >= 1


def test_where_no_background_survives_there_is_a_lower_limit_and_never_infinity():
    points = roc_points(np.arange(100.0) + 1000, np.arange(50.0))
    assert points["rejection"].isna().all()
    assert points["high"].isna().all()
    assert points["low"].tolist() == pytest.approx([1 / (1 - 0.16 ** (1 / 50))] * len(points))


def test_points_beyond_the_sample_are_left_out():
    few = roc_points(np.arange(10.0), np.arange(10.0) - 5)
    assert few["signal_efficiency"].min() >= 0.1
    assert few["signal_efficiency"].max() <= 0.9


def test_tables_name_signal_and_jet(sides):
    table = roc_table("probe", {"Hbb": sides, "Hcc": sides})[ROC]
    assert list(dict.fromkeys(table["signal"])) == ["Hbb", "Hcc"]
    assert roc_table("probe", {}) == logit_table({}) == jet_scores_table("knn", {}, names=("QCD",)) == {}


def test_scores_of_jets_come_in_blocks_with_the_row_of_each_jet(monkeypatch):
    monkeypatch.setattr("jetassay.tasks.curves.BLOCK", 2)
    values = np.array([0.5, -1.0, 3.0])
    logits = list(logit_table({"Hbb": values, "Hcc": -values})[LOGITS])
    assert [block["jet"].tolist() for block in logits] == [[0, 1], [2]]
    assert logits[1].dtypes.astype(str).to_dict() == {"jet": "int32", "Hbb": "float32", "Hcc": "float32"}
    assert logits[1][["Hbb", "Hcc"]].to_numpy().tolist() == [[3, -3]]
    sides = [(np.array([4, 5, 6]), values), (np.array([7]), np.array([9.0]))]
    scores = list(jet_scores_table("zero-shot", {"Hbb": sides}, names=("QCD", "Hbb"))["zero_shot_scores"])
    assert [block["jet"].tolist() for block in scores] == [[4, 5], [6], [7]]
    assert pd.concat(scores)["score"].tolist() == [0.5, -1, 3, 9]
    assert set(pd.concat(scores)["signal"]) == {"Hbb"}
