"""Several processes at one store: who is at a unit is known to the others, and nobody waits for one that hangs."""

import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from jetassay.embeddings.claims import Claims
from jetassay.embeddings.datasets import embed_dataset, plan_embedding
from jetassay.embeddings.store import EmbeddingStore

IN_FLIGHT = 8 * 2 + 3
"""Units of one of these processes that are read and not written yet: batches that wait for two threads, and more."""


@pytest.fixture
def hanging(dataset, store, small, make_backbone):
    """A process that has claimed units of the small dataset, and hangs; it is killed at the end."""
    script = Path(__file__).with_name("embed_in_process.py")
    process = subprocess.Popen(
        [sys.executable, script, dataset.files[0].path.parent, store.root, "0"], stderr=subprocess.DEVNULL
    )
    first = plan_embedding(make_backbone(), dataset, store=store, batching=small).units[0]
    until = time.monotonic() + 120
    while can_claim(store, first):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    yield process, first
    process.kill()
    process.wait()


def can_claim(store, unit):
    claims = Claims(store)
    try:
        return claims.take(unit)
    finally:
        claims.close()


def test_a_claim_ends_with_its_process_and_nobody_waits_for_one_that_hangs(
    hanging, backbone, dataset, store, small, tmp_path, make_backbone
):
    process, first = hanging
    found = embed_dataset(backbone, dataset, store=store, batching=small, threads=2)
    assert backbone.jets == 137
    alone = embed_dataset(make_backbone(), dataset, store=EmbeddingStore(tmp_path / "alone"), batching=small)
    assert np.array_equal(found.embedding, alone.embedding)
    assert not can_claim(store, first)
    process.kill()
    process.wait()
    assert can_claim(store, first)


def test_where_nothing_can_be_claimed_everybody_does_everything(dataset, small, make_backbone, tmp_path):
    (tmp_path / "file").touch()
    store = EmbeddingStore(tmp_path / "file" / "store")
    unit = plan_embedding(make_backbone(), dataset, store=store, batching=small).units[0]
    claims = Claims(store)
    assert claims.take(unit)
    claims.drop(unit)
    claims.close()


@pytest.mark.slow
def test_two_processes_at_once_share_the_units(write, store):
    folder = write("Hbb_000.parquet", 4_000).parent
    script = Path(__file__).with_name("embed_in_process.py")
    command = [sys.executable, script, folder, store.root, "1000000"]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=120)[1] for process in both]
    shares = [int(total) - int(there) for text in said for there, total in re.findall(r"sums:.* (\d+) of (\d+)", text)]
    assert len(shares) == 2
    assert 100 <= sum(shares) <= 100 + 2 * IN_FLIGHT
