"""Results of a time without a store are kept whole and sent once, whatever stops in between."""

import json
import platform
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from jetassay.errors import TrackingError
from jetassay.tracking import outbox, writing
from jetassay.tracking.runs import open_suite_run, record_suite
from jetassay.tracking.store import ServerAwayError, Store

NOBODY = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("JETASSAY_WORKSPACE", str(tmp_path / "workspace"))


@pytest.fixture
def whole(tracking):
    """Kinds of the finished runs in the store."""

    def look():
        return sorted(run.data.tags["kind"] for run in tracking.find("attributes.status = 'FINISHED'"))

    return look


@pytest.fixture
def everything(tracking):
    """All runs that are not deleted."""
    return lambda: tracking.find("attributes.status != 'none'")


ALL = ["backbone", "backbone", "suite"]


def test_what_is_kept_comes_back_as_it_was(make_record, tmp_path):
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "roc.svg").write_text("<svg/>")
    record = make_record()
    record = make_record(artifacts=(*record.artifacts, tmp_path / "figures"))
    back, run_id = outbox.load(outbox.keep(record, run_id="abc"))
    pd.testing.assert_frame_equal(back.frame, record.frame)
    assert (back.suite_id, back.description, back.backbones, run_id) == (
        record.suite_id, record.description, record.backbones, "abc",
    )  # fmt: skip
    assert [each.name for each in back.artifacts] == ["cka.svg", "figures"]
    assert (back.artifacts[1] / "roc.svg").read_text() == "<svg/>"


def test_what_a_killed_process_left_is_neither_sent_nor_kept(make_record, reporter, tracking):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    entry = outbox.keep(make_record())
    half = entry.with_name(f".{entry.name}-{platform.node().replace('-', '_')}-{gone.pid}-0a1b2c3d.partial")
    shutil.copytree(entry, half)
    sent = entry.with_name("trial-0123456789ab")
    shutil.copytree(entry, sent)
    (sent / "record.json").unlink()
    assert outbox.waiting() == [entry]
    outbox.send(reporter=reporter)
    assert not list(outbox.outbox().glob("*trial*"))


def test_files_that_another_run_is_writing_are_not_kept(make_record, tmp_path):
    figures = tmp_path / "figures"
    figures.mkdir()
    (figures / "roc.svg").write_text("<svg/>")
    (figures / ".roc.svg-host-1-0a1b2c3d.partial").write_text("<sv")
    entry = outbox.keep(make_record(artifacts=(figures,)))
    assert [path.name for path in entry.glob("files/0/figures/*")] == ["roc.svg"]


def test_files_are_copied_so_that_a_later_run_may_overwrite_them(make_record):
    record = make_record()
    entry = outbox.keep(record)
    record.artifacts[0].write_text("another")
    assert outbox.load(entry)[0].artifacts[0].read_text() == "<svg/>"


def test_the_same_result_is_kept_once_and_another_one_beside_it(make_record):
    assert outbox.keep(make_record()) == outbox.keep(make_record(speed=7.0))
    outbox.keep(make_record(auc=0.91, suite_id="trial-0002"))
    assert len(outbox.waiting()) == 2


def test_everything_that_waits_is_sent_and_forgotten(make_record, tracking, reporter, whole):
    outbox.keep(make_record())
    outbox.keep(make_record(auc=0.91, suite_id="trial-0002"))
    sent = outbox.send(reporter=reporter)
    assert [each.suite_id for each, _ in sent.recorded] == ["trial-0001", "trial-0002"]
    assert whole() == sorted(ALL * 2)
    assert outbox.waiting() == []
    assert outbox.send(reporter=reporter).recorded == []


def test_stopped_between_sending_and_forgetting_sends_nothing_twice(
    make_record, tracking, reporter, everything, tmp_path
):
    entry = outbox.keep(make_record())
    shutil.copytree(entry, tmp_path / "before")
    outbox.send(reporter=reporter)
    shutil.copytree(tmp_path / "before", entry)
    ((_, again),) = outbox.send(reporter=reporter).recorded
    assert again.written == 0
    assert len(everything()) == 3


