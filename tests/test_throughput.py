"""How benchmarks are run, saved and shown; nothing here looks at how long anything takes."""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys

import psutil
import pytest
from rich.console import Console

from jetassay import throughput
from jetassay.errors import ConfigError, DataError, JetAssayError
from jetassay.progress import Reporter
from jetassay.throughput import measurable_cards, read_session, render, run_benchmarks

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


def benchmark_of(name, rate, **about):
    return {"name": name, "extra_info": {"jets_per_s": rate, **about}, "stats": {"median": 2.0, "iqr": 0.2}}


def forward(backbone, rate, **about):
    return benchmark_of("bench_forward", rate, backbone=backbone, threads=1, dtype="float32", device="cpu", **about)


SESSION = {
    "machine_info": {
        "cpu": {"brand_raw": "Some Processor"},
        "usable_cores": 2,
        "load_before": 0.25,
        "load_after": 1.5,
        "torch": "2.13.0",
    },
    "commit_info": {"id": "0123456789abcdef", "dirty": True},
    "datetime": "2026-01-02T03:04:05.678",
    "benchmarks": [
        forward("part-mini", 1234.5, batch_size=256),
        forward("part-mini", 86.42, batch_size=16),
        forward("part-mini", 2000.0, variant="sorted"),
        forward("part-mini", 400.0, batch_size=256, variant="weaver"),
        forward("mlp", 98765.0, batch_size=16),
        benchmark_of("bench_reading", 30000.0, jets=6000, note="a ROOT file"),
    ],
    "skipped": {"sophon": "weights missing"},
    "failed": {},
}


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
        throughput._run_pytest(project, path, QUIET)
    return read_session(path)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """`run_benchmarks` where benchmarks give a certain session, tracking in name only; and what was tracked."""
    tracked = []

    class Recorded:
        store, compare = "the store", "the link"

    def run_with(session, reporter=QUIET):
        monkeypatch.setattr(throughput, "_run_pytest", lambda _, path, __: path.write_text(json.dumps(session)))
        return run_benchmarks(reporter=reporter)

    monkeypatch.setenv("JETASSAY_WORKSPACE", str(tmp_path))
    monkeypatch.setattr(throughput, "benchmark_files", lambda **_: [])
    monkeypatch.setattr(
        "jetassay.tracking.throughput.record_throughput", lambda path, **_: tracked.append(path) or Recorded()
    )
    return run_with, tracked


def test_the_table_has_a_row_for_each_backbone_and_columns_by_batch_size():
    lines = render(SESSION).splitlines()
    assert lines[0] == "jets/s by jets in a batch (1 thread, float32, cpu)"
    assert re.split(r"\s{2,}", lines[1].strip()) == ["16", "256", "256 weaver", "sorted"]
    assert re.split(r"\s{2,}", lines[2]) == ["part-mini", "86.4 ±5%", "1,234 ±5%", "400 ±5%", "2,000 ±5%"]
    assert re.split(r"\s{2,}", lines[3]) == ["mlp", "98,765 ±5%", "-", "-", "-"]


def test_columns_of_numbers_end_together():
    table = render(SESSION).splitlines()[1:4]
    assert len({len(line) for line in table}) == 1


def test_stages_and_what_was_not_measured_and_the_machine_stand_below():
    text = render(SESSION)
    assert "reading  30,000 ±5%  6,000 jets, a ROOT file" in text
    assert "not measured\nsophon  weights missing" in text
    assert text.endswith(
        "Some Processor; 2 cores; load average 0.2 before and 1.5 after; torch 2.13.0; commit 0123456789 and changes; "
        "2026-01-02T03:04:05 UTC"
    )


def test_a_session_of_one_stage_and_no_facts_has_no_empty_blocks():
    text = render({"benchmarks": [benchmark_of("bench_cka", 5.0, jets=10)]})
    assert text.startswith("jets/s of the stages alone\ncka  5.00 ±5%  10 jets\n")
    assert "not measured" not in text


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"benchmarks": [{"name": "test_it", "extra_info": {}, "stats": {"median": 1, "iqr": 0}}]}'],
)
def test_a_file_that_is_no_session_of_ours_is_refused_by_name(tmp_path, content):
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(DataError, match=r"other\.json: not written by `make throughput`"):
        read_session(path)


def test_a_missing_session_is_an_error_that_names_the_file(tmp_path):
    with pytest.raises(DataError, match=r"none\.json: cannot be read: No such file"):
        read_session(tmp_path / "none.json")


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


def test_the_answer_is_the_table_and_where_everything_is(run):
    run_with, tracked = run
    text = run_with(SESSION)
    assert text.startswith(render(SESSION))
    assert text.endswith(f"json          {tracked[0]}\ntracking      the store\nside by side  the link")
    assert tracked[0].parent.parts[-2:] == ("reports", "throughput")


def test_a_failed_benchmark_is_an_error_and_the_others_are_shown_and_tracked(run):
    run_with, tracked = run
    said = io.StringIO()
    with pytest.raises(JetAssayError, match=r"1 of 7 benchmarks failed.*\n  bench_wrong: ValueError: no jets"):
        run_with(
            {**SESSION, "failed": {"bench_wrong": "ValueError: no jets"}},
            Reporter(console=Console(file=said, soft_wrap=True)),
        )
    assert tracked[0].exists()
    assert render(SESSION) in said.getvalue()


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
    assert out == f"stopped: benchmarks stopped; what was finished is in {result}. Nothing was tracked.\n"
    assert len(read_session(result)["benchmarks"]) == 3
    assert not child.is_running()


def test_every_benchmark_can_be_collected():
    folder = throughput.project_root() / "benchmarks"
    command = [sys.executable, "-m", "pytest", str(folder), "--collect-only", "-q", *throughput._OPTIONS]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder.parent)
    assert done.returncode == 0, done.stdout
    for stage in ("bench_reading", "bench_features[part-full]", "bench_probe", "bench_cka"):
        assert stage in done.stdout
    for size in (1, 16, 64, 256):
        assert f"bench_forward[jet-observables-{size}]" in done.stdout
