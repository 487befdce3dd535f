"""Every check by name: what it proves, what it costs, and where its code is. Listing checks imports none of them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Literal

from jetassay.errors import ConfigError
from jetassay.registry import Registry

if TYPE_CHECKING:
    from jetassay.audit.finding import Finding
    from jetassay.audit.subject import Subject

Function = Callable[["Subject"], "Iterable[Finding]"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The facts of one check.

    proves:   what a pass means, in one sentence
    function: `package.module:function`, called with a `Subject`, gives `Finding` rows
    depth:    "cheap": run by default; "full": only where it is asked for
    leak:     a failure means that truth may have been an input, and stops a suite
    version:  rises whenever a finding may change
    """

    name: str
    proves: str
    function: str
    depth: Literal["cheap", "full"] = "cheap"
    leak: bool = False
    version: int = 1

    def load(self) -> Function:
        """The check's function. Raises `ConfigError` where it cannot be imported."""
        module, _, name = self.function.partition(":")
        try:
            function: Function = getattr(import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise ConfigError(f"check '{self.name}': cannot import {self.function}: {error}") from error
        return function


CHECKS: Registry[Check] = Registry("check", of=Check)
for _check in (
    Check(
        name="columns",
        proves="the inputs are made of observed columns alone, and none of these is known to be truth",
        function="jetassay.audit.static:columns",
        leak=True,
    ),
):
    CHECKS.add(_check.name, partial(lambda check: check, _check))
