import json
import signal
import sqlite3

import pytest

from jetassay.errors import TrackingError
from jetassay.tracking.engine import open_tracking
from jetassay.tracking.runs import record_suite

# Opens the store, and is killed in the middle of the steps in which MLflow makes its tables.
KILLED = """
import os, signal
from mlflow.store.db import utils
from jetassay.progress import Reporter
from jetassay.tracking.engine import open_tracking
utils._verify_schema = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
open_tracking(reporter=Reporter())
"""


def test_three_processes_may_create_the_store_at_the_same_moment(first_creation):
    path, outputs = first_creation
    assert [code for code, _, _ in outputs] == [0, 0, 0], outputs
    seen = [json.loads(out) for _, out, _ in outputs]
    assert {each["experiment"] for each in seen} == {"1"}
    assert {each["artifacts"] for each in seen} == {(path.parent / "mlruns" / "jetassay").as_uri()}


def test_no_telemetry_leaves_a_users_process(first_creation):
    assert not any(json.loads(out)["telemetry"] for _, out, _ in first_creation[1])


def test_creation_says_one_line_and_no_more(first_creation):
    for _, _, err in first_creation[1]:
        assert set(err.splitlines()) <= {f"making the tracking store {first_creation[0]}"}


def test_a_process_that_is_killed_while_it_makes_the_store_leaves_none_and_the_next_one_makes_it(
    tmp_path, start, monkeypatch, reporter
):
    path = tmp_path / "mlflow.db"
    killed = start(KILLED, path)
    _, err = killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL, err
    assert not path.exists()
    assert list(tmp_path.glob(".mlflow.db-*.partial"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{path}")
    assert open_tracking(reporter=reporter).find("attributes.status = 'RUNNING'") == []
    assert not list(tmp_path.glob(".mlflow.db-*"))


def test_our_experiment_is_not_the_default_one(tracking):
    assert tracking.client.get_experiment(tracking.experiment_id).name == "jetassay"
    assert tracking.experiment_id != "0"


def test_a_store_that_moved_with_its_folder_finds_its_artifacts(
    database, make_record, reporter, said, monkeypatch, tmp_path
):
    recorded = record_suite(make_record(), reporter=reporter)
    there = tmp_path / "moved here"
    there.mkdir()
    database.rename(there / "mlflow.db")
    (tmp_path / "mlruns").rename(there / "mlruns")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{there}/mlflow.db")
    moved = open_tracking(reporter=reporter)
    assert "was moved here" in said()
    artifacts = moved.client.get_run(recorded.suite_run).info.artifact_uri
    assert artifacts == (there / "mlruns" / "jetassay" / recorded.suite_run / "artifacts").as_uri()
    (model,) = moved.client.search_logged_models([moved.experiment_id], filter_string="name = 'mlp'")
    assert model.artifact_location.startswith((there / "mlruns").as_uri())


def test_a_deleted_experiment_is_named_with_what_brings_it_back(tracking, reporter):
    tracking.client.delete_experiment(tracking.experiment_id)
    with pytest.raises(TrackingError, match=f"mlflow experiments restore --experiment-id {tracking.experiment_id}"):
        open_tracking(reporter=reporter)


def test_an_experiment_whose_artifacts_lie_with_a_server_is_left_alone(database, reporter, tmp_path, monkeypatch):
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE experiments SET artifact_location = 'mlflow-artifacts:/1' WHERE name = 'jetassay'")
    connection.close()
    with pytest.raises(TrackingError, match="made through a server"):
        open_tracking(reporter=reporter)


def test_a_store_of_another_schema_version_is_named_with_what_to_do(database, reporter, tmp_path, monkeypatch):
    other = tmp_path / "other.db"  # another path, for MLflow keeps open stores by address
    database.rename(other)
    with sqlite3.connect(other) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0123456789ab'")
    connection.close()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{other}")
    with pytest.raises(TrackingError, match=r"schema \(found version 0123456789ab.*mlflow db upgrade"):
        open_tracking(reporter=reporter)


def test_a_database_that_was_left_half_made_is_named_with_what_to_do(tmp_path, monkeypatch, reporter):
    path = tmp_path / "half.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE _alembic_tmp_experiments (experiment_id INTEGER PRIMARY KEY)")
    connection.close()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{path}")
    with pytest.raises(TrackingError, match=r"half.db failed: .*which is half done: remove it"):
        open_tracking(reporter=reporter)


def test_a_database_that_was_cut_short_is_named_with_what_to_do(database, tmp_path, monkeypatch, reporter):
    path = tmp_path / "short.db"
    path.write_bytes(database.read_bytes()[:50_000])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{path}")
    with pytest.raises(TrackingError, match=r"short.db failed: .*malformed.*is damaged: take your copy"):
        open_tracking(reporter=reporter)
