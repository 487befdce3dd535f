"""A Dask scheduler and workers at an address: forks like all else, so they cost no imports."""

import time
from multiprocessing.process import BaseProcess
from typing import Any

from homes import Home
from processes import DASK_SCHEDULER, DASK_WORKER, Prepare, start

OWN_WORKERS = ("--scheduler", "processes", "--workers", "2")
_STARTED_S = 30.0


def start_scheduler(home: Home) -> tuple[str, BaseProcess]:
    """Its address and its process."""
    note = home.root / "scheduler.json"
    arguments = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(note)]
    process = start(arguments, module=DASK_SCHEDULER, environment=_environment(home), log=home.root / "log-crew")
    address, until = "", time.monotonic() + _STARTED_S
    while not address:
        text = note.read_text() if note.exists() else ""
        address = next((part for part in text.split('"') if part.startswith("tcp://")), "")
        if time.monotonic() > until or not process.is_alive():
            raise RuntimeError("the Dask scheduler did not start")
        time.sleep(0.02)
    return address, process


def start_worker(
    home: Home, address: str, *, prepare: Prepare | None = None, given: tuple[Any, ...] = ()
) -> BaseProcess:
    """One worker without anybody who starts it again; see `processes.start` for the rest."""
    arguments = [address, "--no-nanny", "--nthreads", "1", "--no-dashboard"]
    return start(
        arguments,
        module=DASK_WORKER,
        environment=_environment(home),
        log=home.root / "log-crew",
        prepare=prepare,
        given=given,
    )


def _environment(home: Home) -> dict[str, str]:
    """Temporary files of Dask's own are apart: what it leaves of processes that are killed is not ours to remove."""
    folder = home.root / "crew"
    folder.mkdir(exist_ok=True)
    return {**home.environment(), "TMPDIR": str(folder)}
