"""MLflow itself, imported in this one place, with its telemetry off; and our experiment in the chosen store.

Only the client is used, never MLflow's process-wide state: the caller's tracking URI, experiment and active run stay
as they are. Importing this takes seconds, so only what is about to track imports it.
"""

import logging
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # standard output is for our answer alone
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # 7 would mean minutes of waiting for a server that left

import requests
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelInput, LoggedModelStatus, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from jetassay.errors import TrackingError
from jetassay.masking import mask_values
from jetassay.progress import Reporter
from jetassay.tracking.stopping import Undisturbed
from jetassay.tracking.store import EXPERIMENT, ON_DISK, Store, resolve_store, sqlite_store
from jetassay.whole_files import whole_file

__all__ = [
    "Dataset", "DatasetInput", "InputTag", "LoggedModelInput", "LoggedModelStatus", "Metric", "MlflowException",
    "Param", "RunTag", "Tracking", "open_tracking", "told_plainly",
]  # fmt: skip
_MAX_VALUE = 8000  # characters of a tag; MLflow cuts longer ones
_LOGGERS = (
    "mlflow.store.db.utils",
    "mlflow.store.model_registry.abstract_store",
    "mlflow.tracking",
    "mlflow.utils",
    "alembic",
)


@dataclass(frozen=True, slots=True)
class Tracking:
    """Our experiment in an open store. `client` is MLflow's own."""

    client: Any
    experiment_id: str
    store: Store

    def find(self, where: str) -> list[Any]:
        """All runs of our experiment that match a filter in MLflow's search language."""
        found: list[Any] = []
        token: str | None = None
        while True:
            page = self.client.search_runs([self.experiment_id], filter_string=where, page_token=token)
            found += page
            token = page.token
            if not token:
                return found

    def create_run(self, name: str, tags: Mapping[str, str]) -> str:
        """A new run with status RUNNING; gives its id."""
        run = self.client.create_run(self.experiment_id, run_name=name, tags=short_values(tags))
        return str(run.info.run_id)

    def log(
        self,
        run_id: str,
        *,
        metrics: Sequence[Metric] = (),
        parameters: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Everything in as few requests as MLflow allows."""
        self.client.log_batch(
            run_id,
            metrics=list(metrics),
            params=[
                Param(key, str(value)) for key, value in mask_values(parameters or {}).items() if value is not None
            ],
            tags=[RunTag(key, value) for key, value in short_values(tags or {}).items()],
        )


def short_values(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags as MLflow stores them whole, credentials masked: a longer value ends at a line or word, with a mark."""
    masked: dict[str, str] = mask_values(tags)
    return {key: value if len(value) <= _MAX_VALUE else _shorten(value) for key, value in masked.items()}


def _shorten(value: str) -> str:
    mark = "\n\n(cut)"
    kept = value[: _MAX_VALUE - len(mark)]
    return (kept[: kept.rfind("\n")] if "\n" in kept else kept) + mark


def open_tracking(*, reporter: Reporter) -> Tracking:
    """Our experiment, made if need be. The store is checked first, so that a dead one is known within seconds.

    Raises `TrackingError` where the store cannot be used, `ServerAwayError` where a server does not answer.
    """
    store = resolve_store()
    store.check()
    with told_plainly(store), store.lock():
        if store.database is not None and not store.database.exists():
            reporter.line(f"making the tracking store {store.shown}")
            _make_database(store, store.database)
        client: Any = MlflowClient(tracking_uri=store.uri)
        client = Undisturbed(client) if store.is_database else client
        experiment = client.get_experiment_by_name(EXPERIMENT)
        if experiment is None:
            experiment = client.get_experiment(_create_experiment(client, store))
        if experiment.lifecycle_stage != "active":
            raise TrackingError(
                f"{store.shown}: the experiment '{EXPERIMENT}' was deleted. Restore it: "
                f"mlflow experiments restore --experiment-id {experiment.experiment_id}"
            )
        tracking = Tracking(client, str(experiment.experiment_id), store)
        _follow_move(tracking, experiment.artifact_location, reporter)
    return tracking


def _make_database(store: Store, path: Path) -> None:
    """An empty store, whole or absent: MLflow makes its tables in some dozens of steps and cannot go on from half."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    with whole_file(path) as partial:
        make: Any = SqlAlchemyStore
        make(sqlite_store(partial).uri, store.artifacts).engine.dispose()


def _create_experiment(client: Any, store: Store) -> str:
    """Made by the client, with a place for artifacts that the client can write to; never MLflow's `Default`."""
    try:
        return str(client.create_experiment(EXPERIMENT, artifact_location=store.artifacts))
    except MlflowException:
        made_elsewhere = client.get_experiment_by_name(EXPERIMENT)  # by another machine, a moment ago
        if made_elsewhere is None:
            raise
        return str(made_elsewhere.experiment_id)


def _follow_move(tracking: Tracking, recorded: str, reporter: Reporter) -> None:
    """Where the database was moved with its folder, let the artifacts' absolute addresses follow.

    Otherwise new artifacts would go to the old place, and old ones would not be found. Raises `TrackingError` for an
    experiment whose artifacts only a server can reach.
    """
    store = tracking.store
    if store.database is None or store.artifacts is None or recorded == store.artifacts:
        return
    if not recorded.startswith("file:"):
        raise TrackingError(
            f"{store.shown}: the experiment '{EXPERIMENT}' was made through a server and keeps its artifacts at "
            f"{recorded}. Start that server and set MLFLOW_TRACKING_URI to its address."
        )
    reporter.line(f"{store.shown} was moved here: its artifacts are now looked for beside it")
    with sqlite3.connect(store.database) as connection:
        for table, column in [
            ("experiments", "artifact_location"),
            ("runs", "artifact_uri"),
            ("logged_models", "artifact_location"),
        ]:
            connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608 - names from the list above
                f"WHERE experiment_id = ? AND substr({column}, 1, ?) = ?",
                (store.artifacts, len(recorded) + 1, tracking.experiment_id, len(recorded), recorded),
            )
    connection.close()


@contextmanager
def told_plainly(store: Store, *, hint: str = ON_DISK) -> Iterator[None]:
    """Whatever MLflow, its database or its server raise becomes a `TrackingError`, without MLflow's own log lines.

    A server that has left meanwhile becomes a `ServerAwayError`. hint: what to do, at the message's end
    """
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.CRITICAL)
    try:
        yield
    except (MlflowException, SQLAlchemyError, requests.RequestException, sqlite3.Error, OSError) as error:
        store.check()
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise TrackingError(f"Tracking in {store.shown} failed: {reason} {_advice(error)}{hint}") from error
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)


def _advice(error: Exception) -> str:
    """What to do where a server with accounts refuses us; MLflow tells its 401 by the text alone."""
    if "error code 401" in str(error) or getattr(error, "error_code", "") == "UNAUTHENTICATED":
        return (
            "The server does not know who you are: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD in the "
            "environment. "
        )
    if "error code 403" in str(error) or getattr(error, "error_code", "") == "PERMISSION_DENIED":
        return f"This account may not write: ask for the permission EDIT on the experiment '{EXPERIMENT}'. "
    if "_alembic_tmp_" in str(error):
        return (
            "A process was stopped while it made or upgraded this database, which is half done: remove it where it is "
            "new, take your copy of it where runs are in it, or set MLFLOW_TRACKING_URI to another one. "
        )
    if "malformed" in str(error):
        return "The database file is damaged: take your copy of it, or move it away for a new one. "
    return ""
