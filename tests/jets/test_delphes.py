"""Delphes events as jets: references, cuts by name, the vertex, order; and files that lack something."""

import awkward as ak
import numpy as np
import pytest
import uproot

from jetassay.errors import DataError
from jetassay.jets.dataset import open_dataset, split_files
from jetassay.jets.delphes import Candidates, constituent_columns, constituents_of
from jetassay.jets.inspection import inspect_file, render
from jetassay.jets.reading import count_entries, read_chunks
from jetassay.jets.schema import SCHEMAS
from jetassay.jets.sources import Ragged

FILE = "events_delphes_higgs2p_example.root"


def read(path, radius="ak8", **options):
    return list(read_chunks(path, schema=SCHEMAS[f"delphes-{radius}"], labelled=False, **options))


def event(**changes):
    """Two events: candidates 10, 11, 12 in the first and 10, 11 in the second, as Delphes numbers them anew."""
    values = {
        "fUniqueID": np.array([10, 11, 12, 10, 11], dtype=np.uint32),
        "PT": np.array([1.0, 5.0, 3.0, 2.0, 4.0], dtype=np.float32),
        "Eta": np.array([0.1, -0.2, 0.3, 0.4, 0.5], dtype=np.float32),
        "Phi": np.array([3.1, 0.2, 0.3, 0.4, -3.1], dtype=np.float32),
        "Mass": np.zeros(5, dtype=np.float32),
        "DZ": np.array([0.0, 7.5, 8.0, 3.0, 0.0], dtype=np.float32),
        **changes,
    }
    return Candidates(values, np.array([0, 0, 0, 1, 1]))


ONE_JET_EACH = Ragged(np.array([0, 3, 5]), np.array([10, 11, 12, 10, 11], dtype=np.int32))
EVENTS = np.array([0, 1])


def test_references_are_resolved_in_their_own_event_and_sorted_by_falling_pt():
    chosen, removed = constituents_of(ONE_JET_EACH, EVENTS, event())
    assert chosen.content.tolist() == [1, 2, 0, 4, 3]
    assert chosen.offsets.tolist() == [0, 3, 5]
    assert removed == {}


def test_the_process_number_in_a_reference_is_not_part_of_the_identifier():
    marked = Ragged(ONE_JET_EACH.offsets, ONE_JET_EACH.content | (1 << 24))
    assert constituents_of(marked, EVENTS, event())[0].content.tolist() == [1, 2, 0, 4, 3]


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("not_a_stored_candidate", {"fUniqueID": np.array([10, 99, 12, 10, 11], dtype=np.uint32)}),
        ("pt_not_positive", {"PT": np.array([1, 0, 3, 2, 4], dtype=np.float32)}),
        ("abs_eta_above_5", {"Eta": np.array([0.1, -5.1, 0.3, 0.4, 0.5], dtype=np.float32)}),
        ("abs_pz_above_10_TeV", {"Eta": np.array([0.1, 4.0, 0.3, 0.4, 0.5]), "PT": np.array([1, 400.0, 3, 2, 4])}),
    ],
)
def test_what_no_detector_measures_is_left_out_by_a_named_rule(rule, changes):
    chosen, removed = constituents_of(ONE_JET_EACH, EVENTS, event(**changes))
    assert removed == {rule: 1}
    assert 1 not in chosen.content
    assert chosen.counts.tolist() == [2, 2]


def test_dz_is_measured_from_the_first_vertex_of_the_event_where_there_is_a_track():
    candidates = event()
    chosen, _ = constituents_of(ONE_JET_EACH, EVENTS, candidates)
    jets = {"jet_eta": np.array([-1.0, 1.0], np.float32), "jet_phi": np.array([-3.1, 3.1], np.float32)}
    names = ("part_dzval", "part_deta", "part_dphi")
    got = constituent_columns(names, candidates, chosen, jets, np.array([7.0, 2.0]), EVENTS)
    np.testing.assert_allclose(got["part_dzval"], [0.5, 1.0, 0.0, 0.0, 1.0])
    np.testing.assert_allclose(got["part_deta"], [-0.8, -1.3, -1.1, -0.5, -0.6], rtol=1e-5)
    assert np.abs(got["part_dphi"]).max() <= np.pi
    assert got["part_dphi"][2] == pytest.approx(6.2 - 2 * np.pi, abs=1e-5)


