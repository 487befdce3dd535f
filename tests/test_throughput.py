"""How benchmarks are run, saved and shown; nothing here looks at how long anything takes."""

import importlib
import inspect
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
from jetassay.errors import ConfigError, InterruptedRunError, JetAssayError
from jetassay.gates import read_gates, render_verdicts
from jetassay.measurements import read_session
from jetassay.progress import Reporter
from jetassay.throughput import PROGRAMS, measurable_cards, render, run_benchmarks

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


def beside_peer(network, quantity, ours=4.0):
    return {"network": network, "quantity": quantity, "unit": "GFLOP/s", "ours": [ours], "peer": [1.0], "load": [0.5]}


SIDE_BY_SIDE = {
    "benchmarks": [],
    "quantities": [
        beside_peer(network, quantity)
        for network, gated in read_gates(throughput.project_root() / "benchmarks" / "gates.toml").at_least.items()
        for quantity in gated
    ],
}
OTHER = {
    "benchmarks": [],
    "curves": [{"figure": "batch", "series": "ParT", "x": "jets", "y": "jets/s", "points": [[16, 2.0], [1, 1.0]]}],
    "numbers": [{"group": "Stages", "name": "reading", "value": 3.5, "unit": "%"}],
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """`run_benchmarks` where parts give a certain session or raise, tracking in name only; and what was tracked."""
    tracked = []

    class Recorded:
        store, compare = "the store", "the link"

    def run_with(session=SESSION, reporter=QUIET, *, gates_only=False, **parts):
        def measured(command, path, *_, **__):
            part = command[2].removeprefix("benchmarks.")
            found = {"side_by_side": SIDE_BY_SIDE, **parts}.get(
                part, OTHER if part == "scaling" else {"benchmarks": []}
            )
            if isinstance(found, Exception):
                raise found
            path.write_text(json.dumps(found))

        monkeypatch.setattr(throughput, "run_measuring", measured)
        monkeypatch.setattr(throughput, "_run_pytest", lambda _, path, __: path.write_text(json.dumps(session)))
        return run_benchmarks(reporter=reporter, gates_only=gates_only)

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


def test_the_answer_is_the_tables_and_where_everything_is(run):
    run_with, tracked = run
    text, verdicts = run_with()
    assert text.startswith(render({**SESSION, "quantities": []}))
    assert render_verdicts(verdicts) in text
    page = tracked[0].with_name("report.html")
    assert text.endswith(
        f"json          {tracked[0]}\npage          {page}\ntracking      the store\nside by side  the link"
    )
    assert tracked[0].parent.parent.parts[-2:] == ("reports", "throughput")


def test_one_file_holds_what_all_parts_measured_and_the_machine_of_the_first(run):
    run_with, tracked = run
    run_with()
    session = read_session(tracked[0])
    assert [each["name"] for each in session["benchmarks"]] == [each["name"] for each in SESSION["benchmarks"]]
    assert len(session["quantities"]) == 17
    assert (session["curves"], session["numbers"]) == (OTHER["curves"], OTHER["numbers"])
    assert session["machine_info"] == SESSION["machine_info"]
    assert {path.stem for path in tracked[0].parent.glob("*.json")} == {*PROGRAMS, "pytest-benchmark", "throughput"}


def test_the_page_holds_ratios_curves_tables_and_what_was_not_measured(run):
    run_with, tracked = run
    run_with()
    page = tracked[0].with_name("report.html").read_text()
    for said in (
        "fp32 / weaver-padded-256",
        "Scaling",
        "Stages",
        "bench_reading",
        "sophon: weights missing",
        "Some Proc",
    ):
        assert said in page
    assert page.count("data:image/png") == 2
    assert "http" not in page.replace("http-equiv", "")


def test_gates_alone_need_one_program(run):
    run_with, tracked = run
    text, verdicts = run_with(gates_only=True)
    assert text.startswith(render_verdicts(verdicts))
    assert {path.stem for path in tracked[0].parent.glob("*.json")} == {"side-by-side", "throughput"}
    assert tracked[0].parent.name.endswith("-gates")


def test_a_failed_benchmark_is_an_error_and_the_others_are_shown_and_tracked(run):
    run_with, tracked = run
    said = io.StringIO()
    with pytest.raises(JetAssayError, match=r"2 failed.*\n  bench_wrong: ValueError: no jets\n  memory: exit code 1"):
        run_with(
            {**SESSION, "failed": {"bench_wrong": "ValueError: no jets"}},
            Reporter(console=Console(file=said, soft_wrap=True)),
            memory=JetAssayError("exit code 1"),
        )
    assert tracked[0].exists()
    assert render(SESSION) in said.getvalue()


def test_where_the_gated_program_fails_no_gate_passes_for_met(run):
    run_with, _ = run
    with pytest.raises(JetAssayError, match=r"side-by-side: embeddings differ"):
        run_with(side_by_side=JetAssayError("embeddings differ"))
    with pytest.raises(JetAssayError, match=r"side-by-side: embeddings differ"):
        run_with(side_by_side=JetAssayError("embeddings differ"), gates_only=True)


def test_ctrl_c_in_a_program_ends_the_run(run):
    run_with, tracked = run
    with pytest.raises(InterruptedRunError):
        run_with(scaling=InterruptedRunError("stopped"))
    assert tracked == []


def test_without_weaver_there_is_nothing_to_compare_with(run, monkeypatch):
    monkeypatch.setattr(throughput, "find_spec", lambda name: None if name == "weaver" else object())
    with pytest.raises(ConfigError, match="weaver-core, not installed here"):
        run[0]()


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


@pytest.mark.parametrize("module", PROGRAMS.values())
def test_every_program_is_there_and_takes_the_file_to_write(module, monkeypatch):
    monkeypatch.syspath_prepend(str(throughput.project_root()))
    main = importlib.import_module(module).main
    assert list(inspect.signature(main).parameters) == ["path", "load_before"]
