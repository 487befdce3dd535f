"""A run that ended says so: finished, failed or killed, never running for ever.

MLflow marks nothing when a process is terminated, so SIGTERM is turned into an exception, and runs of processes that
vanished without a word are swept at the next start.
"""

import hashlib
import os
import platform
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import psutil

from jetassay.errors import InterruptedRunError, TrackingError
from jetassay.progress import Reporter
from jetassay.tracking.engine import Tracking, told_plainly

_SAME_START_S = 0.5
_AGAIN_S = 0.05


class _StopSignal(BaseException):
    """Not an `Exception`, so that nothing between the signal and the run's end can take it for an ordinary failure."""


def _finished_is_kept() -> str:
    return "What was finished is kept, and the same command goes on from there."


@contextmanager
def stoppable(kept: Callable[[], str] = _finished_is_kept) -> Iterator[None]:
    """Within, SIGTERM and Ctrl-C unwind the stack and come out as `InterruptedRunError`, which says what is `kept`.

    The old handler of SIGTERM is put back after. Outside the main thread, where Python takes no signals, this does
    nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _StopSignal

    before, hook = signal.signal(signal.SIGTERM, stop), sys.unraisablehook

    def swallowed(what: "sys.UnraisableHookArgs") -> None:
        """Python drops whatever is raised in a destructor or a weak reference's callback: then it comes once more."""
        number = {_StopSignal: signal.SIGTERM, KeyboardInterrupt: signal.SIGINT}.get(what.exc_type)
        if number is None:
            hook(what)
        else:
            threading.Timer(_AGAIN_S, os.kill, (os.getpid(), number)).start()

    sys.unraisablehook = swallowed
    try:
        yield
    except _StopSignal:
        raise InterruptedRunError(f"stopped by SIGTERM. {kept()}") from None
    except KeyboardInterrupt as pressed:
        raise InterruptedRunError(f"stopped by Ctrl-C. {kept()}") from pressed
    finally:
        signal.signal(signal.SIGTERM, before)
        sys.unraisablehook = hook


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
        stopped = isinstance(error, (_StopSignal, KeyboardInterrupt, InterruptedRunError))
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
