"""The format of weaver data configurations: what is read, and what becomes of it."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from jetassay.errors import ConfigError, DataError
from jetassay.features.inputs import compute_inputs
from jetassay.features.recipe import RAW_P4, Feature
from jetassay.features.weaver.reading import parse_weaver_config, read_weaver_config

LABELS = "labels: {type: simple, value: [label_QCD, label_Hbb]}\n"
PLAIN = "inputs: {pf_features: {length: 128, vars: [part_deta]}}\n"


def read(text):
    return parse_weaver_config(text, path=Path("some.yaml"))


def with_features(variables, *, top="", group="length: 128"):
    return read(f"{top}\ninputs:\n  pf_features:\n    {group}\n    vars: {variables}\n{LABELS}")


def test_variables_come_in_every_form():
    top = "new_variables: {part_pt: 'np.hypot(part_px, part_py)'}"
    config = with_features(
        "[part_deta, [part_dphi], [part_charge, null], [part_pt, 1.7], [part_d0err, 0, 1, 0, 1], "
        "[part_dzerr, 1e-1, 2, -.inf, .inf, 7]]",
        top=top,
    )
    assert config.feature_set.features == (
        Feature("part_deta", source="some.yaml"),
        Feature("part_dphi", source="some.yaml"),
        Feature("part_charge", source="some.yaml"),
        Feature("part_pt", shift=1.7, clip=(-5, 5), source="some.yaml"),
        Feature("part_d0err", clip=(0, 1), source="some.yaml"),
        Feature("part_dzerr", shift=0.1, scale=2, clip=(-np.inf, np.inf), source="some.yaml"),
    )
    assert config.inputs[0].variables[5].pad_value == 7
    assert (config.inputs[0].length, config.inputs[0].pad_mode, config.max_constituents) == (128, "constant", 128)


def test_a_list_of_lines_is_the_same_as_a_list_in_brackets():
    block = read(
        f"inputs:\n  pf_features:\n    length: 128\n    vars:\n      - part_deta\n      - [part_charge, 1]\n{LABELS}"
    )
    assert block.feature_set == with_features("[part_deta, [part_charge, 1]]").feature_set


def test_parameters_that_weaver_wrote_down_are_used():
    params = "{length: 128, pad_mode: constant, center: 0.25, scale: 3.5, min: -5, max: 5, pad_value: 0}"
    config = with_features("[part_deta]", top=f"preprocess: {{method: auto, params: {{part_deta: {params}}}}}")
    assert config.feature_set.features == (
        Feature("part_deta", shift=0.25, scale=3.5, clip=(-5, 5), source="some.yaml"),
    )


def test_automatic_parameters_that_nobody_found_yet_are_refused_with_the_way_out():
    with pytest.raises(
        ConfigError, match=r"line 5, column 12: the numbers of 'part_deta'.*auto\.yaml.*\[part_deta, null\]"
    ):
        with_features("[part_deta]", top="preprocess: {method: auto}")


def test_automatic_standardisation_leaves_explicit_nulls_and_masks_alone():
    config = read(
        "preprocess: {method: auto}\nnew_variables: {part_mask: ak.ones_like(part_px)}\n"
        "inputs:\n  pf_features: {length: 128, vars: [[part_deta, null], [part_dphi, 0.1, 2]]}\n"
        f"  pf_mask: {{length: 128, vars: [part_mask]}}\n{LABELS}"
    )
    assert [each.shift for each in config.feature_set.features] == [0, 0.1]


def test_vectors_points_and_mask_find_their_place():
    config = read(
        "new_variables: {part_mask: ak.ones_like(part_px), part_e: part_energy / 2}\n"
        "inputs:\n  pf_points: {length: 64, pad_mode: wrap, vars: [part_deta, part_dphi]}\n"
        "  pf_features: {length: 64, pad_mode: wrap, vars: [part_charge, part_dphi, part_deta]}\n"
        "  pf_vectors: {length: 64, pad_mode: wrap, vars: [part_px, part_py, part_pz, part_e]}\n"
        f"  pf_mask: {{length: 64, pad_mode: constant, vars: [part_mask]}}\n{LABELS}"
    )
    assert config.feature_set.p4 == ("part_px", "part_py", "part_pz", "part_e")
    assert config.point_columns == (2, 1)
    assert {each.name: each.pad_mode for each in config.inputs}["pf_mask"] == "constant"
    assert "part_mask" not in config.feature_set.table


def test_without_vectors_the_raw_ones_stand_in():
    assert read(PLAIN + LABELS).feature_set.p4 == RAW_P4


def test_scaled_four_vectors_are_scaled(make_jets):
    vectors = "[[part_px, 0, 0.01, -100, 100], [part_py, 0, 0.01, -100, 100], [part_pz, null], part_energy]"
    groups = f"  pf_features: {{length: 9, vars: [part_deta]}}\n  pf_vectors: {{length: 9, vars: {vectors}}}\n"
    config = read(f"inputs:\n{groups}{LABELS}")
    jets = make_jets([3, 8])
    p4 = compute_inputs(config.feature_set, jets).p4
    np.testing.assert_allclose(p4[:, 0], jets.constituents["part_px"] * 0.01, rtol=1e-6)
    np.testing.assert_array_equal(p4[:, 2], jets.constituents["part_pz"])
    assert config.feature_set.digest() != read(PLAIN + LABELS).feature_set.digest()


def test_columns_of_jets_become_jet_features(make_jets):
    config = read(
        "new_variables: {lead: 'ak.max(part_energy, axis=1) / jet_energy'}\n"
        "inputs:\n  pf_features: {length: 128, vars: [part_deta]}\n"
        f"  jet: {{length: null, vars: [[jet_pt, 500, 0.01], lead]}}\n{LABELS}"
    )
    jets = make_jets([3, 8])
    found = compute_inputs(config.feature_set, jets).jet_features
    expected = np.clip((jets.columns["jet_pt"] - 500) / 100, -5, 5)
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-5)
    lead = jets.constituents["part_energy"][3:].max() / jets.columns["jet_energy"][1]
    np.testing.assert_allclose(found[1, 1], lead, rtol=1e-6)


def test_a_new_variable_hides_the_column_of_its_name(make_jets):
    config = with_features("[part_deta]", top="new_variables: {part_deta: part_dphi * 2}")
    jets = make_jets([3, 8])
    found = compute_inputs(config.feature_set, jets).features[:, 0]
    np.testing.assert_array_equal(found, jets.constituents["part_dphi"] * 2)


def test_a_variable_that_is_its_own_name_is_the_column():
    assert with_features("[part_deta]", top="new_variables: {part_deta: part_deta}").variables == {}


def test_renamed_branches_are_found_under_their_names_in_files(make_jets):
    config = with_features("[pf_deta]", top="branch_magic: {pf_: part_}")
    jets = make_jets([3, 8])
    assert "part_deta" in config.feature_set.needs
    np.testing.assert_array_equal(
        compute_inputs(config.feature_set, jets).features[:, 0], jets.constituents["part_deta"]
    )


def test_a_selection_is_a_rule_for_each_condition(make_jets):
    config = read(
        "selection: (jet_pt > 100) &\n   (n_charged >= 2) & ((jet_eta > 0) | (label_QCD == 1))\n"
        "test_time_selection: jet_pt > 0\n"
        f"new_variables: {{n_charged: 'ak.sum(part_charge != 0, axis=1)'}}\n{PLAIN}{LABELS}"
    )
    jets = make_jets([1, 30])
    names = [rule.name for rule in config.selection]
    assert names == ["not (jet_pt > 100)", "not (n_charged >= 2)", "not ((jet_eta > 0) | (label_QCD == 1))"]
    assert config.selection[1].needs == ("part_charge",)
    np.testing.assert_array_equal(config.selection[1].keeps(jets), [False, True])
    with pytest.raises(DataError, match="needs label_QCD, which these jets do not have"):
        config.selection[2].keeps(jets)
    assert [rule.name for rule in config.test_time_selection] == ["not (jet_pt > 0)"]


def test_without_a_selection_of_its_own_the_test_takes_that_of_training():
    config = read(f"selection: jet_pt > 100\n{PLAIN}{LABELS}")
    assert config.test_time_selection == config.selection


def test_labels_observers_and_weights_may_name_truth_and_stay_apart():
    config = read(
        f"{PLAIN}new_variables: {{is_b: label_Hbb * aux_truth_match}}\n"
        "labels: {type: custom, value: {one: is_b, two: jet_label}}\n"
        "observers: [genpart_pt, jet_pt]\n"
        "weights:\n  use_precomputed_weights: false\n  reweight_method: ref\n  reweight_basewgt: gen_weight * 2\n"
        "  reweight_vars: {genjet_pt: [1, 2], jet_sdmass: [1, 2, 3]}\n  reweight_classes: [is_b, label_QCD]\n"
        "  reweight_hists: {is_b: [[1, 0.5]], label_QCD: [[0.5, 1]]}\n"
    )
    assert config.columns_behind(config.labels.formulas["one"]) == ("aux_truth_match", "label_Hbb")
    assert (config.labels.kind, config.observers) == ("custom", ("genpart_pt", "jet_pt"))
    assert config.weights.classes == ("is_b", "label_QCD")
    assert config.weights.class_weights == (1, 1)
    assert config.weights.histograms["is_b"] == ((1, 0.5),)
    assert config.feature_set.needs == ("part_deta", *sorted(RAW_P4))[:1] + tuple(sorted(RAW_P4))


def test_precomputed_weights_and_buckets_are_read():
    config = read(
        f"{PLAIN}{LABELS}weights: {{use_precomputed_weights: true, weight_branches: [weight, class_weight]}}\n"
        "bucketing: {var: jet_nparticles, bins: 4}\nmonitor_variables: [jet_pt]\ntreename: Events\n"
    )
    assert config.weights.branches == ("weight", "class_weight")
    assert (config.bucketing, config.monitor_variables, config.tree) == (("jet_nparticles", 4), ("jet_pt",), "Events")


def test_a_feature_set_from_a_file_survives_a_journey_to_another_process(make_jets):
    config = with_features("[ratio]", top="new_variables: {ratio: 'part_energy / ak.sum(part_energy, axis=1)'}")
    back = pickle.loads(pickle.dumps(config.feature_set))
    jets = make_jets([4, 9])
    assert back.digest() == config.feature_set.digest()
    np.testing.assert_array_equal(
        compute_inputs(back, jets).features, compute_inputs(config.feature_set, jets).features
    )


def test_a_file_is_read_by_its_path(tmp_path):
    path = tmp_path / "My Config.yaml"
    path.write_text(PLAIN + LABELS, encoding="utf-8")
    config = read_weaver_config(path)
    assert (config.path, config.feature_set.name) == (path, "my-config")
