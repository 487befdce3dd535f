"""MLflow's own pages on our store: the links that a suite prints open a comparison that names what was measured."""

import json
import os
import socket
import subprocess
import time
import urllib.request

import pytest

from jetassay.progress import Reporter
from jetassay.tasks.score import Context, Score, result_frame
from jetassay.tracking.record import BackboneRecord, SuiteRecord
from jetassay.tracking.runs import record_suite
from jetassay.tracking.store import resolve_store
from jetassay.tracking.ui import ui_command

pytestmark = pytest.mark.browser
START_S = 120
BACKBONES = ("part-mini", "mlp")


def made_up_suite():
    context = Context(
        suite="trial", dataset="sim", data_digest="d" * 64, split_seed=1, weights_sha256=None, dtype="float32"
    )
    probe = {"task": "probe", "task_version": 1, "metric": "auc", "background": "QCD", "level": 0.68}
    scores = [
        Score(
            **probe, backbone=name, signal=signal, value=value, low=value - 0.01, high=value + 0.01, interval="delong"
        )
        for name, value in zip(BACKBONES, (0.9625, 0.8125), strict=True)
        for signal in ("Hbb", "Tbl")
    ]
    return SuiteRecord(
        suite="trial",
        suite_id="trial-0001",
        frame=result_frame((context, each) for each in scores),
        provenance={"git": {"commit": "c" * 40, "dirty": False}},
        backbones=tuple(BackboneRecord(name=name) for name in BACKBONES),
        artifacts=(),
        description="| backbone | AUC |\n|---|---|\n| part-mini | 0.9625 |",
    )


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """What was tracked, and the address of `mlflow ui` on it."""
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JETASSAY_WORKSPACE", str(folder))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        found = record_suite(made_up_suite(), reporter=Reporter(quiet=True))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command, environment = ui_command(resolve_store(), port=port)
    server = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + START_S
        while not answers(address):
            assert server.poll() is None, "mlflow ui ended by itself"
            assert time.monotonic() < end, "mlflow ui does not answer"
            time.sleep(0.5)
        yield found, address
    finally:
        server.terminate()
        server.wait()


def answers(address):
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def at(link, address):
    return address + link[link.index("/#") :]


def shows(*words):
    return f"{json.dumps(words)}.every(word => document.body.innerText.includes(word))"


def test_the_comparison_shows_both_backbones_and_every_metric_by_name(recorded, browser):
    found, address = recorded
    browser.open(at(found.compare, address))
    browser.wait_for(shows(*BACKBONES, "auc/Hbb", "auc/Tbl", "0.963", "0.813"), seconds=60)
    asked = [each for each in browser.requests() if not each.startswith((address, "blob:"))]
    assert asked == []


def test_the_leaderboard_opens_with_its_columns(recorded, browser):
    found, address = recorded
    browser.open(at(found.leaderboard, address), width=1600)
    browser.wait_for(shows(*BACKBONES, "auc"), seconds=60)
