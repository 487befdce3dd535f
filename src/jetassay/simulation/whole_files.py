"""Files that are whole or absent: written under a temporary name, synced, then renamed."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

_SUFFIX = "partial"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place if the block ends well, and goes away if not."""
    partial = path.with_name(f".{path.name}.{_host()}.{os.getpid()}.{_SUFFIX}")
    try:
        yield partial
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Temporary files of processes of this machine that are gone: killed ones cannot tidy up."""
    for partial in folder.glob(f".*.{_host()}.*.{_SUFFIX}"):
        process = partial.name.split(".")[-2]
        if not (process.isdecimal() and psutil.pid_exists(int(process))):
            partial.unlink(missing_ok=True)


def _host() -> str:
    return platform.node().replace(".", "-") or "here"
