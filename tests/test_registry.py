"""The registry is strict, lazy, and hides nothing."""

import pytest

from jetassay.errors import ConfigError, DuplicateNameError, UnknownNameError
from jetassay.registry import Broken, Registry


def registry_of(**values):
    registry = Registry("thing", of=object)
    for name, value in values.items():
        registry.add(name, lambda value=value: value, origin="here")
    return registry


def test_a_name_bound_twice_raises_and_names_both_origins():
    registry = registry_of(part=1)
    with pytest.raises(DuplicateNameError, match="by here and by elsewhere"):
        registry.add("part", lambda: 2, origin="elsewhere")


def test_an_unknown_name_raises_with_the_nearest_match():
    with pytest.raises(UnknownNameError, match="Did you mean 'sophon'"):
        registry_of(sophon=1, part=2)["sofon"]
    with pytest.raises(UnknownNameError, match=r"There is no thing 'nothing'\. Known: part, sophon"):
        registry_of(sophon=1, part=2)["nothing"]


def test_values_are_made_once_and_only_when_asked_for():
    made = []
    registry = Registry("thing", of=object)
    registry.add("a", lambda: made.append("a") or "A")
    registry.add("b", lambda: made.append("b") or "B")
    assert (registry["a"], registry["a"], made) == ("A", "A", ["a"])


def test_what_does_not_load_is_listed_as_broken_with_its_reason_and_raises_when_asked_for():
    def fail():
        raise ConfigError("x.toml: colour: unknown key")

    registry = registry_of(good=1)
    registry.add("bad", fail, origin="x.toml")
    survey = registry.survey()
    assert survey["good"] == 1
    assert survey["bad"] == Broken("x.toml: ConfigError: x.toml: colour: unknown key")
    with pytest.raises(ConfigError):
        registry["bad"]
