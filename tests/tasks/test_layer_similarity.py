from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from jetassay.errors import DataError
from jetassay.metrics.cka import debiased_cka
from jetassay.tasks.catalogue import LAYERS
from jetassay.tasks.layers import Layers, layers

WIDTHS = {"out": 6, "first": 10, "second": 8}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """As tasks run in a suite; threads of small matrices wait for one another on a busy machine."""
    with threadpool_limits(1):
        yield


def layers_of(sample_of, *names, jets=100, **options):
    """Made-up backbones of three layers on the same jets, the embedding first as a card has them."""
    found = {}
    for view, name in enumerate(names):
        sample = sample_of("test", view=view, jets=jets, width=sum(WIDTHS.values()), **options)
        found[name] = Layers(sample, WIDTHS)
    return found


def test_every_layer_is_compared_with_every_other(sample_of):
    chosen = layers_of(sample_of, "a", "b")
    outcome = layers(chosen)
    table = outcome.tables["layer_similarity"]
    for metric in ("linear_cka", "rbf_cka"):
        for where, jets in (("all", 200), ("QCD", 100)):
            rows = table[(table["metric"] == metric) & (table["bin"] == where)]
            ends = [frozenset([(a, b), (c, d)]) for a, b, c, d in rows.iloc[:, :4].itertuples(index=False)]
            assert len(ends) == len(set(ends)) == 6 * 5 / 2
            assert set(rows["n_jets"]) == {jets}
            assert ((rows["low"] < rows["value"]) & (rows["value"] < rows["high"])).all()
    assert not outcome.problems


def test_values_are_those_of_the_columns_of_each_layer(sample_of):
    chosen = layers_of(sample_of, "a", "b")
    table = layers(chosen).tables["layer_similarity"].set_index(["metric", "bin", "backbone", "layer", "layer_b"])
    a, b = (each.sample.embedding for each in chosen.values())
    across = table[table["backbone_b"] == "b"]["value"]
    assert across["linear_cka", "all", "a", "first", "out"] == pytest.approx(
        debiased_cka(a[:, 6:16], b[:, :6]), abs=1e-9
    )
    own = table[table["backbone_b"] == "a"]["value"]
    assert own["linear_cka", "all", "a", "first", "second"] == pytest.approx(
        debiased_cka(a[:, 6:16], a[:, 16:]), abs=1e-9
    )


def test_inner_layers_are_scored_against_the_embedding(sample_of):
    outcome = layers(layers_of(sample_of, "a", "b", "c"), backbones=("c", "a"))
    assert {(each.backbone, each.layer) for each in outcome.scores} == {
        (name, layer) for name in "ac" for layer in ("first", "second")
    }
    assert {each.metric for each in outcome.scores} == set(LAYERS.metrics)
    assert {(each.bin, each.n_signal, each.n_background) for each in outcome.scores} == {
        ("all", 100, 100),
        ("QCD", 0, 100),
    }


def test_layers_go_from_the_first_to_the_embedding(sample_of):
    (each,) = layers_of(sample_of, "a").values()
    assert list(each.by_depth()) == ["first", "second", "out"]
    assert layers({"a": each}).tables["layer_similarity"]["backbone"].unique().tolist() == ["a"]


@pytest.mark.parametrize(("value", "message"), [(np.nan, "1 of 200 jets hold NaN"), (None, "the same embedding")])
def test_a_broken_layer_costs_no_other(sample_of, value, message):
    chosen = layers_of(sample_of, "a", "b")
    embedding = chosen["b"].sample.embedding.copy()
    embedding[slice(None) if value is None else 3, 6:16] = 0 if value is None else value
    chosen["b"] = Layers(replace(chosen["b"].sample, embedding=embedding), WIDTHS)
    outcome = layers(chosen)
    assert message in outcome.problems["b@first, all"]
    table = outcome.tables["layer_similarity"]
    assert len(table[(table["metric"] == "linear_cka") & (table["bin"] == "all")]) == 5 * 4 / 2


def test_too_few_jets_and_backbones_that_are_not_there_are_named(sample_of):
    chosen = layers_of(sample_of, "a", jets=40)
    assert layers(chosen).problems == {"QCD": "at least 64 jets are needed, and the bin 'QCD' has 40"}
    with pytest.raises(DataError, match="no layers of b; there are those of a"):
        layers(chosen, backbones=("b",))
    some = layers(layers_of(sample_of, "a"), backbones=("a", "b"))
    assert some.problems == {"b": "its layers are not there"}
    assert some.scores
    with pytest.raises(DataError, match="no layers of any backbone"):
        layers({})
    with pytest.raises(DataError, match="do not fill 24 dimensions"):
        Layers(chosen["a"].sample, {"out": 5})


def test_layers_of_other_jets_are_never_compared(sample_of):
    first = layers_of(sample_of, "a")["a"]
    other = Layers(sample_of("train", jets=100, width=24), WIDTHS)
    with pytest.raises(DataError, match="embeddings of different jets"):
        layers({"a": first, "b": other})
