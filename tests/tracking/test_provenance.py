import getpass
import json
import platform
import shutil
import subprocess
import sys

import numpy as np
import pytest

from jetassay.tracking.provenance import collect_provenance, git_facts, machine_facts, version_facts

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def facts():
    return collect_provenance(
        parameters={"suite": "trial"},
        data={"name": "jetclass-sim", "digest": "d" * 64},
        weights={"mlp": "a" * 64, "jet-observables": None},
        seed=3,
        threads=2,
        timing_s={"embed": 1.23456},
    )


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository with one commit, as a clone of the project looks."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    for command in (
        ["init", "-q"],
        ["add", "pyproject.toml"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first"],
    ):
        subprocess.run(["git", "-C", tmp_path, *command], check=True)
    return tmp_path


def test_provenance_has_everything_a_number_depends_on_and_is_json(facts):
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    expected = {
        "parameters",
        "data",
        "weights",
        "seed",
        "git",
        "versions",
        "machine",
        "threads",
        "timing_s",
        "peak_memory_mib",
    }
    assert expected <= set(facts)
    assert facts["timing_s"] == {"embed": 1.235}
    assert facts["threads"]["used"] == 2


def test_provenance_names_neither_user_nor_host_nor_home(facts, tmp_path):
    words = json.dumps({key: facts[key] for key in ("machine", "threads", "versions", "git")}).split('"')
    assert getpass.getuser() not in words
    assert platform.node() not in words
    assert not any(word.startswith("/") for word in words)


def test_versions_are_those_of_the_running_packages():
    versions = version_facts()
    assert versions["python"] == platform.python_version()
    assert versions["numpy"] == np.__version__
    assert versions["mlflow"]
    assert versions["torch"]


def test_the_machine_is_described():
    machine = machine_facts()
    assert machine["cpu"]
    assert machine["usable_cores"] >= 1
    assert machine["memory_gib"] > 0


def test_peak_memory_keeps_what_was_freed():
    code = (
        "import numpy as np, jetassay.tracking.provenance as p; before = p.peak_memory_mib();"
        "np.ones(2**25).sum(); print(before, p.peak_memory_mib())"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True)
    before, after = map(float, done.stdout.split())
    assert 250 <= after - before <= 300  # 2**25 numbers are 256 MiB


@needs_git
def test_a_clean_checkout_gives_its_commit(checkout):
    head = subprocess.run(["git", "-C", checkout, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    assert git_facts(checkout) == {"commit": head.stdout.strip(), "dirty": False, "note": None}


@needs_git
@pytest.mark.parametrize("name", ["pyproject.toml", "new.py"])
def test_a_changed_or_added_file_makes_it_dirty(checkout, name):
    (checkout / name).write_text("changed\n")
    assert git_facts(checkout)["dirty"] is True


@needs_git
def test_an_installed_package_inside_another_checkout_does_not_take_its_commit(checkout):
    inside = checkout / "venv" / "_data"
    inside.mkdir(parents=True)
    assert git_facts(inside) == {"commit": None, "dirty": None, "note": "not a git checkout"}


@needs_git
def test_a_hooks_variables_do_not_mislead(checkout, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(tmp_path_factory.mktemp("other")))
    assert git_facts(checkout)["commit"] is not None


def test_a_folder_without_git_says_so(tmp_path):
    assert git_facts(tmp_path)["commit"] is None
    assert git_facts(tmp_path)["note"]


def test_no_git_at_all_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_facts(tmp_path)["note"] == "git is not installed"


def test_provenance_needs_neither_mlflow_nor_torch():
    code = (
        "import sys, jetassay.tracking.provenance as p; p.machine_facts(); p.git_facts();"
        "assert not {'mlflow', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
