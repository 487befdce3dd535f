import os
import socket
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from jetassay.errors import TrackingError
from jetassay.tracking import store as store_module
from jetassay.tracking.store import ServerAwayError, resolve_store, sqlite_store


@pytest.fixture
def point_at(monkeypatch):
    return lambda uri: monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)


def test_without_a_setting_the_store_is_mlflows_own_default_in_the_workspace(monkeypatch, tmp_path):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(store_module, "workspace", lambda: tmp_path)
    store = resolve_store()
    assert store.uri == f"sqlite:///{tmp_path}/mlflow.db"
    assert store.artifacts == (tmp_path / "mlruns" / "jetassay").as_uri()


def test_the_setting_is_obeyed_and_a_relative_path_is_made_absolute(point_at, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    point_at("sqlite:///some/runs.db")
    assert resolve_store().database == tmp_path / "some" / "runs.db"


@pytest.mark.parametrize("folder", ["a b", "a#b", "a%20b", "a?b", "ä&@:"])
def test_odd_folder_names_survive_the_way_through_an_address(point_at, tmp_path, folder):
    import sqlalchemy

    store = sqlite_store(tmp_path / folder / "mlflow.db")
    assert sqlalchemy.make_url(store.uri).database == str(tmp_path / folder / "mlflow.db")
    point_at(store.uri)
    assert resolve_store() == store


@pytest.mark.parametrize("uri", ["./mlruns", "file:///tmp/mlruns", "/tmp/mlruns", "ftp://x"])
def test_a_plain_folder_is_refused_with_what_to_write_instead(point_at, uri):
    point_at(uri)
    with pytest.raises(TrackingError, match=r"sqlite:///PATH/mlflow\.db"):
        resolve_store()


@pytest.mark.parametrize("uri", ["sqlite:///:memory:", "sqlite:///"])
def test_a_store_that_forgets_is_refused(point_at, uri):
    point_at(uri)
    with pytest.raises(TrackingError, match="forget"):
        resolve_store()


@pytest.mark.parametrize("uri", ["postgresql+psycopg2://ann:secret@db/runs", "https://ann:secret@mlflow.example/x"])
def test_a_password_is_never_shown(point_at, uri):
    point_at(uri)
    store = resolve_store()
    assert store.uri == uri
    assert "secret" not in store.shown
    assert "secret" not in store.pages


def test_a_file_that_is_no_database_is_named_at_once(tmp_path):
    path = tmp_path / "mlflow.db"
    path.write_text("these are not the runs you are looking for")
    with pytest.raises(TrackingError, match=r"mlflow\.db is not an SQLite database"):
        sqlite_store(path).check()


def test_a_folder_in_place_of_the_database_is_named(tmp_path):
    (tmp_path / "mlflow.db").mkdir()
    with pytest.raises(TrackingError, match="runs cannot be kept there"):
        sqlite_store(tmp_path / "mlflow.db").check()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(TrackingError, match="cannot be written"):
        sqlite_store(tmp_path / "mlflow.db").check()
    tmp_path.chmod(0o700)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_dead_server_is_known_within_seconds_and_the_message_says_nothing_is_lost(point_at):
    point_at(f"http://127.0.0.1:{free_port()}")
    start = time.monotonic()
    with pytest.raises(ServerAwayError, match=r"does not answer .* run the same suite again"):
        resolve_store().check()
    assert time.monotonic() - start < 5


def test_a_dead_database_server_is_known_within_seconds(point_at):
    point_at(f"postgresql://ann:secret@127.0.0.1:{free_port()}/runs")
    with pytest.raises(ServerAwayError, match=r"postgresql://127\.0\.0\.1:\d+/runs does not answer"):
        resolve_store().check()


def test_a_server_that_accepts_and_never_answers_is_dead_too(point_at, monkeypatch):
    monkeypatch.setattr(store_module, "_SERVER_TIMEOUT_S", 0.3)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        point_at(f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(ServerAwayError, match="does not answer"):
            resolve_store().check()


@pytest.mark.parametrize("status", [200, 401, 404])
def test_any_answer_of_a_server_will_do(point_at, status):
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.handle_request, daemon=True).start()
        point_at(f"http://127.0.0.1:{server.server_port}")
        resolve_store().check()
