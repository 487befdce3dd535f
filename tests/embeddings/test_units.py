import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jetassay.embeddings.units import Reading, TableRecipe, embedding_recipe, plan
from jetassay.features.sets import FEATURE_SETS
from jetassay.jets.dataset import DataFile
from jetassay.jets.schema import SCHEMAS, Selection


@given(st.lists(st.integers(1, 50), max_size=4), st.integers(1, 60))
def test_every_entry_is_in_exactly_one_unit(sizes, per_unit):
    files = [DataFile(Path(f"Hbb_{k}.root"), "Hbb", size, f"{k:064x}") for k, size in enumerate(sizes)]
    reading = Reading(schema=SCHEMAS["jetclass"], selection=())
    units = plan(files, reading=reading, recipe=TableRecipe(), entries_per_unit=per_unit)
    entries = [(unit.file, entry) for unit in units for entry in range(unit.start, unit.stop)]
    assert entries == [(file, entry) for file in files for entry in range(file.entries)]
    assert all(0 < len(unit) <= per_unit for unit in units)
    assert len({unit.key for unit in units}) == len(units)


def test_the_key_does_not_depend_on_where_a_file_lies_or_what_it_is_called(units):
    unit = units[0]
    moved = replace(unit, file=replace(unit.file, path=Path("elsewhere/other.root"), group="other"))
    assert moved.key == unit.key


RECIPE = {
    "card": "other",
    "weights": "other",
    "feature_set": "other",
    "dtype": "float64",
    "max_constituents": 64,
    "entries_per_pool": 16,
    "token_budget": 101,
    "code": "other",
    "version": 99,
}
READING = {
    "schema": SCHEMAS["jetclass2"],
    "selection": (Selection("pt", "jet_pt", 500.0, 600.0),),
    "on_invalid": "drop",
    "labelled": False,
}


@pytest.mark.parametrize("name", RECIPE)
def test_the_key_depends_on_every_part_of_the_recipe(units, name):
    changed = replace(units[0], recipe=replace(units[0].recipe, **{name: RECIPE[name]}))
    assert changed.key != units[0].key


def test_the_recipe_says_what_the_backbone_says(make_backbone, small):
    backbone = make_backbone(max_constituents=64)
    backbone.dtype, backbone.weights_sha256 = "float64", "a" * 64
    feature_set = FEATURE_SETS["part-full"]
    recipe = embedding_recipe(backbone, feature_set=feature_set, batching=small)
    assert (recipe.card, recipe.weights) == (backbone.card.digest(), "a" * 64)
    assert (recipe.feature_set, recipe.dtype) == (feature_set.digest(), "float64")
    assert (recipe.max_constituents, recipe.entries_per_pool) == (64, small.entries_per_pool)
    assert (recipe.token_budget, recipe.code) == (small.token_budget, None)


def test_another_architecture_of_ones_own_is_never_taken_for_the_old_one(
    make_backbone, small, units, tmp_path, monkeypatch
):
    path = tmp_path / "own_network.py"
    monkeypatch.setitem(sys.modules, "own_network", SimpleNamespace(__file__=str(path)))
    backbone, keys = make_backbone(), set()
    backbone.card = backbone.card.model_copy(update={"architecture": "own_network:build"})
    for code in ("one", "other"):
        path.write_text(code)
        recipe = embedding_recipe(backbone, feature_set=FEATURE_SETS["part-kin"], batching=small)
        keys.add(replace(units[0], recipe=recipe).key)
    assert len(keys) == 2


@pytest.mark.parametrize("name", READING)
def test_the_key_depends_on_every_part_of_the_reading(units, name):
    changed = replace(units[0], reading=replace(units[0].reading, **{name: READING[name]}))
    assert changed.key != units[0].key


def test_the_key_depends_on_the_content_of_the_file_and_on_the_range(units):
    unit = units[0]
    others = [
        replace(unit, file=replace(unit.file, digest="f" * 64)),
        replace(unit, start=1),
        replace(unit, stop=unit.stop - 1),
        replace(unit, recipe=TableRecipe()),
    ]
    assert len({unit.key, *(other.key for other in others)}) == 5
