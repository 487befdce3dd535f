import math

import pandas as pd
import pytest
from tracking_samples import frame_of, pair_scores, probe_scores

from jetassay.errors import TrackingError
from jetassay.jets.classes import CLASS_NAMES, JET_CLASSES
from jetassay.tasks.score import Score
from jetassay.tracking.naming import leaderboard_names, mean_scores, metric_name, named_scores, per_class_table
from jetassay.tracking.record import score_rows


def named(*scores, **options):
    return named_scores(frame_of(*scores, **options))


def test_names_group_by_metric_and_tell_class_and_cut():
    assert list(named(*probe_scores("mlp", signals=("Tbl",))).numbers) == [
        "auc/Tbl_vs_QCD",
        "auc_low/Tbl_vs_QCD",
        "auc_high/Tbl_vs_QCD",
        "n_signal/Tbl_vs_QCD",
        "n_background/Tbl_vs_QCD",
        "rejection/Tbl_vs_QCD_at_0.995",
        "rejection_low/Tbl_vs_QCD_at_0.995",
        "rejection_high/Tbl_vs_QCD_at_0.995",
        "survivors/Tbl_vs_QCD_at_0.995",
    ]


def test_a_pair_is_named_by_both_backbones_and_by_the_jets_it_was_compared_on():
    names = set(named(*pair_scores("part-mini", "mlp")).numbers)
    assert names == {
        f"{metric}/part-mini_vs_mlp"
        for metric in ("cka", "cka_low", "cka_high", "cka_QCD", "cka_QCD_low", "cka_QCD_high")
    }


def test_a_score_of_no_class_is_named_by_its_task():
    score = Score(task="throughput", task_version=1, metric="jets_per_s", value=9.0, low=8.0, backbone="mlp")
    assert list(named(score).numbers) == ["throughput/jets_per_s", "throughput/jets_per_s_low"]


def test_scores_of_another_task_never_meet_those_of_the_probe():
    few = Score(
        task="few-shot",
        task_version=1,
        metric="auc",
        value=0.7,
        backbone="mlp",
        signal="Hbb",
        background="QCD",
        n_train=100,
    )
    assert list(named(few).numbers) == ["few-shot_auc/Hbb_vs_QCD_from_100"]


@pytest.mark.parametrize(
    ("point", "text"), [(0.3, "0.30"), (0.5, "0.50"), (0.99, "0.99"), (0.995, "0.995"), (1.0, "1.00")]
)
def test_working_points_have_at_least_two_decimals(point, text):
    score = Score(
        task="probe", task_version=1, metric="rejection", value=1.0, signal="Hbb", background="QCD", working_point=point
    )
    assert metric_name(score_rows(frame_of(score))[0]) == f"rejection/Hbb_vs_QCD_at_{text}"


def test_mlflow_takes_every_name_even_of_odd_parts():
    from mlflow.utils.validation import _validate_metric_name

    odd = Score(
        task="probe",
        task_version=1,
        metric="auc@0.5%",
        value=1.0,
        signal="H|bb: x/y",
        background="Q C D",
        layer="block/3",
    )
    for name in named(odd, *probe_scores("mlp"), *pair_scores("part-mini", "mlp")).numbers:
        _validate_metric_name(name)


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_a_value_that_is_missing_or_infinite_is_flagged_and_never_a_number(value):
    score = next(each for each in probe_scores("mlp", signals=("Hbb",)) if each.metric == "rejection")
    frame = frame_of(score)
    frame["value"] = frame["high"] = pd.array([value], dtype="Float64")  # as in a file edited by hand
    found = named_scores(frame)
    assert found.missing == ("rejection/Hbb_vs_QCD_at_0.50",)
    assert set(found.numbers) >= {"rejection_low/Hbb_vs_QCD_at_0.50", "survivors/Hbb_vs_QCD_at_0.50"}
    assert not any("high" in name or name.startswith("rejection/") for name in found.numbers)


def test_two_scores_of_one_name_are_an_error_and_not_the_last_one():
    with pytest.raises(TrackingError, match=r"two scores would be tracked as 'auc/Hbb_vs_QCD': 0\.9 and 0\.8"):
        named(*probe_scores("mlp", auc=0.9), *probe_scores("mlp", auc=0.8))


def test_bins_and_single_draws_stay_in_the_tables():
    scores = [
        Score(task="probe", task_version=1, metric="auc", value=0.9, signal="Hbb", background="QCD", bin="pt_500_600"),
        Score(task="probe", task_version=1, metric="auc", value=0.9, signal="Hbb", background="QCD", draw=3),
    ]
    assert named(*scores).numbers == {}


