"""Where runs are kept: `MLFLOW_TRACKING_URI` where it is set, else `mlflow.db` and `mlruns/` in the workspace.

Artifacts are recorded with absolute paths, as MLflow does everywhere; a checkout that moved is put right when the
store is next opened. To share runs between machines, use a server (`MLFLOW_TRACKING_URI=http://...`).
"""

import http.client
import os
import socket
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from filelock import FileLock

from jetassay.errors import TrackingError
from jetassay.masking import MASK, mask
from jetassay.places import cache_folder, workspace

EXPERIMENT = "jetassay"
LOCAL_PAGES = "http://127.0.0.1:5000"
ON_DISK = (
    "Scores are on disk first, so nothing is lost: `jetassay sync` sends what waits, or run the same suite again and "
    "they are sent, not recomputed."
)
_SERVER_TIMEOUT_S = 5.0
_LOCK_TIMEOUT_S = 600.0
_SQLITE = "sqlite:///"
_DATABASES = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}  # and their usual ports
_SQLITE_MAGIC = b"SQLite format 3\x00"


class ServerAwayError(TrackingError):
    """The tracking server does not answer; it may come back, so computing goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """A tracking store.

    uri: as MLflow takes it
    artifacts: file URI under which our experiment keeps artifacts; None where the server decides
    database: the SQLite file, where the store is one
    """

    uri: str
    artifacts: str | None
    database: Path | None = None

    @property
    def is_server(self) -> bool:
        """Whether this is an MLflow server, reached over HTTP."""
        return self.uri.startswith(("http://", "https://"))

    @property
    def is_database(self) -> bool:
        """Whether MLflow writes to a database itself, rather than ask a server to."""
        return self.artifacts is not None

    @property
    def shown(self) -> str:
        """The address for people: a file's path, or the URI without user name and password."""
        if self.database is not None:
            return str(self.database)
        return mask(self.uri).replace(f"{MASK}@", "", 1)

    @property
    def pages(self) -> str:
        """Where MLflow shows the runs: the server itself, or a local `mlflow ui`."""
        return self.shown if self.is_server else LOCAL_PAGES

    def check(self) -> None:
        """Fail now, with a reason, rather than after the minutes for which MLflow would try again.

        Raises `ServerAwayError` for a server that does not answer within seconds, and `TrackingError` for a
        database file that is none or that cannot be written to.
        """
        if self.is_server:
            _check_server(self.uri, shown=self.shown)
        elif self.database is not None:
            _check_database(self.database)
        else:
            _check_listening(self.uri, shown=self.shown)

    def lock(self) -> FileLock:
        """One process at a time: MLflow's first creation of a database does not bear company."""
        if self.database is not None:
            path = self.database.with_name(f"{self.database.name}.lock")
        else:
            path = cache_folder() / "tracking.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(path, timeout=_LOCK_TIMEOUT_S)


def resolve_store() -> Store:
    """The store to use. Raises `TrackingError` for a `MLFLOW_TRACKING_URI` that MLflow cannot write runs to."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "").strip()
    if not uri:
        return sqlite_store(workspace() / "mlflow.db")
    if uri.startswith(_SQLITE):
        name = unquote(uri.removeprefix(_SQLITE).partition("?")[0])
        if name in {"", ":memory:"}:
            raise TrackingError(f"MLFLOW_TRACKING_URI={uri} would forget every run; name a file: sqlite:///mlflow.db")
        return sqlite_store(Path(name))
    scheme = _parts(uri).scheme
    if scheme.startswith("databricks") and "@" in uri:  # MLflow would repeat it as the name of a profile
        raise TrackingError(
            "MLFLOW_TRACKING_URI: an address of Databricks holds no user name and password. Name a profile, "
            "databricks://PROFILE, and keep credentials in DATABRICKS_TOKEN or ~/.databrickscfg"
        )
    if scheme in {"http", "https"} or scheme.startswith("databricks"):
        return Store(uri=uri, artifacts=None)
    if scheme.partition("+")[0] in _DATABASES:
        return Store(uri=uri, artifacts=_artifact_uri(workspace()))
    raise TrackingError(
        f"MLFLOW_TRACKING_URI={uri}: MLflow writes runs to a database or a server, no longer to a plain folder. "
        "Unset it for mlflow.db in the workspace, or give sqlite:///PATH/mlflow.db or http://HOST:PORT."
    )


def sqlite_store(path: Path) -> Store:
    """The store in one SQLite file, with its artifacts in `mlruns/` beside it."""
    path = path.expanduser().resolve()
    address = str(path).replace("%", "%25").replace("?", "%3F")  # all else stands for itself in SQLAlchemy's URLs
    return Store(uri=f"{_SQLITE}{address}", artifacts=_artifact_uri(path.parent), database=path)


def _artifact_uri(folder: Path) -> str:
    return (folder.resolve() / "mlruns" / EXPERIMENT).as_uri()


def _check_server(uri: str, *, shown: str) -> None:
    """Any HTTP answer will do, even a refusal: what matters is that somebody is there."""
    scheme, _, rest = uri.partition("://")
    nobody = f"{scheme}://{rest.rpartition('@')[2]}"  # urllib would take a user name and password for the host
    try:
        with urllib.request.urlopen(f"{nobody.rstrip('/')}/health", timeout=_SERVER_TIMEOUT_S):  # noqa: S310 - http(s) only, see resolve_store
            return
    except urllib.error.HTTPError as answer:
        answer.close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise ServerAwayError(f"The tracking server at {shown} does not answer ({reason}). {ON_DISK}") from error


def _check_listening(uri: str, *, shown: str) -> None:
    """Whether a database server takes connections; one that is reached by a socket in a file is left to MLflow."""
    parts = _parts(uri)
    port = parts.port or _DATABASES.get(parts.scheme.partition("+")[0])
    if not parts.hostname or port is None:
        return
    try:
        socket.create_connection((parts.hostname, port), timeout=_SERVER_TIMEOUT_S).close()
    except OSError as error:
        raise ServerAwayError(f"The database server at {shown} does not answer ({error}). {ON_DISK}") from error


def _parts(uri: str) -> SplitResult:
    """Raises `TrackingError` for an address that cannot be taken apart."""
    try:
        parts = urlsplit(uri)
        _ = parts.port  # which is looked at only now
    except ValueError:  # which quotes a part of the password; so it is not passed on
        raise TrackingError(
            f"MLFLOW_TRACKING_URI={uri} is not an address: in user name and password, write / as %2F, @ as %40, "
            ": as %3A, [ as %5B and ] as %5D"
        ) from None
    return parts


def _check_database(path: Path) -> None:
    """A missing file is fine where it can be made; an existing one must be SQLite and ours to write."""
    advice = "Move it away, or set MLFLOW_TRACKING_URI to another store."
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            with path.open("r+b") as file:
                start = file.read(len(_SQLITE_MAGIC))
            if start not in {b"", _SQLITE_MAGIC}:
                raise TrackingError(f"{path} is not an SQLite database. {advice}")
        elif not os.access(path.parent, os.W_OK):
            raise PermissionError(13, "the folder cannot be written to")
    except OSError as error:
        raise TrackingError(f"{path}: runs cannot be kept there: {error.strerror}. {advice}") from error
