"""What the C library does with memory that was freed: kept for what comes next, or handed back to the system."""

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_KEPT = 64 << 20  # bytes free at the end of a heap; tables of up to half of it are taken from one


def keep_freed() -> None:
    """Let glibc keep what is freed, as it learns to by itself but where its environment says otherwise.

    Dask starts workers with MALLOC_TRIM_THRESHOLD_ at 64 KiB. Then every table of an embedding is new to the process, a
    page fault for each of its 4 KiB, and ParT takes 1.3 to 1.5 times as long. `give_back` frees as before.
    """
    option = _c_library("mallopt")
    if option is not None:
        option(_MMAP_THRESHOLD, _KEPT // 2)
        option(_TRIM_THRESHOLD, _KEPT)


def give_back() -> None:
    """Hand memory that nothing refers to back to the system, as far as the C library has a way to say so.

    glibc keeps it, for each thread its own, and Arrow in a pool; what comes next finds room elsewhere. Without this the
    memory of one stage is added to that of the next.
    """
    gc.collect()
    pa.default_memory_pool().release_unused()
    trim = _c_library("malloc_trim")
    if trim is not None:
        trim(0)


@contextmanager
def quick_collections() -> Iterator[None]:
    """Within, collecting garbage goes through what was made since, and not through all that was there before.

    Libraries are half a million objects, which take 0.3 s each time; so cycles can be collected after every step.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _c_library(name: str) -> Any:
    """A function of the C library; None on other systems than Linux, or where there is none."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
