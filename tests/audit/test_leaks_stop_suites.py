"""A score that is too good to be true stops a suite: what was found is on disk, and nothing is tracked."""

import pandas as pd
import pytest

from jetassay.audit import suspicion
from jetassay.errors import LeakageError
from jetassay.progress import Reporter
from jetassay.run import run_suite
from jetassay.suite import Suite
from jetassay.tracking.engine import open_tracking


def suite_on(folder):
    table = {
        "name": "mine",
        "title": "Mine",
        "backbones": ["jet-observables"],
        "dataset": {"card": "jetclass", "folder": str(folder)},
        "split": {"train": 1, "validation": 1, "test": 1},
        "probe": {"signals": ["Hbb"]},
        "shuffled_labels": {"signals": ["Hbb"]},
        "audit": False,
    }
    return Suite.model_validate(table)


def test_a_score_that_is_too_good_to_be_true_stops_a_suite_after_its_scores_are_written(home, jets_folder, monkeypatch):
    monkeypatch.setattr(suspicion, "CEILINGS", {("Hbb", "QCD"): 0.55})
    monkeypatch.setattr(suspicion, "BEST", 0.01)
    with pytest.raises(
        LeakageError, match=r"jet-observables, probe: AUC 0\.\d+ of Hbb against QCD with 24 and 24 jets"
    ):
        run_suite(suite_on(jets_folder), reporter=Reporter(quiet=True))
    frame = pd.read_parquet(home / "workspace/reports/mine/scores.parquet")
    assert set(frame["task"]) == {"probe", "shuffled-labels"}
    assert frame["run_id"].isna().all()
    assert (home / "workspace/reports/mine/report.html").exists()
    (run,) = open_tracking(reporter=Reporter(quiet=True)).find("attributes.status != 'none'")
    assert (run.info.status, run.data.metrics) == ("FAILED", {})


def test_the_same_suite_goes_through_and_shows_the_floor(home, jets_folder):
    outcome = run_suite(suite_on(jets_folder), reporter=Reporter(quiet=True))
    floor = outcome.results.frame.query("task == 'shuffled-labels'")
    assert (floor["low"] <= floor["value"]).all()
    assert floor["interval"].tolist() == ["50 permutations"]
    assert "Shuffled labels, version 1" in outcome.results.protocol
    assert outcome.results.frame["run_id"].notna().all()
