import errno
import json
import os
import shutil
import threading
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jetassay.embeddings.store import DamagedShardError, Shard
from jetassay.errors import StoreError


@dataclass(frozen=True)
class Thing:
    """Something to store under."""

    key: str = "ab" * 32
    name: str = "thing"

    def describe(self):
        return {"name": self.name}


def shard_of(rows, width=7, *, fill=None):
    values = np.random.default_rng(rows).normal(size=(rows, width)).astype(np.float32)
    if fill is not None:
        values[:] = fill
    return Shard({"entry_index": np.arange(rows), "embedding": values}, {"counts": {"jets": rows}, "note": "x"})


def assert_same(found, expected):
    assert found.facts == expected.facts
    assert list(found.columns) == list(expected.columns)
    for name, column in expected.columns.items():
        assert found.columns[name].dtype == column.dtype
        assert np.array_equal(found.columns[name], column)


@pytest.mark.parametrize("rows", [0, 1, 3000])
def test_a_shard_comes_back_to_the_bit(store, rows):
    store.write(Thing(), shard_of(rows))
    assert_same(store.read(Thing()), shard_of(rows))


def test_what_was_never_written_is_none(store):
    assert store.read(Thing()) is None


def test_a_later_shard_takes_the_place_of_an_earlier_one(store):
    store.write(Thing(), shard_of(3))
    store.write(Thing(), shard_of(5))
    assert_same(store.read(Thing()), shard_of(5))


def test_other_tools_read_lists_of_fixed_size_without_a_dictionary(store):
    store.write(Thing(), shard_of(10))
    file = pq.ParquetFile(store.path(Thing()))
    assert file.schema_arrow.field("embedding").type == pa.list_(pa.field("element", pa.float32()), 7)
    column = file.metadata.row_group(0).column(1)
    assert column.compression == "ZSTD"
    assert not column.has_dictionary_page


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.99, 0.9999])
def test_a_truncated_shard_is_never_used(store, kept):
    store.write(Thing(), shard_of(100))
    path = store.path(Thing())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(DamagedShardError, match=path.name):
        store.read(Thing())


def read_with_flipped_byte(store, position):
    """Whether the damage was seen; where it was not, the content must be what it was."""
    path = store.path(Thing())
    content = path.read_bytes()
    path.write_bytes(content[:position] + bytes([content[position] ^ 0x10]) + content[position + 1 :])
    try:
        assert_same(store.read(Thing()), shard_of(50))  # bytes that mean nothing, such as who wrote the file
    except DamagedShardError:
        return True
    finally:
        path.write_bytes(content)
    return False


def test_wherever_a_byte_is_flipped_no_wrong_number_comes_back(store):
    store.write(Thing(), shard_of(50))
    size = store.path(Thing()).stat().st_size
    seen = [read_with_flipped_byte(store, position) for position in range(0, size, 11)]
    assert sum(seen) > len(seen) / 2


def test_every_flipped_byte_among_the_values_is_seen(store):
    store.write(Thing(), shard_of(50))
    column = pq.ParquetFile(store.path(Thing())).metadata.row_group(0).column(1)
    begin, end = column.data_page_offset, column.data_page_offset + column.total_compressed_size
    header = 64  # of the page: sizes and statistics
    assert all(read_with_flipped_byte(store, position) for position in range(begin + header, end, 7))


def test_a_shard_under_the_name_of_another_is_refused(store):
    other = Thing(key="cd" * 32, name="other")
    store.write(other, shard_of(5))
    store.path(Thing()).parent.mkdir(parents=True)
    shutil.copy(store.path(other), store.path(Thing()))
    with pytest.raises(DamagedShardError, match="something other"):
        store.read(Thing())


def rewrite(store, **changes):
    """The shard of `Thing`, with fields of its metadata changed and everything else as it was."""
    path = store.path(Thing())
    table = pq.read_table(path)
    record = {**json.loads(table.schema.metadata[b"jetassay"]), **changes}
    pq.write_table(table.replace_schema_metadata({"jetassay": json.dumps(record)}), path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 99}, "format 99"),
        ({"rows": 6}, "6 rows"),
        ({"facts": {"counts": {"jets": 6}}}, "checksum"),
        ({"checksum": "0" * 64}, "checksum"),
        ({"extra": 1}, "not that of a shard"),
    ],
)
def test_metadata_that_was_edited_is_refused(store, changes, message):
    store.write(Thing(), shard_of(5))
    rewrite(store, **changes)
    with pytest.raises(DamagedShardError, match=message):
        store.read(Thing())


def test_a_parquet_file_of_somebody_else_is_refused(store):
    store.path(Thing()).parent.mkdir(parents=True)
    pq.write_table(pa.table({"a": [1]}), store.path(Thing()))
    with pytest.raises(DamagedShardError, match="metadata"):
        store.read(Thing())


def test_a_full_disk_leaves_what_was_there_and_nothing_else(store, monkeypatch):
    store.write(Thing(), shard_of(5))

    def full(table, path, **_):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(StoreError, match="No space left"):
        store.write(Thing(), shard_of(9))
    assert_same(store.read(Thing()), shard_of(5))
    assert [path.name for path in store.path(Thing()).parent.iterdir()] == [store.path(Thing()).name]


def test_a_place_that_cannot_hold_a_store_is_named(store):
    store.root.write_text("a file, not a folder")
    with pytest.raises(StoreError, match="store"):
        store.write(Thing(), shard_of(5))


def test_what_a_killed_process_left_is_removed_and_what_a_live_one_writes_is_not(store):
    path = store.path(Thing())
    path.parent.mkdir(parents=True)
    host = os.uname().nodename.replace("-", "_")
    dead = path.parent / f".{path.name}-{host}-{2**22 + 1}-0a0b0c0d.partial"
    live = path.parent / f".{path.name}-{host}-{os.getpid()}-0a0b0c0d.partial"
    elsewhere = path.parent / f".{path.name}-another_host-{2**22 + 1}-0a0b0c0d.partial"
    for left in (dead, live, elsewhere):
        left.write_bytes(b"half")
    store.write(Thing(), shard_of(5))
    assert not dead.exists()
    assert live.exists()
    assert elsewhere.exists()


def test_readers_see_a_whole_shard_or_none_while_others_write_it(store):
    found, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            found.append(store.read(Thing()))

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=store.write, args=(Thing(), shard_of(200))) for _ in range(6)]
    reader.start()
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    reader.join()
    assert_same(store.read(Thing()), shard_of(200))
    for shard in found:
        if shard is not None:
            assert_same(shard, shard_of(200))
    assert len(list(store.path(Thing()).parent.iterdir())) == 1
