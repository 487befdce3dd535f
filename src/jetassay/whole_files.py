"""Files and folders that are whole or absent: written under another name, synced, renamed."""

import glob
import os
import platform
import shutil
import tempfile
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
    the disk is full, the folder cannot be written, something is in the way, or the like.
    """
    partial = _partial(path)
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
        _require_way(path, error)
        raise StoreError(
            f"{path}: cannot be written: {error.strerror or error}. Free some space or choose another place "
            "(JETASSAY_CACHE for the cache, JETASSAY_WORKSPACE for runs and reports); what was written before is whole."
        ) from error


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """The same for a folder that is not there yet; what is in it is synced by whoever writes it.

    What is at `path` already stays, and the new one vanishes. Raises `StoreError`.
    """
    partial = _partial(path)
    try:
        partial.mkdir(parents=True)
        try:
            yield partial
            if not path.exists():
                partial.replace(path)
                _sync(path.parent)
        finally:
            _remove(partial)
            remove_leftovers(path.parent, of=path.name)
    except OSError as error:
        _require_way(path, error)
        raise StoreError(f"{path}: cannot be written: {error.strerror or error}") from error


@contextmanager
def temporary_files_in(root: Path) -> Iterator[None]:
    """Within, temporary files go to a folder below `root` that is gone after, at the latest when this is next called.

    Those of libraries too: the place is Python's own setting, for the process, and is put back. What a killed process
    leaves in the system's place would stay there. Raises `StoreError` where `root` cannot be written.
    """
    before, folder = tempfile.tempdir, _partial(root / "temporary")
    remove_leftovers(root, of="temporary")
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise StoreError(f"{root}: cannot be written: {error.strerror or error}. Set JETASSAY_WORKSPACE") from error
    try:
        tempfile.tempdir = str(folder)
        yield
    finally:
        tempfile.tempdir = before
        _remove(folder)


def remove_leftovers(folder: Path, *, of: str | None = None) -> None:
    """Remove partial forms of the file `of` (of any file if None) whose process on this machine is gone."""
    name = "*" if of is None else glob.escape(of)
    for left in folder.glob(f".{name}-{_host()}-*{_SUFFIX}*"):
        if is_leftover(left):
            _remove(left)


def is_partial(path: Path) -> bool:
    """Whether a name is that of a partial form of some file."""
    return path.name.startswith(".") and path.name.endswith((_SUFFIX, f"{_SUFFIX}-journal"))


def is_leftover(path: Path) -> bool:
    """Whether `path` is a partial form of some file whose process on this machine is gone."""
    parts = path.name.removesuffix("-journal").removesuffix(_SUFFIX).split("-")
    ours = is_partial(path) and len(parts) > 3 and parts[-3] == _host() and parts[-2].isdigit()
    return ours and not psutil.pid_exists(int(parts[-2]))


def _require_way(path: Path, error: OSError) -> None:
    """Raises `StoreError` where a folder has the name of the file, or a file that of a folder around it."""
    if isinstance(error, IsADirectoryError) and path.is_dir():
        raise StoreError(
            f"{path}: is a folder, where a file of that name is to be written; move the folder away"
        ) from error
    if isinstance(error, FileExistsError | NotADirectoryError):
        for each in path.parents:
            if each.exists() and not each.is_dir():
                raise StoreError(
                    f"{path}: cannot be written, since {each} is a file and no folder; move that file away"
                ) from error


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}-{_host()}-{os.getpid()}-{uuid.uuid4().hex[:8]}{_SUFFIX}")


def _remove(path: Path) -> None:
    """A file or a folder, if it is there; somebody else may remove it at the same time."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _host() -> str:
    return platform.node().replace("-", "_") or "here"


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
