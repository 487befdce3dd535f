import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urlsplit

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from tracking_samples import DIGEST, frame_of, pair_scores, probe_scores

from jetassay.errors import InterruptedRunError, TrackingError
from jetassay.tracking import writing
from jetassay.tracking.runs import open_suite_run, record_suite
from jetassay.tracking.store import ServerAwayError, Store
from jetassay.tracking.views import VIEW_TAG, decode_view

COMPLETE = "attributes.status = 'FINISHED'"


@pytest.fixture
def record(make_record, reporter, tracking):
    """Record a suite; keywords replace parts of it."""
    return lambda **changed: record_suite(make_record(**changed), reporter=reporter)


@pytest.fixture
def run_of(tracking):
    return tracking.client.get_run


@pytest.fixture
def files_of(tracking):
    """Names of a run's artifacts, and the text of one."""

    def look(run_id, name=None):
        if name is None:
            return {each.path for each in tracking.client.list_artifacts(run_id)}
        return Path(tracking.client.download_artifacts(run_id, name)).read_text()

    return look


def test_a_suite_is_one_run_for_each_backbone_and_seed_and_one_for_itself(record, tracking):
    recorded = record(seeds=(0, 1))
    assert set(recorded.runs) == {("part-mini", 0), ("part-mini", 1), ("mlp", 0)}
    names = {run.info.run_name: run.data.tags["kind"] for run in tracking.find(COMPLETE)}
    assert names == {
        "part-mini seed 0": "backbone",
        "part-mini seed 1": "backbone",
        "mlp": "backbone",
        "suite trial": "suite",
    }
    assert recorded.written == 4
    assert tracking.find("attributes.status != 'FINISHED'") == []


def test_a_run_carries_its_scores_intervals_counts_time_and_memory(record, run_of):
    metrics = run_of(record().runs["part-mini", 0]).data.metrics
    assert metrics["auc/Hbb_vs_QCD"] == 0.95
    assert metrics["auc_low/Hbb_vs_QCD"] == pytest.approx(0.94)
    assert metrics["rejection/Tbl_vs_QCD_at_0.995"] == 123.5
    assert metrics["n_background/Hbb_vs_QCD"] == 2000
    assert metrics["survivors/Hbb_vs_QCD_at_0.50"] == 16
    assert metrics["mean/auc"] == pytest.approx(0.95)
    assert metrics["time_s/embed"] == 1.5
    assert metrics["memory_mib/peak"] == 512


def test_a_run_carries_what_its_scores_depend_on(record, run_of, files_of):
    run_id = record().runs["part-mini", 0]
    tags = run_of(run_id).data.tags
    assert tags["suite"] == "trial"
    assert tags["role"] == "backbone"
    assert tags["data_digest"] == DIGEST
    assert tags["weights_sha256"] == "a" * 64
    assert (tags["git.commit"], tags["git.dirty"]) == ("c" * 40, "true")
    assert tags["mlflow.source.git.commit"] == "c" * 40
    about = json.loads(files_of(run_id, "provenance.json"))
    assert about["backbone"] == "part-mini"
    assert about["git"]["dirty"] is True


def test_parameters_are_only_those_worth_comparing(record, run_of):
    parameters = run_of(record().runs["part-mini", 0]).data.params
    expected = {"role": "backbone", "weights": "a" * 12, "seed": "0", "dataset": "jetclass-sim", "split_seed": "1"}
    assert parameters == {**expected, "dtype": "float32", "width": "64"}


def test_the_dataset_is_logged_with_as_much_of_the_digest_as_mlflow_takes(record, run_of):
    (used,) = run_of(record().runs["mlp", 0]).inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest) == ("jetclass-sim", DIGEST[:32])
    assert json.loads(used.dataset.source)["sha256"] == DIGEST


def test_each_backbone_is_a_logged_model_with_its_scores(record, tracking):
    record()
    models = {model.name: model for model in tracking.client.search_logged_models([tracking.experiment_id])}
    assert set(models) == {"part-mini", "mlp"}
    model = models["part-mini"]
    assert str(model.status) == "READY"
    assert model.tags["weights_sha256"] == "a" * 64
    scores = {metric.key: (metric.value, metric.dataset_name) for metric in model.metrics}
    assert scores["auc/Hbb_vs_QCD"] == (0.95, "jetclass-sim")
    assert "time_s/embed" not in scores


