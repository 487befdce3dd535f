"""What the files hold: the published schema, and numbers that agree with each other."""

import awkward as ak
import numpy as np
import pytest
import uproot

from jetassay.jets.classes import CLASS_NAMES
from jetassay.simulation import Recipe, simulate
from jetassay.simulation.resonance_labels import LABEL_NAMES

REAL_PARTS = ("px", "py", "pz", "energy", "deta", "dphi", "d0val", "d0err", "dzval", "dzerr")
FLAGS = ("isChargedHadron", "isNeutralHadron", "isPhoton", "isElectron", "isMuon")
OBSERVABLES = ("pt", "eta", "phi", "energy", "nparticles", "sdmass", "tau1", "tau2", "tau3", "tau4")
JETCLASS_TYPES = {
    **{f"part_{name}": "float[]" for name in (*REAL_PARTS, "charge")},
    **{f"part_{name}": "int32_t[]" for name in FLAGS},
    **{f"jet_{name}": "float" for name in OBSERVABLES},
    "label_QCD": "float",
    **{f"label_{name}": "bool" for name in ("Hbb", "Hcc", "Hgg", "H4q", "Hqql")},
    **{f"label_{name}": "int32_t" for name in ("Zqq", "Wqq", "Tbqq", "Tbl")},
    **{f"aux_{name}": "float" for name in ("genpart_eta", "genpart_phi", "genpart_pid", "genpart_pt", "truth_match")},
}
JETCLASS2_TYPES = {
    **{f"part_{name}": "float[]" for name in REAL_PARTS},
    "part_charge": "int32_t[]",
    **{f"part_{name}": "bool[]" for name in FLAGS},
    **{f"jet_{name}": "float" for name in OBSERVABLES if name != "nparticles"},
    "jet_nparticles": "int32_t",
    "jet_label": "int32_t",
    **{f"aux_genpart_{name}": "float[]" for name in ("pt", "eta", "phi", "mass")},
    "aux_genpart_pid": "int32_t[]",
    **{f"aux_genpart_is{name}": "bool[]" for name in ("ResX", "ResY", "ResDecayProd", "TauDecayProd", "QcdParton")},
}


@pytest.fixture(scope="module")
def jets(all_classes, read):
    return read(all_classes)


@pytest.fixture(scope="module")
def jets2(jetclass2, read):
    return read(jetclass2)


def branch_types(path):
    return {name: branch.typename for name, branch in uproot.open(path)["tree"].items()}


def test_jetclass_files_have_the_41_published_branches_and_one_counter(all_classes):
    assert len(JETCLASS_TYPES) == 41
    assert branch_types(all_classes[0]) == {**JETCLASS_TYPES, "npart": "int32_t"}


def test_jetclass2_files_have_the_published_branches_but_generator_level_jets(jetclass2):
    expected = {**JETCLASS2_TYPES, "npart": "int32_t", "naux_genpart": "int32_t"}
    assert branch_types(jetclass2[0]) == expected


def test_every_jet_has_the_label_of_its_file(all_classes):
    for name, path in zip(CLASS_NAMES, all_classes, strict=True):
        found = uproot.open(path)["tree"].arrays()
        labels = np.stack([ak.to_numpy(found[f"label_{each}"]).astype(int) for each in CLASS_NAMES], axis=1)
        assert labels.shape == (20, 10)
        assert (labels.sum(axis=1) == 1).all()
        assert (labels[:, CLASS_NAMES.index(name)] == 1).all()


def test_jets_pass_the_published_selection(jets, jets2):
    assert ak.all((jets.jet_pt >= 500) & (jets.jet_pt < 1000) & (abs(jets.jet_eta) < 2))
    assert ak.all((jets2.jet_pt > 200) & (jets2.jet_pt < 2500) & (abs(jets2.jet_eta) < 2.5))
    assert ak.all((jets2.jet_sdmass > 20) & (jets2.jet_sdmass < 500))