def test_a_store_that_is_away_loses_nothing(make_record, monkeypatch, reporter):
    outbox.keep(make_record())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", NOBODY)
    with pytest.raises(TrackingError, match=r"does not answer.* 1 result\(s\) stay in"):
        outbox.send(reporter=reporter)
    assert len(outbox.waiting()) == 1


def test_a_server_that_leaves_while_a_run_is_written_leaves_no_half_run_behind(
    make_record, tracking, reporter, monkeypatch, whole, everything
):
    record = make_record()
    with monkeypatch.context() as leaving:
        calls = []

        def leave(*args, **options):
            calls.append(args)
            if len(calls) > 1:
                raise MlflowException("Max retries exceeded")
            return writing.pd.DataFrame()

        leaving.setattr(writing, "per_class_table", leave)
        with (
            pytest.raises(TrackingError),
            open_suite_run(suite="trial", suite_id="trial-0001", reporter=reporter) as run,
        ):
            run.record(record)
    assert whole() == ["backbone"]
    states = sorted(each.info.status for each in everything())
    assert states == ["FAILED", "FAILED", "FINISHED"]
    outbox.keep(record, run_id=run.run_id)
    ((_, recorded),) = outbox.send(reporter=reporter).recorded
    assert whole() == ALL
    assert recorded.suite_run == run.run_id
    assert len(everything()) == 3
    names = [each.name for each in tracking.client.search_logged_models([tracking.experiment_id])]
    assert sorted(names) == ["mlp", "part-mini"]


def test_a_server_that_is_away_when_a_suite_ends_costs_a_warning_and_no_answer(
    tracking, reporter, monkeypatch, said, everything
):
    def away(_):
        raise ServerAwayError("does not answer")

    def no(*_, **__):
        raise MlflowException("Max retries exceeded")

    with monkeypatch.context() as leaving:
        with open_suite_run(suite="trial", suite_id="trial-0001", reporter=reporter) as run:
            leaving.setattr(Store, "check", away)
            leaving.setattr(MlflowClient, "set_terminated", no)
        assert run.run_id in said()
    assert [each.info.status for each in everything()] == ["RUNNING"]


def test_a_damaged_entry_is_named_and_stays_and_the_others_are_sent(make_record, tracking, reporter, whole):
    bad = outbox.keep(make_record(auc=0.91, suite_id="trial-0002"))
    (bad / "scores.parquet").write_bytes(b"PAR1")
    outbox.keep(make_record())
    sent = outbox.send(reporter=reporter)
    assert len(sent.recorded) == 1
    assert len(sent.problems) == 1
    assert bad.name in sent.problems[0]
    assert outbox.waiting() == [bad]
    assert whole() == ALL


def test_an_entry_of_another_version_is_refused(make_record):
    entry = outbox.keep(make_record())
    about = json.loads((entry / "record.json").read_text())
    (entry / "record.json").write_text(json.dumps({**about, "version": 9}))
    with pytest.raises(TrackingError, match=r"another version \(9"):
        outbox.load(entry)


def test_an_entry_that_was_never_finished_does_not_wait_and_is_replaced(make_record):
    entry = outbox.keep(make_record())
    (entry / "record.json").unlink()
    assert outbox.waiting() == []
    outbox.keep(make_record())
    assert outbox.waiting() == [entry]


def test_two_senders_at_once_send_everything_once(make_record, tracking, reporter, everything):
    outbox.keep(make_record())

    def send(_):
        try:
            return len(outbox.send(reporter=reporter).recorded)
        except TrackingError:
            return 0

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(send, range(2))) == 1
    assert len(everything()) == 3


def test_recording_after_a_killed_run_of_the_same_suite_takes_no_foreign_run(make_record, tracking, reporter):
    foreign = tracking.create_run("foreign", {"kind": "suite", "suite_id": "another"})
    recorded = record_suite(make_record(), reporter=reporter, run_id=foreign)
    assert recorded.suite_run != foreign
