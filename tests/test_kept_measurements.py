"""What becomes of what `make throughput` measured, whatever fails; nothing here takes time."""

import importlib
import io
import json
import sys

import pytest
from rich.console import Console

from jetassay import throughput
from jetassay.errors import ConfigError, InterruptedRunError, JetAssayError, TrackingError
from jetassay.gates import enforce, render_judgement
from jetassay.measurements import read_session
from jetassay.progress import Reporter
from jetassay.speed_text import render_session
from jetassay.throughput import PROGRAMS, run_benchmarks, run_measuring
from measured_speeds import OTHER, SESSION, SIDE_BY_SIDE

QUIET = Reporter(quiet=True)


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


def test_the_answer_is_the_tables_and_where_everything_is(run):
    run_with, tracked = run
    text, judgement = run_with()
    assert text.startswith(render_session({**SESSION, "quantities": []}))
    assert render_judgement(judgement) in text
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
    text, judgement = run_with(gates_only=True)
    assert text.startswith(render_judgement(judgement))
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
    assert render_session(SESSION) in said.getvalue()


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


def test_one_core_costs_the_gates_of_two_threads_and_nothing_else(run):
    run_with, tracked = run
    one_thread = [each for each in SIDE_BY_SIDE["quantities"] if "2 threads" not in each["quantity"]]
    text, judgement = run_with(side_by_side={**SIDE_BY_SIDE, "quantities": one_thread}, gates_only=True)
    assert len(judgement.verdicts) == len(one_thread) == 13
    assert len(read_session(tracked[0])["quantities"]) == 13
    named = "Gates of what was not measured (those of two threads need two cores): ParT 2 threads / 1, wall; ParT 2"
    assert named in text
    assert named in tracked[0].with_name("report.html").read_text()
    with pytest.raises(JetAssayError, match=r"(?m)^4 of 17 gates could not be measured"):
        enforce(judgement)


def test_a_part_that_cannot_be_read_stays_and_costs_the_others_nothing(run):
    run_with, tracked = run
    wrong = {**SIDE_BY_SIDE, "quantities": [{**SIDE_BY_SIDE["quantities"][0], "ours": [-1.0]}]}
    with pytest.raises(JetAssayError, match=r"1 failed; .* and tracked\n  side-by-side: .*speeds must be positive"):
        run_with(side_by_side=wrong)
    assert read_session(tracked[0])["curves"] == OTHER["curves"]
    assert json.loads(tracked[0].with_name("side-by-side.json").read_text()) == wrong
    assert "speeds must be positive" in tracked[0].with_name("report.html").read_text()


def test_without_its_page_a_run_is_tracked_all_the_same(run, monkeypatch):
    run_with, tracked = run

    def write(*_, **__):
        raise ValueError("no such colour")

    monkeypatch.setattr("jetassay.speed_page.write_speed_page", write)
    with pytest.raises(JetAssayError, match=r"1 failed; .* and tracked\n  page: ValueError: no such colour"):
        run_with()
    assert len(read_session(tracked[0])["quantities"]) == 17


def test_a_figure_that_cannot_be_drawn_costs_that_figure(run, monkeypatch):
    run_with, tracked = run

    def draw(_):
        raise ValueError("no such colour")

    monkeypatch.setattr("jetassay.speed_page.ratio_figure", draw)
    with pytest.raises(JetAssayError, match=r"1 failed; .* and tracked\n  page, 1: figure ratios .*no such colour"):
        run_with()
    assert "Scaling" in tracked[0].with_name("report.html").read_text()


def test_where_tracking_fails_the_tables_the_json_and_the_page_are_kept(run, monkeypatch, tmp_path):
    run_with, _ = run

    def record(*_, **__):
        raise TrackingError("the server is away")

    monkeypatch.setattr("jetassay.tracking.throughput.record_throughput", record)
    said = io.StringIO()
    with pytest.raises(JetAssayError, match=r"1 failed; what was measured is in \S+\n  tracking: .*server is away"):
        run_with(reporter=Reporter(console=Console(file=said, soft_wrap=True)))
    (folder,) = (tmp_path / "reports" / "throughput").iterdir()
    assert {"throughput.json", "report.html"} <= {path.name for path in folder.iterdir()}
    assert render_session(SESSION) in said.getvalue()


@pytest.fixture
def program(monkeypatch, tmp_path):
    """Runs a program of `benchmarks/` in this process: what was saved, and how it ended."""
    monkeypatch.syspath_prepend(str(throughput.project_root()))
    rounds = importlib.import_module("benchmarks.rounds")
    path = tmp_path / "part.json"
    monkeypatch.setattr("sys.argv", ["part", str(path)])

    def run(main):
        with pytest.raises(SystemExit) as ended:
            rounds.program(main)
        return read_session(path), str(ended.value)

    return run


@pytest.mark.parametrize("error", [JetAssayError("embeddings differ"), KeyboardInterrupt()], ids=["error", "Ctrl-C"])
def test_a_program_that_ends_early_leaves_the_parts_before(program, error):
    def main():
        yield {"numbers": [*OTHER["numbers"]], "curves": OTHER["curves"]}
        yield {"numbers": ({**each, "name": "writing"} for each in OTHER["numbers"])}
        raise error

    session, said = program(main)
    assert [each["name"] for each in session["numbers"]] == ["reading", "writing"]
    assert session["curves"] == OTHER["curves"]
    assert {"datetime", "machine_info", "commit_info", "benchmarks"} <= session.keys()
    assert said.startswith("stopped; what was finished is in" if not str(error) else "error: embeddings differ")


def test_a_part_that_ended_early_is_kept_and_named(tmp_path):
    path = tmp_path / "part.json"
    code = f"import pathlib, sys; pathlib.Path({str(path)!r}).write_text('{{}}'); sys.exit('no memory left')"
    with pytest.raises(JetAssayError, match=r"^not all was measured; exit code 1:\nno memory left$"):
        run_measuring([sys.executable, "-c", code], path, QUIET)
    assert path.exists()
