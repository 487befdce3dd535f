import subprocess
import sys
from dataclasses import replace

import pytest

from jetassay.errors import ConfigError, UnknownNameError
from jetassay.tasks.catalogue import PROBE, TASKS


@pytest.mark.parametrize("name", sorted(TASKS))
def test_every_task_loads_and_explains_itself(name):
    task = TASKS[name]
    assert task.name == name
    assert callable(task.load())
    assert task.description
    assert task.scope in ("backbone", "suite")


def test_tasks_give_the_metrics_that_the_catalogue_names(splits_of):
    splits = splits_of(jets=30)
    per_backbone = TASKS["probe"].load()(splits, backbone="a", seed=0)
    over_backbones = TASKS["similarity"].load()({"a": splits.test, "b": splits.test}, seed=0)
    for task, outcome in (("probe", per_backbone), ("similarity", over_backbones)):
        assert {score.metric for score in outcome.scores} == set(TASKS[task].metrics)
        assert {score.task_version for score in outcome.scores} == {TASKS[task].version}


def test_listing_tasks_imports_neither_numpy_nor_pandas():
    code = "import sys; from jetassay.tasks.catalogue import TASKS; dict(TASKS); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not {"numpy", "pandas", "scipy", "sklearn", "torch"} & set(modules)


def test_an_unknown_task_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'similarity'"):
        TASKS["similarities"]


@pytest.mark.parametrize("function", ["jetassay.tasks.nowhere:probe", "jetassay.tasks.probe:nothing", "no_colon"])
def test_a_task_whose_function_is_missing_says_so(function):
    with pytest.raises(ConfigError, match=f"task 'probe': cannot import {function}"):
        replace(PROBE, function=function).load()
