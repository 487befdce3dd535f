import random
from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot

from jetassay.errors import DataError, JetAssayError
from jetassay.jets.reading import count_entries, read_chunks
from jetassay.jets.schema import SCHEMAS
from jetassay.jets.validity import RULES

JETCLASS = SCHEMAS["jetclass"]
BAD = 17


def set_list(name, value):
    def breaks(sample):
        sample.lists[name] = sample.lists[name].astype(np.float32)
        sample.lists[name][sample.first_row(BAD)] = value

    return breaks


def set_number(name, value):
    def breaks(sample):
        sample.numbers[name][BAD] = value

    return breaks


def no_label(sample):
    for name in JETCLASS.labels:
        sample.numbers[name][BAD] = False


# what is broken at entry 17, the branch that the message names, the rule
JET_CASES = {
    "NaN momentum": (set_list("part_px", np.nan), "part_px", "non_finite"),
    "NaN displacement": (set_list("part_d0val", np.nan), "part_d0val", "non_finite"),
    "infinite error": (set_list("part_dzerr", np.inf), "part_dzerr", "non_finite"),
    "NaN soft-drop mass": (set_number("jet_sdmass", np.nan), "jet_sdmass", "non_finite"),
    "infinite jet pT": (set_number("jet_pt", np.inf), "jet_pt", "non_finite"),
    "no constituents": (lambda sample: sample.empty(BAD), "part_px", "no_constituents"),
    "zero energy": (set_list("part_energy", 0.0), "part_energy", "non_positive_energy"),
    "negative energy": (set_list("part_energy", -3.0), "part_energy", "non_positive_energy"),
    "negative jet energy": (set_number("jet_energy", -1.0), "jet_energy", "non_positive_energy"),
    "lengths disagree": (lambda sample: sample.lengthen("part_dphi", BAD), "part_dphi", "lengths_disagree"),
    "two labels": (set_number("label_Tbl", True), "label_QCD", "not_one_hot"),
    "no label": (no_label, "label_QCD", "not_one_hot"),
}


@pytest.mark.parametrize("case", JET_CASES)
def test_an_unusable_jet_is_an_error_that_names_file_branch_and_entry(make_sample, write_broken, case):
    breaks, branch, rule = JET_CASES[case]
    sample = make_sample()
    breaks(sample)
    path = write_broken(sample)
    with pytest.raises(DataError, match=rf"{path}, branch {branch}.*, entry {BAD}: .*{rule}"):
        list(read_chunks(path, schema=JETCLASS, entries_per_chunk=10))


@pytest.mark.parametrize("case", JET_CASES)
def test_an_unusable_jet_can_be_dropped_and_counted_and_the_others_stay(make_sample, write_broken, case):
    breaks, _, rule = JET_CASES[case]
    sample = make_sample()
    clean = next(read_chunks(write_broken(sample), schema=JETCLASS)).jets
    breaks(sample)
    chunks = list(read_chunks(write_broken(sample), schema=JETCLASS, entries_per_chunk=10, on_invalid="drop"))
    others = np.delete(np.arange(len(sample)), BAD)
    assert [dict(chunk.dropped) for chunk in chunks] == [{}, {rule: 1}, {}, {}, {}, {}]
    np.testing.assert_array_equal(np.concatenate([chunk.origin.entries for chunk in chunks]), others)
    for name, values in clean.take(others).constituents.items():
        got = np.concatenate([chunk.jets.constituents[name] for chunk in chunks])
        np.testing.assert_array_equal(got, values, err_msg=name)


def test_the_first_bad_entry_is_named_whichever_branch_it_is_in(make_sample, root_file):
    sample = make_sample()
    set_list("part_px", np.nan)(sample)
    sample.numbers["jet_tau4"][4] = np.nan
    with pytest.raises(DataError, match="branch jet_tau4, entry 4"):
        list(read_chunks(root_file(sample), schema=JETCLASS))


