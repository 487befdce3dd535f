import sys
import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot

from jetassay.errors import ConfigError, DataError, LeakageError
from jetassay.jets.reading import count_entries, read_chunks
from jetassay.jets.schema import CORE, SCHEMAS
from jetassay.jets.sources import Ragged, RawChunk, sound

JETCLASS = SCHEMAS["jetclass"]
JETCLASS2 = SCHEMAS["jetclass2"]


def joined(chunks):
    """All chunks of a file as plain arrays."""
    chunks = list(chunks)
    lists = {name: np.concatenate([c.jets.constituents[name] for c in chunks]) for name in chunks[0].jets.constituents}
    columns = {name: np.concatenate([c.jets.columns[name] for c in chunks]) for name in chunks[0].jets.columns}
    truth = {name: np.concatenate([c.truth.columns[name] for c in chunks]) for name in chunks[0].truth.columns}
    return {
        **lists,
        **columns,
        **truth,
        "multiplicities": np.concatenate([c.jets.multiplicities for c in chunks]),
        "labels": np.concatenate([c.truth.labels for c in chunks]),
        "entries": np.concatenate([c.origin.entries for c in chunks]),
    }


def assert_same(left, right):
    assert left.keys() == right.keys()
    for name in left:
        np.testing.assert_array_equal(left[name], right[name], err_msg=name)


def test_every_layout_gives_the_jets_that_were_written(make_sample, write):
    sample = make_sample()
    got = joined(read_chunks(write(sample), schema=JETCLASS, truth_columns=("aux_genpart_pt",)))
    for name, values in sample.lists.items():
        assert got[name].dtype == np.float32
        np.testing.assert_array_equal(got[name], values.astype(np.float32), err_msg=name)
    for name in (*JETCLASS.columns, "aux_genpart_pt"):
        np.testing.assert_array_equal(got[name], sample.numbers[name], err_msg=name)
    np.testing.assert_array_equal(got["multiplicities"], sample.counts)
    np.testing.assert_array_equal(got["labels"], sample.labels)
    np.testing.assert_array_equal(got["entries"], np.arange(len(sample)))


@pytest.mark.parametrize(("start", "stop", "step"), [(0, None, 7), (0, None, 1), (13, 41, 9), (59, 60, 4), (5, 5, 3)])
def test_any_range_in_any_steps_equals_the_same_part_of_the_whole_file(make_sample, write, start, stop, step):
    sample = make_sample()
    path = write(sample)
    whole = next(read_chunks(path, schema=JETCLASS))
    part = list(read_chunks(path, schema=JETCLASS, start=start, stop=stop, entries_per_chunk=step))
    assert all(chunk.n_entries <= step for chunk in part)
    wanted = np.arange(len(sample))[start:stop]
    assert sum(chunk.n_entries for chunk in part) == len(wanted)
    if part:
        assert_same(
            {name: values for name, values in joined(part).items() if name in (*JETCLASS.observed, "multiplicities")},
            {
                **whole.jets.take(wanted).constituents,
                **whole.jets.take(wanted).columns,
                "multiplicities": whole.jets.take(wanted).multiplicities,
            },
        )
        np.testing.assert_array_equal(np.concatenate([chunk.origin.entries for chunk in part]), wanted)


def test_real_jets_with_one_counter_per_branch_equal_their_arrays(real):
    stored = np.load(real("jetclass_mixed_dev.npz"))
    got = joined(read_chunks(real("jetclass_mixed_dev.root"), schema=JETCLASS, entries_per_chunk=64))
    mask = stored["mask"][:, 0] > 0
    np.testing.assert_array_equal(got["multiplicities"], mask.sum(axis=1))
    for index, name in enumerate(CORE):
        np.testing.assert_array_equal(got[name], stored["vectors"][:, index][mask], err_msg=name)
    np.testing.assert_array_equal(got["part_deta"], stored["points"][:, 0][mask])
    np.testing.assert_array_equal(got["labels"], stored["labels"].argmax(axis=1))


