"""How many jets are worked on at once; settings of the process are changed for as long as that takes, and restored."""

import os
import sys
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import RLock
from typing import TypeVar

T = TypeVar("T")

_TURN_S = 1e-4
_SETTINGS = RLock()
"""Held by the thread that has changed settings of the process: of two that overlap, each would restore the other's."""


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def one_thread_per_operator() -> Iterator[None]:
    """Every operator of torch and of numpy's libraries runs on the thread that calls it; restored at the end.

    So a batch has the same bits however many batches run beside it, and batches side by side use the cores better
    than operators that split themselves. Another thread that asks for the same waits until this one is done: each
    uses all cores.
    """
    import torch
    from threadpoolctl import threadpool_limits

    with _SETTINGS:
        before = torch.get_num_threads()
        try:
            with threadpool_limits(limits=1):
                torch.set_num_threads(1)
                yield
        finally:
            torch.set_num_threads(before)


@contextmanager
def prompt_turns() -> Iterator[None]:
    """A thread that waits for the interpreter has it within 0.1 ms, not 5 ms as by default; restored at the end.

    A reader that is busy with Python code would hold up every operator of the forward passes beside it. Another
    thread that asks for the same waits, as above.
    """
    with _SETTINGS:
        before = sys.getswitchinterval()
        sys.setswitchinterval(_TURN_S)
        try:
            yield
        finally:
            sys.setswitchinterval(before)


def read_ahead(items: Iterator[T]) -> Generator[T]:
    """The same items (none of them None), the next one being made on another thread while this one is used."""
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as reader:
        following = reader.submit(next, items, None)
        while (item := following.result()) is not None:
            following = reader.submit(next, items, None)
            yield item