@pytest.mark.parametrize(("radius", "jets", "without_pt"), [("ak8", 21, 38), ("ak15", 26, 126)])
def test_real_events_give_every_jet_with_its_constituents(real, radius, jets, without_pt):
    path = real(FILE)
    assert count_entries(path, SCHEMAS[f"delphes-{radius}"]) == jets
    (chunk,) = read(path, radius)
    assert len(chunk.jets) == chunk.n_entries == jets
    assert chunk.removed_constituents == {"pt_not_positive": without_pt}
    assert set(chunk.jets.constituents) == set(SCHEMAS["delphes-ak8"].constituents)
    sums = {
        axis: np.add.reduceat(chunk.jets.constituents[f"part_{axis}"], chunk.jets.offsets[:-1]) for axis in ("px", "py")
    }
    np.testing.assert_allclose(np.hypot(sums["px"], sums["py"]), chunk.jets.columns["jet_pt"], rtol=0.01)
    assert (chunk.jets.columns["jet_nparticles"] == chunk.jets.multiplicities).all()
    flags = [name for name in chunk.jets.constituents if name.startswith("part_is")]
    assert (sum(chunk.jets.constituents[name] for name in flags) == 1).all()
    assert (chunk.truth.labels == -1).all()


def test_real_tracks_come_from_the_primary_vertex_of_their_event(real):
    (chunk,) = read(real(FILE))
    dz = chunk.jets.constituents["part_dzval"]
    assert np.median(np.abs(dz[dz != 0])) < 0.5  # vertices lie up to 100 mm apart
    assert (dz[chunk.jets.constituents["part_charge"] == 0] == 0).all()


@pytest.mark.parametrize("size", [1, 4])
def test_jets_do_not_depend_on_the_ranges_that_they_are_read_in(real, size):
    (whole,) = read(real(FILE))
    parts = read(real(FILE), entries_per_chunk=size)
    assert sum(len(part.jets) for part in parts) == 21
    for name in ("part_px", "part_dzval"):
        joined = np.concatenate([part.jets.constituents[name] for part in parts])
        np.testing.assert_array_equal(joined, whole.jets.constituents[name])
    some = np.concatenate([part.jets.columns["jet_sdmass"] for part in read(real(FILE), start=5, stop=9)])
    np.testing.assert_array_equal(some, whole.jets.columns["jet_sdmass"][5:9])


def test_a_delphes_file_is_recognised_and_has_no_problems(real):
    found = inspect_file(real(FILE))
    assert found.schema == "delphes-ak8"
    assert found.problems == []
    assert "38 constituents, pt_not_positive" in render(found)


def test_events_without_labels_cannot_be_split_for_a_suite_and_the_message_says_what_can_be_done(real, cache):
    dataset = open_dataset("delphes-ak8", real(FILE), schema="delphes-ak8")
    with pytest.raises(DataError, match=r"its files have no labels.*jetassay embed"):
        split_files(dataset, seed=1, train=1, validation=1, test=1)


def write(path, branches, tree="Delphes"):
    counted = {name: ak.Array([[500.0, 300.0], [400.0]]) for name in branches}
    with uproot.recreate(path) as file:
        file.mktree(tree, dict.fromkeys(branches, "var * float32"))
        file[tree].extend(counted)
    return path


def test_a_delphes_file_without_constituents_says_what_is_missing_and_what_to_keep(tmp_path):
    path = write(tmp_path / "jets.root", ["JetPUPPIAK8.PT"])
    with pytest.raises(
        DataError, match=r"jets\.root: .*without the constituents.*JetPUPPIAK8\.Constituents.*TreeWriter"
    ):
        read(path)


def test_a_delphes_file_without_the_jets_names_those_there_are(real, tmp_path):
    path = write(tmp_path / "jets.root", ["GenJet.PT", "GenJet.Constituents", "Vertex.Constituents"])
    with pytest.raises(DataError, match=r"no jets 'JetPUPPIAK15'; jets in it: GenJet"):
        read(path, "ak15")


def test_another_root_file_is_no_delphes_file(tmp_path):
    path = write(tmp_path / "jets.root", ["part_px"], tree="tree")
    with pytest.raises(DataError, match="has no TTree 'Delphes'; it has tree"):
        read(path)