def test_the_table_of_classes_is_read_back_as_it_was(record, tracking):
    recorded = record()
    for run_id in recorded.runs.values():
        table = json.loads(Path(tracking.client.download_artifacts(run_id, "per_class.json")).read_text())
        assert table["columns"][0] == "class"
        assert [row[0] for row in table["data"]] == ["Hbb", "Tbl"]


def test_the_suites_run_holds_similarity_description_and_files(record, run_of, files_of):
    run_id = record().suite_run
    run = run_of(run_id)
    assert run.data.metrics["cka/part-mini_vs_mlp"] == 0.4
    assert run.data.metrics["cka_QCD/part-mini_vs_mlp"] == 0.4
    assert run.data.metrics["time_s/embed"] == 2
    assert "auc/Hbb_vs_QCD" not in run.data.metrics
    assert run.data.tags["mlflow.note.content"].startswith("| backbone | AUC |")
    assert run.data.params["backbones"] == "part-mini, mlp"
    assert files_of(run_id) == {"cka.svg", "leaderboard.md", "provenance.json"}


def test_a_folder_of_figures_is_kept_as_a_folder(record, tracking, tmp_path):
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "roc.svg").write_text("<svg/>")
    run_id = record(artifacts=(tmp_path / "figures",)).suite_run
    assert [each.path for each in tracking.client.list_artifacts(run_id, "figures")] == ["figures/roc.svg"]


def test_a_long_description_ends_with_a_mark_and_is_whole_in_its_file(record, run_of, files_of):
    text = "\n".join(f"| backbone {number} | 0.9 |" for number in range(1000))
    run_id = record(description=text).suite_run
    shown = run_of(run_id).data.tags["mlflow.note.content"]
    assert len(shown) <= 8000
    assert shown.endswith("0.9 |\n\n(cut)")
    assert files_of(run_id, "leaderboard.md") == text + "\n"


def test_recording_the_same_result_again_adds_nothing(record, tracking):
    first, again = record(), record(speed=777.0)
    assert (again.runs, again.suite_run, again.written) == (first.runs, first.suite_run, 0)
    assert len(tracking.find("attributes.status != 'none'")) == 3


def test_two_who_record_the_same_result_at_the_same_time_record_it_once(make_record, reporter, tracking):
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: record_suite(make_record(), reporter=reporter), range(2)))
    assert both[0].runs == both[1].runs
    assert both[0].suite_run == both[1].suite_run
    assert sorted(each.written for each in both) == [0, 3]
    assert len(tracking.find(COMPLETE)) == 3


def test_a_changed_result_is_a_new_run_and_the_old_one_is_no_longer_current(record, tracking):
    old, new = record(auc=0.95), record(auc=0.96)
    assert new.runs["mlp", 0] == old.runs["mlp", 0]
    assert new.written == 2
    current = tracking.find("tags.kind = 'backbone' AND tags.current = 'true'")
    assert {run.info.run_id for run in current} == set(new.runs.values())
    back = record(auc=0.95)
    assert (back.runs, back.written) == (old.runs, 0)
    current = tracking.find("tags.kind = 'backbone' AND tags.current = 'true'")
    assert {run.info.run_id for run in current} == set(old.runs.values())


def test_a_score_without_value_is_flagged_and_left_out(record, run_of, files_of, said):
    frame = frame_of(*probe_scores("mlp", rejection=None), *pair_scores("part-mini", "mlp"))
    recorded = record(frame=frame)
    run = run_of(recorded.runs["mlp", 0])
    assert "rejection/Hbb_vs_QCD_at_0.50" in recorded.missing
    assert "rejection/Hbb_vs_QCD_at_0.50" in run.data.tags["missing"]
    assert not any(name.startswith("rejection/") for name in run.data.metrics)
    assert all(np.isfinite(value) and value < 1e300 for value in run.data.metrics.values())
    assert "2 scores without a value" in said()
    assert "lower limit" in files_of(recorded.runs["mlp", 0], "per_class.json")


