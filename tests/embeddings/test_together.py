"""Several backbones in one pass over the jets, and how often jets and shards are read."""

import sys
import threading
import tracemalloc
from dataclasses import replace
from functools import partial

import awkward as ak
import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot

from jetassay.embeddings import pools, units
from jetassay.embeddings import store as stores
from jetassay.embeddings.aside import SetAsideError
from jetassay.embeddings.batching import Batching
from jetassay.embeddings.datasets import embed_dataset, fill, plan_embedding, stream_dataset
from jetassay.embeddings.extraction import embed_together, embed_unit
from jetassay.errors import NotFiniteError
from jetassay.features.recipe import Feature, FeatureSet
from jetassay.jets.dataset import open_dataset
from jetassay.jets.perturbations import parse_perturbation
from jetassay.jets.schema import Selection


@pytest.fixture
def count(monkeypatch):
    """Counts the calls of a function of a module from now on."""

    def watch(module, name):
        calls, original = [], getattr(module, name)

        def counted(*args, **options):
            calls.append(args)
            return original(*args, **options)

        monkeypatch.setattr(module, name, counted)
        return calls

    return watch


@pytest.fixture
def planned(dataset, store, small):
    """The embedding of the small dataset by a backbone, not filled."""
    return lambda backbone, **changes: plan_embedding(
        backbone, dataset, **{"store": store, "batching": small, "threads": 2, **changes}
    )


def test_jets_of_several_backbones_are_read_once_and_features_computed_once_a_set(planned, make_backbone, count):
    class Other(make_backbone):
        feature_set = FeatureSet(name="energies", title="Energies", features=(Feature("part_energy"),))

    reads, features = count(units, "read_chunks"), count(pools, "compute_inputs")
    backbones = make_backbone(name="one"), make_backbone(name="two", width=9), Other(name="three")
    assert fill([planned(each) for each in backbones]) == [None] * 3
    assert len(reads) == 4 + 4  # of the tables, and of all embeddings
    chunks = 3 + 3 + 2 + 3
    assert len(features) == 2 * chunks
    assert [each.jets for each in backbones] == [137] * 3


def test_backbones_together_give_the_bits_that_each_gives_alone(planned, make_backbone, small_part, tmp_path):
    together = [planned(each) for each in (make_backbone(), small_part, make_backbone(name="wide", width=9))]
    fill(together)
    for each in together:
        alone = planned(each.backbone, store=stores.EmbeddingStore(tmp_path / each.backbone.card.name))
        fill([alone])
        found, expected = each.load(), alone.load()
        assert np.array_equal(found.embedding, expected.embedding)
        assert np.array_equal(found.scores, expected.scores)
        assert found.counts == expected.counts


def test_backbones_of_other_lengths_and_columns_give_the_bits_that_each_gives_alone(planned, make_backbone, tmp_path):
    class Other(make_backbone):
        feature_set = FeatureSet(name="away", title="Away", features=(Feature("part_deta"),))

    backbones = make_backbone(name="whole"), make_backbone(name="cut", max_constituents=5), Other(name="other")
    together = [planned(each) for each in backbones]
    fill(together)
    for each in together:
        alone = planned(each.backbone, store=stores.EmbeddingStore(tmp_path / each.backbone.card.name))
        fill([alone])
        assert np.array_equal(each.load().embedding, alone.load().embedding)
        assert each.load().counts == alone.load().counts


def unlike_units(unit):
    """Units of the same range whose jets or pools are not the same, by what sets them apart."""
    drop = parse_perturbation("drop=0.4")
    recipes = {
        "perturbation": {"perturbation": drop},
        "its-strength": {"perturbation": replace(drop, value=0.2)},
        "its-seed": {"perturbation": replace(drop, seed=1)},
        "length": {"max_constituents": 3},
        "pools": {"entries_per_pool": 7},
    }
    readings = {
        "selection": {"selection": (Selection("hard", column="jet_pt", low=700, high=1e9),)},
        "labels": {"labelled": False},
    }
    return {
        **{what: replace(unit, recipe=replace(unit.recipe, **change)) for what, change in recipes.items()},
        **{what: replace(unit, reading=replace(unit.reading, **change)) for what, change in readings.items()},
    }


def test_units_that_share_a_range_and_not_their_jets_give_the_bits_that_each_gives_alone(units, make_backbone):
    found, unlike = {}, {"nominal": units[0], **unlike_units(units[0])}
    works = [
        pools.Work(
            backbone=make_backbone(name=what, max_constituents=unit.recipe.max_constituents), units=[unit],
            finished=lambda unit, shard: found.update({unit: shard}),
        )
        for what, unit in unlike.items()
    ]  # fmt: skip
    assert embed_together(works, threads=2) == {}
    for work, (what, unit) in zip(works, unlike.items(), strict=True):
        together, work.backbone.batches = sorted(work.backbone.batches), []
        alone = embed_unit(work.backbone, unit, threads=2)
        assert together == sorted(work.backbone.batches), what
        assert found[unit].facts["counts"] == alone.facts["counts"], what
        for name, column in alone.columns.items():
            assert np.array_equal(found[unit].columns[name], column), what