def test_real_vector_branches_equal_what_uproot_gives_jet_by_jet(real):
    path = real("jetclass2_vectors.root")
    got = joined(read_chunks(path, schema=JETCLASS2, entries_per_chunk=33))
    with uproot.open(path) as file:
        for name in (*JETCLASS2.constituents, *JETCLASS2.columns):
            reference = file["tree"][name].array(library="np")
            if name in JETCLASS2.constituents:
                reference = np.concatenate(list(reference))
            np.testing.assert_array_equal(got[name], reference.astype(np.float32), err_msg=name)
        np.testing.assert_array_equal(got["labels"], file["tree"]["jet_label"].array(library="np"))


def test_real_parquet_rows_equal_what_pyarrow_gives_row_by_row(real):
    path = real("jetclass2_dev.parquet")
    got = joined(read_chunks(path, schema=JETCLASS2, entries_per_chunk=8))
    rows = pq.read_table(path, columns=[*JETCLASS2.constituents, "jet_tau2", "jet_label"]).to_pylist()
    for name in JETCLASS2.constituents:
        reference = [value for row in rows for value in row[name]]
        np.testing.assert_array_equal(got[name], np.array(reference, dtype=np.float32), err_msg=name)
    np.testing.assert_array_equal(got["jet_tau2"], np.array([row["jet_tau2"] for row in rows], np.float32))
    np.testing.assert_array_equal(got["labels"], [row["jet_label"] for row in rows])


def test_the_same_real_jets_are_the_same_from_root_and_from_parquet(real):
    root = next(read_chunks(real("jetclass2_vectors.root"), schema=JETCLASS2)).jets.take(np.arange(0, 100, 2))
    parquet = next(read_chunks(real("jetclass2_dev.parquet"), schema=JETCLASS2)).jets
    assert_same(dict(root.constituents), dict(parquet.constituents))
    assert_same(dict(root.columns), dict(parquet.columns))


def test_the_cuts_of_a_selection_drop_jets_by_name_and_entries_stay_right(real):
    path = real("jetclass2_vectors.root")
    with uproot.open(path) as file:
        pt, mass = (file["tree"][name].array(library="np") for name in ("jet_pt", "jet_sdmass"))
    inside_pt = (pt > 200) & (pt < 2500)
    inside = inside_pt & (mass > 20) & (mass < 500)
    chunks = list(read_chunks(path, schema=JETCLASS2, selection=JETCLASS2.selection, entries_per_chunk=17))
    np.testing.assert_array_equal(joined(chunks)["entries"], np.flatnonzero(inside))
    dropped = {
        rule: sum(chunk.dropped.get(rule, 0) for chunk in chunks) for rule in (c.rule for c in JETCLASS2.selection)
    }
    assert dropped == {
        "jet_pt_outside_200_2500": (~inside_pt).sum(),
        "jet_sdmass_outside_20_500": (inside_pt & ~inside).sum(),
    }
    assert sum(chunk.n_entries for chunk in chunks) == 100


@pytest.mark.parametrize("step", [4, 1000])
def test_the_hardest_constituents_stay_and_the_others_are_counted(make_sample, root_file, step):
    sample = make_sample(50, most=20)
    chunks = list(read_chunks(root_file(sample), schema=JETCLASS, max_constituents=8, entries_per_chunk=step))
    got = joined(chunks)
    np.testing.assert_array_equal(got["multiplicities"], np.minimum(sample.counts, 8))
    kept = np.concatenate([np.arange(o, o + min(n, 8)) for o, n in zip(sample.offsets, sample.counts, strict=False)])
    np.testing.assert_array_equal(got["part_dzerr"], sample.lists["part_dzerr"][kept])
    assert sum(chunk.truncated_jets for chunk in chunks) == (sample.counts > 8).sum()
    assert sum(chunk.truncated_constituents for chunk in chunks) == np.maximum(sample.counts - 8, 0).sum()