def test_each_score_can_be_traced_to_its_run(record, make_record):
    recorded = record(seeds=(0, 1))
    frame = recorded.with_run_ids(make_record(seeds=(0, 1)).frame)
    assert frame["run_id"].notna().all()
    chosen = frame[(frame["backbone"] == "part-mini") & (frame["seed"] == 1) & (frame["task"] == "probe")]
    assert set(chosen["run_id"]) == {recorded.runs["part-mini", 1]}
    assert set(frame[frame["task"] == "throughput"]["run_id"]) == {recorded.runs["mlp", 0]}
    assert set(frame[frame["task"] == "similarity"]["run_id"]) == {recorded.suite_run}


def test_a_runs_own_rows_are_kept_as_a_table(record, tracking):
    run_id = record().runs["mlp", 0]
    frame = pd.read_parquet(tracking.client.download_artifacts(run_id, "scores.parquet"))
    assert set(frame["backbone"]) == {"mlp"}
    assert set(frame["run_id"]) == {run_id}


def test_the_leaderboard_view_holds_the_runs_of_every_split_under_their_average(record, tracking):
    series = {"series": "trial", "series_id": "trial-any"}
    record(**series)
    alone = decode_view(tracking.client.get_experiment(tracking.experiment_id).tags[f"{VIEW_TAG}jetassay-trial"])[1]
    assert alone["groupBy"] is None
    other = record(suite="trial-seed-2", suite_id="trial-0002", auc=0.97, **series)
    tags = tracking.client.get_experiment(tracking.experiment_id).tags
    name, state = decode_view(tags[VIEW_TAG + other.view_key])
    assert name == "trial: leaderboard"
    assert state["groupBy"]["aggregateFunction"] == "average"
    found = tracking.find(state["searchFilter"])
    assert sorted(run.info.run_name for run in found) == ["mlp", "mlp split 1", "part-mini", "part-mini split 1"]


def test_where_a_run_lacks_a_number_the_leaderboard_has_a_column_that_names_it(record, tracking):
    def columns(**changed):
        tags = (record(**changed), tracking.client.get_experiment(tracking.experiment_id).tags)[1]
        return decode_view(tags[f"{VIEW_TAG}jetassay-trial"])[1]["selectedColumns"]

    assert "tags.`missing`" not in columns()
    without = frame_of(*probe_scores("part-mini", rejection=None), *probe_scores("mlp"))
    assert columns(frame=without, suite_id="trial-0002")[-1] == "tags.`missing`"


def test_a_run_that_was_recorded_before_runs_had_a_series_gets_it_without_being_written_again(record, tracking):
    first = record().runs["part-mini", 0]
    again = record(series_id="trial-any")
    assert again.written == 0
    assert tracking.client.get_run(first).data.tags["series"] == "trial-any"


def test_the_leaderboard_view_shows_the_current_runs_best_first(record, tracking):
    recorded = record()
    tags = tracking.client.get_experiment(tracking.experiment_id).tags
    name, state = decode_view(tags[VIEW_TAG + recorded.view_key])
    assert name == "trial: leaderboard"
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`mean/auc`", False)
    assert state["selectedColumns"][:3] == [
        "metrics.`mean/auc`",
        "metrics.`mean/rejection`",
        "metrics.`auc/Hbb_vs_QCD`",
    ]
    assert "metrics.`throughput/jets_per_s`" in state["selectedColumns"]
    assert state["groupBy"] is None  # with one seed each there is nothing to average
    assert {run.info.run_id for run in tracking.find(state["searchFilter"])} == set(recorded.runs.values())


def test_links_open_the_view_and_the_comparison(record):
    recorded = record()
    link = urlsplit(recorded.leaderboard)
    assert link.netloc == "127.0.0.1:5000"
    assert link.fragment == (
        f"/experiments/{recorded.experiment_id}/runs?workflowType=machine_learning&viewStateShareKey=jetassay-trial"
    )
    runs = unquote(recorded.compare).partition("runs?runs=")[2].partition("&")[0]
    assert json.loads(runs) == list(recorded.runs.values())


def test_the_callers_own_mlflow_is_left_as_it_was(record, monkeypatch):
    before = mlflow.get_tracking_uri()
    record()
    assert mlflow.get_tracking_uri() == before
    assert mlflow.active_run() is None


