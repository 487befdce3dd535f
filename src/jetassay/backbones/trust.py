"""Somebody's Python runs only where the user said so, after a warning, and unchanged.

That is in the main process, or in a worker of a cluster that is handed the consent file by file.
"""

import hashlib
import multiprocessing
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType

from jetassay.errors import ConfigError, TrustError
from jetassay.progress import Reporter

TRUST_VARIABLE = "JETASSAY_TRUST_CODE"
"""Environment variable with the sha256 of each file that may run, commas between them, or 1 for any."""

_consent: ContextVar[bool] = ContextVar("consent", default=False)
_handed: ContextVar[frozenset[str]] = ContextVar("handed", default=frozenset())
_modules: dict[str, ModuleType] = {}


@contextmanager
def trusting(yes: bool) -> Iterator[None]:  # noqa: FBT001 - the answer to one question
    """Inside the block the files that cards bring along may run, if `yes`."""
    token = _consent.set(yes or _consent.get())
    try:
        yield
    finally:
        _consent.reset(token)


def trusted_files() -> frozenset[str]:
    """sha256 of each file that runs in this process, with the user's consent."""
    return frozenset(_modules)


@contextmanager
def trusting_files(digests: frozenset[str]) -> Iterator[None]:
    """Inside the block these files may run, in a worker too: those that run in the process that gives it work."""
    token = _handed.set(digests)
    try:
        yield
    finally:
        _handed.reset(token)


def run_file(path: Path, *, owner: str, reporter: Reporter, sha256: str | None = None) -> ModuleType:
    """The module that a Python file makes; run once in a process.

    owner:  the backbone that brings it
    sha256: what the file must be, None where it is new

    Raises `TrustError` without the user's consent or outside the main process, `ConfigError` where the file is missing,
    another one, or fails.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{owner}: {path} cannot be read: {error.strerror}") from error
    digest = hashlib.sha256(content).hexdigest()
    if sha256 is not None and digest != sha256:
        raise ConfigError(
            f"{owner}: {path} is not the file that the card names: sha256 is {digest} instead of {sha256}; restore it, "
            "or add the backbone again"
        )
    if digest not in _modules:
        _require_consent(path, digest, owner)
        reporter.warning(
            f"{owner}: running {path} (sha256 {digest[:12]}): it can do whatever you can do on this machine"
        )
        _modules[digest] = _run(path, content, digest, owner)
    return _modules[digest]


def _require_consent(path: Path, digest: str, owner: str) -> None:
    if digest in _handed.get():
        return
    named = {each.strip() for each in os.environ.get(TRUST_VARIABLE, "").split(",")}
    if not (_consent.get() or named & {"1", digest}):
        raise TrustError(
            f"{owner}: {path} is Python that somebody wrote, and was not run. Read it; if you trust it, use "
            f"--trust-code, or set {TRUST_VARIABLE}={digest}"
        )
    if multiprocessing.parent_process() is not None:
        raise TrustError(f"{owner}: {path} runs in the main process only, not in a worker")


def _run(path: Path, content: bytes, digest: str, owner: str) -> ModuleType:
    name = f"jetassay_trusted_{digest[:12]}"
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module  # dataclasses and the like look their module up
    try:
        exec(compile(content, str(path), "exec"), module.__dict__)  # noqa: S102 - the user's consent was checked above
    except (Exception, SystemExit) as error:  # foreign code may fail in any way
        del sys.modules[name]
        raise ConfigError(f"{owner}: {path} does not run: {type(error).__name__}: {error}") from error
    return module
