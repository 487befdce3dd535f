import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from jetassay.backbones.protocol import Output
from jetassay.embeddings import extraction
from jetassay.embeddings.batching import Batching
from jetassay.embeddings.extraction import embed_together, embed_unit, embed_units
from jetassay.embeddings.pools import Work
from jetassay.embeddings.threads import one_thread_per_operator, prompt_turns
from jetassay.embeddings.units import Reading, embedding_recipe, plan
from jetassay.errors import DataError, NotFiniteError
from jetassay.features.inputs import compute_inputs
from jetassay.features.sets import FEATURE_SETS
from jetassay.jets.dataset import open_dataset

KIN = FEATURE_SETS["part-kin"]


def plan_units(backbone, dataset, **sizes):
    batching = Batching(**{"entries_per_unit": 40, "entries_per_pool": 15, "token_budget": 100, **sizes})
    return plan(
        dataset.files,
        reading=Reading(schema=dataset.schema, selection=()),
        recipe=embedding_recipe(backbone, feature_set=KIN, batching=batching),
        entries_per_unit=batching.entries_per_unit,
    )


def embed_all(backbone, units, *, threads=2):
    shards = []
    embed_units(backbone, units, threads=threads, finished=lambda _, shard: shards.append(shard))
    return shards


def column(shards, name="embedding"):
    return np.concatenate([shard.columns[name] for shard in shards])


def test_jets_come_back_in_file_order_whatever_their_length(backbone, dataset, units):
    for unit, shard in zip(units, embed_all(backbone, units), strict=True):
        chunk = next(unit.read(needs=KIN.needs, entries_per_chunk=1000, max_constituents=128))
        inputs = compute_inputs(KIN, chunk.jets)
        assert np.array_equal(shard.columns["entry_index"], np.arange(unit.start, unit.stop))
        assert np.array_equal(shard.columns["embedding"], backbone.embed(inputs).embedding)
        assert np.array_equal(shard.columns["scores"], backbone.embed(inputs).scores)


def test_no_batch_exceeds_the_budget(backbone, units):
    embed_all(backbone, units)
    assert backbone.jets == 137
    assert all(jets * longest <= 100 for jets, longest in backbone.batches)
    assert len(backbone.batches) < 60


@pytest.mark.parametrize("budget", [1, 5])
def test_a_budget_too_small_for_a_jet_makes_it_a_batch_of_its_own(backbone, dataset, units, budget):
    tight = embed_all(backbone, plan_units(backbone, dataset, token_budget=budget))
    assert all(jets == 1 or jets * longest <= budget for jets, longest in backbone.batches)
    assert np.array_equal(column(tight), column(embed_all(backbone, units)))


def test_a_jet_of_one_constituent_and_a_jet_of_128_stand_in_one_unit(backbone, write):
    paths = [write("Hbb_000.parquet", 4, most=1), write("Hbb_001.parquet", 3, least=128, most=128)]
    dataset = open_dataset("wide", paths, schema="jetclass")
    shards = embed_all(backbone, plan_units(backbone, dataset, token_budget=256))
    assert column(shards)[:, 0].tolist() == [1, 1, 1, 1, 128, 128, 128]


def test_constituents_beyond_what_the_card_takes_are_cut_and_counted(make_backbone, write):
    backbone = make_backbone(max_constituents=10)
    dataset = open_dataset("long", [write("Hbb_000.parquet", 6, least=12, most=12)], schema="jetclass")
    (shard,) = embed_all(backbone, plan_units(backbone, dataset))
    assert (shard.columns["embedding"][:, 0] == 10).all()
    assert shard.facts["counts"]["truncated_jets"] == 6
    assert shard.facts["counts"]["truncated_constituents"] == 12


def test_the_bits_of_a_network_depend_neither_on_threads_nor_on_other_units(small_part, dataset):
    units = plan_units(small_part, dataset)
    together = embed_all(small_part, units, threads=1)
    for threads in (2, 3):
        again = embed_all(small_part, units, threads=threads)
        assert np.array_equal(column(again), column(together))
        assert np.array_equal(column(again, "scores"), column(together, "scores"))
    alone = [embed_unit(small_part, unit, threads=2) for unit in reversed(units)]
    assert np.array_equal(column(alone[::-1]), column(together))


def test_a_network_gives_the_same_embedding_in_other_batches_to_1e_4(small_part, dataset):
    reference = column(embed_all(small_part, plan_units(small_part, dataset)))
    for sizes in ({"token_budget": 1}, {"token_budget": 5000, "entries_per_pool": 40}, {"entries_per_unit": 7}):
        other = column(embed_all(small_part, plan_units(small_part, dataset, **sizes)))
        np.testing.assert_allclose(other, reference, atol=1e-4, rtol=0)


def test_scores_are_left_out_where_a_backbone_gives_none(make_backbone, dataset):
    backbone = make_backbone(labels=())
    shards = embed_all(backbone, plan_units(backbone, dataset))
    assert all(set(shard.columns) == {"entry_index", "embedding"} for shard in shards)


def test_every_shard_says_what_was_read_and_what_it_cost(backbone, units):
    for unit, shard in zip(units, embed_all(backbone, units), strict=True):
        assert shard.facts["counts"]["entries"] == shard.facts["cost"]["jets"] == len(unit)
        assert shard.facts["cost"]["seconds"] > 0
        assert shard.facts["cost"]["reading_cpu_s"] > 0
        assert shard.facts["cost"]["forward_cpu_s"] > 0
        assert shard.facts["provenance"]["threads"] == 2
        assert shard.facts["provenance"]["file"] == unit.file.name


