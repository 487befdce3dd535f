import re
from dataclasses import replace

import pytest

from jetassay.errors import ConfigError, LeakageError
from jetassay.jets.classes import CLASS_NAMES, JET_CLASSES
from jetassay.jets.labels import LABEL_LISTS
from jetassay.jets.schema import SCHEMAS

EVERY_TRUTH_COLUMN = [(name, column) for name, s in SCHEMAS.items() for column in (*s.labels, *s.truth_columns)]


def test_jetclass_has_its_41_branches():
    schema = SCHEMAS["jetclass"]
    parts = (schema.constituents, schema.columns, schema.labels, schema.truth_columns)
    assert [len(part) for part in parts] == [16, 10, 10, 5]
    assert schema.label_names == CLASS_NAMES


def test_jetclass2_has_its_54_columns_and_188_labels():
    schema = SCHEMAS["jetclass2"]
    parts = (schema.constituents, schema.columns, schema.labels, schema.truth_columns)
    assert [len(part) for part in parts] == [16, 10, 1, 27]
    assert len(schema.label_names) == 188


@pytest.mark.parametrize(("name", "column"), EVERY_TRUTH_COLUMN)
@pytest.mark.parametrize("part", ["constituents", "columns"])
def test_no_schema_can_list_a_truth_column_as_observed(name, column, part):
    schema = SCHEMAS[name]
    with pytest.raises(LeakageError, match=column):
        replace(schema, **{part: (*getattr(schema, part), column)})


@pytest.mark.parametrize(("name", "column"), EVERY_TRUTH_COLUMN)
def test_no_feature_may_ask_for_a_truth_column(name, column):
    with pytest.raises(LeakageError, match=column):
        SCHEMAS[name].require_observed(("part_px", column))


@pytest.mark.parametrize("column", ["label_new", "aux_anything", "genpart_q", "genjet_mass", "jet_label", "truth_top"])
def test_truth_is_known_by_its_name_even_where_no_schema_lists_it(column):
    with pytest.raises(LeakageError):
        SCHEMAS["jetclass"].require_observed((column,))


def test_patterns_of_a_schema_add_to_those_of_all():
    schema = replace(SCHEMAS["jetclass"], truth=("jet_tau*",), columns=("jet_pt",))
    assert schema.is_truth("jet_tau1")
    assert schema.is_truth("label_QCD")
    with pytest.raises(LeakageError, match="jet_tau1"):
        replace(SCHEMAS["jetclass"], truth=("jet_tau*",))


def test_a_column_that_no_schema_lists_is_not_observed():
    with pytest.raises(ConfigError, match="no observed column 'part_secret'"):
        SCHEMAS["jetclass"].require_observed(("part_secret",))


def test_a_schema_without_four_vectors_or_with_two_kinds_of_labels_cannot_be_made():
    schema = SCHEMAS["jetclass"]
    with pytest.raises(ConfigError, match="must list part_px"):
        replace(schema, constituents=("part_px", "part_py"))
    with pytest.raises(ConfigError, match="either"):
        replace(schema, label_branch="jet_label")
    with pytest.raises(ConfigError, match="one branch"):
        replace(schema, label_branches=schema.label_branches[1:])
    with pytest.raises(ConfigError, match="is_top must match a pattern"):
        replace(schema, truth_columns=("is_top",))


def test_the_digest_of_a_schema_follows_what_is_observed_and_not_its_title():
    schema = SCHEMAS["jetclass"]
    assert replace(schema, title="another").digest() == schema.digest()
    assert replace(schema, columns=schema.columns[1:]).digest() != schema.digest()


def test_the_188_labels_stand_in_the_published_order(real):
    text = real("weaver_configs/JetClassII_full.yaml").read_text()
    listed = re.search(r"full list of label names: \[(.*?)\]", text).group(1).split(", ")
    assert [f"label_{name}" for name in LABEL_LISTS["jetclass2"]] == listed


def test_the_188_labels_group_as_the_published_ranges_do():
    names = LABEL_LISTS["jetclass2"]
    assert len(set(names)) == 188
    assert (names[0], names[14], names[15], names[160]) == ("X_bb", "X_tauhtauh", "X_YY_bbbb", "X_YY_qqtauhv")
    assert (names[161], names[187]) == ("QCD_bbccss", "QCD_light")
    assert all(name.startswith("QCD_") for name in names[161:])


def test_the_ten_labels_stand_in_the_published_order(real):
    text = real("weaver_configs/JetClass_full.yaml").read_text()
    listed = re.search(r"value: \[(.*?)\]", text).group(1).replace(" ", "").split(",")
    assert [f"label_{name}" for name in LABEL_LISTS["jetclass"]] == listed


def test_every_class_has_a_file_stem_a_colour_and_a_marker_of_its_own():
    for part in ("file_stem", "colour", "marker", "tex"):
        assert len({getattr(each, part) for each in JET_CLASSES.values()}) == 10
