"""No column that is truth in any schema can become an input, however it is asked for."""

import pytest

from jetassay.errors import ConfigError, LeakageError
from jetassay.features.recipe import RAW_P4, Feature, FeatureSet
from jetassay.features.sets import FEATURE_SETS
from jetassay.jets.schema import SCHEMAS

TRUTH = [(schema.name, column) for schema in SCHEMAS.values() for column in (*schema.labels, *schema.truth_columns)]


def test_every_schema_has_truth_to_refuse():
    assert {name for name, _ in TRUTH} == set(SCHEMAS)
    assert sum(name == "jetclass" for name, _ in TRUTH) == 10 + 5
    assert sum(name == "jetclass2" for name, _ in TRUTH) == 1 + 27


@pytest.mark.parametrize(("schema", "column"), TRUTH)
def test_each_truth_column_is_refused_as_a_feature(schema, column):
    with pytest.raises(LeakageError, match=f"'{column}' is truth"):
        FeatureSet(name="mine", title="", features=(Feature("log_pt"), Feature(column)))


@pytest.mark.parametrize(("schema", "column"), TRUTH)
def test_each_truth_column_is_refused_as_a_jet_feature(schema, column):
    with pytest.raises(LeakageError, match=f"'{column}' is truth"):
        FeatureSet(name="mine", title="", jet_features=(Feature(column),))


@pytest.mark.parametrize(("schema", "column"), TRUTH)
def test_each_truth_column_is_refused_in_the_four_vector(schema, column):
    with pytest.raises(LeakageError, match=f"'{column}' is truth"):
        FeatureSet(name="mine", title="", p4=(*RAW_P4[:3], column))


@pytest.mark.parametrize(
    "column", ["label_new", "LABEL_QCD", "aux_anything", "genpart_weight", "genjet_flavour", "Truth_pt"]
)
def test_a_name_that_only_looks_like_truth_is_refused(column):
    with pytest.raises(LeakageError, match="truth"):
        FeatureSet(name="mine", title="", features=(Feature(column),))


def test_a_column_that_no_schema_lists_is_refused_with_the_nearest_name():
    with pytest.raises(LeakageError, match=r"no schema lists 'part_pxx'.*Did you mean 'part_px'"):
        FeatureSet(name="mine", title="", features=(Feature("part_pxx"),))


def test_an_entry_number_is_no_input():
    with pytest.raises(LeakageError, match="no schema lists 'entry'"):
        FeatureSet(name="mine", title="", jet_features=(Feature("entry"),))


def test_shipped_sets_need_observed_columns_only():
    observed = {column for schema in SCHEMAS.values() for column in schema.observed}
    for feature_set in FEATURE_SETS.values():
        assert set(feature_set.needs) <= observed


def test_a_jet_column_among_constituent_features_is_refused():
    with pytest.raises(ConfigError, match="'jet_pt' belongs to jets"):
        FeatureSet(name="mine", title="", features=(Feature("jet_pt"),))


def test_a_constituent_column_among_jet_features_is_refused():
    with pytest.raises(ConfigError, match="'log_pt' belongs to constituents"):
        FeatureSet(name="mine", title="", jet_features=(Feature("log_pt"),))
