"""Plug-ins: the template of the docs installs and runs; a broken one is named, and never breaks the others."""

import os
import re
import site
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from jetassay.errors import DuplicateNameError, PluginError
from jetassay.listing import listing
from jetassay.places import project_root
from jetassay.registry import Broken, Registry

GROUPS = {
    "backbones": ("jetassay.backbones.catalogue", "backbone_cards"),
    "datasets": ("jetassay.jets.catalogue", "dataset_cards"),
    "features": ("jetassay.features.sets", "FEATURE_SETS"),
    "tasks": ("jetassay.tasks.catalogue", "TASKS"),
}


@pytest.fixture
def install(tmp_path, monkeypatch):
    """A distribution as pip leaves it: its metadata and one module; on the path for the test."""

    def make(name, points, code="", *, group="jetassay.things"):
        folder = tmp_path / name
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = "\n".join(f"{point} = {value}" for point, value in points.items())
        (info / "entry_points.txt").write_text(f"[{group}]\n{lines}\n")
        (folder / f"{name}_module.py").write_text(code)
        monkeypatch.delitem(sys.modules, f"{name}_module", raising=False)
        monkeypatch.syspath_prepend(str(folder))

    return make


def things():
    registry = Registry("thing", of=int)
    registry.add("one", lambda: 1)
    return registry


def test_a_plug_in_gives_an_entry_or_a_function_that_makes_one(install):
    install("good", {"two": "good_module:TWO", "three": "good_module:three"}, "TWO = 2\ndef three(): return 3")
    registry = things()
    assert dict(registry) == {"one": 1, "two": 2, "three": 3}
    assert registry.origin("two") == "good 1.0"


@pytest.mark.parametrize(
    ("value", "code", "reason"),
    [
        ("nowhere:thing", "", "ModuleNotFoundError: No module named 'nowhere'"),
        ("bad_module:missing", "", "AttributeError"),
        ("bad_module:thing", "1 / 0", "ZeroDivisionError: division by zero"),
        ("bad_module:thing", "x = = 1", "SyntaxError"),
        ("bad_module:thing", "raise SystemExit(3)", "SystemExit: 3"),
        ("bad_module:thing", "def thing(): raise KeyError('x')", "KeyError"),
        ("bad_module:thing", "thing = 'text'", "'str' object is not callable"),
        ("bad_module:thing", "def thing(): return 'text'", "gives a str instead of a int"),
        ("not a reference!", "", "plug-in bad 1.0"),
    ],
)
def test_a_broken_plug_in_shows_as_broken_with_its_distribution_and_breaks_no_other(install, value, code, reason):
    install("bad", {"broken": value}, code)
    install("good", {"two": "good_module:TWO"}, "TWO = 2")
    registry = things()
    found = registry.survey()
    assert (found["one"], found["two"]) == (1, 2)
    assert isinstance(found["broken"], Broken)
    assert "plug-in bad 1.0, jetassay.things: broken = " in found["broken"].reason
    assert reason in found["broken"].reason
    with pytest.raises(PluginError, match="plug-in bad"):
        registry["broken"]


def test_a_plug_in_never_takes_a_name_that_is_there_already(install):
    install("thief", {"one": "thief_module:ONE"}, "ONE = 100")
    registry = things()
    assert registry["one"] == 1
    found = registry.survey()["one (thief 1.0)"]
    assert isinstance(found, Broken)
    assert "by jetassay and by thief 1.0" in found.reason
    with pytest.raises(DuplicateNameError, match="Rename or uninstall"):
        registry["one (thief 1.0)"]


def test_two_plug_ins_with_one_name_make_it_broken_and_both_are_named(install):
    install("first", {"two": "first_module:TWO"}, "TWO = 2")
    install("second", {"two": "second_module:TWO"}, "TWO = 22")
    registry = things()
    assert "by first 1.0 and by second 1.0" in registry.survey()["two"].reason
    with pytest.raises(DuplicateNameError):
        registry["two"]


def test_an_entry_that_calls_itself_otherwise_is_broken(install):
    code = "class Int(int): pass\nvalue = Int(2)\nvalue.name = 'other'"
    install("bad", {"two": "bad_module:value"}, code)
    assert "gives the thing 'other'" in things().survey()["two"].reason


@pytest.mark.parametrize("what", GROUPS)
def test_every_kind_takes_plug_ins_and_lists_broken_ones(install, what, monkeypatch):
    install("bad", {"from-somewhere": "nowhere:thing"}, group=f"jetassay.{what}")
    module, name = GROUPS[what]
    registry = getattr(__import__(module, fromlist=[name]), name)
    if isinstance(registry, Registry):
        for attribute in ("_makers", "_made", "_origins"):
            monkeypatch.setattr(registry, attribute, dict(getattr(registry, attribute)))
        monkeypatch.setattr(registry, "_plugins_scanned", False)
    lines = listing(what).splitlines()
    assert len(lines) > 2
    line = next(line for line in lines if line.startswith("from-somewhere"))
    assert "broken" in line
    assert f"plug-in bad 1.0, jetassay.{what}: from-somewhere = nowhere:thing: ModuleNotFoundError" in line


def template():
    """The files of the template in the docs, by name."""
    text = (project_root() / "docs" / "howto-plugin.md").read_text()
    return dict(re.findall(r"`([\w./]+)`:\n\n```\w+\n(.*?)```", text, flags=re.DOTALL))


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A fresh environment that sees the packages of this one, with the template of the docs installed into it."""
    root = tmp_path_factory.mktemp("plugin")
    for name, content in template().items():
        (root / "package" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "package" / name).write_text(content)
    venv.create(root / "env", with_pip=False)
    python = root / "env" / "bin" / "python"
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
    lines = "".join(f"import site; site.addsitedir({folder!r})\n" for folder in site.getsitepackages())
    (Path(packages) / "outer.pth").write_text(lines)
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "--no-index", root / "package"], check=True)
    return python


def test_the_template_of_the_docs_installs_into_a_fresh_environment_and_a_suite_runs_with_it(
    environment, home, jets_folder
):
    (home / "mine.toml").write_text(
        """
name = "mine"
title = "With a plug-in"
backbones = ["mean-momenta", "tiny-1"]
dataset = { card = "my-jets" }
split = { train = 1, validation = 1, test = 1 }
probe = { signals = ["Hbb"] }
[tasks.spread]
seed = 3
"""
    )
    env = {**os.environ, "MY_JETS": str(jets_folder)}
    run = [environment, "-m", "jetassay.cli", "run", "mine.toml"]
    done = subprocess.run(run, cwd=home, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    import pandas as pd

    frame = pd.read_parquet(home / "workspace/reports/mine/scores.parquet")
    spread = frame[frame["task"] == "spread"]
    assert list(spread["backbone"]) == ["mean-momenta", "tiny-1"]
    assert (spread["value"] > 0).all()
    assert set(spread["seed"]) == {3}
    assert "mean-momenta" in set(frame[frame["task"] == "probe"]["backbone"])
    listed = subprocess.run(
        [environment, "-m", "jetassay.cli", "list", "features"], env=env, capture_output=True, text=True, check=True
    )
    assert "momenta" in listed.stdout
