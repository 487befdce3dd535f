"""The number of displaced tracks in the jets table: what counts as one, and files that cannot say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jetassay.embeddings.datasets import jet_table
from jetassay.embeddings.tables import N_DISPLACED, count_displaced, join_tables
from jetassay.jets.containers import Jets
from jetassay.jets.dataset import open_dataset


def jets_of(tracks):
    """Jets from lists of (d0, error, charge), one list a jet."""
    value, error, charge = np.array([track for jet in tracks for track in jet], np.float32).T
    columns = {"part_d0val": value, "part_d0err": error, "part_charge": charge}
    return Jets(columns, np.cumsum([0, *(len(jet) for jet in tracks)], dtype=np.int64), {})


def test_a_track_counts_beyond_three_standard_deviations_on_either_side():
    on_the_edge, beyond, before = (0.3, 0.1, 1), (-0.31, 0.1, -1), (0.29, 0.1, 1)
    jets = jets_of([[beyond, beyond, before], [before], [on_the_edge]])
    assert count_displaced(jets).tolist() == [2, 0, 0]


def test_neutral_constituents_and_those_without_an_uncertainty_do_not_count():
    assert count_displaced(jets_of([[(5.0, 0.1, 0), (5.0, 0.0, 1), (0.0, 0.0, 0), (5.0, 0.1, 1)]])).tolist() == [1]


track = st.tuples(st.floats(-1, 1, width=32), st.floats(0, 1, width=32), st.sampled_from([-1, 0, 1]))


@given(st.lists(st.lists(track, min_size=1, max_size=6), min_size=1, max_size=6))
def test_the_count_is_that_of_a_loop_over_tracks(tracks):
    expected = [
        sum(charge != 0 and error > 0 and abs(np.float32(d0)) > np.float32(3) * np.float32(error)
            for d0, error, charge in jet)
        for jet in tracks
    ]  # fmt: skip
    assert count_displaced(jets_of(tracks)).tolist() == expected


def with_tracks(columns):
    random = np.random.default_rng(7)
    rows = len(columns["part_px"])
    columns["part_d0val"] = random.normal(0, 0.1, rows).astype(np.float32)
    columns["part_d0err"] = np.full(rows, 0.05, np.float32)
    columns["part_charge"] = random.integers(-1, 2, rows).astype(np.float32)


@pytest.fixture
def write_tracks(tmp_path):
    """A ROOT-like parquet file with the three columns that the count takes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def write(path, *, without=()):
        table = pq.read_table(path)
        like = table["part_px"].combine_chunks()
        columns = {"part_px": np.asarray(like.values)}
        with_tracks(columns)
        for name in ("part_d0val", "part_d0err", "part_charge"):
            if name not in without:
                table = table.append_column(name, pa.ListArray.from_arrays(like.offsets, pa.array(columns[name])))
        pq.write_table(table, path)
        return path

    return write


def test_the_table_has_the_count_where_the_file_has_what_it_takes(write, write_tracks, store):
    whole = write_tracks(write("Hbb_000.parquet", 100, seed=1))
    dataset = open_dataset("tracks", [whole], schema="jetclass")
    table = jet_table(dataset, store=store)
    (chunk,) = dataset.read(dataset.files[0])
    assert np.array_equal(table.columns[N_DISPLACED], count_displaced(chunk.jets))
    assert 0 < table.columns[N_DISPLACED].mean() < table.columns["multiplicity"].mean()


@pytest.mark.parametrize("lacking", ["part_d0val", "part_d0err", "part_charge"])
def test_one_file_without_them_leaves_the_count_out(write, write_tracks, store, lacking):
    paths = [write_tracks(write("Hbb_000.parquet", 30, seed=1))]
    paths.append(write_tracks(write("QCD_000.parquet", 30, seed=2), without=(lacking,)))
    table = jet_table(open_dataset("tracks", paths, schema="jetclass"), store=store)
    assert N_DISPLACED not in table.columns
    assert "multiplicity" in join_tables([table, table]).columns