def test_jets_that_are_perturbed_alike_are_read_once_with_all_that_any_backbone_needs(units, make_backbone, count):
    """One sees where constituents are in the jet, whose sign is that of the jet's eta; the other does not."""

    class Other(make_backbone):
        feature_set = FeatureSet(name="energies", title="Energies", features=(Feature("part_energy"),))

    recipe = replace(units[0].recipe, perturbation=parse_perturbation("smear=0.3"))
    found, reads = {}, count(pools, "perturb_chunk")
    for order in (1, -1):
        works = [
            pools.Work(
                backbone=backbone,
                units=[replace(units[0], recipe=replace(recipe, card=name, feature_set=backbone.feature_set.digest()))],
                finished=lambda unit, shard: found.update({unit: shard}),
            )
            for name, backbone in {"one": make_backbone(name="one"), "other": Other(name="other")}.items()
        ][::order]
        reads.clear()
        assert embed_together(works, threads=2) == {}
        assert len(reads) == 3, "pools of the unit, however many backbones"
        for work in works:
            alone = embed_unit(work.backbone, work.units[0], threads=2)
            assert np.array_equal(found[work.units[0]].columns["embedding"], alone.columns["embedding"])


def test_only_what_each_backbone_lacks_is_computed(planned, make_backbone, dataset, store, small, count):
    first = dataset.limited(40)
    one, two = make_backbone(name="one"), make_backbone(name="two")
    embed_dataset(one, dataset, store=store, batching=small)
    reads = count(units, "read_chunks")
    done = one.jets
    fill([planned(one), planned(two)])
    assert (one.jets - done, two.jets) == (0, 137)
    assert len(reads) == 4
    assert len(embed_dataset(two, first, store=store, batching=small)) == 77


def test_a_backbone_without_finite_numbers_costs_the_others_nothing(planned, make_backbone):
    class Broken(make_backbone):
        def embed(self, batch):
            output = super().embed(batch)
            output.embedding[0, 2] = np.nan
            return output

    sound, broken = planned(make_backbone(name="sound")), planned(Broken(name="broken"))
    none, error = fill([sound, broken])
    assert none is None
    assert isinstance(error, NotFiniteError)
    assert "backbone 'broken' gives NaN" in str(error)
    assert len(sound.load()) == 137
    assert not any(broken.store.holds(unit) for unit in broken.units)


def test_a_file_that_cannot_be_read_is_set_aside_for_all_of_them(make_backbone, write, store, small):
    def bad(columns):
        columns["part_px"][7] = np.nan

    dataset = open_dataset("bad", [write("Hbb_000.parquet", 60, edit=bad)], schema="jetclass")
    backbones = make_backbone(name="one"), make_backbone(name="two")
    embeddings = [plan_embedding(each, dataset, store=store, batching=small) for each in backbones]
    with pytest.raises(SetAsideError, match="part_px"):
        fill(embeddings)


def test_a_run_reads_every_shard_once(planned, backbone, dataset, store, small, count):
    reads = count(stores, "_read")
    for _ in range(2):
        reads.clear()
        embed_dataset(backbone, dataset, store=store, batching=small)
        assert len(reads) == len({path for (path,) in reads}) == 4 + 4


def test_an_embedding_can_be_iterated_over_again_and_again(backbone, dataset, store, small):
    stored = stream_dataset(backbone, dataset, store=store, batching=small)
    once, again = (np.concatenate([part.embedding for part in stored]) for _ in range(2))
    assert np.array_equal(once, again)
    assert np.array_equal(once, stored.load().embedding)


def test_loading_takes_the_memory_of_its_result(make_backbone, write, store):
    sizes = Batching(entries_per_unit=250, entries_per_pool=250, token_budget=3000)
    dataset = open_dataset("flat", [write("Hbb_000.parquet", 4_000, most=3)], schema="jetclass")
    stored = stream_dataset(make_backbone(width=1000), dataset, store=store, batching=sizes)
    tracemalloc.start()
    found = stored.load()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.embedding.nbytes == 16_000_000
    assert peak < 1.25 * found.embedding.nbytes


def as_root(path):
    """The jets of a parquet file as a ROOT file beside it."""
    output, table = path.with_suffix(".root"), pq.read_table(path)
    columns = {name: table[name].combine_chunks() for name in table.column_names}
    lists = {
        name.removeprefix("part_"): ak.unflatten(each.flatten().to_numpy(), each.value_lengths().to_numpy())
        for name, each in columns.items()
        if name.startswith("part_")
    }
    flat = {name: each.to_numpy(zero_copy_only=False) for name, each in columns.items() if not name.startswith("part_")}
    branches = {"part": ak.zip(lists), **flat}
    with uproot.recreate(output) as file:
        file.mktree(
            "tree", {"part": branches["part"].type.content, **{name: each.dtype for name, each in flat.items()}}
        )
        file["tree"].extend(branches)
    path.unlink()
    return output


@pytest.mark.parametrize("convert", [as_root, lambda path: path], ids=["root", "parquet"])
def test_python_calls_from_file_to_store_do_not_grow_with_the_number_of_jets(
    make_backbone, write, store, tmp_path, convert
):
    calls = []
    for jets in (200, 2000):  # two units of two chunks, and as many batches: jets all have one length
        path = convert(write(f"Hbb_{jets}.parquet", jets, least=10, most=10))
        sizes = Batching(entries_per_unit=jets // 2, entries_per_pool=jets // 4, token_budget=jets)
        dataset = open_dataset("scaled", [path], schema="jetclass")
        embed_dataset(make_backbone(), dataset, store=store, batching=sizes)  # what happens once, such as imports
        fresh = stores.EmbeddingStore(tmp_path / f"fresh-{jets}")
        run = partial(embed_dataset, make_backbone(), dataset, store=fresh, batching=sizes, threads=1)
        calls.append(calls_of(run))
    few, many = calls
    assert few > 1000
    assert many < 1.01 * few, "waiting threads call a little more or less each time"


def calls_of(run):
    """Calls of Python functions, and of those in C, on all threads."""
    count = 0

    def one_more(_frame, event, _function):
        nonlocal count
        count += event in ("call", "c_call")

    threading.setprofile(one_more)
    sys.setprofile(one_more)
    try:
        run()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return count
