"""Jets in two splits and jets of the training: found by content and by the facts of their simulation."""

import json

import numpy as np
import pytest
import uproot
from constructed_backbones import Clean
from hypothesis import given
from hypothesis import strategies as st
from jet_files import audited_jets, changed, in_format, subject_of, write_file, write_files

from jetassay.audit.audit import run_check
from jetassay.audit.fingerprints import Fingerprints, fingerprints
from jetassay.audit.hygiene import find_doubles, simulated_again
from jetassay.backbones.card import Training
from jetassay.jets.containers import Jets
from jetassay.jets.schema import CORE

WEIGHTS = {"sha256": "0" * 64, "file": "weights.safetensors", "licence": "MIT"}


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JETASSAY_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def paths(tmp_path):
    return write_files(tmp_path / "jets", jets=20)


def overlap(backbone, jets):
    (row,) = run_check("training-overlap", subject_of(backbone, jets))
    return row


def trained(**facts):
    facts = {"recipe": {}, "data_digest": "0" * 64, "seed": 1, "jets": 10, "curves": "curves.csv"} | facts
    return Clean(role="backbone", weights=WEIGHTS, training=Training(**facts), trained_on=("something-else",))


def jets_of(counts, rng):
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    rows = rng.normal(0, 50, (4, offsets[-1])).astype(np.float32)
    return Jets(dict(zip(CORE, rows, strict=True)), offsets, {})


@given(st.lists(st.integers(1, 9), min_size=1, max_size=30), st.integers(0, 2**32 - 1))
def test_a_fingerprint_follows_the_jet_and_not_its_place_nor_the_order_of_its_constituents(counts, seed):
    rng = np.random.default_rng(seed)
    jets = jets_of(counts, rng)
    hashes = fingerprints(jets)
    assert len(np.unique(hashes)) == len(jets)
    order = rng.permutation(len(jets)).astype(np.int64)
    np.testing.assert_array_equal(fingerprints(jets.take(order)), hashes[order])
    owner = np.repeat(np.arange(len(jets)), jets.multiplicities)
    mixed = np.lexsort((rng.random(len(owner)), owner))
    shuffled = Jets({name: values[mixed] for name, values in jets.constituents.items()}, jets.offsets, {})
    np.testing.assert_array_equal(fingerprints(shuffled), hashes)


@given(st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_the_smallest_change_of_one_number_is_another_fingerprint(column, seed):
    rng = np.random.default_rng(seed)
    jets = jets_of([3, 4], rng)
    name = list(jets.constituents)[column]
    values = jets.constituents[name].copy()
    values[2] = np.nextafter(values[2], np.float32(np.inf))
    other = Jets({**jets.constituents, name: values}, jets.offsets, {})
    np.testing.assert_array_equal(fingerprints(other) == fingerprints(jets), [False, True])


def test_swapped_components_and_minus_zero_are_told_apart_as_they_should_be():
    def jet(*p4):
        values = np.array(p4, np.float32)[:, None]
        return Jets(dict(zip(CORE, values, strict=True)), np.array([0, 1]), {})

    one, swapped, minus = jet(1, 2, 0, 3), jet(2, 1, 0, 3), jet(1, 2, -0.0, 3)
    assert fingerprints(one) != fingerprints(swapped)
    assert fingerprints(one) == fingerprints(minus)


def test_a_file_in_two_splits_is_named(paths):
    jets = audited_jets(paths)
    jets.splits = {**jets.splits, "test": (*jets.splits["test"], jets.splits["train"][0])}
    (row,) = run_check("splits", subject_of(Clean(), jets))
    assert row.status == "fail"
    assert "Hbb_000.parquet is in train and test" in row.meaning
    assert row.numbers["shared"] == 20


def test_a_jet_twice_in_one_split_is_worth_a_note(tmp_path, paths):
    paths.append(write_file(tmp_path / "QCD_100.parquet", "QCD", 20, seed=0))
    jets = audited_jets(paths)
    extra = next(file for file in jets.dataset.files if file.path.stem == "QCD_100")
    jets.splits = {**jets.splits, "train": (*jets.splits["train"], extra)}
    (row,) = run_check("splits", subject_of(Clean(), jets))
    assert row.status == "note"
    assert row.numbers["doubles"] == 20


def test_jets_are_found_bucket_by_bucket_as_all_at_once(tmp_path, paths, monkeypatch):
    paths.append(write_file(tmp_path / "QCD_100.parquet", "QCD", 20, seed=0))
    jets = audited_jets(paths)
    extra = next(file for file in jets.dataset.files if file.path.stem == "QCD_100")
    both = (*jets.splits["train"], extra)
    jets.splits = {**jets.splits, "train": both, "test": (*jets.splits["test"], both[0])}
    (whole,) = run_check("splits", subject_of(Clean(), jets))
    assert (whole.numbers["shared"], whole.numbers["doubles"]) == (20, 20)
    monkeypatch.setattr("jetassay.audit.hygiene._TOGETHER", 16)
    monkeypatch.setattr("jetassay.audit.fingerprints._CHUNK", 9)
    (parts,) = run_check("splits", subject_of(Clean(), jets))
    assert (parts.numbers, parts.status, parts.figure) == (whole.numbers, whole.status, whole.figure)


def test_a_split_of_which_no_jet_is_left_has_no_doubles(monkeypatch):
    monkeypatch.setattr("jetassay.audit.hygiene._TOGETHER", 2)
    hashes = np.zeros(3, dtype=[("first", "<u8"), ("second", "<u8")])
    hashes["first"] = (5, 5, 6)
    some = Fingerprints(hashes, ("a",), np.zeros(3, np.int64))
    none = Fingerprints(hashes[:0], ("b",), np.zeros(0, np.int64))
    assert find_doubles({"train": some, "test": none}) == ({"train and test": (0, "")}, 1)


@pytest.mark.parametrize(
    ("kind", "seed", "status"), [("jetclass", 1, "fail"), ("jetclass", 7, "pass"), ("jetclass2", 1, "pass")]
)
def test_jets_simulated_with_the_seed_of_the_training_are_caught_wherever_they_lie(paths, tmp_path, kind, seed, status):
    found = in_format(paths, tmp_path / "handed-over", "root")
    for path in found:
        with uproot.update(path) as file:
            file["jetassay_shard"] = json.dumps({"kind": kind, "seed": seed, "mode": "delphes"})
    backbone = trained(recipe={"sample": {"kind": "jetclass", "seed": 1}})
    row = overlap(backbone, audited_jets(found))
    assert row.status == status
    assert ("Simulated with the seed of the training" in row.meaning) == (status == "fail")
    assert overlap(Clean(), audited_jets(found)).status == "pass"


def test_files_that_no_simulation_wrote_have_no_seed(paths, tmp_path):
    assert audited_jets(in_format(paths, tmp_path / "plain", "root")).simulations == {}
    assert simulated_again(trained(recipe={"sample": {"kind": "jetclass", "seed": None}}).card, {"a.root": {}}) == []


def test_what_the_card_says_of_its_training_counts(paths):
    jets = audited_jets(paths)
    assert overlap(trained(data_digest=jets.dataset.digest), jets).status == "fail"
    assert overlap(trained(), jets).status == "pass"
    seen = Clean(role="backbone", weights=WEIGHTS, trained_on=("made-up",))
    assert overlap(seen, jets).status == "note"
    assert overlap(seen, changed(jets, name="another")).status == "pass"
    silent = overlap(Clean(role="backbone", weights=WEIGHTS), jets)
    assert silent.status == "note"
    assert "does not say" in silent.meaning
