"""What the `architecture` of a card names, `module:function`: whose code that is, and whether it may run.

A card is a text that may come from anybody, and a module runs when it is imported. jetassay's own architectures and
those of installed plug-ins run as they are; a module of anybody else needs the user's consent (`trust`) before that.
"""

from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

from jetassay.backbones.trust import run_module
from jetassay.errors import ConfigError, JetAssayError
from jetassay.progress import Reporter
from jetassay.registry import plugin_packages

_OURS = "jetassay"
_WHERE = f"{_OURS}.backbones."
_FUNCTIONS = ("build", "load")


def find_architecture(name: str, *, owner: str, reporter: Reporter | None = None) -> Callable[..., Any]:
    """The function that `package.module:function` names.

    owner:    the backbone that asks for it
    reporter: who hears that somebody's code runs

    Raises `TrustError` where it is neither ours nor a plug-in's and the user has not said that it may run, before any
    of it is imported; `ConfigError` where it cannot be imported, or is no function that its own package defines.
    """
    module, _, function = name.partition(":")
    package = module.partition(".")[0]
    try:
        found = getattr(_imported(module, function, owner=owner, reporter=reporter or Reporter()), function)
    except AttributeError as error:
        raise ConfigError(f"{owner}: architecture '{name}' cannot be imported: {error}") from error
    home = str(getattr(found, "__module__", None))
    if not callable(found) or home.partition(".")[0] != package:
        raise ConfigError(
            f"{owner}: architecture '{name}' is no function that {package} defines; name the module where it is defined"
        )
    return found  # type: ignore[no-any-return]


def call_architecture(name: str, function: Callable[..., Any], parameters: dict[str, Any], *, owner: str) -> Any:
    """What an architecture gives. Raises `ConfigError` where it refuses what it is called with."""
    try:
        return function(**parameters)
    except JetAssayError:
        raise
    except Exception as error:  # foreign code may fail in any way
        raise ConfigError(
            f"{owner}: '{name}' refuses the card's parameters: {type(error).__name__}: {error}"
        ) from error


def _imported(module: str, function: str, *, owner: str, reporter: Reporter) -> ModuleType:
    package = module.partition(".")[0]
    if package == _OURS:
        if not module.startswith(_WHERE) or function not in _FUNCTIONS:
            raise ConfigError(
                f"{owner}: '{module}:{function}' is no architecture of jetassay; those are {_WHERE}NAME:build"
            )
    elif package not in plugin_packages():
        return run_module(module, what=f"architecture '{module}:{function}'", owner=owner, reporter=reporter)
    try:
        return import_module(module)
    except (Exception, SystemExit) as error:  # a plug-in may fail in any way
        raise ConfigError(f"{owner}: architecture '{module}:{function}' cannot be imported: {error}") from error
