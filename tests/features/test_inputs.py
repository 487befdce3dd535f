"""From jets to an `InputBatch`: values, shapes, and what happens to values that no network should see."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jetassay.errors import DataError
from jetassay.features.batch import InputBatch
from jetassay.features.inputs import compute_inputs
from jetassay.features.recipe import Feature, FeatureSet
from jetassay.features.sets import FEATURE_SETS
from jetassay.jets.containers import Jets

NAMES = sorted(FEATURE_SETS)


def changed(jets, column, row, value):
    """The same jets with one value of one column replaced."""
    sides = {"constituents": dict(jets.constituents), "columns": dict(jets.columns)}
    side = sides["constituents" if column in jets.constituents else "columns"]
    side[column] = side[column].copy()
    side[column][row] = value
    return Jets(sides["constituents"], jets.offsets, sides["columns"])


@pytest.mark.parametrize("name", NAMES)
def test_inputs_have_the_shapes_of_the_recipe(name, make_jets):
    jets = make_jets([1, 40, 128, 2])
    batch = compute_inputs(FEATURE_SETS[name], jets)
    assert len(batch) == 4
    assert batch.features.shape == (171, FEATURE_SETS[name].width)
    assert batch.jet_features.shape == (4, FEATURE_SETS[name].jet_width)
    assert np.isfinite(batch.features).all()
    assert np.isfinite(batch.p4).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_jet_has_the_same_inputs_in_any_company(name, make_jets):
    jets = make_jets([3, 17, 90, 5])
    whole = compute_inputs(FEATURE_SETS[name], jets)
    order = np.array([2, 0, 2])
    part = compute_inputs(FEATURE_SETS[name], jets.take(order))
    expected = whole.take(order)
    np.testing.assert_array_equal(part.features, expected.features)
    np.testing.assert_array_equal(part.p4, expected.p4)
    np.testing.assert_array_equal(part.jet_features, expected.jet_features)


def test_the_first_feature_is_the_standardised_logarithm_of_pt(make_jets):
    jets = make_jets([30])
    batch = compute_inputs(FEATURE_SETS["part-kin"], jets)
    pt = np.hypot(jets.constituents["part_px"].astype(float), jets.constituents["part_py"])
    np.testing.assert_allclose(batch.features[:, 0], np.clip((np.log(pt) - 1.7) * 0.7, -5, 5), atol=1e-6)


def test_sophon_sees_every_jet_at_500_gev(make_jets):
    jets = make_jets([20, 35, 60])
    p4 = compute_inputs(FEATURE_SETS["sophon"], jets).p4.astype(float)
    total = np.add.reduceat(p4, jets.offsets[:-1])
    np.testing.assert_allclose(np.hypot(total[:, 0], total[:, 1]), 500, rtol=1e-5)


def test_sophon_inputs_do_not_change_when_a_jet_is_scaled(make_jets):
    jets = make_jets([20, 35])
    scaled = {"part_px", "part_py", "part_pz", "part_energy", "jet_pt", "jet_energy"}
    doubled = Jets(
        {name: values * 2 if name in scaled else values for name, values in jets.constituents.items()},
        jets.offsets,
        {name: values * 2 if name in scaled else values for name, values in jets.columns.items()},
    )
    one, two = (compute_inputs(FEATURE_SETS["sophon"], each) for each in (jets, doubled))
    np.testing.assert_array_equal(one.features, two.features)
    np.testing.assert_array_equal(one.p4, two.p4)


def test_clipping_cuts_at_the_edges_and_nowhere_else(make_jets):
    feature_set = FeatureSet(name="mine", title="", features=(Feature("part_d0val", scale=3.0, clip=(-1.0, 2.0)),))
    jets = make_jets([100])
    found = compute_inputs(feature_set, jets).features[:, 0]
    raw = jets.constituents["part_d0val"] * np.float32(3)
    inside = (raw >= -1) & (raw <= 2)
    assert found.min() == -1
    assert found.max() == 2
    np.testing.assert_array_equal(found[inside], raw[inside])


def test_observables_are_the_jet_columns_and_ratios_of_subjettiness(make_jets):
    jets = make_jets([4, 9])
    found = compute_inputs(FEATURE_SETS["jet-observables"], jets).jet_features
    columns = jets.columns
    np.testing.assert_allclose(found[:, 0], (columns["jet_pt"] - 600) / 100, rtol=1e-5)
    np.testing.assert_allclose(found[:, 3], (columns["jet_sdmass"] - 80) / 50, rtol=1e-5)
    np.testing.assert_allclose(found[:, 6], (columns["jet_tau3"] / columns["jet_tau2"] - 0.7) * 6, rtol=1e-5)


def test_a_ratio_of_two_vanishing_subjettinesses_is_zero(make_jets):
    jets = make_jets([1, 9])
    for column in ("jet_tau1", "jet_tau2", "jet_tau3", "jet_tau4"):
        jets = changed(jets, column, 0, 0)
    found = compute_inputs(FEATURE_SETS["jet-observables"], jets).jet_features
    np.testing.assert_allclose(found[0, 5:], np.array([-0.4, -0.7, -0.8]) * 6, rtol=1e-6)


def test_a_missing_column_is_named(make_jets):
    jets = make_jets([5])
    without = {name: values for name, values in jets.constituents.items() if name != "part_d0err"}
    with pytest.raises(DataError, match=r"'part-full' needs part_d0err, which these jets do not have"):
        compute_inputs(FEATURE_SETS["part-full"], Jets(without, jets.offsets, jets.columns))


def test_columns_that_a_set_does_not_need_may_be_absent(make_jets):
    jets, needs = make_jets([5, 6]), FEATURE_SETS["part-kin"].needs
    small = Jets(
        {name: values for name, values in jets.constituents.items() if name in needs},
        jets.offsets,
        {name: values for name, values in jets.columns.items() if name in needs},
    )
    np.testing.assert_array_equal(
        compute_inputs(FEATURE_SETS["part-kin"], small).features,
        compute_inputs(FEATURE_SETS["part-kin"], jets).features,
    )


@pytest.mark.parametrize(
    ("name", "column", "row", "value", "message"),
    [
        ("part-kin", "jet_pt", 1, 0.0, r"log_pt_rel is inf for constituent 0 of jet 1 .*jet_pt = 0\)"),
        ("sophon", "jet_pt", 1, 0.0, "for constituent 0 of jet 1"),
        ("part-kin", "part_energy", 7, 0.0, "log_energy is -inf for constituent 4 of jet 1"),
        ("part-kin", "part_energy", 7, -3.0, "log_energy is nan for constituent 4 of jet 1"),
        ("part-kin", "part_dphi", 2, np.nan, "delta_r is nan for constituent 2 of jet 0"),
        ("part-full", "part_dzerr", 2, np.inf, "part_dzerr is inf for constituent 2 of jet 0"),
        ("jet-observables", "jet_mass", 1, np.nan, "jet_mass is nan for jet 1"),
        ("jet-observables", "jet_tau1", 1, 0.0, "tau21 is inf for jet 1"),
    ],
)
def test_a_value_that_is_not_finite_is_an_error_with_its_place(name, column, row, value, message, make_jets):
    jets = changed(make_jets([3, 6]), column, row, value)
    with pytest.raises(DataError, match=message):
        compute_inputs(FEATURE_SETS[name], jets)


def test_a_constituent_without_pt_is_an_error(make_jets):
    jets = changed(changed(make_jets([3, 6]), "part_px", 3, 0.0), "part_py", 3, 0.0)
    with pytest.raises(DataError, match="log_pt is -inf for constituent 0 of jet 1"):
        compute_inputs(FEATURE_SETS["part-kin"], jets)


@given(multiplicities=st.lists(st.integers(1, 12), min_size=1, max_size=6), data=st.data())
def test_taking_jets_from_a_batch_keeps_each_with_its_own_rows(multiplicities, data):
    rows = sum(multiplicities)
    batch = InputBatch(
        np.arange(rows, dtype=np.float32)[:, None],
        np.zeros((rows, 4), np.float32),
        np.concatenate([[0], np.cumsum(multiplicities)]).astype(np.int64),
        np.arange(len(multiplicities), dtype=np.float32)[:, None],
    )
    order = np.array(data.draw(st.lists(st.integers(0, len(multiplicities) - 1), min_size=1, max_size=8)))
    taken = batch.take(order)
    for place, jet in enumerate(order):
        rows_of = taken.features[taken.offsets[place] : taken.offsets[place + 1], 0]
        np.testing.assert_array_equal(rows_of, np.arange(batch.offsets[jet], batch.offsets[jet + 1]))
        assert taken.jet_features[place, 0] == jet


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("features", np.zeros((3, 2), np.float64)),
        ("features", np.zeros((4, 2), np.float32)),
        ("p4", np.zeros((3, 3), np.float32)),
        ("jet_features", np.zeros((3, 1), np.float32)),
        ("offsets", np.array([0, 0, 3])),
        ("offsets", np.array([1, 2, 3])),
    ],
)
def test_a_batch_of_wrong_shape_or_type_is_refused(part, value):
    parts = {
        "features": np.zeros((3, 2), np.float32),
        "p4": np.zeros((3, 4), np.float32),
        "offsets": np.array([0, 1, 3]),
        "jet_features": np.zeros((2, 0), np.float32),
    }
    assert len(InputBatch(**parts)) == 2
    with pytest.raises(DataError):
        InputBatch(**{**parts, part: value})
