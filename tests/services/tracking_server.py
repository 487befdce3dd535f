"""An MLflow server as a group would run it, on this machine alone: PostgreSQL, an S3-compatible store, accounts.

    python tests/services/tracking_server.py    runs until Ctrl-C, and prints what to set

Everything is in one temporary folder, listens on 127.0.0.1 and is gone at the end. Passwords are drawn anew each time
and go to the processes by their environment or by files that only their user reads, never by a command line.
"""

import configparser
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

BUCKET = "jetassay"
_HOST = "127.0.0.1"
_START_S = 120.0
_POSTGRES_USER = "postgres"  # who runs the database where we are root, whom PostgreSQL refuses


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. `folder` holds the logs of its parts.

    uri: what `MLFLOW_TRACKING_URI` is set to; admin: user name and password; database, s3: addresses of the parts
    aws: the store's credentials, which the server has and its clients have not
    away: within it the MLflow server is stopped; it comes back at the same address
    """

    folder: Path
    uri: str
    admin: tuple[str, str]
    database: str = field(repr=False)
    s3: str
    aws: dict[str, str] = field(repr=False)
    away: Callable[[], AbstractContextManager[None]] = field(repr=False)


def missing() -> str:
    """What is lacking to start one; empty where nothing is."""
    if _postgres_folder() is None:
        return "no PostgreSQL server (Debian: apt-get install postgresql)"
    try:
        import boto3  # noqa: F401
        import flask_wtf  # noqa: F401
        import moto  # noqa: F401
        import psycopg2  # noqa: F401
    except ImportError as error:
        return f"no {error.name} (pip install '.[server,test]')"
    return ""


@contextmanager
def tracking_server() -> Iterator[Server]:
    """Start the three of them; stop them at the end, the last one first, and remove their folder."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jetassay-server-")))
        folder.chmod(0o755)  # the database's user passes through
        database = stack.enter_context(_postgres(folder))
        aws = {"AWS_ACCESS_KEY_ID": "jetassay", "AWS_SECRET_ACCESS_KEY": secrets.token_urlsafe(18)}
        aws["AWS_DEFAULT_REGION"] = "us-east-1"
        s3 = stack.enter_context(_s3(folder, aws))
        yield stack.enter_context(_mlflow(folder, database, s3, aws))


@contextmanager
def _postgres(folder: Path) -> Iterator[str]:
    """A database cluster with one database `mlflow` and one for accounts; gives its address without the database.

    The address names its driver: SQLAlchemy 2.1 takes another one (psycopg 3) for a plain `postgresql:`.
    """
    binaries, data, port, word = _postgres_folder(), folder / "postgres", _free_port(), secrets.token_urlsafe(18)
    assert binaries is not None
    data.mkdir(mode=0o700)
    owner: dict[str, object] = {}
    if os.geteuid() == 0:
        shutil.chown(data, _POSTGRES_USER)
        owner = {"user": _POSTGRES_USER, "group": _POSTGRES_USER, "extra_groups": []}
    word_file = data / "word"
    word_file.touch(mode=0o600)
    word_file.write_text(word)
    if owner:
        shutil.chown(word_file, _POSTGRES_USER)
    cluster = data / "cluster"
    subprocess.run(
        [binaries / "initdb", "-D", cluster, "-U", "jetassay", "--auth=scram-sha-256", f"--pwfile={word_file}"],
        check=True, stdout=subprocess.DEVNULL, cwd=data, **owner,
    )  # fmt: skip
    word_file.unlink()
    command = [binaries / "postgres", "-D", cluster, "-p", str(port), "-h", _HOST, "-k", data]
    with _running(command, folder / "postgres.log", stop=signal.SIGINT, cwd=data, **owner) as process:
        _wait(lambda: _make_databases(port, word), "PostgreSQL", process, folder / "postgres.log")
        yield f"postgresql+psycopg2://jetassay:{word}@{_HOST}:{port}"


def _make_databases(port: int, word: str) -> None:
    import psycopg2

    try:
        connection = psycopg2.connect(host=_HOST, port=port, user="jetassay", password=word, dbname="postgres")
    except psycopg2.OperationalError as error:
        raise OSError(error) from error
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE mlflow")
        cursor.execute("CREATE DATABASE accounts")
    connection.close()


