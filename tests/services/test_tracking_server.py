"""Runs of many processes in an MLflow server with PostgreSQL, an S3-compatible store and accounts."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import requests
from tracking_server import BUCKET, missing, tracking_server

pytestmark = [
    pytest.mark.services,
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning"),  # botocore's
]
HERE = Path(__file__).resolve().parent
SUITES = ("one", "two", "three", "one", "one")  # the same suite by three processes at once
FINISHED = "SELECT count(*) FROM runs WHERE status = '{}' AND lifecycle_stage = 'active'"


@pytest.fixture(scope="module")
def server():
    if lacking := missing():
        pytest.skip(f"a tracking server cannot be started here: {lacking}")
    with tracking_server() as running:
        yield running


@pytest.fixture(scope="module")
def start(server, tmp_path_factory):
    """Start a process that records a suite, as a user (name and password) or as nobody."""
    folder = tmp_path_factory.mktemp("writers")

    def start_writer(*asked, user=None, uri=server.uri, program=(str(HERE / "write_runs.py"),)):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "AWS_"))}
        paths = os.pathsep.join([str(HERE.parent / "tracking"), os.environ.get("PYTHONPATH", "")])
        ours = {"MLFLOW_TRACKING_URI": uri, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
        ours |= {"JETASSAY_CACHE": str(folder), "JETASSAY_WORKSPACE": str(folder / "workspace")}
        if user is not None:
            ours |= {"MLFLOW_TRACKING_USERNAME": user[0], "MLFLOW_TRACKING_PASSWORD": user[1]}
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        return subprocess.Popen([sys.executable, *program, *asked], env={**kept, **ours}, text=True, **pipes)

    return start_writer


def told(process):
    """Exit code, standard output and standard error of a process that ends by itself."""
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def written(server, start):
    """What five processes printed that recorded three suites at the same time."""
    processes = [start(name, user=server.admin) for name in SUITES]
    return [told(process) for process in processes]


@pytest.fixture
def client(server, written, monkeypatch):
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", server.admin[0])
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", server.admin[1])
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "MLFLOW_S3_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)  # artifacts pass through the server
    return MlflowClient(tracking_uri=server.uri)


def _runs(client):
    experiment = client.get_experiment_by_name("jetassay")
    return client.search_runs([experiment.experiment_id], max_results=1000)


def _count(server, status):
    import psycopg2

    address = server.database.replace("postgresql+psycopg2:", "postgresql:")
    connection = psycopg2.connect(f"{address}/mlflow")
    with connection.cursor() as cursor:
        cursor.execute(FINISHED.format(status))
        (number,) = cursor.fetchone()
    connection.close()
    return number


def test_processes_that_write_at_once_lose_no_run_and_repeat_none(server, written, client):
    assert [code for code, _, _ in written] == [0] * len(SUITES), written
    assert sorted(int(out) for _, out, _ in written) == [0, 0, 3, 3, 3]
    runs = _runs(client)
    found = sorted((run.data.tags["suite_id"], run.data.tags["kind"]) for run in runs)
    assert found == sorted((name, kind) for name in set(SUITES) for kind in ("backbone", "backbone", "suite"))
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_runs_are_rows_of_postgresql_and_none_is_left_running(server, written):
    assert _count(server, "FINISHED") == 9
    assert _count(server, "RUNNING") == 0


def test_every_artifact_is_an_object_of_the_bucket_and_comes_back_whole(server, client, tmp_path):
    import boto3

    bucket = boto3.client(
        "s3",
        endpoint_url=server.s3,
        aws_access_key_id=server.aws["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=server.aws["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
    )
    listed = [each["Key"] for page in bucket.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
              for each in page.get("Contents", ())]  # fmt: skip
    for run in _runs(client):
        assert run.info.artifact_uri.startswith("mlflow-artifacts:")
        names = {each.path for each in client.list_artifacts(run.info.run_id)}
        suite = run.data.tags["kind"] == "suite"
        wanted = {"provenance.json", *(("figure.svg", "leaderboard.md") if suite else ("scores.parquet",))}
        assert wanted <= names
        assert all(any(run.info.run_id in key and key.endswith(name) for key in listed) for name in wanted)
        if suite:
            path = client.download_artifacts(run.info.run_id, "figure.svg", str(tmp_path))
            assert Path(path).read_text() == f"<svg><!-- {run.data.tags['suite_id']} --></svg>"
        else:
            path = client.download_artifacts(run.info.run_id, "scores.parquet", str(tmp_path))
            frame = pd.read_parquet(path)
            assert set(frame["run_id"]) == {run.info.run_id}
            assert set(frame["backbone"]) == {run.data.tags["backbone"]}


def test_without_an_account_or_with_a_wrong_password_nothing_is_written(server, start, written):
    before = _count(server, "FINISHED")
    for process in [start("nobody"), start("nobody", user=("admin", "wrong-7fbQ"))]:
        code, out, err = told(process)
        assert (code, out) == (1, "")
        assert "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" in err
        assert "Traceback" not in err
        assert "wrong-7fbQ" not in err
    assert _count(server, "FINISHED") == before


def test_a_reader_sees_runs_and_writes_none(server, start, client):
    word = "a-long-password-of-a-reader"
    made = requests.post(
        f"{server.uri}/api/2.0/mlflow/users/create",
        json={"username": "reader", "password": word},
        auth=server.admin,
        timeout=30,
    )
    assert made.status_code == 200, made.text
    search = {"experiment_ids": [client.get_experiment_by_name("jetassay").experiment_id]}
    answer = requests.post(f"{server.uri}/api/2.0/mlflow/runs/search", json=search, auth=("reader", word), timeout=30)
    assert len(answer.json()["runs"]) == 9
    before = _count(server, "FINISHED") + _count(server, "RUNNING")
    code, _, err = told(start("four", user=("reader", word)))
    assert code == 1
    assert "This account may not write" in err
    assert word not in err
    assert _count(server, "FINISHED") + _count(server, "RUNNING") == before


def test_a_password_in_the_address_works_and_is_in_no_run_and_no_line(server, start, client, tmp_path):
    user, word = server.admin
    address = server.uri.replace("http://", f"http://{user}:{word}@")
    code, out, err = told(start("five", uri=address))
    assert (code, out.strip()) == (0, "3"), err
    assert word not in err
    runs = [run for run in _runs(client) if run.data.tags["suite_id"] == "five"]
    assert len(runs) == 3
    for run in runs:
        assert word not in str(run.to_dictionary())
        folder = client.download_artifacts(run.info.run_id, "", str(tmp_path))
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        assert files
        assert all(word.encode() not in path.read_bytes() for path in files)


def test_a_server_that_leaves_within_a_suite_has_it_once_after_sync(server, start, client):
    sync = {"user": server.admin, "program": ("-m", "jetassay.cli", "sync")}
    process = start("six", "--wait", user=server.admin)
    assert process.stdout.readline() == "opened\n"
    with server.away():
        code, _, err = told(process)  # closes its standard input, which lets it go on
        assert (code, "does not answer" in err) == (1, True), err
        code, _, err = told(start(**sync))
        assert code == 1
        assert "1 result(s) stay in" in err
    assert told(start(**sync))[0] == 0
    assert "nothing waits to be sent" in told(start(**sync))[2]
    runs = [run for run in _runs(client) if run.data.tags["suite_id"] == "six"]
    assert sorted(run.data.tags["kind"] for run in runs) == ["backbone", "backbone", "suite"]
    assert {run.info.status for run in runs} == {"FINISHED"}
    (suite,) = [run for run in runs if run.data.tags["kind"] == "suite"]
    assert {each.path for each in client.list_artifacts(suite.info.run_id)} >= {"figure.svg", "provenance.json"}


def test_no_log_of_the_server_holds_a_password(server, written):
    words = [server.admin[1], server.aws["AWS_SECRET_ACCESS_KEY"], server.database.split(":")[2].partition("@")[0]]
    logs = sorted(server.folder.glob("*.log"))
    assert len(logs) == 3
    for log in logs:
        assert not [word for word in words if word in log.read_text()], log.name