def test_a_jet_that_breaks_two_rules_counts_once_under_the_first(make_sample, root_file):
    sample = make_sample()
    set_list("part_px", np.nan)(sample)
    set_list("part_energy", -1)(sample)
    chunk = next(read_chunks(root_file(sample), schema=JETCLASS, on_invalid="drop"))
    assert dict(chunk.dropped) == {"non_finite": 1}
    assert RULES.index("non_finite") < RULES.index("non_positive_energy")


def test_dropping_looks_at_all_columns_so_that_every_backbone_gets_the_same_jets(make_sample, root_file):
    sample = make_sample()
    set_list("part_d0val", np.nan)(sample)
    path = root_file(sample)
    for needs in (None, ("part_deta",), ("part_d0val",)):
        chunk = next(read_chunks(path, schema=JETCLASS, needs=needs, on_invalid="drop"))
        assert dict(chunk.dropped) == {"non_finite": 1}


def test_a_chunk_may_lose_all_its_jets_and_still_says_how_many(make_sample, root_file):
    sample = make_sample(20)
    sample.numbers["jet_pt"][:10] = np.nan
    first, second = read_chunks(root_file(sample), schema=JETCLASS, entries_per_chunk=10, on_invalid="drop")
    assert (len(first.jets), dict(first.dropped), len(second.jets)) == (0, {"non_finite": 10}, 10)


def test_numbers_that_are_not_0_or_1_are_no_labels(make_sample, root_file):
    sample = make_sample()
    name = JETCLASS.labels[sample.labels[BAD]]
    sample.numbers[name] = sample.numbers[name].astype(np.int32) * 2
    with pytest.raises(DataError, match="not_one_hot"):
        list(read_chunks(root_file(sample), schema=JETCLASS))


@pytest.mark.parametrize("label", [-1, 188])
def test_an_integer_label_out_of_range_is_an_error(make_sample, write_broken, label):
    sample = make_sample(schema="jetclass2")
    sample.numbers["jet_label"][BAD] = label
    with pytest.raises(DataError, match=f"branch jet_label, entry {BAD}: .*0 to 187.*label_out_of_range"):
        list(read_chunks(write_broken(sample), schema=SCHEMAS["jetclass2"]))


def test_values_that_double_precision_alone_can_hold_are_not_finite_here(make_sample, root_file):
    sample = make_sample()
    sample.lists["part_pz"] = sample.lists["part_pz"].astype(np.float64)
    sample.lists["part_pz"][sample.first_row(BAD)] = 1e300
    with pytest.raises(DataError, match=f"branch part_pz, entry {BAD}"):
        list(read_chunks(root_file(sample), schema=JETCLASS))


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("jet_tau1", None, "non_finite"),
        ("part_charge", [None], "non_finite"),
        ("part_isMuon", [None], "non_finite"),
        ("part_px", None, "no_constituents"),
        ("label_Hbb", None, "not_one_hot"),
    ],
)
def test_a_missing_value_of_parquet_is_named(make_sample, tmp_path, name, value, rule):
    arrays = make_sample(most=1).arrays()
    table = pa.table({key: ak.to_arrow(array, extensionarray=False) for key, array in arrays.items()})
    rows = table.column(name).to_pylist()
    rows[BAD] = value
    kind = table.schema.field(name).type
    kind = pa.list_(kind.value_type) if pa.types.is_list(kind) or pa.types.is_large_list(kind) else kind
    path = tmp_path / "holes.parquet"
    pq.write_table(table.set_column(table.column_names.index(name), name, pa.array(rows, type=kind)), path)
    with pytest.raises(DataError, match=rf"branch .*, entry {BAD}: "):
        next(read_chunks(path, schema=JETCLASS))
    first_rule = "lengths_disagree" if name == "part_px" else rule
    assert dict(next(read_chunks(path, schema=JETCLASS, on_invalid="drop")).dropped) == {first_rule: 1}


def first_error(path, **options):
    with pytest.raises(DataError) as raised:
        list(read_chunks(path, schema=JETCLASS, **options))
    assert str(path) in str(raised.value)
    return str(raised.value)


