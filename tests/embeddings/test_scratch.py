"""Arrays over files of no name: the rows that were written, no trace on the disk, and no pages held for long."""

import errno
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from jetassay.embeddings.scratch import SMALL, RowFile, chunks, gather, let_go
from jetassay.errors import StoreError


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JETASSAY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def written(rows):
    file = RowFile(rows.dtype.type, *rows.shape[1:])
    for part in np.array_split(rows, 3):
        file.append(part)
    return file.array()


@pytest.mark.parametrize("shape", [(1000, 7), (1000,), (0, 7), (0,)])
def test_what_is_read_is_what_was_written(cache, shape):
    rows = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    found = written(rows)
    assert found.shape == shape
    assert found.dtype == np.float32
    assert np.array_equal(found, rows)


def test_rows_cannot_be_changed(cache):
    with pytest.raises(ValueError, match="read-only"):
        written(np.ones((5, 2), np.float32))[0] = 0


def test_rows_of_another_width_are_refused(cache):
    file = RowFile(np.float32, 3)
    with pytest.raises(AssertionError, match=r"\(2, 4\)"):
        file.append(np.ones((2, 4), np.float32))
    file.close()


def test_nothing_is_to_be_seen_in_the_cache(cache):
    rows = written(np.ones((1000, 7), np.float32))
    assert len(rows) == 1000
    assert list(cache.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_process_leaves_nothing(cache):
    program = (
        "import os, signal, numpy as np\n"
        "from jetassay.embeddings.scratch import RowFile\n"
        "one, other = RowFile(np.float32, 8), RowFile(np.float32, 8)\n"
        "for file in (one, other):\n    file.append(np.ones((100_000, 8), np.float32))\n"
        "rows = one.array()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, env={**os.environ, "JETASSAY_CACHE": str(cache)}
    )
    assert done.returncode == -signal.SIGKILL
    assert list(cache.iterdir()) == []


def test_a_full_disk_is_an_error_that_says_what_to_do(cache, monkeypatch):
    file = RowFile(np.float32, 8)

    class Full:
        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self):
            raise OSError(errno.ENOSPC, "No space left on device")

    file.close()
    monkeypatch.setattr(file, "_file", Full())
    with pytest.raises(StoreError, match=r"No space left on device.*JETASSAY_CACHE"):
        file.append(np.ones((5, 8), np.float32))
    file.close()


def test_a_cache_that_may_only_be_read_leaves_the_file_to_the_workspace(cache, tmp_path, monkeypatch):
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    monkeypatch.setenv("JETASSAY_WORKSPACE", str(workspace))
    make, asked = tempfile.TemporaryFile, []

    def read_only(*, dir):  # noqa: A002 - the name that is called
        asked.append(dir)
        if dir == cache:
            raise OSError(errno.EROFS, "Read-only file system")
        return make(dir=dir)

    monkeypatch.setattr(tempfile, "TemporaryFile", read_only)
    assert (written(np.ones((10, 7), np.float32)) == 1).all()
    assert asked == [cache, workspace]


def test_a_cache_that_cannot_be_written_is_an_error(cache):
    cache.write_text("a file where a folder should be")
    with pytest.raises(StoreError, match="JETASSAY_CACHE"):
        RowFile(np.float32)


@pytest.mark.parametrize("many", [False, True])
def test_selected_rows_are_the_same_in_memory_and_out_of_it(cache, monkeypatch, many):
    stream = np.random.default_rng(2)
    rows, chosen = stream.normal(size=(5000, 3)).astype(np.float32), stream.integers(0, 5000, 3000)
    if many:
        monkeypatch.setattr("jetassay.embeddings.scratch.SMALL", 100)
        monkeypatch.setattr("jetassay.embeddings.scratch._CHUNK", 1000)
    assert rows.nbytes < SMALL
    for array in (rows, written(rows), written(rows[:, 0])):
        found = gather(array, chosen)
        assert np.array_equal(found, np.asarray(array)[chosen])
        assert found.flags.writeable != many


def test_chunks_are_the_whole_and_stay_readable(cache):
    rows = np.arange(30_000, dtype=np.float32).reshape(10_000, 3)
    mapped = written(rows)
    parts = list(chunks(mapped[500:], 999))
    assert np.array_equal(np.concatenate([part for _, part in parts]), rows[500:])
    assert [where.start for where, _ in parts] == list(range(0, 9500, 999))


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs /proc")
def test_pages_that_were_let_go_of_are_not_resident_and_come_back(cache):
    def resident():
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssFile"))

    mapped = written(np.ones((1 << 20, 16), np.float32))  # 64 MiB
    before = resident()
    assert mapped.sum() == mapped.size
    assert resident() > before + 60_000
    let_go(mapped[100:-100])
    assert resident() < before + 4000
    assert sum(float(rows.sum()) for _, rows in chunks(mapped[3:], 4096)) == mapped[3:].size
    assert resident() < before + 4000


def test_letting_go_of_an_ordinary_array_changes_nothing():
    rows = np.arange(12.0).reshape(4, 3)
    let_go(rows, rows[1:], rows.T, np.empty((0, 3)), np.frombuffer(b"12345678"))
    assert rows.sum() == 66
