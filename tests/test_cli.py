"""The command line: light help, plain errors, exit codes that mean what they say."""

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from jetassay.cli import TRACEBACK_VARIABLE, app, main
from jetassay.errors import InterruptedRunError
from jetassay.listing import listing

COMMANDS = [
    "run",
    "audit",
    "list",
    "fetch",
    "doctor",
    "simulate",
    "card",
    "inspect",
    "convert",
    "embed",
    "add-weaver",
    "results",
    "reference",
    "export",
    "compare",
    "report",
    "ui",
    "throughput",
    "train-mini",
]


def call(*words):
    return CliRunner().invoke(app, list(words), catch_exceptions=False)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command):
    result = call(command, "--help")
    assert result.exit_code == 0
    assert f"Example: jetassay {command}" in " ".join(result.output.split())


def test_the_list_of_commands_breaks_no_sentence_off():
    described = call("--help").output.split("Commands:")[1]
    assert all(command in described for command in COMMANDS)
    assert "..." not in described


def test_help_imports_nothing_heavy():
    heavy = ["torch", "mlflow", "sklearn", "matplotlib", "seaborn", "uproot", "awkward", "pandas", "numba", "pythia8mc"]
    code = f"import sys, jetassay.cli; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("what", ["backbones", "datasets", "tasks", "suites", "features", "checks"])
def test_everything_can_be_listed(home, what):
    result = call("list", what)
    assert result.exit_code == 0
    assert {
        "backbones": "tiny-1",
        "datasets": "jetclass2",
        "tasks": "probe",
        "suites": "default",
        "features": "sophon",
        "checks": "taint",
    }[what] in result.output


@pytest.mark.parametrize("what", ["backbones", "features", "checks"])
def test_a_list_fits_a_small_terminal_and_loses_no_word(home, what):
    whole, narrow = listing(what), listing(what, width=80)
    assert max(map(len, whole.splitlines())) > 80
    assert max(map(len, narrow.splitlines())) <= 80
    assert narrow.split() == whole.split()
    names = [line.split()[0] for line in whole.splitlines()]
    assert [line.split()[0] for line in narrow.splitlines() if not line.startswith(" ")] == names


def test_a_broken_card_is_listed_with_its_reason(home):
    (home / "models" / "tiny-1" / "card.toml").write_text("nonsense = 1")
    output = call("list", "backbones").output
    line = next(line for line in output.splitlines() if line.startswith("tiny-1 "))
    assert "broken" in line
    assert "nonsense: Extra inputs are not permitted" in line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "defualt"], "Did you mean 'default'"),
        (["run", "nowhere/mine.toml"], "cannot be read"),
        (["inspect", "nowhere.root"], "nowhere.root"),
        (["embed", "tiny-9", "a.root", "--output", "b.parquet"], "There is no backbone 'tiny-9'"),
        (["embed", "tiny-1", "nowhere.root", "--output", "b.parquet"], "nowhere.root"),
        (["simulate", "--classes", "Hxx", "--jets", "5", "--output", "out"], "Hxx"),
        (["simulate", "--jets", "-5", "--output", "out"], "-5"),
        (["results", "default"], "jetassay run default"),
        (["run", "default", "--dataset", "jetclass"], "DATADIR_JetClass"),
        (["fetch", "sophon", "--from", "http://[bad/"], "--from http://[bad/: not an address"),
    ],
)
def test_an_error_is_one_plain_message_and_exit_code_1(home, words, message, monkeypatch):
    monkeypatch.chdir(home)
    result = call(*words)
    assert result.exit_code == 1
    assert "\nerror: " in f"\n{result.stderr}"
    assert message in result.stderr
    assert "Traceback" not in result.output


@pytest.fixture
def failing(monkeypatch):
    """The command line as it is called, with a fault in one of its commands; gives exit code and what it says."""

    def run(error, *, variable=""):
        def fail(_):
            raise error

        monkeypatch.setattr("jetassay.suite.find_suite", fail)
        monkeypatch.setattr(sys, "argv", ["jetassay", "run", "default"])
        monkeypatch.setenv(TRACEBACK_VARIABLE, variable)
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code

    return run


def test_an_error_that_nobody_expected_is_one_masked_line_and_exit_code_1(failing, capsys):
    assert failing(ValueError("of http://me:hunter2@host/\nand more")) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: unexpected ValueError: of http://***@host/ and more (")
    assert said.count("\n") == 1
    assert "JETASSAY_TRACEBACK=1" in said


