"""Somebody's Python, a file or a module, runs only where the user said so, after a warning, and unchanged.

That is in the main process, or in a worker of a cluster that is handed the consent file by file.
"""

import hashlib
import multiprocessing
import os
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from importlib.machinery import ModuleSpec
from pathlib import Path
from pkgutil import get_importer
from types import ModuleType

from jetassay.errors import ConfigError, TrustError
from jetassay.progress import Reporter

TRUST_VARIABLE = "JETASSAY_TRUST_CODE"
"""Environment variable with the sha256 of each file that may run, commas between them, or 1 for any."""

_consent: ContextVar[bool] = ContextVar("consent", default=False)
_handed: ContextVar[frozenset[str]] = ContextVar("handed", default=frozenset())
_modules: dict[str, ModuleType] = {}
_imported: set[str] = set()


@contextmanager
def trusting(yes: bool) -> Iterator[None]:  # noqa: FBT001 - the answer to one question
    """Inside the block the files and modules that cards name may run, if `yes`."""
    token = _consent.set(yes or _consent.get())
    try:
        yield
    finally:
        _consent.reset(token)


def trusted_files() -> frozenset[str]:
    """sha256 of each file that runs in this process, with the user's consent."""
    return frozenset(_modules) | _imported


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
        _require_consent({digest}, str(path), owner)
        _warn(f"{path} (sha256 {digest[:12]})", owner, reporter)
        _modules[digest] = _run(path, content, digest, owner)
    return _modules[digest]


def run_module(name: str, *, what: str, owner: str, reporter: Reporter) -> ModuleType:
    """The module of that name, imported: the user's consent is asked for its file and those of packages around it.

    what: that the owner asks for, as people are told

    Without consent nothing of them runs. What they import runs too, and is not asked for.

    Raises `TrustError` without the user's consent or outside the main process, `ConfigError` where there is no such
    module, it is one of Python itself, or it fails.
    """
    files = module_files(name, owner=owner)
    try:
        digests = dict.fromkeys(hashlib.sha256(path.read_bytes()).hexdigest() for path in files)
    except OSError as error:
        raise ConfigError(f"{owner}: {error.filename} cannot be read: {error.strerror}") from error
    if not digests.keys() <= _imported:
        _require_consent(digests, f"{what} ({files[-1]})", owner)
        _warn(f"{what} ({files[-1]})", owner, reporter)
    try:
        module = import_module(name)
    except (Exception, SystemExit) as error:  # foreign code may fail in any way
        raise ConfigError(f"{owner}: module {name} does not run: {type(error).__name__}: {error}") from error
    _imported.update(digests)
    return module


def module_files(name: str, *, owner: str) -> list[Path]:
    """The files that the import of a module runs first: `__init__.py` of packages around it, and its own. Runs none.

    Raises `ConfigError` where there is no such module, or it is one of Python itself.
    """
    parts, files = name.split("."), []
    if parts[0] in sys.stdlib_module_names:
        raise ConfigError(f"{owner}: {parts[0]} is a module of Python itself, where no network lies")
    places: Sequence[str] | None = None
    for number in range(len(parts)):
        inner = ".".join(parts[: number + 1])
        spec = _find(inner) if places is None else _find_within(inner, places)
        if spec is None:
            raise ConfigError(f"{owner}: {name} cannot be imported: No module named '{inner}'")
        if spec.has_location and spec.origin is not None:
            files.append(Path(spec.origin))
        places = list(spec.submodule_search_locations or ())
    if not files:
        raise ConfigError(f"{owner}: {name} is no file of Python, so no network lies there")
    return files


def _find(name: str) -> ModuleSpec | None:
    """Where a module outside of any package lies."""
    for finder in sys.meta_path:
        spec = finder.find_spec(name, None, None) if hasattr(finder, "find_spec") else None
        if spec is not None:
            return spec
    return None


def _find_within(name: str, places: Sequence[str]) -> ModuleSpec | None:
    """Where a module of a package lies; `importlib.util.find_spec` would import the package."""
    folders: list[str] = []
    for place in places:
        finder = get_importer(place)
        spec = finder.find_spec(name) if finder is not None else None
        if spec is not None and spec.loader is not None:
            return spec
        folders += spec.submodule_search_locations or () if spec is not None else ()
    if not folders:
        return None
    found = ModuleSpec(name, None, is_package=True)
    found.submodule_search_locations = folders
    return found


def _warn(what: str, owner: str, reporter: Reporter) -> None:
    reporter.warning(f"{owner}: running {what}: it can do whatever you can do on this machine")


def _require_consent(digests: Collection[str], what: str, owner: str) -> None:
    """Raises `TrustError` where the user has not said that all of these files may run, or not here."""
    missing = [digest for digest in digests if digest not in _handed.get()]
    if not missing:
        return
    named = {each.strip() for each in os.environ.get(TRUST_VARIABLE, "").split(",")}
    if not (_consent.get() or "1" in named or named.issuperset(missing)):
        raise TrustError(
            f"{owner}: {what} is Python that somebody wrote, and was not run. Read it; if you trust it, use "
            f"--trust-code, or set {TRUST_VARIABLE}={','.join(digests)}"
        )
    if multiprocessing.parent_process() is not None:
        raise TrustError(f"{owner}: {what} runs in the main process only, not in a worker")


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
