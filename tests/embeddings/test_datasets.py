import json
import signal
import subprocess
import sys
import time
import tracemalloc
from io import StringIO
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from jetassay.embeddings.batching import Batching
from jetassay.embeddings.datasets import embed_dataset, jet_table, stream_dataset
from jetassay.embeddings.embedded import require_same_jets
from jetassay.embeddings.store import EmbeddingStore
from jetassay.errors import DataError, StoreError
from jetassay.jets.dataset import open_dataset
from jetassay.progress import Reporter


class Listener:
    """A reporter and what it said."""

    def __init__(self):
        self._stream = StringIO()
        self.reporter = Reporter(console=Console(file=self._stream, soft_wrap=True, highlight=False))

    @property
    def text(self):
        return self._stream.getvalue()


@pytest.fixture
def listener():
    return Listener()


@pytest.fixture
def embed(backbone, dataset, store, small):
    """`embed_dataset` of the small dataset; arguments may be changed."""

    def call(**changes):
        options = {"store": store, "batching": small, "threads": 2, **changes}
        return embed_dataset(options.pop("backbone", backbone), options.pop("dataset", dataset), **options)

    return call


def shards(store):
    return sorted(store.root.rglob("*.parquet"))


def embeddings_of(store):
    return [path for path in shards(store) if b"token_budget" in path.read_bytes()]


def test_labels_columns_and_embedding_belong_to_the_same_jets(embed, dataset):
    embedded = embed()
    jets = embedded.jets
    assert len(embedded) == len(jets) == 137
    assert [file.name for file in jets.files] == ["Hbb_000.parquet", "QCD_000.parquet"]
    assert np.array_equal(jets.file_index, np.repeat([0, 1], [100, 37]))
    assert np.array_equal(jets.entries, np.concatenate([np.arange(100), np.arange(37)]))
    assert np.array_equal(jets.labels, jets.entries % 10)
    assert embedded.label_names[:2] == ("QCD", "Hbb")
    assert np.array_equal(jets.columns["multiplicity"], embedded.embedding[:, 0])
    pt = np.concatenate([next(dataset.read(file)).jets.columns["jet_pt"] for file in dataset.files])
    assert np.array_equal(jets.columns["jet_pt"], pt)
    assert embedded.scores.shape == (137, 2)
    assert embedded.score_names == ("a", "b")


def test_a_second_run_computes_nothing_and_gives_the_same_bits(embed, backbone, listener):
    first = embed()
    done = len(backbone.batches)
    second = embed(reporter=listener.reporter)
    assert len(backbone.batches) == done
    assert np.array_equal(first.embedding, second.embedding)
    assert first.cost == second.cost
    assert "sums: 4 of 4 shards taken from the store" in listener.text


def test_only_what_is_new_is_computed(embed, backbone, dataset, write, listener):
    embed()
    paths = [*(file.path for file in dataset.files), write("Zqq_000.parquet", 20, seed=9)]
    embedded = embed(dataset=open_dataset("more", paths, schema="jetclass"), reporter=listener.reporter)
    assert backbone.jets == 137 + 20
    assert len(embedded) == 157
    assert "20 entries computed" in listener.text
    assert "4 of 5 shards taken from the store" in listener.text


def test_a_renamed_and_moved_file_is_not_computed_again(embed, backbone, dataset, tmp_path):
    embed()
    moved = tmp_path / "elsewhere" / "HToBB_777.parquet"
    moved.parent.mkdir()
    dataset.files[0].path.rename(moved)
    embedded = embed(dataset=open_dataset("moved", [moved], schema="jetclass"))
    assert backbone.jets == 137
    assert [file.name for file in embedded.jets.files] == ["HToBB_777.parquet"]


def test_other_weights_are_another_embedding(embed, make_backbone):
    embed()
    other = make_backbone()
    other.weights_sha256 = "1" * 64
    embed(backbone=other)
    assert other.jets == 137


def test_truth_is_stored_once_and_never_beside_an_embedding(embed, make_backbone, store):
    embed()
    embed(backbone=make_backbone(name="others"))
    assert len(embeddings_of(store)) == 8
    assert len(shards(store)) == 12
    for path in embeddings_of(store):
        assert pq.read_schema(path).names == ["entry_index", "embedding", "scores"]


def damage_truncate(path):
    path.write_bytes(path.read_bytes()[:-40])


def damage_byte(path):
    content = bytearray(path.read_bytes())
    content[400] ^= 1
    path.write_bytes(bytes(content))


