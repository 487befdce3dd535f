"""Tables line up, fit the terminal, and show limits as limits."""

import math

import pandas as pd
import pytest

from jetassay.report.tables import (
    REJECTION,
    aligned,
    leaderboard_cells,
    leaderboard_text,
    matrix,
    multiclass_cells,
    throughput_cells,
)


def test_cells_show_value_and_interval(frame):
    auc, rejection = leaderboard_cells(frame, "auc"), leaderboard_cells(frame, REJECTION)
    assert auc.loc["alpha"].tolist() == ["0.950(3)", "0.9900(4)"]
    assert rejection.loc["alpha", "Hbb"] == "123 +15-12"


def test_a_task_has_its_own_numbers_and_only_its_own(frame):
    assert leaderboard_cells(frame, "auc", task="zero-shot").to_dict() == {"Hbb": {"alpha": "0.970(2)"}}
    text = leaderboard_text(frame, width=200, task="zero-shot")
    assert "the classifier's own outputs" in text
    assert "77.0 +8.0-7.0" in text
    assert "123" not in text


def test_all_classes_together_are_a_table_where_there_are_such_scores(frame):
    cells = multiclass_cells(frame)
    assert cells.loc["alpha"].to_dict() == {"accuracy": "0.772(4)", "log-loss": "0.642(10)"}
    assert "All classes together" not in leaderboard_text(frame, width=200)


def test_a_rejection_without_survivors_is_a_lower_limit(frame):
    assert leaderboard_cells(frame, REJECTION).loc["alpha", "Tbl"] == ">210"


def test_rejections_are_shown_at_each_class_own_working_point_only(frame):
    assert "20.0" not in leaderboard_text(frame, width=200)


def test_a_rejection_without_an_upper_end_shows_its_lower_one_and_no_infinity(frame):
    row = (frame["signal"] == "Hbb") & (frame["working_point"] == 0.5) & (frame["task"] == "probe")
    frame.loc[row, ["value", "low", "high"]] = [500.0, 217.4, pd.NA]
    assert leaderboard_cells(frame, REJECTION).loc["alpha", "Hbb"] == "500 (>217)"
    assert "inf" not in leaderboard_text(frame, width=100)


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_every_line_fits_the_width_and_no_cell_is_lost(frame, width):
    cells = leaderboard_cells(frame, REJECTION)
    text = aligned(cells, width=width)
    assert all(len(line) <= max(width, 14 + 2 + 10) for line in text.splitlines())
    assert text.count(">210") == 2
    assert text.count("123 +15-12") == 2


def test_an_empty_table_is_empty():
    assert aligned(pd.DataFrame(index=["a"]), width=80) == ""


def test_the_cka_matrix_is_symmetric_with_ones_and_keeps_negative_values(frame):
    table = matrix(frame, "cka", where="QCD")
    assert table.loc["alpha", "beta-long-name"] == table.loc["beta-long-name", "alpha"] == -0.01
    assert table.loc["alpha", "alpha"] == 1.0


def test_a_missing_number_is_never_drawn_as_zero(frame):
    frame.loc[(frame["metric"] == "cka") & (frame["bin"] == "all"), "value"] = pd.NA
    assert math.isnan(matrix(frame, "cka", where="all").loc["alpha", "beta-long-name"])


def test_throughput_shows_the_spread(frame):
    assert throughput_cells(frame).loc["alpha", "jets/s"] == "512 (500 to 530)"


def test_labels_of_other_datasets_are_shown_after_those_of_jetclass(frame):
    renamed = frame.assign(
        signal=frame["signal"].replace({"Hbb": "quark"}), background=frame["background"].replace({"QCD": "gluon"})
    )
    assert leaderboard_cells(renamed, "auc").columns.tolist() == ["Tbl", "quark"]
    assert "against gluon" in leaderboard_text(renamed, width=100)
    assert "quark 50%" in leaderboard_text(renamed, width=100)