def test_jets_that_do_not_fall_in_pt_are_sorted_before_they_are_cut(make_sample, root_file):
    sample = make_sample(30, most=20)
    clean = joined(read_chunks(root_file(sample), schema=JETCLASS, max_constituents=8))
    rng = np.random.default_rng(0)
    rows = np.concatenate(
        [rng.permutation(np.arange(*pair)) for pair in zip(sample.offsets, sample.offsets[1:], strict=False)]
    )
    sample.lists = {name: values[rows] for name, values in sample.lists.items()}
    shuffled = joined(read_chunks(root_file(sample), schema=JETCLASS, max_constituents=8, entries_per_chunk=7))
    assert_same(shuffled, clean)


def test_only_what_is_needed_is_returned_beside_the_four_vectors(make_sample, root_file):
    path = root_file(make_sample())
    chunk = next(read_chunks(path, schema=JETCLASS, needs=("part_deta", "jet_pt")))
    assert tuple(chunk.jets.constituents) == (*CORE, "part_deta")
    assert tuple(chunk.jets.columns) == ("jet_pt",)


def test_the_jet_mass_is_computed_from_pt_eta_and_energy(make_sample, root_file):
    sample = make_sample(40)
    sample.numbers["jet_energy"][3] = 1.0  # less than its momentum: the mass is zero, not NaN
    chunk = next(read_chunks(root_file(sample), schema=JETCLASS, needs=("jet_mass",)))
    pt, eta, energy = (sample.numbers[name].astype(float) for name in ("jet_pt", "jet_eta", "jet_energy"))
    expected = np.sqrt(np.maximum(energy**2 - (pt * np.cosh(eta)) ** 2, 0))
    assert tuple(chunk.jets.columns) == ("jet_mass",)
    np.testing.assert_allclose(chunk.jets.columns["jet_mass"], expected, rtol=1e-5)
    assert chunk.jets.columns["jet_mass"][3] == 0


def test_absent_columns_that_nobody_needs_do_not_matter(real):
    chunk = next(read_chunks(real("jetclass_mixed_dev.root"), schema=JETCLASS))
    assert "part_d0val" not in chunk.jets.constituents
    assert "jet_mass" in chunk.jets.columns


def test_an_absent_column_that_is_needed_is_an_error_that_says_what_there_is(real):
    path = real("jetclass_mixed_dev.root")
    with pytest.raises(DataError, match=r"jetclass_mixed_dev.root: branch part_d0val is missing; the file has part_px"):
        next(read_chunks(path, schema=JETCLASS, needs=("part_d0val",)))


@pytest.mark.parametrize(
    ("schema", "column"), [(s, c) for s in SCHEMAS.values() for c in (*s.labels, *s.truth_columns)]
)
def test_no_truth_column_can_be_read_as_observed(schema, column, tmp_path):
    with pytest.raises(LeakageError, match=column):
        read_chunks(tmp_path / "never_opened.root", schema=schema, needs=("part_deta", column))


def test_truth_columns_come_on_the_truth_side_alone(make_sample, root_file):
    chunk = next(read_chunks(root_file(make_sample()), schema=JETCLASS, truth_columns=("aux_truth_match",)))
    assert set(chunk.truth.columns) == {"aux_truth_match"}
    assert not [n for n in (*chunk.jets.constituents, *chunk.jets.columns) if JETCLASS.is_truth(n)]


def test_an_observed_column_is_no_truth_column(tmp_path):
    with pytest.raises(ConfigError, match="jet_pt"):
        read_chunks(tmp_path / "never_opened.root", schema=JETCLASS, truth_columns=("jet_pt",))


def test_files_without_labels_are_read_when_none_are_asked_for(make_sample, root_file):
    sample = make_sample()
    for name in JETCLASS.labels:
        del sample.numbers[name]
    path = root_file(sample)
    assert (next(read_chunks(path, schema=JETCLASS, labelled=False)).truth.labels == -1).all()
    with pytest.raises(DataError, match="label_QCD"):
        next(read_chunks(path, schema=JETCLASS))


def test_double_precision_and_integers_become_single_precision(make_sample, root_file):
    sample = make_sample()
    sample.lists["part_energy"] = sample.lists["part_energy"].astype(np.float64)
    sample.numbers["jet_nparticles"] = sample.counts.astype(np.int32)
    chunk = next(read_chunks(root_file(sample), schema=JETCLASS))
    assert chunk.jets.constituents["part_energy"].dtype == np.float32
    np.testing.assert_array_equal(chunk.jets.columns["jet_nparticles"], sample.counts)