def damage_foreign(path):
    other = next(each for each in sorted(path.parents[1].rglob("*.parquet")) if each != path)
    path.write_bytes(other.read_bytes())


@pytest.mark.parametrize("damage", [damage_truncate, damage_byte, damage_foreign])
def test_a_damaged_shard_is_named_and_computed_again_and_never_used(embed, store, backbone, listener, damage):
    first = embed()
    victim = embeddings_of(store)[0]
    damage(victim)
    backbone.batches.clear()
    second = embed(reporter=listener.reporter)
    assert 0 < backbone.jets <= 40
    assert np.array_equal(first.embedding, second.embedding)
    assert f"warning: {victim}" in listener.text
    backbone.batches.clear()
    embed()
    assert backbone.jets == 0


def test_a_damaged_table_is_computed_again_without_any_embedding(embed, store, backbone, listener):
    first = embed()
    damage_truncate(next(path for path in shards(store) if path not in embeddings_of(store)))
    second = embed(reporter=listener.reporter)
    assert backbone.jets == 137
    assert np.array_equal(first.labels, second.labels)
    assert "warning" in listener.text


@pytest.mark.parametrize("reason", [KeyboardInterrupt, SystemExit, DataError])
def test_stopping_keeps_whole_shards_and_the_next_run_goes_on(embed, make_backbone, store, listener, reason):
    class Impatient(make_backbone):
        def embed(self, batch):
            if self.jets > 50:
                raise reason
            return super().embed(batch)

    with pytest.raises(reason):
        embed(backbone=Impatient(), reporter=listener.reporter)
    assert len(embeddings_of(store)) == 1
    assert "stopped; 1 of 4 shards are whole and kept" in listener.text
    patient = make_backbone()
    assert len(embed(backbone=patient)) == 137
    assert patient.jets == 97


def run_script(folder, store, *, most=10**6):
    """Embed the files of `folder` in another process that hangs after `most` jets."""
    script = Path(__file__).with_name("embed_in_process.py")
    return subprocess.Popen([sys.executable, script, folder, store, str(most)], stderr=subprocess.PIPE)


def wait_for_shards(store, process, count):
    began = time.monotonic()
    while len(embeddings_of(store)) < count:
        assert process.poll() is None, process.stderr.read().decode()
        assert time.monotonic() - began < 120
        time.sleep(0.01)


def test_after_a_kill_only_missing_shards_are_computed_and_the_bits_are_the_same(
    embed, dataset, tmp_path, store, make_backbone
):
    folder = dataset.files[0].path.parent
    undisturbed = embed(store=EmbeddingStore(tmp_path / "other"))
    process = run_script(folder, store.root, most=90)
    wait_for_shards(store, process, 2)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert len(embeddings_of(store)) == 2
    again = make_backbone()
    embedded = embed(backbone=again)
    assert again.jets == 57
    assert np.array_equal(embedded.embedding, undisturbed.embedding)
    assert np.array_equal(embedded.scores, undisturbed.scores)
    assert not list(store.root.rglob("*.partial"))


def test_two_processes_over_one_store_leave_the_same_shards_as_one(embed, dataset, tmp_path, store, make_backbone):
    folder = dataset.files[0].path.parent
    processes = [run_script(folder, store.root) for _ in range(2)]
    for process in processes:
        assert process.wait(120) == 0, process.stderr.read().decode()
        process.stderr.close()
    fresh = make_backbone()
    together = embed(backbone=fresh)
    assert fresh.jets == 0
    assert np.array_equal(together.embedding, embed(store=EmbeddingStore(tmp_path / "other")).embedding)
    assert not list(store.root.rglob("*.partial"))


def test_jets_that_are_dropped_are_counted_by_rule_and_leave_the_rest_alone(embed, write):
    def bad(columns):
        columns["jet_sdmass"][[3, 50]] = np.nan
        columns["part_energy"][0] = -1

    dataset = open_dataset("bad", [write("Hbb_000.parquet", 60, edit=bad)], schema="jetclass")
    with pytest.raises(DataError, match=r"Hbb_000\.parquet"):
        embed(dataset=dataset)
    embedded = embed(dataset=dataset, on_invalid="drop")
    assert embedded.jets.total.dropped == embedded.counts.dropped == {"non_finite": 2, "non_positive_energy": 1}
    assert embedded.jets.total.entries == 60
    assert sorted(set(range(60)) - set(embedded.jets.entries.tolist())) == [0, 3, 50]