@pytest.mark.parametrize("sample", ["jets", "jets2"])
class TestConstituents:
    @pytest.fixture
    def found(self, sample, request):
        return request.getfixturevalue(sample)

    def test_their_sum_is_the_jet(self, found):
        px, py, energy = (ak.to_numpy(ak.sum(found[f"part_{name}"], axis=1)) for name in ("px", "py", "energy"))
        np.testing.assert_allclose(np.hypot(px, py), found.jet_pt, rtol=1e-5)
        np.testing.assert_allclose(energy, found.jet_energy, rtol=1e-5)

    def test_their_number_is_counted(self, found):
        assert ak.all(ak.num(found.part_px) == found.jet_nparticles)
        assert ak.all(found.jet_nparticles > 0)

    def test_they_fall_in_pt(self, found):
        pt = np.hypot(found.part_px, found.part_py)
        assert ak.all(pt[:, 1:] <= pt[:, :-1] * (1 + 1e-6))

    def test_they_lie_in_the_jet(self, found):
        # Anti-kT is not a cone: a few constituents of jets close together may lie beyond the radius.
        distance = ak.flatten(np.hypot(found.part_deta, found.part_dphi))
        assert np.mean(distance < 0.8) > 0.99
        assert np.max(distance) < 1.6

    def test_deta_is_mirrored_for_jets_at_negative_eta(self, found):
        eta = np.arcsinh(found.part_pz / np.hypot(found.part_px, found.part_py))
        sign = np.where(found.jet_eta > 0, 1, -1)
        np.testing.assert_allclose(ak.flatten(sign * (eta - found.jet_eta)), ak.flatten(found.part_deta), atol=1e-4)

    def test_each_has_one_kind_that_fits_its_charge_and_displacement(self, found):
        kinds = sum(ak.values_astype(found[f"part_{name}"], int) for name in FLAGS)
        assert ak.all(kinds == 1)
        neutral = (found.part_isPhoton == 1) | (found.part_isNeutralHadron == 1)
        assert ak.all((found.part_charge == 0) == neutral)
        assert ak.all(found.part_d0err[neutral] == 0)
        assert ak.all(found.part_dzval[neutral] == 0)

    def test_every_number_is_finite(self, found):
        for name in found.fields:
            assert np.isfinite(ak.to_numpy(ak.flatten(found[name], axis=None))).all(), name


def test_leptonic_decays_come_in_both_charges(tmp_path, quiet, read):
    found = read(simulate(Recipe(classes=("Tbl",), jets=60, files=1, seed=2), output=tmp_path, reporter=quiet))
    leptons = (found.part_isElectron + found.part_isMuon == 1) & (np.hypot(found.part_px, found.part_py) > 50)
    charges = set(ak.to_list(ak.flatten(found.part_charge[leptons])))
    assert charges == {-1.0, 1.0}


def test_the_matched_resonance_is_the_one_of_the_class(all_classes):
    expected = {"QCD": 0, **dict.fromkeys(("Hbb", "Hcc", "Hgg", "H4q", "Hqql"), 25)}
    expected |= {"Zqq": 23, "Wqq": 24, "Tbqq": 6, "Tbl": 6}
    for name, path in zip(CLASS_NAMES, all_classes, strict=True):
        found = uproot.open(path)["tree"].arrays()
        assert set(np.abs(ak.to_numpy(found.aux_genpart_pid))) == {expected[name]}
        assert set(ak.to_list(found.aux_truth_match)) <= set(range(11, 51))


def test_the_ideal_tracker_keeps_soft_tracks_that_the_published_card_loses(tmp_path, quiet, read):
    counts = {}
    for mode in ("delphes", "ideal"):
        recipe = Recipe(classes=("Hbb",), jets=100, files=1, seed=6, mode=mode)
        counts[mode] = read(simulate(recipe, output=tmp_path / mode, reporter=quiet)).jet_nparticles
    error = np.hypot(*(np.std(each) / np.sqrt(len(each)) for each in counts.values()))
    assert np.mean(counts["ideal"]) - np.mean(counts["delphes"]) > 2 * error


def test_labels_of_jetclass2_belong_to_their_sample(jetclass2):
    for path, names in zip(jetclass2, (range(15), range(15, 161), range(161, 188)), strict=True):
        found = uproot.open(path)["tree"].arrays()
        labels = set(ak.to_list(found.jet_label))
        assert labels <= set(names)
        assert len(labels) > 3


def test_labels_of_jetclass2_agree_with_the_particles_that_explain_them(jetclass2):
    letters = {1: "q", 2: "q", 3: "s", 4: "c", 5: "b", 21: "g", 11: "e", 13: "m"}
    found = uproot.open(jetclass2[0])["tree"].arrays()
    for jet in found:
        products = [letters.get(abs(pid)) for pid in jet.aux_genpart_pid[jet.aux_genpart_isResDecayProd]]
        name = LABEL_NAMES[jet.jet_label]
        if "tau" not in name:
            assert sorted(name.removeprefix("X_")) == sorted(products)


def test_jets_of_quarks_and_gluons_are_named_by_the_flavours_in_them(jetclass2):
    found = uproot.open(jetclass2[2])["tree"].arrays()
    for jet in found:
        content = LABEL_NAMES[jet.jet_label].removeprefix("QCD_")
        kinds = np.abs(ak.to_numpy(jet.aux_genpart_pid))
        for letter, kind in (("b", 5), ("c", 4), ("s", 3)):
            assert content.replace("light", "").count(letter) == min(np.sum(kinds == kind), 2)
