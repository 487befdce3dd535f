"""Executions that must give equal numbers are told from those that need not."""

from types import SimpleNamespace

import pytest

from jetassay.bookkeeping import Identity, settings_digest
from jetassay.suite import Suite

SUITE = {
    "name": "mine",
    "title": "Mine",
    "backbones": ["one"],
    "dataset": {"card": "jetclass", "folder": "here"},
    "split": {"train": 1, "validation": 1, "test": 1},
    "probe": {},
}


def parts(suite, data, weights, features):
    backbone = SimpleNamespace(
        card=SimpleNamespace(digest=lambda: "c"),
        weights_sha256=weights,
        feature_set=SimpleNamespace(digest=lambda: features),
    )
    return Suite.model_validate(suite), SimpleNamespace(digest=data), {"one": backbone}


def digest(suite=SUITE, *, data="d", weights="w", features="f"):
    return settings_digest(*parts(suite, data, weights, features))


@pytest.mark.parametrize("change", [{"data": "e"}, {"weights": "v"}, {"features": "g"}])
def test_other_jets_weights_or_inputs_are_another_execution(change):
    assert digest(**change) != digest()


@pytest.mark.parametrize(
    "change", [{"dtype": "float64"}, {"split": SUITE["split"] | {"seed": 2}}, {"probe": {"seed": 1}}]
)
def test_other_settings_are_another_execution(change):
    assert digest(SUITE | change) != digest()


@pytest.mark.parametrize(
    "change", [{"title": "Other"}, {"throughput": {}}, {"dataset": {"card": "jetclass", "folder": "there"}}]
)
def test_title_place_and_throughput_are_not(change):
    assert digest(SUITE | change) == digest()


def test_executions_on_other_splits_are_others_of_one_series():
    suite, data, backbones = parts(SUITE, "d", "w", "f")
    first, second = (Identity.of(each, data, backbones) for each in (suite, suite.on(seed=2)))
    assert first.suite_id != second.suite_id
    assert (first.series, first.series_id) == (second.series, second.series_id)
    assert Identity.of(*parts(SUITE | {"dtype": "float64"}, "d", "w", "f")).series_id != first.series_id