def test_a_range_without_a_single_usable_jet_is_an_empty_shard(embed, write, store):
    def bad(columns):
        columns["jet_sdmass"][:45] = np.nan

    dataset = open_dataset("bad", [write("Hbb_000.parquet", 60, edit=bad)], schema="jetclass")
    embedded = embed(dataset=dataset, on_invalid="drop")
    assert embedded.embedding.shape == (15, 5)
    assert embedded.jets.total.dropped == {"non_finite": 45}
    assert embedded.jets.entries.tolist() == list(range(45, 60))
    assert np.array_equal(embed(dataset=dataset, on_invalid="drop").embedding, embedded.embedding)


def test_streamed_parts_are_the_whole(embed, backbone, dataset, store, small):
    whole = embed()
    parts = list(stream_dataset(backbone, dataset, store=store, batching=small))
    assert [len(part) for part in parts] == [40, 40, 20, 37]
    for name in ("embedding", "scores", "labels"):
        assert np.array_equal(np.concatenate([getattr(part, name) for part in parts]), getattr(whole, name))
    assert np.array_equal(np.concatenate([part.jets.entries for part in parts]), whole.jets.entries)
    assert sum(part.cost.seconds for part in parts) == whole.cost.seconds


def test_memory_does_not_grow_with_the_number_of_jets(backbone, store, write):
    sizes = Batching(entries_per_unit=500, entries_per_pool=250, token_budget=3000)
    peaks = []
    for jets in (4_000, 16_000):  # the fewer ones, too, fill the queue of batches
        dataset = open_dataset("flat", [write(f"Hbb_{jets}.parquet", jets, most=20)], schema="jetclass")
        tracemalloc.start()
        for _ in stream_dataset(backbone, dataset, store=store, batching=sizes, threads=1):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] + 200_000


def test_the_table_of_jets_needs_no_backbone_and_is_that_of_every_backbone(embed, dataset, store, small, make_backbone):
    table = jet_table(dataset, store=store, batching=small)
    one, other = embed(), embed(backbone=make_backbone(name="others", width=3))
    require_same_jets([one, other])
    table.require_same_jets(one.jets)
    assert one.jets.in_files(dataset.files[1:]).sum() == 37
    assert np.flatnonzero(one.jets.in_files(dataset.files[1:]))[0] == 100


def test_embeddings_of_other_jets_are_told_apart(embed, dataset, write):
    def bad(columns):
        columns["jet_sdmass"][3] = np.nan

    whole = embed()
    fewer = embed(dataset=open_dataset("fewer", [dataset.files[0].path], schema="jetclass"))
    dropped = open_dataset("dropped", [write("Hbb_000.parquet", 100, edit=bad)], schema="jetclass")
    with pytest.raises(DataError, match=r"QCD_000\.parquet"):
        require_same_jets([whole, fewer])
    with pytest.raises(DataError, match=r"Hbb_000\.parquet"):
        require_same_jets([fewer, embed(dataset=dropped, on_invalid="drop")])
    with pytest.raises(DataError, match=r"QCD_000\.parquet"):
        fewer.jets.in_files(whole.jets.files)


def test_a_shard_that_is_removed_while_it_is_in_use_is_computed_again(embed, backbone, dataset, store, small, capsys):
    whole = embed().embedding
    parts = iter(stream_dataset(backbone, dataset, store=store, batching=small, reporter=Reporter(quiet=True)))
    found = [next(parts)]
    for path in shards(store):
        path.unlink()
    found += parts
    assert np.array_equal(np.concatenate([part.embedding for part in found]), whole)
    assert "removed while it was in use; it is computed again" in " ".join(capsys.readouterr().err.split())


def test_a_table_and_an_embedding_that_disagree_are_never_joined(embed, backbone, dataset, store, small, monkeypatch):
    embed()
    monkeypatch.setattr(np, "array_equal", lambda *_: False)
    with pytest.raises(StoreError, match="different entries"):
        next(iter(stream_dataset(backbone, dataset, store=store, batching=small)))


def test_jets_of_a_file_that_was_replaced_are_never_stored_under_the_old_ones_name(embed, dataset, store):
    first, *_, other = sorted(dataset.files, key=lambda file: file.entries)
    content = other.path.read_bytes()
    before = first.path.read_bytes()
    try:
        first.path.write_bytes(content)
        with pytest.raises(DataError, match="changed or was replaced during the run"):
            embed()
    finally:
        first.path.write_bytes(before)
    assert not any(
        json.loads(pq.read_metadata(path).metadata[b"jetassay"])["description"]["file"] == first.digest
        for path in shards(store)
    )
