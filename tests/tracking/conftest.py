"""A tracking store of its own for every test: a copy of one that is made once, for making it takes seconds."""

import os
import shutil
import subprocess
import sys

import pytest
from rich.console import Console
from tracking_samples import frame_of, pair_scores, probe_scores

from jetassay.progress import Reporter
from jetassay.tasks.score import Score
from jetassay.tracking.record import BackboneRecord, SuiteRecord

# As a user's first command would: open the store, and say what this did to the process.
OPEN = """
import json
from jetassay.progress import Reporter
from jetassay.tracking.engine import open_tracking
tracking = open_tracking(reporter=Reporter())
from mlflow.telemetry.client import get_telemetry_client
print(json.dumps({
    "experiment": tracking.experiment_id,
    "artifacts": tracking.client.get_experiment(tracking.experiment_id).artifact_location,
    "telemetry": get_telemetry_client() is not None,
}))
"""


def environment(database):
    """The environment of a user's process: not under test, not in CI, its store at `database`."""
    hidden = ("PYTEST_CURRENT_TEST", "CI", "MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK")
    clean = {name: value for name, value in os.environ.items() if name not in hidden}
    return {**clean, "OMP_NUM_THREADS": "1", "MLFLOW_TRACKING_URI": f"sqlite:///{database}"}


@pytest.fixture(scope="session")
def start():
    """Start Python on some code in a process of its own, with its store at `database`."""
    started = []

    def start_process(code, database, *arguments):
        command = [sys.executable, "-c", code, *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen(command, env=environment(database), **pipes)
        started.append(process)
        return process

    yield start_process
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def first_creation(tmp_path_factory, start):
    """A store that three processes made at the same moment, and what each of them printed: (path, outputs)."""
    path = tmp_path_factory.mktemp("first") / "mlflow.db"
    outputs = []
    processes = [start(OPEN, path) for _ in range(3)]
    for process in processes:
        out, err = process.communicate(timeout=120)
        outputs.append((process.returncode, out, err))
    return path, outputs


@pytest.fixture
def database(first_creation, tmp_path, monkeypatch):
    """The path of a store that this test may fill; `MLFLOW_TRACKING_URI` points at it."""
    path = tmp_path / "mlflow.db"
    shutil.copy(first_creation[0], path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{path}")
    return path


@pytest.fixture
def tracking(database, reporter):
    """Our experiment in that store."""
    from jetassay.tracking.engine import open_tracking

    return open_tracking(reporter=reporter)


@pytest.fixture
def reporter(tmp_path):
    """A reporter that writes to a file, which `said` reads."""
    with (tmp_path / "said.txt").open("w") as file:
        yield Reporter(console=Console(file=file, soft_wrap=True))


@pytest.fixture
def said(tmp_path, reporter):
    """What the reporter has said so far."""

    def read():
        reporter.console.file.flush()
        return (tmp_path / "said.txt").read_text()

    return read


@pytest.fixture
def make_record(tmp_path):
    """A suite of two backbones with probe, similarity and throughput; keywords replace parts of it."""

    def make(*, auc=0.95, seeds=(0,), speed=1000.0, **changed):
        scores = [score for seed in seeds for score in probe_scores("part-mini", seed=seed, auc=auc)]
        scores += [*probe_scores("mlp", auc=0.9), *pair_scores("part-mini", "mlp")]
        scores.append(Score(task="throughput", task_version=1, metric="jets_per_s", value=speed, backbone="mlp"))
        figure = tmp_path / "cka.svg"
        figure.write_text("<svg/>")
        parts = {
            "suite": "trial",
            "suite_id": "trial-0001",
            "frame": frame_of(*scores),
            "provenance": {
                "git": {"commit": "c" * 40, "dirty": True},
                "peak_memory_mib": 512.0,
                "timing_s": {"embed": 2},
            },
            "backbones": (
                BackboneRecord(
                    name="part-mini", weights_sha256="a" * 64, parameters={"width": 64}, timing_s={"embed": 1.5}
                ),
                BackboneRecord(name="mlp", role="floor"),
            ),
            "artifacts": (figure,),
            "description": "| backbone | AUC |\n|---|---|\n| part-mini | 0.95 |",
        }
        return SuiteRecord(**(parts | changed))

    return make
