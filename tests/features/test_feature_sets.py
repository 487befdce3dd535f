"""The shipped recipes and what identifies them."""

import pickle
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from jetassay.errors import ConfigError, LeakageError, UnknownNameError
from jetassay.features.quantities import QUANTITIES, Quantity, columns_of
from jetassay.features.recipe import Feature, FeatureSet
from jetassay.features.sets import FEATURE_SETS


@pytest.mark.parametrize(
    ("name", "width", "jet_width"),
    [("part-kin", 7, 0), ("part-kinpid", 13, 0), ("part-full", 17, 0), ("sophon", 17, 0), ("jet-observables", 0, 8)],
)
def test_shipped_sets_have_the_published_widths(name, width, jet_width):
    feature_set = FEATURE_SETS[name]
    assert (feature_set.name, feature_set.width, feature_set.jet_width) == (name, width, jet_width)


@pytest.mark.parametrize("name", ["part-kin", "part-kinpid", "part-full", "sophon"])
def test_every_line_of_a_published_recipe_names_its_source(name):
    assert all(".yaml" in feature.source for feature in FEATURE_SETS[name].features)


def test_a_set_needs_the_columns_behind_its_quantities():
    feature_set = FeatureSet(name="mine", title="", features=(Feature("log_pt_rel"), Feature("part_charge")))
    assert feature_set.needs == ("jet_pt", "part_charge", "part_energy", "part_px", "part_py", "part_pz")


def test_columns_of_a_quantity_are_found_through_other_quantities():
    assert columns_of("log_pt_scaled") == ("part_px", "jet_pt", "part_py")


def test_every_quantity_is_made_of_known_things():
    for quantity in QUANTITIES.values():
        assert all(part in QUANTITIES or part.startswith(("part_", "jet_")) for part in quantity.of)


def test_an_unknown_set_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'sophon'"):
        FEATURE_SETS["sofon"]


def test_digests_of_shipped_sets_differ():
    digests = {feature_set.digest() for feature_set in FEATURE_SETS.values()}
    assert len(digests) == len(FEATURE_SETS)


@pytest.mark.parametrize(
    "changed",
    [
        {"features": (Feature("log_pt", shift=1.7, scale=0.7), Feature("delta_r"))},
        {"features": (Feature("delta_r"), Feature("log_pt", shift=1.7))},
        {"features": (Feature("log_pt", shift=1.7), Feature("delta_r", clip=(-5, 5)))},
        {"p4": ("px_scaled", "py_scaled", "pz_scaled", "energy_scaled")},
        {"jet_features": (Feature("jet_pt"),)},
    ],
)
def test_the_digest_moves_with_every_number_and_with_the_order(changed):
    feature_set = FeatureSet(name="mine", title="", features=(Feature("log_pt", shift=1.7), Feature("delta_r")))
    assert replace(feature_set, **changed).digest() != feature_set.digest()


def test_the_digest_does_not_move_with_names_and_sources():
    feature_set = FeatureSet(name="mine", title="", features=(Feature("log_pt"),))
    renamed = FeatureSet(name="yours", title="another", features=(Feature("log_pt", source="somewhere"),))
    assert renamed.digest() == feature_set.digest()


def test_the_digest_moves_with_the_version_of_a_quantity_deep_inside():
    feature_set = FEATURE_SETS["part-kin"]
    changed = {**QUANTITIES, "pt": replace(QUANTITIES["pt"], version=2)}
    assert replace(feature_set, definitions=tuple(changed.values())).digest() != feature_set.digest()


def test_a_set_may_bring_its_own_quantities():
    half = Quantity("half_energy", ("part_energy",), partial(np.multiply, np.float32(0.5)))
    feature_set = FeatureSet(name="mine", title="", features=(Feature("half_energy"),), definitions=(half,))
    assert feature_set.needs == ("part_energy", "part_px", "part_py", "part_pz")
    with pytest.raises(LeakageError, match="no schema lists 'log_pt'"):
        FeatureSet(name="mine", title="", features=(Feature("log_pt"),), definitions=(half,))


def test_a_set_survives_a_journey_to_another_process():
    feature_set = FEATURE_SETS["part-full"]
    back = pickle.loads(pickle.dumps(feature_set))
    assert back == feature_set
    assert back.digest() == feature_set.digest()


@pytest.mark.parametrize("clip", [(5.0, -5.0), (1.0, 1.0)])
def test_a_clip_the_wrong_way_round_is_refused(clip):
    with pytest.raises(ConfigError, match="lowest, highest"):
        Feature("log_pt", clip=clip)


@pytest.mark.parametrize(
    ("definitions", "message"),
    [
        ([Quantity("a", ("b", "jet_pt"), np.add), Quantity("b", ("a",), np.log)], "in a circle"),
        ([Quantity("a", ("a",), np.log)], "in a circle: a from a"),
        ([Quantity("a", ("jet_pt",), np.log), Quantity("a", ("jet_eta",), np.log)], "'a' is defined twice"),
    ],
)
def test_a_quantity_that_has_no_one_meaning_is_refused(definitions, message):
    with pytest.raises(ConfigError, match=message):
        FeatureSet(name="mine", title="", jet_features=(Feature("a"),), definitions=tuple(definitions))
