import numpy as np
import pytest
from published_layouts import RealJets, write_hls4ml, write_top_hdf5

from jetassay.jets.dataset import open_dataset
from jetassay.jets.inspection import inspect_file, render
from jetassay.jets.peaks import check_labels, swapped_labels


@pytest.fixture
def tops(real):
    return RealJets.read(real("toplandscape_dev.npz"))


def masses(peak, width=12, jets=400, seed=1):
    return np.random.default_rng(seed).normal(peak, width, jets).astype(np.float32)


def test_real_tops_with_their_own_labels_pass_and_swapped_ones_are_warned_of(tops, tmp_path, cache):
    sound = write_top_hdf5(tmp_path / "train.h5", tops)
    assert inspect_file(sound).warnings == ()
    assert check_labels(open_dataset("tops", sound, schema="toplandscape")) == []
    tops.labels = 1 - tops.labels
    swapped = write_top_hdf5(tmp_path / "swapped.h5", tops)
    found = inspect_file(swapped)
    assert len(found.warnings) == 1
    assert found.warnings[0].startswith("labels Tbqq and QCD look swapped")
    assert "warning: labels Tbqq and QCD look swapped" in render(found)
    assert found.problems == []
    assert check_labels(open_dataset("tops", swapped, schema="toplandscape")) != []


def test_real_jetclass_and_jetclass2_jets_are_not_warned_of(real, cache):
    for name in ("jetclass_mixed_dev.root", "jetclass2_dev.parquet"):
        assert inspect_file(real(name)).warnings == ()


def test_bosons_whose_masses_are_the_other_way_round_are_warned_of():
    right = {"Wqq": masses(80), "Zqq": masses(91), "Hbb": masses(125), "Hcc": masses(118), "Tbqq": masses(172, 20)}
    assert swapped_labels(right) == []
    wrong = swapped_labels({**right, "Wqq": right["Zqq"], "Zqq": right["Wqq"]})
    assert len(wrong) == 1
    assert wrong[0].startswith("labels Wqq and Zqq look swapped: their median masses are 90 and 79 GeV")


def test_few_jets_or_a_small_difference_are_no_reason_to_warn():
    few = {"Tbqq": masses(80, jets=29), "QCD": masses(172)}
    assert swapped_labels(few) == []
    close = {"Wqq": masses(86, seed=2), "Zqq": masses(85.5, seed=3)}
    assert swapped_labels(close) == []
    assert swapped_labels({"Tbl": masses(60), "QCD": masses(172)}) == []


def test_soft_drop_mass_is_taken_where_the_file_has_it(real, tmp_path):
    jets = RealJets.read(real("toplandscape_dev.npz"))
    names = ["t" if label else "q" for label in jets.labels]
    assert inspect_file(write_hls4ml(tmp_path / "a.h5", jets, names)).warnings == ()
    found = inspect_file(write_hls4ml(tmp_path / "b.h5", jets, names, mass_scale=0.1))
    assert found.ranges["jet_mass"].median > 5 * found.ranges["jet_sdmass"].median
    others = ["q" if name == "t" else "t" for name in names]
    assert any(
        "Tbqq and quark" in each for each in inspect_file(write_hls4ml(tmp_path / "c.h5", jets, others)).warnings
    )
