"""A backbone looks the same wherever it is drawn, and no two on a page look alike."""

from itertools import combinations

import pytest

from jetassay.backbones.catalogue import backbone_cards
from jetassay.places import project_root
from jetassay.report.styles import COLOURS, MARKERS, SHIPPED, backbone_styles
from jetassay.suite import find_suite


def luminance(colour):
    """Relative luminance of sRGB, 0 to 1 (WCAG 2.1)."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_card_that_ships_has_a_style_of_its_own_and_no_style_is_without_a_card():
    shipped = {path.parent.name for path in (project_root() / "models").glob("*/card.toml")}
    assert set(SHIPPED) == shipped
    assert shipped <= set(backbone_cards())
    assert len(set(SHIPPED.values())) == len(SHIPPED)
    assert {colour for colour, _ in SHIPPED.values()} <= set(COLOURS)
    assert {marker for _, marker in SHIPPED.values()} <= set(MARKERS)


@pytest.mark.parametrize("suite", ["smoke", "default", "full", "official"])
def test_on_a_suites_page_neither_colour_nor_marker_stands_for_two(suite):
    styles = backbone_styles(find_suite(suite).backbones)
    for part in (0, 1):
        assert len({style[part] for style in styles.values()}) == len(styles)


def test_the_company_and_the_order_change_nothing_for_a_card_that_ships():
    names = [*SHIPPED, "mine", "yours"]
    alone = {name: backbone_styles([name])[name] for name in names}
    assert {name: alone[name] for name in SHIPPED} == SHIPPED
    assert backbone_styles(names) == backbone_styles(reversed(names))
    for pair in combinations(SHIPPED, 2):
        assert backbone_styles(pair) == {name: SHIPPED[name] for name in pair}


def test_ones_own_backbone_gets_a_colour_and_a_marker_that_nobody_else_on_the_page_has():
    for count in (1, 2):
        own = [f"tagger-{k}" for k in range(count)]
        styles = backbone_styles([*find_suite("full").backbones, *own])
        for part in (0, 1):
            assert len({style[part] for style in styles.values()}) == len(styles)


def test_a_hundred_backbones_have_a_hundred_styles_and_one_more_has_one_too():
    names = [f"tagger-{k}" for k in range(101)]
    assert len(set(backbone_styles(names[:100]).values())) == 100
    assert len(backbone_styles(names)) == 101


def test_a_remark_behind_the_name_changes_nothing_but_a_second_of_a_card_looks_otherwise():
    assert backbone_styles(["mlp (seen in training)"]) == {"mlp (seen in training)": SHIPPED["mlp"]}
    assert backbone_styles(["mine (seen in training)"]).popitem()[1] == backbone_styles(["mine"])["mine"]
    twice = backbone_styles(["mlp (a)", "mlp (b)"])
    assert twice["mlp (a)"] == SHIPPED["mlp"]
    assert twice["mlp (b)"] != SHIPPED["mlp"]


def test_every_colour_stands_out_from_a_white_and_from_a_dark_ground_or_has_a_marker_with_an_edge_to_find_it():
    for colour in COLOURS:
        light = luminance(colour)
        contrasts = [1.05 / (light + 0.05), (light + 0.05) / (luminance("#121212") + 0.05)]
        assert min(contrasts) > 1.5
