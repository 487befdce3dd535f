"""Suites are TOML without code; every wrong key is named."""

from pathlib import Path

import pytest

from jetassay.errors import ConfigError, UnknownNameError
from jetassay.suite import Suite, find_suite, read_suite, suites

GOOD = """
name = "mine"
title = "Mine"
backbones = ["mlp"]
[dataset]
card = "jetclass-sim"
files = 3
[split]
train = 1
validation = 1
test = 1
"""

GROUPING = """
[[zero_shot.groupings]]
outputs = ["a", "b"]
classes = ["QCD", "Hbb"]
[zero_shot.groupings.groups]
QCD = ["a", "b"]
Hbb = ["a"]
"""


@pytest.mark.parametrize("name", sorted(suites()))
def test_every_suite_of_the_project_reads(name):
    assert isinstance(suites()[name], Suite)


def test_a_suite_of_ones_own_is_found_by_its_path(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    assert find_suite(str(path)).backbones == ("mlp",)


def test_an_unknown_suite_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'default'"):
        find_suite("defualt")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("train = 1", "train = 0"), "split.train"),
        (('title = "Mine"', 'titel = "Mine"'), r"titel: Extra inputs are not permitted; did you mean 'title'\?"),
        (('["mlp"]', '["mlp", "mlp"]'), "listed twice: mlp"),
        (('name = "mine"', 'name = "yours"'), "make them equal"),
        (("[split]", "[split"), "not valid TOML"),
        (("[split]", '[zero_shot]\nsignals = ["QCD"]\n[split]'), "unknown signals QCD"),
        (("[split]", f"[zero_shot]\n{GROUPING}[split]"), "on both sides of Hbb against QCD: a"),
        (
            ("[split]", f"[zero_shot]\n{GROUPING}[split]".replace('Hbb = ["a"]', 'Hbb = ["x"]')),
            "group of Hbb: no such output: x",
        ),
        (("[split]", '[probe]\nsignals = ["Hbb", "Hxx"]\n[split]'), "unknown signals Hxx"),
        (("[split]", "[probe]\nsignals = []\n[split]"), "probe.signals"),
        (("[split]", "[probe]\nseed = -1\n[split]"), "probe.seed"),
        (("[split]", "[probe]\nseed = 1_000_000_000_000_000_000_000\n[split]"), "probe.seed"),
        (("[split]", "[similarity]\n[split]"), "name two at least"),
        (("train = 1", "train = 2"), "takes 4 files of each class, but .* makes 3"),
    ],
)
def test_what_is_wrong_in_a_suite_is_named(tmp_path, change, message):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD.replace(*change))
    with pytest.raises(ConfigError, match=message):
        read_suite(path)


def test_a_missing_suite_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_suite(tmp_path / "none.toml")


def test_a_suite_moves_to_other_jets_and_keeps_what_it_measures(tmp_path):
    default = suites()["default"]
    moved = default.on(dataset="jetclass", folder=tmp_path)
    assert (moved.dataset.card, moved.dataset.folder, moved.dataset.jets) == ("jetclass", tmp_path, None)
    assert (moved.probe, moved.backbones) == (default.probe, default.backbones)
    assert moved.name == "default-on-jetclass"
    assert default.on() is default
    assert default.on(folder=tmp_path).dataset.model_dump(exclude_defaults=True) == {
        "card": "jetclass-sim",
        "folder": tmp_path,
    }


def test_a_relative_folder_is_the_same_one_wherever_the_suite_is_read_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    default = suites()["default"]
    moved = [default.on(folder=Path("jets")), default.on(dataset="jetclass", folder=Path("jets"))]
    path = tmp_path / "mine.toml"
    path.write_text(GOOD.replace("files = 3", 'folder = "jets"'))
    found = [*moved, read_suite(path)]
    monkeypatch.chdir("/")
    found += [Suite.model_validate(each.model_dump(mode="json")) for each in found]
    assert [each.dataset.folder for each in found] == [tmp_path / "jets"] * 6


def test_a_suite_can_take_fewer_entries_of_each_file(tmp_path):
    default = suites()["default"]
    assert default.on(limit=10).dataset.limit == 10
    moved = default.on(dataset="jetclass", folder=tmp_path, limit=10).dataset
    assert (moved.card, moved.folder, moved.limit) == ("jetclass", tmp_path, 10)


def test_on_another_split_a_suite_has_another_name_and_belongs_to_the_same_series():
    default = suites()["default"]
    drawn = default.on(seed=7)
    assert (drawn.name, drawn.series, drawn.split.seed) == ("default-seed-7", "default", 7)
    assert drawn.model_copy().series == "default"
    assert default.on(seed=default.split.seed) is default
    assert default.series == "default"


def test_other_labels_may_be_signal_and_background(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD + '[probe]\nsignals = ["quark"]\nbackground = "gluon"\n')
    assert read_suite(path).probe.signals == ("quark",)
    path.write_text(GOOD + '[probe]\nsignals = ["gluon"]\nbackground = "gluon"\n')
    with pytest.raises(ConfigError, match="gluon is the background"):
        read_suite(path)
