"""Tasks of plug-ins in a suite: found and asked for their arguments before any work, and named where they fail."""

import inspect
from collections.abc import Mapping
from typing import Any

from jetassay.errors import ConfigError
from jetassay.tasks.catalogue import TASKS
from jetassay.tasks.score import Outcome

Chosen = Mapping[str, Mapping[str, Any]]
"""Name of a task -> its arguments beside the jets."""


def require_tasks(chosen: Chosen) -> None:
    """Raises `JetAssayError` where a task is unknown or broken, or does not take the arguments of the suite."""
    for name, options in chosen.items():
        task = TASKS[name]
        given = {"seed": 0, **options, **({"backbone": ""} if task.scope == "backbone" else {})}
        try:
            inspect.signature(task.load()).bind(None, **given)
        except TypeError as error:
            raise ConfigError(f"task '{name}' cannot be called with {', '.join(given)}: {error}") from error


def attempt(name: str, options: Mapping[str, Any], jets: Any, **more: Any) -> Outcome[Any]:
    """What the task gives; where it fails, that as its one problem, so that no other score is lost."""
    function = TASKS[name].load()
    try:
        outcome = function(jets, **{"seed": 0, **options, **more})
    except Exception as error:  # noqa: BLE001 - somebody else's code may fail in any way
        return Outcome((), problems={"failed": f"{type(error).__name__}: {error}"})
    if not isinstance(outcome, Outcome):
        return Outcome((), problems={"failed": f"it gives a {type(outcome).__name__} instead of an Outcome"})
    return outcome
