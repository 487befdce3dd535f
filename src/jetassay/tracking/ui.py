"""MLflow's own pages on our store: local, light, and without telemetry."""

import os
import socket
import sys
from typing import NoReturn

from jetassay.errors import TrackingError
from jetassay.progress import Reporter
from jetassay.tracking.store import Store, resolve_store
from jetassay.tracking.views import VIEW_TAG, decode_view, leaderboard_link

HOST = "127.0.0.1"


def serve(*, port: int = 5000) -> NoReturn:
    """Become `mlflow ui` on our store, after naming the links that open the saved leaderboards.

    Raises `TrackingError` where the port is taken, or where the store is a server that has pages of its own.
    """
    store = resolve_store()
    if store.is_server:
        raise TrackingError(f"Runs are kept on the server {store.shown}: open that address in a browser.")
    require_free_port(port)
    reporter = Reporter()
    for line in _leaderboards(port, reporter):
        reporter.line(line)
    reporter.line(f"MLflow on http://{HOST}:{port} in about 20 s (Ctrl-C stops it), store {store.shown}")
    command, environment = ui_command(store, port=port)
    sys.stdout.flush()
    os.execve(command[0], command, environment)  # noqa: S606 - this very Python, with fixed arguments


def ui_command(store: Store, *, port: int) -> tuple[list[str], dict[str, str]]:
    """The command that serves the pages, and its environment.

    One web worker and no job runners: 2 processes and 0.6 GB instead of 10 and 2.2 GB (measured with MLflow 3.17).
    The store's address goes by the environment, for it may hold a password.
    """
    command = [sys.executable, "-m", "mlflow", "ui", "--host", HOST, "--port", str(port), "--workers", "1"]
    ours = {
        "MLFLOW_BACKEND_STORE_URI": store.uri,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": os.environ.get("MLFLOW_DISABLE_TELEMETRY", "true"),
    }
    return command, {**os.environ, **ours}


def require_free_port(port: int) -> None:
    """Raises `TrackingError` where something listens on `port` already, or no program may."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise TrackingError(
                f"Port {port} on {HOST} cannot be used ({error}). If MLflow is open there already, look at "
                f"http://{HOST}:{port}; otherwise choose another port: jetassay ui --port {port % 60000 + 1}"
            ) from error


def _leaderboards(port: int, reporter: Reporter) -> list[str]:
    """A line with name and link for every leaderboard that was saved; opening the store also sweeps dead runs."""
    from jetassay.tracking.engine import open_tracking, told_plainly
    from jetassay.tracking.lifecycle import sweep

    tracking = open_tracking(reporter=reporter)
    with told_plainly(tracking.store):
        sweep(tracking, reporter=reporter)
        tags = tracking.client.get_experiment(tracking.experiment_id).tags
    lines = []
    for key, value in sorted(tags.items()):
        if key.startswith(f"{VIEW_TAG}jetassay-"):
            base = f"http://{HOST}:{port}"
            name = key.removeprefix(VIEW_TAG)
            try:
                title = decode_view(value)[0]
            except TrackingError as error:
                lines.append(f"{name}: {error}")
                continue
            lines.append(f"{title}: {leaderboard_link(tracking.experiment_id, key=name, base=base)}")
    return lines