def test_progress_adds_up_to_the_entries(backbone, units):
    seen = []
    embed_units(backbone, units, finished=lambda *_: None, advance=seen.append)
    assert sum(seen) == 137
    assert len(seen) == len(backbone.batches)


def broken(make_backbone, **changes):
    """A backbone whose output is changed by functions of the array, by name."""

    class Broken(make_backbone):
        def embed(self, batch):
            output = super().embed(batch)
            parts = {"embedding": output.embedding, "scores": output.scores}
            return Output(**{name: changes.get(name, lambda array: array)(part) for name, part in parts.items()})

    return Broken()


def with_nan(array):
    return np.where(array[:, :1] == 30, np.nan, array).astype(np.float32)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"embedding": with_nan}, r"Hbb_000\.parquet, entry \d+: backbone 'sums' gives NaN or infinity as embedding"),
        ({"scores": lambda array: np.full_like(array, np.inf)}, "infinity as scores"),
        ({"embedding": lambda array: array[:, :1]}, r"embedding should be float32 \(\d+, 5\)"),
        ({"embedding": lambda array: array.astype(np.float64)}, "not float64"),
        ({"scores": lambda _: None}, "not NoneType"),
    ],
)
def test_an_output_that_cannot_be_right_is_refused_by_name(make_backbone, units, changes, message):
    with pytest.raises(DataError, match=message):
        embed_all(broken(make_backbone, **changes), units)


def test_jets_that_give_no_finite_inputs_are_named_with_their_file(backbone, write):
    def along_the_beam(columns):
        columns["part_px"][5] = columns["part_py"][5] = 0

    path = write("Hbb_000.parquet", 9, least=10, edit=along_the_beam)
    dataset = open_dataset("beam", [path], schema="jetclass")
    with pytest.raises(DataError, match=r"Hbb_000\.parquet \(jet 0 is entry 0\): log_pt is .* of jet 0"):
        embed_all(backbone, plan_units(backbone, dataset))


def test_thread_settings_are_one_inside_and_untouched_outside(make_backbone, units):
    seen = set()

    class Watching(make_backbone):
        def embed(self, batch):
            seen.add((torch.get_num_threads(), round(sys.getswitchinterval(), 6)))
            return super().embed(batch)

    before, turns = torch.get_num_threads(), sys.getswitchinterval()
    torch.set_num_threads(3)
    try:
        embed_all(Watching(), units)
        assert torch.get_num_threads() == 3
        with pytest.raises(DataError):
            embed_all(broken(make_backbone, embedding=with_nan), units)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert seen == {(1, 1e-4)}
    assert sys.getswitchinterval() == turns


@pytest.mark.parametrize(
    ("setting", "read", "inside"),
    [(one_thread_per_operator, torch.get_num_threads, 1), (prompt_turns, sys.getswitchinterval, 1e-4)],
    ids=["operators", "turns"],
)
def test_two_threads_that_change_a_setting_at_once_leave_it_as_it_was(setting, read, inside):
    def at_present():
        """As a thread that begins now finds it."""
        with ThreadPoolExecutor(1) as fresh:
            return fresh.submit(read).result()

    first_in, first_out, seen = threading.Event(), threading.Event(), []

    def first():
        with setting():
            first_in.set()
            first_out.wait(0.2)  # the second asks meanwhile

    def second():
        with setting():
            first_out.set()
            one.join()
            seen.append(at_present())

    torch_before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        before = at_present()
        one, two = threading.Thread(target=first), threading.Thread(target=second)
        one.start()
        first_in.wait()
        two.start()
        two.join()
        after = at_present()
    finally:
        torch.set_num_threads(torch_before)
    assert seen == [pytest.approx(inside)]
    assert after == before


def test_nan_that_the_backbone_itself_finds_is_named_with_the_jets(make_backbone, units):
    class Careful(make_backbone):
        def embed(self, batch):
            raise NotFiniteError("sums: the embedding of jet 0 of the batch is not finite")

    with pytest.raises(NotFiniteError, match=r"Hbb_000\.parquet, entries 0:40: sums: the embedding"):
        embed_all(Careful(), units)


def test_no_thread_is_left_behind_after_an_error(make_backbone, units):
    before = threading.active_count()
    with pytest.raises(DataError):
        embed_all(broken(make_backbone, embedding=with_nan), units)
    assert threading.active_count() == before


def test_what_a_backbone_takes_that_gives_nan_is_no_cost_of_those_beside_it(make_backbone, dataset, small, monkeypatch):
    """By a made-up clock, on which waiting for a pool takes 1 s of the sound backbone, and 100 s of the other."""

    class Broken(make_backbone):
        def embed(self, batch):
            output = super().embed(batch)
            output.embedding[:] = np.nan
            return output

    now = 0.0
    collect = extraction._collect

    def collected(pool, batches):
        nonlocal now
        now += 100.0 if isinstance(pool.work.backbone, Broken) else 1.0
        return collect(pool, batches)

    monkeypatch.setattr(extraction, "_collect", collected)
    monkeypatch.setattr(extraction.time, "perf_counter", lambda: now)
    shards = []
    sound, broken = (
        Work(backbone=each, units=plan_units(each, dataset), finished=lambda _, shard: shards.append(shard))
        for each in (make_backbone(), Broken(name="broken"))
    )
    assert [*embed_together([sound, broken], threads=2)] == [broken]
    assert [shard.facts["cost"]["seconds"] for shard in shards] == [3.0, 3.0, 2.0, 3.0]
