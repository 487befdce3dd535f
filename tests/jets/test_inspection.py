import numpy as np
import pytest
import uproot

from jetassay.errors import DataError
from jetassay.jets.inspection import inspect_file, render


def test_a_sound_file_is_counted_and_has_no_problems(make_sample, write):
    sample = make_sample(60)
    found = inspect_file(write(sample))
    assert (found.schema, found.entries, found.problems) == ("jetclass", 60, [])
    assert dict(found.labels) == dict.fromkeys(sample.schema.label_names, 6)
    pt = sample.numbers["jet_pt"]
    spread = found.ranges["jet_pt"]
    np.testing.assert_allclose([spread.low, spread.median, spread.high], [pt.min(), np.median(pt), pt.max()], rtol=1e-6)
    dphi = sample.lists["part_dphi"]
    np.testing.assert_allclose(found.ranges["part_dphi"].median, np.median(dphi), rtol=1e-6)
    assert found.mean_multiplicity == pytest.approx(sample.counts.mean())
    assert (found.multiplicity.low, found.multiplicity.high) == (sample.counts.min(), sample.counts.max())


def test_jets_that_reading_would_cut_are_counted(make_sample, root_file):
    sample = make_sample(20, most=200)
    found = inspect_file(root_file(sample))
    assert found.truncated_jets == (sample.counts > 128).sum() > 0
    assert found.truncated_constituents == np.maximum(sample.counts - 128, 0).sum()


def test_every_problem_is_listed_with_its_entries_across_the_steps_of_reading(make_sample, root_file, monkeypatch):
    monkeypatch.setattr("jetassay.jets.inspection._ENTRIES_PER_STEP", 7)
    sample = make_sample(60)
    for jet in (3, 4, 5, 40):
        sample.lists["part_d0val"][sample.first_row(jet)] = np.nan
    sample.numbers["jet_energy"][59] = -1
    sample.numbers["label_Tbl"][8] = True
    problems = inspect_file(root_file(sample)).problems
    assert [problem.split(",")[0] for problem in problems] == ["non_finite", "non_positive_energy", "not_one_hot"]
    assert problems[0].endswith("branch part_d0val: NaN or infinity; 4 jets: 3-5, 40")
    assert problems[1].endswith("1 jet: 59")
    assert problems[2].endswith("1 jet: 8")


def test_a_long_list_of_entries_is_cut_and_says_so(make_sample, root_file):
    sample = make_sample(60)
    sample.numbers["jet_tau1"][::2] = np.inf
    finding = inspect_file(root_file(sample)).findings[0]
    assert finding.entries.tolist() == list(range(0, 60, 2))
    assert str(finding).endswith("30 jets: 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22 and 18 more")


def test_what_cannot_be_read_at_all_is_a_problem_and_the_rest_is_still_shown(make_sample, root_file):
    sample = make_sample()
    del sample.lists["part_energy"], sample.numbers["label_QCD"]
    found = inspect_file(root_file(sample))
    assert len(found.problems) == 1
    assert found.problems[0].startswith("branches part_energy, label_QCD are missing")
    assert "jet_pt" in found.ranges
    assert not found.labels


def test_a_column_without_a_finite_value_has_no_range(make_sample, root_file):
    sample = make_sample()
    sample.numbers["jet_tau4"][:] = np.nan
    found = inspect_file(root_file(sample))
    assert np.isnan(found.ranges["jet_tau4"].median)
    assert "60 jets: 0-59" in found.problems[0]


def test_medians_of_long_files_come_from_jets_spread_over_the_file(make_sample, root_file, monkeypatch):
    monkeypatch.setattr("jetassay.jets.inspection._JETS_IN_MEDIAN", 20)
    sample = make_sample(60)
    found = inspect_file(root_file(sample))
    assert found.median_step == 3
    assert found.ranges["jet_pt"].median == pytest.approx(np.median(sample.numbers["jet_pt"][::3]))
    assert "median of 1 jet in 3" in render(found)


def test_real_jetclass2_is_recognised_and_its_selection_shown(real):
    found = inspect_file(real("jetclass2_vectors.root"))
    assert (found.schema, found.entries, found.problems, found.absent) == ("jetclass2", 100, [], ())
    assert dict(found.outside) == {"jet_pt_outside_200_2500": 9, "jet_sdmass_outside_20_500": 7}
    assert sum(found.labels.values()) == 100


def test_real_jets_of_all_ten_classes_are_recognised(real):
    found = inspect_file(real("jetclass_mixed_dev.root"))
    assert (found.schema, found.entries, found.problems) == ("jetclass", 251, [])
    assert "part_d0val" in found.absent
    labels = np.load(real("jetclass_mixed_dev.npz"))["labels"].sum(axis=0)
    assert list(found.labels.values()) == labels.tolist()


def test_the_rendered_text_is_aligned_and_ends_with_the_problems(make_sample, root_file):
    sample = make_sample()
    text = render(inspect_file(root_file(sample)))
    assert text.endswith("no problems found")
    rows = [line for line in text.splitlines() if line.startswith("jet_")]
    assert len(rows) == 10
    assert len({len(line) for line in rows}) == 1
    sample.numbers["jet_tau4"][4] = np.nan
    text = render(inspect_file(root_file(sample)))
    assert "1 problem found:\nnon_finite, branch jet_tau4" in text


def test_a_file_that_is_not_one_of_jets_is_an_error(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        inspect_file(tmp_path / "absent.root")
    with uproot.recreate(tmp_path / "other.root") as file:
        file["Events"] = {"x": np.arange(3)}
    with pytest.raises(DataError, match=r"has no TTree 'tree'; it has Events"):
        inspect_file(tmp_path / "other.root")
