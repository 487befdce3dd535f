"""Sharding, resuming, reproducing: whole files, the same every time."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, replace

import psutil
import pytest
import uproot

from jetassay.errors import ConfigError, InterruptedRunError, SimulationError
from jetassay.progress import Bar, Reporter
from jetassay.simulation import RECIPE_FILE, Recipe, sample, simulate
from jetassay.simulation.workers import Workers
from jetassay.simulation.writing import content_digest, read_facts

SMALL = Recipe(classes=("Hqql", "Tbqq"), jets=11, files=2, seed=3)


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    return simulate(SMALL, output=folder, workers=2)


def cut(victim, other):
    victim.write_bytes(victim.read_bytes()[:9000])


def put_another_in_its_place(victim, other):
    victim.write_bytes(other.read_bytes())


def flip_a_value(victim, other):
    """One byte whose change gives other jets and no error: a ROOT file has no checksum of its own."""
    whole, before = victim.read_bytes(), content_digest(victim)
    for position in range(2000, len(whole), 101):
        victim.write_bytes(whole[:position] + bytes([whole[position] ^ 0x55]) + whole[position + 1 :])
        with suppress(Exception):
            if content_digest(victim) != before and read_facts(victim):
                return
    pytest.fail("no such byte was found")


def test_files_are_named_by_class_and_number_and_hold_what_was_asked_for(two_workers):
    assert [path.name for path in two_workers] == ["Hqql_000.root", "Hqql_001.root", "Tbqq_000.root", "Tbqq_001.root"]
    assert [uproot.open(path)["tree"].num_entries for path in two_workers] == [6, 5, 6, 5]


def test_the_arrays_are_equal_to_the_bit_for_any_number_of_workers(two_workers, tmp_path, quiet):
    one = simulate(SMALL, output=tmp_path, workers=1, reporter=quiet)
    assert [content_digest(path) for path in one] == [content_digest(path) for path in two_workers]


def test_classes_files_and_seeds_give_different_jets(two_workers, tmp_path, quiet):
    other = simulate(Recipe(classes=("Tbqq",), jets=5, files=1, seed=4), output=tmp_path, reporter=quiet)
    digests = [content_digest(path) for path in (*two_workers, *other)]
    assert len(set(digests)) == len(digests)


def test_the_recipe_is_noted_with_counts(two_workers):
    note = json.loads((two_workers[0].parent / RECIPE_FILE).read_text())
    assert note["digest"] == SMALL.digest()
    assert note["recipe"]["seed"] == 3
    counts = note["files"]["Hqql_000.root"]
    assert counts["jets"] == 6
    assert counts["events_drawn"] >= counts["events_showered"] >= 6
    assert 0 <= counts["veto_fraction"] < 1
    assert counts["seconds"] > 0


def test_a_lost_file_is_made_again_and_the_others_are_kept(two_workers):
    before = {path: (content_digest(path), path.stat().st_mtime_ns) for path in two_workers}
    two_workers[1].unlink()
    simulate(SMALL, output=two_workers[0].parent, workers=1)
    for path, (digest, written) in before.items():
        assert content_digest(path) == digest
        assert (path.stat().st_mtime_ns == written) == (path is not two_workers[1])


def test_some_files_alone_are_those_of_the_whole_sample(two_workers, tmp_path, quiet):
    wanted = {"Hqql_001.root", "Tbqq_000.root"}
    some = simulate(SMALL, output=tmp_path, workers=1, reporter=quiet, only=wanted)
    assert {path.name for path in some} == {path.name for path in tmp_path.glob("*.root")} == wanted
    assert {content_digest(path) for path in some} == {
        content_digest(path) for path in two_workers if path.name in wanted
    }
    assert set(json.loads((tmp_path / RECIPE_FILE).read_text())["files"]) == wanted
    one = simulate(SMALL, output=tmp_path, workers=1, reporter=quiet, only={"Hqql_000.root"})
    assert [path.name for path in one] == ["Hqql_000.root"]
    assert len(json.loads((tmp_path / RECIPE_FILE).read_text())["files"]) == 3


def test_fewer_jets_of_a_file_are_its_first(two_workers, tmp_path, quiet):
    fewer = simulate(replace(SMALL, jets=6), output=tmp_path, workers=1, reporter=quiet, only={"Hqql_000.root"})
    first, whole = (uproot.open(path)["tree"].arrays(["jet_pt", "part_px"]) for path in (fewer[0], two_workers[0]))
    assert first.tolist() == whole[:3].tolist()


def test_a_second_run_starts_no_process(two_workers, monkeypatch):
    monkeypatch.setattr(sample, "Workers", None)
    assert simulate(SMALL, output=two_workers[0].parent) == two_workers


def test_a_folder_of_another_recipe_is_an_error_unless_forced(tmp_path, quiet):
    def recipe(files: int, seed: int) -> Recipe:
        return Recipe(classes=("Zqq",), jets=2, files=files, seed=seed)

    old = simulate(recipe(2, 1), output=tmp_path, reporter=quiet)
    with pytest.raises(SimulationError, match="another recipe"):
        simulate(recipe(1, 2), output=tmp_path, reporter=quiet)
    (tmp_path / RECIPE_FILE).rename(tmp_path / "elsewhere")
    with pytest.raises(SimulationError, match=r"Zqq_000\.root was simulated with another recipe"):
        simulate(recipe(1, 2), output=tmp_path, reporter=quiet)
    (tmp_path / "elsewhere").rename(tmp_path / RECIPE_FILE)
    new = simulate(recipe(1, 2), output=tmp_path, force=True, reporter=quiet)
    assert new == old[:1]
    assert not old[1].exists()


def test_a_foreign_file_in_the_way_is_an_error(tmp_path):
    (tmp_path / "Zqq_000.root").write_text("not ROOT")
    with pytest.raises(SimulationError, match="not a file of simulated jets"):
        simulate(Recipe(classes=("Zqq",), jets=2, files=1, seed=1), output=tmp_path)


def test_no_workers_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="0 workers"):
        simulate(SMALL, output=tmp_path, workers=0)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SimulationError, match="cannot be used"):
        simulate(SMALL, output=tmp_path / "file" / "below")


def test_a_worker_that_dies_is_an_error_with_its_last_words(tmp_path):
    with (
        pytest.raises(SimulationError, match=r"died: .*unexpected keyword argument"),
        Workers([{"no": 1}], count=1) as it,
    ):
        list(it.messages())


def test_a_failed_write_is_an_error_that_names_the_file(tmp_path):
    task = {"kind": "jetclass", "name": "Zqq", "file": 0, "jets": 1, "seed": 1, "mode": "delphes", "digest": ""}
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "Zqq_000.root"
    with (
        pytest.raises(SimulationError, match=r"Zqq_000\.root: cannot be written"),
        Workers([{**task, "path": str(path)}], count=1) as crew,
    ):
        list(crew.messages())


class StopAtFirstJets(Bar):
    def advance(self, amount: int = 1) -> None:
        raise KeyboardInterrupt


def test_ctrl_c_leaves_no_part_of_a_file_and_says_what_is_kept(tmp_path, monkeypatch, quiet):
    monkeypatch.setattr("jetassay.progress.Bar", StopAtFirstJets)
    with pytest.raises(InterruptedRunError, match="0 of 4 files are whole"):
        simulate(SMALL, output=tmp_path, workers=2, reporter=quiet)
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_in_a_terminal_stops_every_process(tmp_path):
    code = (
        "from pathlib import Path\n"
        "from jetassay.errors import InterruptedRunError\n"
        "from jetassay.simulation import Recipe, simulate\n"
        "try:\n"
        "    recipe = Recipe(classes=('Tbl',), jets=9999, files=2, seed=1)\n"
        f"    simulate(recipe, output=Path({str(tmp_path)!r}), workers=2)\n"
        "except InterruptedRunError as stop:\n"
        "    print(stop)\n"
    )
    # A script without a guard for `__main__`.
    run = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        _wait_for(lambda: len(psutil.Process(run.pid).children()) == 2)
        workers = psutil.Process(run.pid).children()
        run.send_signal(signal.SIGINT)
        said, _ = run.communicate(timeout=30)
    finally:
        run.kill()
    assert run.returncode == 0
    assert "0 of 2 files are whole" in said
    psutil.wait_procs(workers, timeout=10)
    assert not any(worker.is_running() for worker in workers)


def _wait_for(condition, patience_s: float = 30.0) -> None:
    end = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_standard_output_stays_clean(tmp_path):
    code = (
        "from pathlib import Path\n"
        "from jetassay.simulation import Recipe, simulate\n"
        f"simulate(Recipe(classes=('Zqq',), jets=1, files=1, seed=1), output=Path({str(tmp_path)!r}))\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert run.stdout == b""


def test_a_file_that_another_process_made_meanwhile_is_left_alone(two_workers, tmp_path):
    path = tmp_path / "Hqql_000.root"
    shutil.copy2(two_workers[0], path)
    before = path.stat()
    recipe = asdict(SMALL)
    task = {"kind": "jetclass", "name": "Hqql", "file": 0, "jets": 6, "seed": recipe["seed"], "mode": recipe["mode"]}
    with Workers([{**task, "path": str(path), "digest": SMALL.digest()}], count=1) as crew:
        ((_, message),) = crew.messages()
    assert message["done"]["jets"] == 6
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("damage", [cut, flip_a_value, put_another_in_its_place])
def test_a_damaged_file_of_ours_is_made_again_with_a_notice(two_workers, tmp_path, capsys, damage):
    folder = tmp_path / "jets"
    shutil.copytree(two_workers[0].parent, folder)
    victim = folder / "Hqql_001.root"
    damage(victim, folder / "Hqql_000.root")
    assert simulate(SMALL, output=folder, workers=1, reporter=Reporter(quiet=True))[1] == victim
    assert "it is not used, but simulated again" in " ".join(capsys.readouterr().err.split())
    assert content_digest(victim) == content_digest(two_workers[1])


@pytest.mark.parametrize("function", ["read_facts", "check_content"])
def test_a_file_that_the_system_cannot_read_now_is_not_taken_for_damaged(two_workers, tmp_path, monkeypatch, function):
    folder = tmp_path / "jets"
    shutil.copytree(two_workers[0].parent, folder)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    inner = {"read_facts": "uproot.open", "check_content": "jetassay.simulation.writing.content_digest"}[function]

    def refuse(path):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(inner, refuse)
    with pytest.raises(SimulationError, match="Too many open files"):
        simulate(SMALL, output=folder, reporter=Reporter(quiet=True))
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_a_file_tells_the_digest_of_what_it_holds(two_workers):
    for path in two_workers:
        assert read_facts(path)["content"] == content_digest(path)
