"""Groupings of outputs are data, and what is wrong with one is said by name."""

import pytest

from jetassay.errors import ConfigError
from jetassay.jets.classes import CLASS_NAMES
from jetassay.jets.labels import LABEL_LISTS
from jetassay.tasks.grouping import FOLDER, Grouping, find_grouping, read_grouping, shipped_groupings

GOOD = """
outputs = ["a", "b1", "b2", "c"]
classes = ["A", "B", "C"]
choice = "as an example"
[groups]
A = ["a"]
B = ["b*"]
[undefined]
C = "c is not what it seems"
"""


def test_sophon_outputs_stand_for_jetclass_by_name_and_tbl_has_none():
    grouping = find_grouping(LABEL_LISTS["jetclass2"], CLASS_NAMES)
    assert grouping.choice
    order = LABEL_LISTS["jetclass2"]
    positions = {name: sorted(order.index(label) for label in grouping.group(name)) for name in grouping.groups}
    assert positions["QCD"] == list(range(161, 188))
    assert positions["Hqql"] == list(range(131, 161))
    assert (positions["Hbb"], positions["Hcc"], positions["Hgg"]) == ([0], [1], [9])
    assert positions["Zqq"] == [0, 1, 2, 3]
    assert positions["Wqq"] == [3, 5, 7, 8]
    assert positions["Tbqq"] == [70, 127, 128, 129]
    assert len(positions["H4q"]) == 9
    assert {33, 34, 49, 63, 121, 125} < set(positions["H4q"])
    assert list(grouping.undefined) == ["Tbl"]


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_what_ships_is_marked_as_a_choice_in_file_and_record(path):
    assert "THIS IS A CHOICE" in path.read_text()
    assert read_grouping(path).choice
    assert read_grouping(path) in shipped_groupings()


def test_equal_names_stand_for_one_another_whatever_their_order():
    grouping = find_grouping(CLASS_NAMES[::-1], CLASS_NAMES)
    assert all(grouping.group(name) == (name,) for name in CLASS_NAMES)
    assert grouping.choice == ""


def test_a_declared_grouping_goes_before_those_that_ship():
    mine = Grouping(
        outputs="jetclass2",
        classes="jetclass",
        choice="mine",
        groups={"QCD": ("QCD_*",), "Hbb": ("X_bb", "X_YY_bbbb")},
        undefined=dict.fromkeys(set(CLASS_NAMES) - {"QCD", "Hbb"}, "not wanted"),
    )
    assert find_grouping(LABEL_LISTS["jetclass2"], CLASS_NAMES, declared=[mine]) is mine


def test_outputs_without_a_map_have_none():
    assert find_grouping(("cat", "dog"), CLASS_NAMES) is None


def test_patterns_match_any_characters_and_keep_the_order_of_the_outputs(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    grouping = read_grouping(path)
    assert grouping.group("B") == ("b1", "b2")
    assert grouping.sides("A", "B") == (("a",), ("b1", "b2"))
    with pytest.raises(ConfigError, match="no group for the class C: c is not what it seems"):
        grouping.sides("C", "A")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('[undefined]\nC = "c is not what it seems"', ""), "no group for C"),
        (('B = ["b*"]', 'B = ["b*"]\nD = ["c"]'), "no such class: D; known: A, B, C"),
        (('B = ["b*"]', 'B = ["b*"]\nC = ["c"]'), "in `groups` and in `undefined`: C"),
        (('["b*"]', '["b*", "x*", "y"]'), r"group of B: no such output: x\*, y"),
        (('["b*"]', '["b*", "b2"]'), "group of B: twice in it: b2"),
        (('["b*"]', "[]"), "the group of B is empty"),
        (('["b*"]', "[1]"), "groups.B.0"),
        (('outputs = ["a", "b1", "b2", "c"]', 'outputs = "jetclass3"'), "no label list 'jetclass3'; known: jetclass"),
        (("choice =", "chioce ="), "chioce: Extra inputs"),
    ],
)
def test_what_is_wrong_in_a_grouping_is_named_with_its_file(tmp_path, change, message):
    path = tmp_path / "mine.toml"
    assert change[0] in GOOD
    path.write_text(GOOD.replace(*change))
    with pytest.raises(ConfigError, match=message) as error:
        read_grouping(path)
    assert str(path) in str(error.value)


def test_an_output_on_both_sides_is_an_error(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD.replace('A = ["a"]', 'A = ["a", "b1"]'))
    with pytest.raises(ConfigError, match="on both sides of A against B: b1"):
        read_grouping(path).sides("A", "B")
