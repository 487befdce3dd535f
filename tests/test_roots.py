"""Paths in cards, suites, results and listings stay below their roots, whatever they say and wherever links lead."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from typer.testing import CliRunner

from jetassay.backbones.card import read_card
from jetassay.backbones.feature_sets import feature_set_of
from jetassay.backbones.weights import locate_weights
from jetassay.cli import app
from jetassay.errors import ConfigError, FetchError
from jetassay.fetching.remote import safe_name
from jetassay.places import within
from jetassay.report.results import load_results, results_folder
from jetassay.suite import read_suite

OUTSIDE = ["../secret", "/etc/passwd", "a/../../secret", "..", "../card/../../secret"]
CARD = """\
name = "card"
title = "Card"
architecture = "jetassay.backbones.mlp:Mlp"
feature_set = "{feature_set}"
embedding_dim = 8
[weights]
{where}
sha256 = "{sha256}"
licence = "MIT"
"""


@pytest.fixture
def room(tmp_path, monkeypatch):
    """A folder with a file outside of what is allowed, and a card's folder beside it."""
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "card").mkdir()
    monkeypatch.setenv("JETASSAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("JETASSAY_WORKSPACE", str(tmp_path / "workspace"))
    return tmp_path


def _card(room, *, where='file = "w.pt"', feature_set="jet"):
    sha256 = hashlib.sha256(b"secret").hexdigest()
    path = room / "card" / "card.toml"
    path.write_text(CARD.format(where=where, feature_set=feature_set, sha256=sha256))
    return read_card(path)


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_card_names_no_weights_outside_of_its_folder(room, name):
    with pytest.raises(ConfigError, match="must stay inside the card's folder"):
        _card(room, where=f'file = "{name}"')


@pytest.mark.parametrize("name", [*OUTSIDE, ""])
def test_a_card_names_no_data_configuration_outside_of_its_folder(room, name):
    with pytest.raises(ConfigError, match="must stay inside the card's folder"):
        feature_set_of(_card(room, feature_set=f"file:{name}"))


def test_a_link_out_of_the_cards_folder_is_not_followed_to_weights_or_data_configurations(room):
    (room / "card" / "w.pt").symlink_to(room / "secret")
    (room / "card" / "sub").symlink_to(room)
    with pytest.raises(ConfigError, match="must stay inside the card's folder"):
        locate_weights(_card(room))
    with pytest.raises(ConfigError, match="must stay inside the card's folder"):
        feature_set_of(_card(room, feature_set="file:sub/secret"))


def test_a_link_inside_the_folder_and_a_folder_that_is_a_link_itself_are_fine(room):
    (room / "card" / "real.pt").write_text("secret")
    (room / "card" / "w.pt").symlink_to("real.pt")
    _card(room)
    (room / "linked").mkdir()
    (room / "linked" / "card").symlink_to(room / "card")
    card = read_card(room / "linked" / "card" / "card.toml")
    assert locate_weights(card).read_text() == "secret"


@pytest.mark.parametrize("url", ["https://host", "https://host/", "https://host/a/..", "https://host/?x=/y.pt"])
def test_fetched_weights_need_the_name_of_a_file(room, url):
    with pytest.raises(ConfigError, match="must end with the name of a file"):
        _card(room, where=f'urls = ["{url}"]')


@pytest.mark.parametrize("name", ["../x", "/x", "a/b", "..", "", "a\\\\b", "A b"])
def test_a_suite_cannot_be_called_like_a_path(tmp_path, name):
    path = tmp_path / "x.toml"
    path.write_text(f'name = "{name}"\ntitle = "x"\nbackbones = ["mlp"]\n')
    with pytest.raises(ConfigError, match=r"name: String should match pattern"):
        read_suite(path)


@pytest.mark.parametrize("name", ["..", ".", "", "../../secret", "/etc", "a/b", "a\\b"])
def test_results_are_looked_for_below_reports_only(room, name):
    with pytest.raises(ConfigError, match="not the name of a suite"):
        load_results(name)
    assert CliRunner().invoke(app, ["results", "--", name]).exit_code == 1


@given(st.text(max_size=30))
def test_the_folder_of_results_is_refused_or_below_reports(name):
    root = results_folder("x").parent
    try:
        folder = results_folder(name)
    except ConfigError:
        return
    assert folder.parent == root
    assert folder != root


@given(st.text(alphabet=st.sampled_from("ab./\\:~%\n\x00 "), max_size=20) | st.text(max_size=40))
@example("a/../../b")
@example("/etc/passwd")
@example("C:/x")
@example("~/x")
@example("..")
def test_a_name_from_a_publisher_or_an_archive_is_refused_or_stays_inside(name):
    root = Path("/somewhere/below")
    try:
        inside = safe_name(name, where="here")
    except FetchError:
        return
    place = root / inside
    assert place != root
    assert ".." not in place.parts
    assert place.is_relative_to(root)


def test_within_follows_links(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path)
    assert within(tmp_path / "in" / "x", tmp_path / "in")
    assert not within(tmp_path / "in" / "link" / "x", tmp_path / "in")
    assert not within(tmp_path / "in" / ".." / "x", tmp_path / "in")
    assert not within(tmp_path / "inside", tmp_path / "in")