def test_its_traceback_is_shown_where_it_is_asked_for_without_passwords(failing, capsys):
    assert failing(ValueError("of http://me:hunter2@host/"), variable="1") == 1
    said = capsys.readouterr().err
    assert "Traceback (most recent call last)" in said
    assert "in fail" in said
    assert said.endswith("ValueError: of http://***@host/\n")


def test_errors_that_are_expected_and_ctrl_c_end_as_ever(failing, capsys):
    assert failing(InterruptedRunError("stopped")) == 1
    assert failing(KeyboardInterrupt()) == 130
    assert failing(SystemExit(7)) == 7
    assert "unexpected" not in capsys.readouterr().err


def test_a_test_that_calls_a_command_sees_the_error_itself(monkeypatch):
    monkeypatch.setattr("jetassay.suite.find_suite", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        call("run", "default")


def test_wrong_usage_exits_with_2():
    assert call("run", "--no-such-option").exit_code == 2
    assert call("list", "nonsense").exit_code == 2


def test_inspect_shows_counts_and_exits_with_0_for_a_sound_file(home, jets_folder):
    result = call("inspect", str(jets_folder / "Hbb_000.root"))
    assert result.exit_code == 0
    assert "Hbb" in result.output


def test_embed_writes_one_row_a_jet_and_keeps_what_is_there(home, jets_folder):
    import pyarrow.parquet as pq

    words = ["embed", "tiny-1", str(jets_folder / "Hbb_000.root"), "--output", str(home / "out.parquet"), "--quiet"]
    assert call(*words).exit_code == 0
    assert pq.read_table(home / "out.parquet").shape == (24, 2 + 16)
    again = call(*words)
    assert again.exit_code == 1
    assert "--force" in again.stderr


def test_a_suite_runs_from_another_folder_and_its_results_print_in_every_format(home, jets_folder):
    (home / "mine.toml").write_text(
        f"""
name = "mine"
title = "Mine"
backbones = ["tiny-1", "jet-observables"]
[dataset]
card = "jetclass"
folder = "{jets_folder}"
[split]
train = 1
validation = 1
test = 1
[probe]
signals = ["Hbb"]
"""
    )
    program = [sys.executable, "-m", "jetassay.cli"]
    done = subprocess.run(
        [*program, "run", "mine.toml"], cwd=home, env=os.environ.copy(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "tiny-1" in done.stdout
    assert "taken from the store" in done.stderr
    assert "tiny-1" in call("results", "mine").stdout
    assert json.loads(call("results", "mine", "--format", "json").stdout)["scores"]
    assert call("results", "mine", "--format", "csv").stdout.startswith("schema,suite,dataset,")


def test_export_takes_the_jets_that_a_run_was_given(home, jets_folder):
    import csv

    (home / "mine.toml").write_text(
        f"""
name = "mine"
title = "Mine"
backbones = ["jet-observables"]
[dataset]
card = "jetclass"
folder = "{jets_folder}"
[split]
train = 1
validation = 1
test = 1
[probe]
signals = ["Hbb"]
"""
    )
    other = home / "other"
    other.mkdir()
    for path in jets_folder.glob("*.root"):
        (other / path.name.replace("_00", "_12")).symlink_to(path)
    output = home / "out.csv"
    result = call(
        "export", str(home / "mine.toml"), "jet-observables", "--data", str(other), "--output", str(output), "--quiet"
    )
    assert result.exit_code == 0, result.stderr
    with output.open() as file:
        sources = {row["source_file"] for row in csv.DictReader(file)}
    assert sources == {path.name for path in other.iterdir()}


def test_a_stopped_simulation_exits_with_130(tmp_path, monkeypatch):
    def stopped(*_, **__):
        raise InterruptedRunError("Simulation stopped; 1 of 2 files are whole.") from KeyboardInterrupt()

    monkeypatch.setattr("jetassay.simulation.sample.simulate", stopped)
    result = call("simulate", "--jets", "3", "--output", str(tmp_path))
    assert result.exit_code == 130
    assert "1 of 2 files" in result.stderr


def test_published_numbers_are_printed_and_unknown_ones_are_an_error():
    printed = call("reference", "--dataset", "jetclass", "--metric", "rejection", "--format", "csv")
    assert printed.exit_code == 0
    assert "Tbqq" in printed.output
    unknown = call("reference", "--metric", "beauty")
    assert unknown.exit_code == 1
    assert "there are: accuracy" in unknown.stderr
