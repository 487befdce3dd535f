"""Every task by name: what it measures, and where its code is. Listing tasks imports none of them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from jetassay.errors import ConfigError
from jetassay.registry import Registry

if TYPE_CHECKING:
    from jetassay.tasks.score import Outcome  # it brings pandas, which a listing does not need


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """The facts of one task.

    function: `package.module:function`, imported by `load`; it returns an `Outcome`
    scope:    "backbone": called once for each backbone, as function(what it takes, *, backbone, seed, ...);
              "suite": called once, as function({backbone: what it takes}, *, seed, ...)
    takes:    what it takes of a backbone: "test", a `Sample`; "splits", a `Splits`; "probes", a `Probed`, which needs
              the suite's [probe]
    metrics:  what its scores are called
    of:       "embedding": its scores belong to the layer that is the embedding; "outputs": to the classifier's outputs
    version:  rises whenever a number may move
    """

    name: str
    version: int
    description: str
    scope: Literal["backbone", "suite"]
    takes: Literal["test", "splits", "probes"]
    metrics: tuple[str, ...]
    function: str
    of: Literal["embedding", "outputs"] = "embedding"

    def load(self) -> "Callable[..., Outcome[Any]]":
        """The task's function. Raises `ConfigError` where it cannot be imported."""
        module, _, name = self.function.partition(":")
        try:
            function: Callable[..., Outcome[Any]] = getattr(import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise ConfigError(f"task '{self.name}': cannot import {self.function}: {error}") from error
        return function


PROBE = Task(
    name="probe",
    version=1,
    description="logistic regression on frozen embeddings, each signal class against QCD",
    scope="backbone",
    takes="splits",
    metrics=("auc", "rejection", "rejection_over_cuts"),
    function="jetassay.tasks.probe:probe",
)
SIMILARITY = Task(
    name="similarity",
    version=1,
    description="debiased linear CKA between every pair of backbones, overall and within QCD alone",
    scope="suite",
    takes="test",
    metrics=("cka", "cka_null", "cka_p_value"),
    function="jetassay.tasks.similarity:similarity",
)
ZERO_SHOT = Task(
    name="zero-shot",
    version=1,
    description="a classifier's own class probabilities, each signal class against QCD, and all classes together",
    scope="backbone",
    takes="splits",
    metrics=("auc", "rejection", "rejection_over_cuts", "accuracy", "macro_ovo_auc", "log_loss"),
    function="jetassay.tasks.zero_shot:zero_shot",
    of="outputs",
)
SHUFFLED_LABELS = Task(
    name="shuffled-labels",
    version=1,
    description="a linear probe trained on shuffled labels: the floor, 0.5 but for chance",
    scope="backbone",
    takes="splits",
    metrics=("auc",),
    function="jetassay.tasks.shuffled:shuffled",
)

TASKS: Registry[Task] = Registry("task", of=Task)
for _task in (PROBE, ZERO_SHOT, SIMILARITY, SHUFFLED_LABELS):
    TASKS.add(_task.name, partial(lambda task: task, _task))
