"""Tables of test jets lie in files from the first row on, and come back as they were."""

import errno
import io
import os

import numpy as np
import pandas as pd
import pytest

from jetassay.errors import ConfigError, StoreError
from jetassay.report import jet_rows
from jetassay.report.jet_rows import JetRows


def block(jets, **columns):
    label = pd.Categorical(["Hbb" if jet % 2 else "QCD" for jet in jets], categories=["QCD", "Hbb"])
    return pd.DataFrame({"jet": np.array(jets, np.int32), "label": label, **columns})


@pytest.fixture
def parts():
    """Two backbones of five jets each, in blocks; the second has no logits of Hbb."""
    first = [block([0, 1, 2], Hbb=np.float32([1, 2, 3])), block([3, 4], Hbb=np.float32([4, 5]))]
    second = [block(range(5), Hcc=np.arange(5, dtype=np.float32))]
    return [
        JetRows.of(each.assign(backbone=name) for each in blocks)
        for name, blocks in zip("ab", (first, second), strict=True)
    ]


def test_rows_come_back_in_order_with_their_types(parts):
    both = parts[0] + parts[1]
    rows = pd.concat(both.blocks(), ignore_index=True)
    assert rows["jet"].tolist() == [0, 1, 2, 3, 4] * 2
    assert rows["backbone"].tolist() == ["a"] * 5 + ["b"] * 5
    assert rows["Hbb"].tolist()[:5] == [1, 2, 3, 4, 5]
    assert rows["Hbb"].dtype == np.float32


def test_some_jets_are_taken_out_of_all_parts_and_a_column_that_one_lacks_is_nan_there(parts, tmp_path):
    both = parts[0] + parts[1]
    both.save(tmp_path / "t.parquet")
    for rows in (both, JetRows((tmp_path / "t.parquet",))):
        found = rows.of_jets(np.array([4, 1]))
        assert found[["backbone", "jet"]].to_numpy().tolist() == [["a", 1], ["a", 4], ["b", 1], ["b", 4]]
        assert found["Hbb"].tolist()[:2] == [2, 5]
        assert found["Hbb"].isna().tolist() == [False, False, True, True]
        assert found["label"].tolist() == ["Hbb", "QCD"] * 2
        assert found["Hcc"].dtype == found["Hbb"].dtype == np.float32
        assert len(rows.of_jets([])) == 0


def test_a_file_that_pandas_reads_holds_all_parts(parts, tmp_path):
    (parts[0] + parts[1]).save(tmp_path / "tables/t.parquet")
    read = pd.read_parquet(tmp_path / "tables/t.parquet")
    assert list(read.columns) == ["jet", "label", "Hbb", "backbone", "Hcc"]
    assert read["Hbb"].isna().sum() == read["Hcc"].isna().sum() == 5
    assert read["label"].tolist() == ["QCD", "Hbb", "QCD", "Hbb", "QCD"] * 2
    only = pd.read_parquet(tmp_path / "tables/t.parquet", filters=[("backbone", "==", "b")])
    assert only["Hcc"].tolist() == [0, 1, 2, 3, 4]


def test_no_more_than_a_block_is_in_memory(monkeypatch, tmp_path):
    made = []

    def blocks():
        for start in range(0, 100, 10):
            made.append(start)
            yield block(range(start, start + 10))

    monkeypatch.setattr(jet_rows, "BLOCK", 7)
    rows = JetRows.of(blocks())
    assert made == list(range(0, 100, 10))
    assert max(len(each) for each in rows.blocks()) <= 7
    assert sum(len(each) for each in rows.blocks()) == 100


def test_rows_that_lie_where_they_belong_are_left_alone(parts, tmp_path):
    path = tmp_path / "t.parquet"
    parts[0].save(path)
    before = path.stat()
    JetRows((path,)).save(path)
    assert path.stat() == before


def test_a_damaged_file_is_named(parts, tmp_path):
    path = tmp_path / "t.parquet"
    (parts[0] + parts[1]).save(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ConfigError, match=r"t\.parquet: cannot be read .*; run the suite again"):
        list(JetRows((path,)).blocks())
    with pytest.raises(ConfigError, match=r"t\.parquet: cannot be read"):
        JetRows((path,)).of_jets([1])


def test_a_changed_bit_is_an_error_and_never_another_number(parts, tmp_path):
    path = tmp_path / "t.parquet"
    (parts[0] + parts[1]).save(path)
    whole, sound = path.read_bytes(), list(JetRows((path,)).blocks())
    pages = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")  # before the footer, whose length stands last
    refused = 0
    for place in range(4, pages, 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        try:
            found = list(JetRows((path,)).blocks())
        except ConfigError:
            refused += 1
            continue
        assert all(map(pd.DataFrame.equals, found, sound)), place
    assert refused > pages // 6


def test_a_full_disk_is_an_error_with_what_to_do(monkeypatch):
    class Full(io.BytesIO):
        def write(self, _):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(jet_rows, "nameless_file", Full)
    with pytest.raises(StoreError, match="No space left on device"):
        JetRows.of([block(range(5))])
