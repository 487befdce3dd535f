"""A run that ended says so: finished, failed or killed, never running for ever.

MLflow marks nothing when a process is terminated, so SIGTERM is turned into an exception (`stopping`), and runs of
processes that vanished without a word are swept at the next start.
"""

import hashlib
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil

from jetassay.errors import InterruptedRunError, TrackingError
from jetassay.progress import Reporter
from jetassay.tracking.engine import Tracking, told_plainly
from jetassay.tracking.stopping import StopSignal

_SAME_START_S = 0.5


def identity_tags() -> dict[str, str]:
    """Who writes a run: machine (hashed), process and its start, so that the run can be swept when it is gone."""
    return {
        "process.host": _host(),
        "process.pid": str(os.getpid()),
        "process.start": f"{_started_s(psutil.Process()):.2f}",
    }


def _started_s(process: psutil.Process) -> float:
    """When a process began, in seconds that do not depend on the clock, which may be set while it lives.

    Linux counts since its start, and psutil adds what the clock says of that; elsewhere the time itself is kept.
    """
    began = float(process.create_time())
    return began - float(psutil.boot_time()) if psutil.LINUX else began


def _host() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:12]


def sweep(tracking: Tracking, *, reporter: Reporter) -> tuple[str, ...]:
    """Mark as KILLED our runs on this machine that count as running but whose process is gone; give their ids."""
    gone = []
    for run in tracking.find(f"attributes.status = 'RUNNING' AND tags.`process.host` = '{_host()}'"):
        if not is_alive(run):
            tracking.client.set_terminated(run.info.run_id, "KILLED")
            gone.append(str(run.info.run_id))
    if gone:
        reporter.line(f"{len(gone)} tracked run(s) of processes that are gone are now marked KILLED")
    return tuple(gone)


def is_alive(run: Any) -> bool:
    """Whether the process that opened an MLflow run lives; of another machine's processes nothing is known: False."""
    pid, start = (run.data.tags.get(f"process.{name}", "") for name in ("pid", "start"))
    try:
        return bool(abs(_started_s(psutil.Process(int(pid))) - float(start)) < _SAME_START_S)
    except (psutil.NoSuchProcess, ValueError):
        return False


@contextmanager
def closing(
    tracking: Tracking, run_id: str, *, reporter: Reporter, ended: Callable[[], str] | None = None
) -> Iterator[None]:
    """Give the run its last status: FINISHED, or FAILED by an exception, or KILLED by a signal or Ctrl-C.

    ended: says the status where the block ends well, for a run whose content is safe by then: a server that is away at
    that moment costs a warning and not the answer
    """
    try:
        yield
    except BaseException as error:
        stopped = isinstance(error, (StopSignal, KeyboardInterrupt, InterruptedRunError))
        _end(tracking, run_id, "KILLED" if stopped else "FAILED", reporter)
        raise
    if ended is not None:
        _end(tracking, run_id, ended(), reporter)
        return
    with told_plainly(tracking.store):
        tracking.client.set_terminated(run_id, "FINISHED")


def _end(tracking: Tracking, run_id: str, status: str, reporter: Reporter) -> None:
    """Best effort while another error is on its way; a run that is missed here is swept at the next start."""
    try:
        with told_plainly(tracking.store):
            tracking.client.set_terminated(run_id, status)
    except TrackingError:
        reporter.warning(f"run {run_id} could not be marked {status}; the next start on this machine marks it KILLED")
