"""Tasks of plug-ins in a suite: wrong calls are found before any work, and a failure costs no other score."""

import sys
from types import ModuleType

import pytest

from jetassay.errors import ConfigError, UnknownNameError
from jetassay.suite import Suite
from jetassay.tasks import further
from jetassay.tasks.catalogue import Task
from jetassay.tasks.further import attempt, require_tasks
from jetassay.tasks.score import Outcome, Score


def count(splits, *, backbone, seed, scale=1):
    score = Score(task="count", task_version=1, metric="count", value=scale * len(splits), backbone=backbone, seed=seed)
    return Outcome((score,))


def fail(splits, *, backbone, seed):
    return 1 / 0


def nonsense(splits, *, backbone, seed):
    return 42


@pytest.fixture(autouse=True)
def tasks(monkeypatch):
    module = ModuleType("somebodys_tasks")
    module.count, module.fail, module.nonsense = count, fail, nonsense
    monkeypatch.setitem(sys.modules, "somebodys_tasks", module)
    facts = {"version": 1, "description": "x", "scope": "backbone", "takes": "splits", "metrics": ("count",)}
    known = {
        name: Task(name=name, function=f"somebodys_tasks:{name}", **facts) for name in ("count", "fail", "nonsense")
    }
    known["gone"] = Task(name="gone", function="somebodys_tasks:gone", **facts)
    monkeypatch.setattr(further, "TASKS", known)


def test_a_task_is_called_with_the_arguments_of_the_suite():
    require_tasks({"count": {"scale": 2}})
    (score,) = attempt("count", {"scale": 2, "seed": 5}, [1, 2, 3], backbone="mine").scores
    assert (score.value, score.seed, score.backbone) == (6, 5, "mine")


@pytest.mark.parametrize(
    ("chosen", "message"),
    [({"count": {"colour": 1}}, "unexpected keyword argument 'colour'"), ({"gone": {}}, "cannot import")],
)
def test_a_call_that_cannot_work_is_found_before_any_work(chosen, message):
    with pytest.raises(ConfigError, match=message):
        require_tasks(chosen)


def test_an_unknown_task_is_an_error(monkeypatch):
    monkeypatch.undo()
    with pytest.raises(UnknownNameError, match="Did you mean 'probe'"):
        require_tasks({"prob": {}})


@pytest.mark.parametrize(("name", "reason"), [("fail", "ZeroDivisionError: division by zero"), ("nonsense", "a int")])
def test_a_task_that_fails_is_a_problem_with_its_reason(name, reason):
    outcome = attempt(name, {}, [], backbone="mine")
    assert outcome.scores == ()
    assert reason in outcome.problems["failed"]


def test_tasks_of_jetassay_itself_keep_their_tables():
    table = {
        "name": "mine",
        "title": "Mine",
        "backbones": ["mlp"],
        "dataset": {"card": "jetclass"},
        "split": {"train": 1, "validation": 1, "test": 1},
    }
    with pytest.raises(ValueError, match=r"a table of its own, \[zero_shot\]"):
        Suite.model_validate(table | {"tasks": {"zero-shot": {}}})
