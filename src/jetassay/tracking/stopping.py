"""SIGTERM and Ctrl-C end a run by an exception, and never in the middle of a transaction."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from types import FrameType
from typing import Any

from jetassay.errors import InterruptedRunError

_AGAIN_S = 0.05


class StopSignal(BaseException):
    """Not an `Exception`, so that nothing between the signal and the run's end can take it for an ordinary failure."""


_STOPS: dict[int, type[BaseException]] = {signal.SIGTERM: StopSignal, signal.SIGINT: KeyboardInterrupt}


class _Gate:
    """Whether a signal has to wait, and the one that waits. Of the process, as signals are."""

    def __init__(self) -> None:
        self.held = False
        self.waiting: int | None = None

    def stop(self, number: int, _frame: FrameType | None) -> None:
        """The handler. A second signal does not wait: whatever holds the first may hang."""
        if self.held and self.waiting is None:
            self.waiting = number
        else:
            raise _STOPS[number]


_GATE = _Gate()


def _finished_is_kept() -> str:
    return "What was finished is kept, and the same command goes on from there."


@contextmanager
def stoppable(kept: Callable[[], str] = _finished_is_kept) -> Iterator[None]:
    """Within, SIGTERM and Ctrl-C unwind the stack and come out as `InterruptedRunError`, which says what is `kept`.

    The old handlers are put back after; where Ctrl-C is ignored or has another meaning, that stays. Outside the main
    thread, where Python takes no signals, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    hook = sys.unraisablehook
    ours = (signal.SIGTERM, *([signal.SIGINT] if signal.getsignal(signal.SIGINT) is signal.default_int_handler else []))
    before = {number: signal.signal(number, _GATE.stop) for number in ours}

    def swallowed(what: "sys.UnraisableHookArgs") -> None:
        """Python drops whatever is raised in a destructor or a weak reference's callback: then it comes once more."""
        number = next((number for number, kind in _STOPS.items() if what.exc_type is kind), None)
        if number is None:
            hook(what)
        else:
            threading.Timer(_AGAIN_S, os.kill, (os.getpid(), number)).start()

    sys.unraisablehook = swallowed
    try:
        yield
    except StopSignal:
        raise InterruptedRunError(f"stopped by SIGTERM. {kept()}") from None
    except KeyboardInterrupt as pressed:
        raise InterruptedRunError(f"stopped by Ctrl-C. {kept()}") from pressed
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        sys.unraisablehook = hook


@contextmanager
def undisturbed() -> Iterator[None]:
    """Within, the first signal of `stoppable` waits for the end of the block.

    A transaction that an exception tears apart leaves its connection open, and what the database has locked for it
    stays locked: telling it that the run was stopped would wait for that until it is killed.
    """
    if _GATE.held or threading.current_thread() is not threading.main_thread():
        yield
        return
    _GATE.held = True
    try:
        yield
    finally:
        _GATE.held, waiting, _GATE.waiting = False, _GATE.waiting, None
        if waiting is not None:
            raise _STOPS[waiting]


class Undisturbed:
    """An object whose methods are each `undisturbed`."""

    def __init__(self, whole: Any) -> None:
        self._whole = whole

    def __getattr__(self, name: str) -> Any:
        """The attribute; a method waits with signals until it is done."""
        found = getattr(self._whole, name)
        if not callable(found):
            return found

        @wraps(found)
        def call(*arguments: Any, **options: Any) -> Any:
            with undisturbed():
                return found(*arguments, **options)

        return call
