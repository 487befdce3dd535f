import os
import socket
import sys

import pytest

from jetassay.errors import TrackingError
from jetassay.tracking import ui
from jetassay.tracking.runs import record_suite
from jetassay.tracking.store import resolve_store


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_pages_are_local_and_light_and_of_our_store(database, monkeypatch):
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    command, environment = ui.ui_command(resolve_store(), port=5017)
    assert command[:4] == [sys.executable, "-m", "mlflow", "ui"]
    options = dict(zip(command[4::2], command[5::2], strict=True))
    assert options == {"--host": "127.0.0.1", "--port": "5017", "--workers": "1"}
    assert environment["MLFLOW_BACKEND_STORE_URI"] == f"sqlite:///{database}"
    assert environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert environment["PATH"] == os.environ["PATH"]


def test_serving_names_the_leaderboards_and_becomes_mlflow(make_record, database, reporter, port, monkeypatch, capsys):
    recorded = record_suite(make_record(), reporter=reporter)
    became = []
    monkeypatch.setattr(os, "execve", lambda *call: became.append(call))
    ui.serve(port=port)
    assert became == [(sys.executable, *ui.ui_command(resolve_store(), port=port))]
    link = recorded.leaderboard.replace("5000", str(port))
    assert f"trial: leaderboard: {link}" in capsys.readouterr().err


def test_a_taken_port_is_named_with_what_to_do(database, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        with pytest.raises(TrackingError, match=rf"Port {number} on 127\.0\.0\.1 cannot be used.*--port"):
            ui.serve(port=number)


@pytest.mark.parametrize("number", [-1, 70000])
def test_an_impossible_port_is_named(number):
    with pytest.raises(TrackingError, match="cannot be used"):
        ui.require_free_port(number)


def test_a_server_has_pages_of_its_own(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:secret@mlflow.example:8080")
    with pytest.raises(TrackingError, match=r"http://mlflow\.example:8080: open"):
        ui.serve(port=5000)