def test_where_a_suite_has_two_datasets_names_tell_them_apart():
    both = pd.concat([frame_of(*probe_scores("mlp")), frame_of(*probe_scores("mlp", auc=0.8), dataset="ideal")])
    found = named_scores(both)
    assert found.numbers["auc/Hbb_vs_QCD_on_jetclass-sim"] == 0.95
    assert found.numbers["auc/Hbb_vs_QCD_on_ideal"] == 0.8
    assert found.datasets["auc/Hbb_vs_QCD_on_ideal"][0] == "ideal"


def test_means_are_over_all_signals_and_geometric_for_rejections():
    frame = frame_of(
        *probe_scores("mlp", auc=0.9, rejection=10.0, signals=("Hbb",)),
        *probe_scores("mlp", auc=0.8, rejection=1000.0, signals=("Tbl",)),
    )
    means = mean_scores(frame, signals=("Hbb", "Tbl"))
    assert means == {"mean/auc": pytest.approx(0.85), "mean/rejection": pytest.approx(100.0)}


def test_a_mean_over_fewer_signals_than_the_others_have_is_left_out():
    assert mean_scores(frame_of(*probe_scores("mlp", signals=("Hbb",))), signals=("Hbb", "Tbl")) == {}


def test_a_mean_with_a_rejection_that_has_no_value_is_left_out():
    assert set(mean_scores(frame_of(*probe_scores("mlp", rejection=None)), signals=("Hbb", "Tbl"))) == {"mean/auc"}


def test_the_table_of_classes_starts_with_the_class_and_follows_the_order_of_classes():
    table = per_class_table(frame_of(*probe_scores("mlp", signals=("Tbl", "Hbb"))))
    assert table.columns[0] == "class"
    assert list(table["class"]) == ["Hbb", "Tbl"]
    assert list(table["working_point"]) == [JET_CLASSES[name].working_point for name in ("Hbb", "Tbl")]
    assert list(table["n_survivors"]) == [16, 16]
    assert set(table["class"]) <= set(CLASS_NAMES)


def test_a_rejection_without_survivors_has_a_note_in_place_of_its_value():
    row = per_class_table(frame_of(*probe_scores("mlp", rejection=None))).iloc[0]
    assert row["rejection"] is None
    assert row["rejection_low"] == 210.0
    assert row["n_survivors"] == 0
    assert "lower limit" in row["note"]


def test_an_undefined_score_has_a_note_in_place_of_its_value():
    score = Score(
        task="probe", task_version=1, metric="auc", value=None, interval="undefined", signal="Hbb", background="QCD"
    )
    assert "undefined" in per_class_table(frame_of(score)).iloc[0]["note"]


def test_a_leaderboard_shows_auc_and_the_rejection_at_the_classs_own_working_point():
    names = [
        "rejection/Tbl_vs_QCD_at_0.99",
        "rejection/Tbl_vs_QCD_at_0.995",
        "auc/Tbl_vs_QCD",
        "auc_low/Tbl_vs_QCD",
        "throughput/jets_per_s",
        "cka/a_vs_b",
    ]
    assert leaderboard_names(names) == ["auc/Tbl_vs_QCD", "rejection/Tbl_vs_QCD_at_0.995", "throughput/jets_per_s"]


def test_pairs_on_one_signal_stay_in_the_table():
    facts = {"task": "comparison", "task_version": 1, "value": 0.1, "backbone": "mlp"}
    facts |= {"signal": "Hbb", "background": "QCD"}
    assert not named(Score(**facts, metric="auc_difference", backbone_b="part-mini")).numbers
    assert set(named(Score(**facts, metric="auc_rank")).numbers) == {"comparison_auc_rank/Hbb_vs_QCD"}


def test_of_the_six_similarities_those_of_all_jets_are_tracked_and_of_layers_none():
    pair = {"task": "similarity-families", "task_version": 1, "backbone": "part-mini", "backbone_b": "mlp"}
    found = [Score(**pair, metric="svcca", value=0.5, bin=where) for where in ("all", "QCD", "all, residual")]
    layer = {"task": "layers", "task_version": 1, "metric": "cka_to_embedding", "backbone": "mlp", "bin": "all"}
    found += [Score(**layer, layer=name, value=value) for name, value in (("hidden-1", 0.5), ("hidden-2", 0.6))]
    assert list(named(*found).numbers) == ["similarity-families_svcca/part-mini_vs_mlp"]