def test_a_failure_while_a_run_is_written_marks_it_failed_and_the_next_try_completes_it(record, tracking, monkeypatch):
    def full_disk(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(writing, "per_class_table", full_disk)
        with pytest.raises(TrackingError, match=r"No space left.*run the same suite again"):
            record()
    statuses = {run.info.run_name: run.info.status for run in tracking.find("attributes.status != 'none'")}
    assert statuses == {"part-mini": "FAILED", "suite trial": "FAILED"}
    recorded = record()
    assert {run.info.run_id for run in tracking.find(COMPLETE)} == {*recorded.runs.values(), recorded.suite_run}


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError, "FAILED"), (SystemExit, "FAILED"), (KeyboardInterrupt, "KILLED"), (InterruptedRunError, "KILLED")],
)
def test_whatever_ends_a_suite_shows_on_its_run(tracking, reporter, error, status):
    run_ids = []

    def suite():
        with open_suite_run(suite="trial", suite_id="trial-0001", reporter=reporter) as opened:
            run_ids.append(opened.run_id)
            assert tracking.client.get_run(opened.run_id).info.status == "RUNNING"
            raise error

    with pytest.raises(error):
        suite()
    assert tracking.client.get_run(run_ids[0]).info.status == status


def test_a_suite_that_ends_well_is_recorded_in_the_run_that_was_open(tracking, reporter, make_record):
    with open_suite_run(suite="trial", suite_id="trial-0001", reporter=reporter) as opened:
        recorded = opened.record(make_record())
    assert recorded.suite_run == opened.run_id
    assert tracking.client.get_run(opened.run_id).info.status == "FINISHED"


def test_a_store_that_cannot_be_written_to_ends_in_one_plain_error(record, database, capfd):
    connection = sqlite3.connect(database)
    connection.execute("DROP TABLE runs")
    connection.commit()
    connection.close()
    with pytest.raises(TrackingError, match=r"failed: .*no such table: runs"):
        record()
    assert "Traceback" not in capfd.readouterr().err


def test_a_server_that_is_away_stops_the_recording_but_not_the_computing(monkeypatch, reporter, make_record, said):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # the discard port: nobody listens
    computed = False
    with open_suite_run(suite="trial", suite_id="trial-0001", reporter=reporter) as opened:
        computed = True
        with pytest.raises(ServerAwayError, match="nothing is lost"):
            opened.record(make_record())
    assert computed
    assert "does not answer" in said()


def test_a_server_that_leaves_in_the_middle_is_named_as_away(tracking, reporter, make_record, monkeypatch, said):
    def leave(*_, **__):
        monkeypatch.setattr(Store, "check", away)
        raise MlflowException("Max retries exceeded")

    def away(_):
        raise ServerAwayError("does not answer")

    monkeypatch.setattr(writing, "per_class_table", leave)
    with pytest.raises(ServerAwayError, match="does not answer"):
        record_suite(make_record(), reporter=reporter)


def test_results_of_a_time_without_server_are_sent_when_it_is_back(
    monkeypatch, reporter, make_record, database, tracking
):
    with monkeypatch.context() as away:
        away.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        with open_suite_run(suite="trial", suite_id="trial-0001", reporter=reporter) as opened:
            pass
    recorded = opened.record(make_record())
    assert recorded.written == 3
    assert len(tracking.find(COMPLETE)) == 3


def test_files_that_another_run_is_writing_are_no_artifacts(record, files_of, tmp_path):
    figures = tmp_path / "figures"
    (figures / "more").mkdir(parents=True)
    for name in ("roc.svg", "more/cka.svg", ".roc.svg-host-1-0a1b2c3d.partial"):
        (figures / name).write_text("<svg/>")
    recorded = record(artifacts=(figures,))
    assert "figures" in files_of(recorded.suite_run)
    assert files_of(recorded.suite_run, "figures/more/cka.svg") == "<svg/>"
    with pytest.raises((MlflowException, OSError)):
        files_of(recorded.suite_run, "figures/.roc.svg-host-1-0a1b2c3d.partial")


def test_a_repeated_run_that_was_killed_before_it_deleted_itself_is_forgotten(record, tracking):
    recorded = record()
    tags = {"kind": "suite", "suite": "trial", "suite_id": "trial-0001", "process.pid": "0", "process.start": "1"}
    empty = tracking.create_run("suite trial", tags)
    tracking.client.set_terminated(empty, "FINISHED")
    record()
    assert {run.info.run_id for run in tracking.find(COMPLETE)} == {recorded.suite_run, *recorded.runs.values()}
