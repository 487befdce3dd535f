"""Files and folders that are whole or absent, and nothing that stays of processes that are gone."""

import platform
import subprocess
import sys
import tempfile

import pytest

from jetassay.errors import StoreError
from jetassay.whole_files import is_partial, temporary_files_in, whole_file, whole_folder


@pytest.fixture(scope="module")
def gone():
    """The number of a process that is not there any more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def left_by(pid, name):
    return f".{name}-{platform.node().replace('-', '_')}-{pid}-0a1b2c3d.partial"


def test_a_folder_is_there_when_its_block_ends_and_not_before(tmp_path):
    with whole_folder(tmp_path / "entry") as folder:
        (folder / "file").write_text("content")
        assert not (tmp_path / "entry").exists()
    assert [path.name for path in tmp_path.rglob("*")] == ["entry", "file"]


def test_a_folder_whose_block_fails_vanishes(tmp_path):
    def write():
        with whole_folder(tmp_path / "entry") as folder:
            (folder / "file").write_text("content")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_stays_as_it_is(tmp_path):
    (tmp_path / "entry").mkdir()
    (tmp_path / "entry" / "mine").touch()
    with whole_folder(tmp_path / "entry") as folder:
        (folder / "file").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["entry", "mine"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="file/entry"), whole_folder(tmp_path / "file" / "entry"):
        pass


def test_a_folder_under_the_name_of_a_file_is_to_be_moved_away_and_is_not_touched(tmp_path):
    (tmp_path / "shard").mkdir()
    (tmp_path / "shard" / "mine").touch()
    with (
        pytest.raises(StoreError, match=r"shard: is a folder.*move the folder away"),
        whole_file(tmp_path / "shard") as f,
    ):
        f.touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["shard", "mine"]


@pytest.mark.parametrize("whole", [whole_file, whole_folder])
@pytest.mark.parametrize("name", ["file/entry", "file/deep/entry"])
def test_a_file_under_the_name_of_a_folder_is_to_be_moved_away(tmp_path, whole, name):
    (tmp_path / "file").touch()
    told = r"entry: cannot be written, since .*/file is a file.*move that file"
    with pytest.raises(StoreError, match=told), whole(tmp_path / name):
        pass


def test_what_a_killed_process_left_of_a_file_or_a_folder_goes_with_the_next_one(tmp_path, gone):
    (tmp_path / left_by(gone, "entry")).mkdir()
    (tmp_path / left_by(gone, "entry") / "file").touch()
    (tmp_path / f"{left_by(gone, 'entry')}-journal").touch()  # of SQLite
    (tmp_path / left_by(gone, "other")).touch()
    with whole_file(tmp_path / "entry") as path:
        path.touch()
    assert sorted(path.name for path in tmp_path.iterdir()) == [left_by(gone, "other"), "entry"]


def test_temporary_files_of_libraries_are_gone_after_even_those_of_a_killed_process(tmp_path, gone):
    before = tempfile.gettempdir()
    (tmp_path / left_by(gone, "temporary")).mkdir()
    (tmp_path / left_by(gone, "temporary") / "tmp123").touch()
    with temporary_files_in(tmp_path):
        (folder,) = tmp_path.iterdir()
        assert is_partial(folder)
        assert tempfile.mkdtemp().startswith(str(folder))
    assert list(tmp_path.iterdir()) == []
    assert tempfile.gettempdir() == before


def test_a_place_for_temporary_files_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="file"), temporary_files_in(tmp_path / "file"):
        pass
