"""How benchmarks are run, saved and shown; nothing here looks at how long anything takes."""

import importlib
import inspect
import os
import shutil
import signal
import subprocess
import sys

import psutil
import pytest

from jetassay import throughput
from jetassay.errors import ConfigError, JetAssayError
from jetassay.measurements import read_session
from jetassay.progress import Reporter
from jetassay.throughput import PROGRAMS, measurable_cards, run_benchmarks

QUIET = Reporter(quiet=True)
FAKES = """
import os
import time

import pytest


@pytest.mark.parametrize("batch_size", [1, 16])
def bench_forward(measure, batch_size):
    measure(lambda: sum(range(1000)), jets=32, backbone="fast", batch_size=batch_size, dtype="float32", device="cpu")


def bench_reading(measure):
    measure(lambda: sum(range(1000)), jets=500)


def bench_wrong(measure):
    raise ValueError("no such file: jets.root")


def bench_endless(measure):
    measure(lambda: time.sleep(600 if "ENDLESS" in os.environ else 0), jets=1)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The benchmarks folder of a project with the fake benchmarks and the real conftest."""
    folder = tmp_path_factory.mktemp("project") / "benchmarks"
    folder.mkdir()
    (folder.parent / "pyproject.toml").write_text('[tool.pytest.ini_options]\npython_files = ["bench_*.py"]\n')
    (folder / "bench_fakes.py").write_text(FAKES)
    shutil.copy(throughput.project_root() / "benchmarks" / "conftest.py", folder)
    return folder


@pytest.fixture(scope="module")
def measured(project):
    """The session of the fake benchmarks, one of which fails."""
    path = project.parent / "result.json"
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTEST_ADDOPTS", "--no-such-option")  # what the user's own tests need is nothing to us
        patched.setenv("PYTEST_XDIST_WORKER", "gw0")  # nor is that they run in several processes
        throughput._run_pytest(project, path, QUIET)
    return read_session(path)


def test_a_backbone_that_is_broken_or_without_weights_is_left_out_with_the_reason(tmp_path, monkeypatch):
    for name, card in {
        "in-pieces": "name = 3",
        "far-away": f"""
            name = "far-away"
            title = "A backbone whose weights are elsewhere"
            architecture = "jetassay.backbones.part:build"
            feature_set = "part-kin"
            embedding_dim = 8
            [weights]
            urls = ["https://example.org/far-away.pt"]
            sha256 = "{"0" * 64}"
            licence = "MIT"
            size = 1
            """,
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "card.toml").write_text(card)
    monkeypatch.setenv("JETASSAY_MODELS", str(tmp_path))
    cards, reasons = measurable_cards()
    assert reasons["in-pieces"].startswith("broken: ")
    assert reasons["far-away"].startswith("weights missing")
    assert reasons["far-away"].endswith("jetassay fetch far-away")
    assert "jet-observables" in cards
    assert not cards.keys() & reasons.keys()


def test_each_benchmark_says_how_many_jets_it_did_a_second(measured):
    assert [each["name"] for each in measured["benchmarks"]] == [
        "bench_forward[1]", "bench_forward[16]", "bench_reading", "bench_endless",
    ]  # fmt: skip
    for each in measured["benchmarks"]:
        about = each["extra_info"]
        assert about["threads"] == 1
        assert about["jets_per_s"] * each["stats"]["median"] == pytest.approx(about["jets"])


def test_a_session_says_on_what_it_ran_but_not_whose_machine_that_is(measured):
    machine = measured["machine_info"]
    assert {"torch", "cpu", "threads", "load_before", "load_after", "usable_cores"} <= machine.keys()
    assert "node" not in machine
    assert measured["commit_info"].keys() == {"id", "dirty", "note"}


def test_a_session_says_what_failed_and_what_could_not_be_measured(measured):
    assert measured["failed"] == {"bench_wrong": "ValueError: no such file: jets.root"}
    assert measured["skipped"] == measurable_cards()[1]


def test_where_no_benchmark_can_run_the_error_says_what_pytest_said(tmp_path):
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\npython_files = ["bench_*.py"]\n')
    (folder / "bench_fakes.py").write_text("import no_such_package")
    with pytest.raises(JetAssayError, match=r"(?s)exit code 2.*No module named 'no_such_package'"):
        throughput._run_pytest(folder, tmp_path / "result.json", QUIET)


def test_without_a_checkout_there_is_nothing_to_run(tmp_path, monkeypatch):
    monkeypatch.setattr(throughput, "project_root", lambda: tmp_path)
    with pytest.raises(ConfigError, match="benchmarks come with a checkout"):
        run_benchmarks(reporter=QUIET)


def test_ctrl_c_keeps_what_was_finished_and_leaves_no_process_behind(project, tmp_path):
    result = tmp_path / "result.json"
    code = """
import sys
from pathlib import Path
from jetassay.errors import InterruptedRunError
from jetassay.progress import Reporter
from jetassay.throughput import _run_pytest
try:
    _run_pytest(Path(sys.argv[1]), Path(sys.argv[2]), Reporter())
except InterruptedRunError as error:
    print("stopped:", error)
"""
    command = [sys.executable, "-c", code, str(project), str(result)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes, env={**os.environ, "ENDLESS": "1"}) as process:
        for line in process.stderr:
            if "bench_wrong FAILED" in line:  # the endless one is next
                break
        (child,) = psutil.Process(process.pid).children()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert out == f"stopped: benchmarks stopped; what was finished is in {tmp_path}. Nothing was tracked.\n"
    assert len(read_session(result)["benchmarks"]) == 3
    assert not child.is_running()


def test_every_benchmark_can_be_collected():
    folder = throughput.project_root() / "benchmarks"
    command = [sys.executable, "-m", "pytest", str(folder), "--collect-only", "-q", *throughput._OPTIONS]
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder.parent, env=alone)
    assert done.returncode == 0, done.stdout
    for stage in ("bench_reading", "bench_features[part-full]", "bench_probe", "bench_cka"):
        assert stage in done.stdout
    for size in (1, 16, 64, 256):
        assert f"bench_forward[jet-observables-{size}]" in done.stdout


@pytest.mark.parametrize("module", PROGRAMS.values())
def test_every_program_is_there_and_yields_its_parts(module, monkeypatch):
    monkeypatch.syspath_prepend(str(throughput.project_root()))
    main = importlib.import_module(module).main
    assert inspect.isgeneratorfunction(main)
    assert not inspect.signature(main).parameters
