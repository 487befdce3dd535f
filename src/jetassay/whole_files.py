"""Files that are whole or absent: written under another name, synced, renamed."""

import glob
import os
import platform
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from jetassay.errors import StoreError

_SUFFIX = ".partial"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A name to write to, beside `path`; it becomes `path` when the block ends well and vanishes otherwise.

    Whatever a killed process left of the same file on this machine is removed too. Several processes may write the
    same file at once: the last one wins, and every reader sees one of the whole files. Raises `StoreError` where
    the disk is full, the folder cannot be written, or the like.
    """
    partial = path.with_name(f".{path.name}-{_host()}-{os.getpid()}-{uuid.uuid4().hex[:8]}{_SUFFIX}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            _sync(partial)
            partial.replace(path)
            _sync(path.parent)
        finally:
            partial.unlink(missing_ok=True)
            remove_leftovers(path.parent, of=path.name)
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be written: {error.strerror or error}. Free some space or choose another place "
            "(JETASSAY_CACHE for the cache, JETASSAY_WORKSPACE for runs and reports); what was written before is whole."
        ) from error


def remove_leftovers(folder: Path, *, of: str | None = None) -> None:
    """Remove partial forms of the file `of` (of any file if None) whose process on this machine is gone."""
    name = "*" if of is None else glob.escape(of)
    for left in folder.glob(f".{name}-{_host()}-*{_SUFFIX}"):
        if is_leftover(left):
            left.unlink(missing_ok=True)


def is_partial(path: Path) -> bool:
    """Whether a name is that of a partial form of some file."""
    return path.name.startswith(".") and path.name.endswith(_SUFFIX)


def is_leftover(path: Path) -> bool:
    """Whether `path` is a partial form of some file whose process on this machine is gone."""
    parts = path.name.removesuffix(_SUFFIX).split("-")
    ours = is_partial(path) and len(parts) > 3 and parts[-3] == _host() and parts[-2].isdigit()
    return ours and not psutil.pid_exists(int(parts[-2]))


def _host() -> str:
    return platform.node().replace("-", "_") or "here"


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
