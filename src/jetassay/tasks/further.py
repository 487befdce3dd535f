"""Tasks in a suite: asked for their arguments before any work, and named where they fail."""

import inspect
from collections.abc import Mapping
from typing import Any

from jetassay.errors import ConfigError, JetAssayError, LeakageError
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
    """What the task gives; where it fails, that as its one problem, so that no other score is lost.

    Raises `LeakageError` and `ConfigError`, which stop a suite.
    """
    function = TASKS[name].load()
    try:
        outcome = function(jets, **{"seed": 0, **options, **more})
    except (LeakageError, ConfigError):
        raise
    except JetAssayError as error:
        return Outcome((), problems={"failed": str(error)})
    except Exception as error:
        if TASKS[name].function.startswith("jetassay."):
            raise
        return Outcome((), problems={"failed": f"{type(error).__name__}: {error}"})
    if not isinstance(outcome, Outcome):
        return Outcome((), problems={"failed": f"it gives a {type(outcome).__name__} instead of an Outcome"})
    return outcome