@contextmanager
def _s3(folder: Path, aws: dict[str, str]) -> Iterator[str]:
    """moto's server with one bucket. It keeps objects in memory and looks at no credentials: for tests only."""
    import boto3
    from botocore.exceptions import BotoCoreError

    port = _free_port()
    with _running([sys.executable, "-m", "moto.server", "-H", _HOST, "-p", str(port)], folder / "s3.log") as process:
        address = f"http://{_HOST}:{port}"

        def make_bucket() -> None:
            client = boto3.client(
                "s3",
                endpoint_url=address,
                aws_access_key_id=aws["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=aws["AWS_SECRET_ACCESS_KEY"],
                region_name=aws["AWS_DEFAULT_REGION"],
            )
            try:
                client.create_bucket(Bucket=BUCKET)
            except BotoCoreError as error:
                raise OSError(error) from error

        _wait(make_bucket, "the S3-compatible store", process, folder / "s3.log")
        yield address


@contextmanager
def _mlflow(folder: Path, database: str, s3: str, aws: dict[str, str]) -> Iterator[Server]:
    """`mlflow server` with accounts, runs in PostgreSQL, and artifacts that pass through it to the bucket."""
    port, word = _free_port(), secrets.token_urlsafe(18)
    accounts = configparser.ConfigParser(interpolation=None)
    accounts["mlflow"] = {
        "default_permission": "READ",
        "database_uri": f"{database}/accounts",
        "admin_username": "admin",
        "admin_password": word,
    }
    settings = folder / "accounts.ini"
    settings.touch(mode=0o600)
    with settings.open("w") as file:
        accounts.write(file)
    environment = {
        **os.environ,
        **aws,
        "MLFLOW_BACKEND_STORE_URI": f"{database}/mlflow",
        "MLFLOW_ARTIFACTS_DESTINATION": f"s3://{BUCKET}",
        "MLFLOW_S3_ENDPOINT_URL": s3,
        "MLFLOW_AUTH_CONFIG_PATH": str(settings),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_urlsafe(32),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    command = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", "--serve-artifacts"]
    command += ["--host", _HOST, "--port", str(port), "--workers", "2"]
    log = folder / "mlflow.log"
    uri = f"http://{_HOST}:{port}"
    with ExitStack() as stack:

        def serve() -> None:
            process = stack.enter_context(_running(command, log, env=environment, cwd=folder))
            _wait(lambda: urllib.request.urlopen(f"{uri}/health", timeout=5).close(), "MLflow", process, log)

        @contextmanager
        def away() -> Iterator[None]:
            stack.close()
            try:
                yield
            finally:
                serve()

        serve()
        yield Server(folder, uri, ("admin", word), database, s3, aws, away)


@contextmanager
def _running(
    command: list[object], log: Path, *, stop: signal.Signals = signal.SIGTERM, **options: object
) -> Iterator["subprocess.Popen[bytes]"]:
    """A program in a session of its own, stopped at the end with all that it has started."""
    with log.open("ab") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True, **options)
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, stop)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _wait(try_it: Callable[[], None], what: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Try until it works. Raises `RuntimeError` with the end of the log where it ended, or does not in two minutes."""
    end = time.monotonic() + _START_S
    while True:
        try:
            try_it()
        except urllib.error.HTTPError:
            return  # an answer, though a refusal
        except OSError as error:
            if time.monotonic() > end or process.poll() is not None:
                raise RuntimeError(f"{what} does not start: {error}\n{log.read_text()[-2000:]}") from error
            time.sleep(0.2)
        else:
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


def _postgres_folder() -> Path | None:
    """Where the programs of the newest PostgreSQL are; None where there is none, or nobody who may run it."""
    if os.geteuid() == 0 and not _is_user(_POSTGRES_USER):
        return None
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = [str(place) for place in places[-1:]] or [shutil.which("initdb")]
    return Path(found[0]).resolve().parent if found[0] else None


def _is_user(name: str) -> bool:
    import pwd

    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def main() -> int:
    """Run one until Ctrl-C."""
    if lacking := missing():
        print(f"cannot start: {lacking}", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), tracking_server() as server:
        print(f"export MLFLOW_TRACKING_URI={server.uri}")
        print(f"export MLFLOW_TRACKING_USERNAME={server.admin[0]} MLFLOW_TRACKING_PASSWORD={server.admin[1]}")
        print(f"logs in {server.folder}; Ctrl-C stops it and removes everything", file=sys.stderr, flush=True)
        signal.pause()
    return 0


if __name__ == "__main__":
    sys.exit(main())