def test_a_missing_file_is_named(tmp_path):
    assert "no such file" in first_error(tmp_path / "HToBB_120.root")


def test_a_folder_is_no_file(tmp_path):
    assert "folder" in first_error(tmp_path)


def test_an_empty_file_is_named(tmp_path):
    path = tmp_path / "empty.root"
    path.touch()
    assert "empty" in first_error(path)


def test_a_file_of_another_kind_is_named_whatever_its_ending(tmp_path):
    path = tmp_path / "page.root"
    path.write_text("<html>not found</html>")
    assert "neither a ROOT nor a parquet file" in first_error(path)


def test_a_file_without_permission_is_named(tmp_path, monkeypatch):
    path = tmp_path / "secret.root"
    path.touch()

    def refuse(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert "no permission" in first_error(path)


def test_a_file_without_jets_is_named(make_sample, root_file, parquet_file):
    empty = make_sample(1)
    empty.lists = {name: values[:0] for name, values in empty.lists.items()}
    empty.numbers = {name: values[:0] for name, values in empty.numbers.items()}
    empty.counts = empty.counts[:0]
    for path in (root_file(empty), parquet_file(empty)):
        assert "holds no jets" in first_error(path)
        with pytest.raises(DataError, match="holds no jets"):
            count_entries(path, JETCLASS)


def test_another_tree_is_named_with_what_there_is(make_sample, root_file):
    assert "has no TTree 'tree'; it has Events (TTree)" in first_error(root_file(make_sample(), tree="Events"))


def test_something_else_under_the_name_of_the_tree_is_no_tree(tmp_path):
    path = tmp_path / "text.root"
    with uproot.recreate(path) as file:
        file["tree"] = "not a tree"
    assert "has no TTree 'tree'; it has tree (TObjString)" in first_error(path)


@pytest.mark.parametrize("name", ["part_px", "label_Hgg"])
def test_a_missing_branch_is_named_with_what_there_is(make_sample, write_broken, name):
    sample = make_sample()
    (sample.lists if name in sample.lists else sample.numbers).pop(name)
    message = first_error(write_broken(sample))
    assert f"branch {name} is missing; the file has" in message
    assert "part_energy" in message


def test_one_number_where_a_list_belongs_is_named(make_sample, write_broken):
    sample = make_sample()
    sample.numbers["part_deta"] = np.ones(len(sample), np.float32)
    del sample.lists["part_deta"]
    message = first_error(write_broken(sample))
    assert "branch part_deta must hold a list of numbers per jet, but holds one number" in message


def test_text_where_a_number_belongs_is_named(make_sample, tmp_path, parquet_file):
    table = pq.read_table(parquet_file(make_sample()))
    path = tmp_path / "text.parquet"
    names = pa.array(["jet"] * table.num_rows)
    pq.write_table(table.set_column(table.column_names.index("jet_eta"), "jet_eta", names), path)
    assert "branch jet_eta must hold one number per jet, but holds string" in first_error(path)


@pytest.mark.parametrize("part", [0.02, 0.5, 0.95, 0.999])
def test_a_truncated_file_is_named(make_sample, write_broken, part):
    path = write_broken(make_sample(400))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    assert "truncated or damaged" in first_error(path)


@pytest.mark.parametrize("seed", range(12))
def test_random_damage_is_an_error_or_harmless_but_never_a_traceback(make_sample, write_broken, seed):
    path = write_broken(make_sample(40))
    content = bytearray(path.read_bytes())
    rng = random.Random(seed)
    for _ in range(rng.choice([1, 4, 32])):
        content[rng.randrange(4, len(content))] = rng.randrange(256)
    path.write_bytes(content[: rng.choice([len(content), rng.randrange(4, len(content))])])
    try:
        chunks = list(read_chunks(path, schema=JETCLASS, on_invalid="drop"))
    except JetAssayError as error:
        assert str(path) in str(error)  # noqa: PT017  most damage is an error, some is not noticed
    else:
        assert sum(chunk.n_entries for chunk in chunks) > 0
