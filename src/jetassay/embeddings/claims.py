"""Who is at which unit: so that several processes that fill one store do not all do the same units."""

import hashlib
import os
import sys
from contextlib import suppress
from typing import Any

from jetassay.embeddings.store import EmbeddingStore
from jetassay.embeddings.units import Unit

if sys.platform != "win32":
    import fcntl

_DIGITS = 15
"""Of a digest in base 16: a position in the file that `lockf` can take."""


class Claims:
    """The units that this process is at: a lock each, on one byte of an empty file beside the store.

    The system drops locks with the process, however it ends, so there is nothing to clean up and nothing to outlive a
    kill -9. Where the file system has no locks, or the cache cannot be written, every claim is granted: what two
    processes lack is then computed by both, to the same bits. Locks are of a process, so threads share them.
    """

    def __init__(self, store: EmbeddingStore) -> None:
        self._path = store.root.with_name(f"{store.root.name}.lock")
        self._handle: int | None = None

    def take(self, unit: Unit[Any]) -> bool:
        """Claim a unit; False where another process has."""
        if sys.platform == "win32":  # locks of another kind
            return True
        try:
            if self._handle is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
            fcntl.lockf(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _place(unit))
        except (BlockingIOError, PermissionError):
            return self._handle is None  # where the file is open, it is that somebody else has the lock
        except OSError:
            return True
        return True

    def drop(self, unit: Unit[Any]) -> None:
        """A unit that is in the store, or left to others."""
        if self._handle is not None and sys.platform != "win32":
            with suppress(OSError):  # no locks, so none to drop
                fcntl.lockf(self._handle, fcntl.LOCK_UN, 1, _place(unit))

    def close(self) -> None:
        """Drop all."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _place(unit: Unit[Any]) -> int:
    """The same in every process, and cheaper than the key. Two units at one place cost nothing but a place in turn."""
    text = f"{unit.file.digest} {unit.start} {unit.stop} {unit.recipe!r}"
    return int(hashlib.sha256(text.encode()).hexdigest()[:_DIGITS], 16)
