"""What the doctor sees: a healthy machine, and each thing that can be wrong with one."""

import importlib.metadata
import shutil
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from jetassay import doctor
from jetassay.cli import app
from jetassay.doctor import examine


@pytest.fixture
def room(home, monkeypatch):
    """A home whose disk has room, whatever this machine's has."""
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(free=10**12))
    for name in ("DATADIR_JetClass", "DATADIR_JetClass2", "DATADIR_TopLandscape"):
        monkeypatch.delenv(name, raising=False)
    return home


def rows(found):
    return {each.what: each for each in found.findings}


def test_a_healthy_machine_can_run_the_default_suite(room):
    found = examine()
    assert found.problems == ()
    assert found.table(width=120).endswith("the default suite can run")
    assert "part-mini" in rows(found)["backbones"].text
    assert "jetclass-sim" in rows(found)["datasets"].text
    assert rows(found)["cache"].text.startswith(str(room / "cache"))


def test_nothing_is_written(room):
    before = sorted(room.rglob("*"))
    examine()
    assert sorted(room.rglob("*")) == before


def test_the_table_is_aligned_and_fits_one_screen(room):
    lines = examine().table(width=120).splitlines()
    assert max(map(len, lines)) <= 120
    assert len(lines) <= 50
    start = lines[0].index("3.")
    assert all(line[start - 1] == " " for line in lines[:-1])


def test_official_weights_and_datasets_say_what_they_need(room):
    found = rows(examine())
    assert (found["sophon"].verdict, found["sophon"].text) == ("-", "weights missing: jetassay fetch sophon")
    assert found["jetclass"].verdict == "-"
    assert "jetassay fetch jetclass, or set DATADIR_JetClass" in found["jetclass"].text


def test_files_in_the_named_folder_make_a_dataset_ready(room, monkeypatch, tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "HToBB_000.root").write_bytes(b"root")
    monkeypatch.setenv("DATADIR_JetClass", str(tmp_path / "deep"))
    assert rows(examine())["datasets"].text.split(", ") == ["jetclass-sim", "jetclass"]


def test_each_dataset_is_known_by_its_own_kind_of_file(room):
    for name in ("jetclass", "quarkgluon"):
        (room / "cache" / "datasets" / name).mkdir(parents=True)
        (room / "cache" / "datasets" / name / "train.npz").write_bytes(b"x")
    found = rows(examine())
    assert found["datasets"].text.split(", ") == ["jetclass-sim", "quarkgluon"]
    assert found["jetclass"].text.startswith("no files")


def test_wrong_weights_are_told(room):
    place = room / "cache" / "weights" / "sophon" / "model.pt"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"not them")
    assert "is not the file that the card names" in rows(examine())["sophon"].text


def test_a_broken_card_is_told_and_is_no_problem_unless_needed(room, monkeypatch):
    (room / "models" / "tiny-1" / "card.toml").write_text("nonsense = 1")
    found = examine()
    assert rows(found)["tiny-1"].verdict == "-"
    assert "nonsense" in rows(found)["tiny-1"].text
    assert found.problems == ()


def test_missing_packages_are_told_with_the_extra_that_has_them(room, monkeypatch):
    known = importlib.metadata.version

    def version(name):
        if name in {"pythia8mc", "scipy"}:
            raise importlib.metadata.PackageNotFoundError(name)
        return known(name)

    monkeypatch.setattr(doctor.importlib.metadata, "version", version)
    found = examine()
    assert rows(found)["packages"].text == "missing: scipy"
    assert "pip install 'jetassay[simulation]'" in rows(found)["extra simulation"].text
    assert rows(found)["jetclass-sim"].verdict == "bad"
    assert [each.what for each in found.problems] == ["packages", "jetclass-sim"]


def test_a_full_disk_is_a_problem(home, monkeypatch):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    assert [each.what for each in examine().problems] == ["cache", "workspace"]


def test_a_folder_that_cannot_be_written_is_a_problem(room, monkeypatch):
    monkeypatch.setenv("JETASSAY_CACHE", "/proc/nowhere")
    found = rows(examine())
    assert found["cache"].verdict == "bad"
    assert "set JETASSAY_CACHE" in found["cache"].text


@pytest.mark.parametrize("uri", ["./mlruns", "http://127.0.0.1:1", "http://[bad/"])
def test_a_tracking_store_that_is_not_there_is_a_problem(room, monkeypatch, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert [each.what for each in examine().problems] == ["tracking"]


def test_missing_shipped_weights_are_a_problem_of_the_default_suite(room, monkeypatch):
    from jetassay.backbones import catalogue
    from jetassay.places import models_folder

    copied = room / "copied"
    shutil.copytree(models_folder(), copied, ignore=shutil.ignore_patterns("*.csv"))
    (copied / "mlp" / "weights.safetensors").unlink()
    shutil.rmtree(copied / "part-mini")
    monkeypatch.setattr(catalogue, "models_folder", lambda: copied)
    found = examine()
    assert "restore its folder" in rows(found)["mlp"].text
    assert {"mlp", "part-mini"} <= {each.what for each in found.problems}


@pytest.mark.parametrize(("uri", "code"), [("", 0), ("./mlruns", 1)])
def test_the_exit_code_says_whether_the_default_suite_can_run(room, monkeypatch, uri, code):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    result = CliRunner().invoke(app, ["doctor"], catch_exceptions=False)
    assert result.exit_code == code
    assert result.stdout.splitlines()[-1].startswith("the default suite can" + ("not" if code else ""))