def test_counting_entries_reads_no_jets(make_sample, write):
    assert count_entries(write(make_sample(23)), JETCLASS) == 23


def test_a_range_that_the_file_does_not_have_is_an_error(make_sample, root_file):
    with pytest.raises(DataError, match="entries 0:61 were asked for, but it holds 60"):
        next(read_chunks(root_file(make_sample(60)), schema=JETCLASS, stop=61))


def count_calls(path, **options):
    calls = 0

    def count(_frame, event, _argument):
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        for _ in read_chunks(path, schema=JETCLASS, **options):
            pass
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("kind", ["root", "parquet"])
def test_ten_times_the_jets_take_hardly_more_python_calls(make_sample, root_file, parquet_file, kind):
    file = root_file if kind == "root" else parquet_file
    # cut and drop as well, so that every path is taken
    options = {"max_constituents": 30, "on_invalid": "drop"}
    calls = {}
    for jets in (200, 200, 2000):  # the first time pays for imports
        sample = make_sample(jets)
        sample.lists["part_d0val"][::97] = np.nan
        sample.lists["part_px"][5] = 1e4
        calls[jets] = count_calls(
            file(sample, f"{jets}.{kind}", **({"row_group": 4000} if kind == "parquet" else {})), **options
        )
    assert calls[2000] < 1.2 * calls[200]


def test_memory_does_not_grow_with_the_number_of_jets(make_sample, root_file):
    peaks = []
    for jets in (500, 500, 4000):  # the first time pays for imports
        path = root_file(make_sample(jets, most=20), f"{jets}.root", basket=100)
        tracemalloc.start()
        for _ in read_chunks(path, schema=JETCLASS, entries_per_chunk=100):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.5 * peaks[1]


@pytest.mark.parametrize("basket", [70, 400, 1050])
def test_chunks_are_cut_by_entries_whatever_the_baskets_hold(make_sample, root_file, monkeypatch, basket):
    asked = []
    iterate = uproot.TTree.iterate

    def noted(tree, *given, **options):
        asked.append(options["step_size"])
        return iterate(tree, *given, **options)

    monkeypatch.setattr(uproot.TTree, "iterate", noted)
    path = root_file(make_sample(1050), basket=basket)
    found = [chunk.n_entries for chunk in read_chunks(path, schema=JETCLASS, start=20, entries_per_chunk=100)]
    assert found == [100] * 10 + [30]
    assert asked == [100]  # a number of entries; text would be bytes, which uproot turns into entries by a guess


def test_memory_does_not_grow_with_the_row_groups_of_parquet(make_sample, parquet_file):
    most = {}
    for jets in (4000, 16_000):
        small_pages = {"row_group": jets, "data_page_size": 1 << 14, "use_dictionary": False}
        path = parquet_file(make_sample(jets), f"{jets}.parquet", **small_pages)
        before = pa.total_allocated_bytes()
        held = [pa.total_allocated_bytes() for _ in read_chunks(path, schema=JETCLASS, entries_per_chunk=100)]
        most[jets] = max(held) - before
    assert most[16_000] < 1.5 * most[4000]


def test_a_chunk_that_does_not_hold_its_entries_is_refused(tmp_path):
    numbers, offsets = np.zeros(3), np.array([0, 1, 2, 4])
    sound(RawChunk(5, 8, {"a": numbers}, {"b": Ragged(offsets, np.zeros(4))}), path=tmp_path)
    for chunk in (
        RawChunk(5, 9, {"a": numbers}, {}),
        RawChunk(5, 9, {}, {"b": Ragged(offsets, np.zeros(4))}),
        RawChunk(5, 8, {}, {"b": Ragged(offsets, np.zeros(3))}),
        RawChunk(5, 8, {}, {"b": Ragged(np.array([0, 2, 1, 4]), np.zeros(4))}),
    ):
        with pytest.raises(DataError, match=r"branch [ab] does not hold entries 5 to"):
            sound(chunk, path=tmp_path)
