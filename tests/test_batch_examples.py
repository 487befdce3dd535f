"""The batch scripts, run as the batch systems run them: their variables set, and a `jetassay` that says what it got."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
WORD = "hunter2-9fL"
STUB = """#!/bin/bash
trap 'echo "stopped, word ${MLFLOW_TRACKING_PASSWORD:-none}" >> "$HOME/got"; exit 3' TERM
echo "$* threads $OMP_NUM_THREADS" >> "$HOME/got"
[ -z "${WAIT:-}" ] || while :; do sleep 0.05; done
"""
SYSTEMS = {
    "slurm.sh": {"SLURM_ARRAY_TASK_ID": "1", "SLURM_CPUS_PER_TASK": "6"},
    "htcondor.sh": {"_CONDOR_NUM_CPUS": "6"},
}
ARGUMENTS = {"slurm.sh": ["a.toml", "b c.toml"], "htcondor.sh": ["b c.toml"]}


@pytest.fixture
def home(tmp_path):
    """A home with a `jetassay` in its path, and a file of secrets."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "jetassay").write_text(STUB)
    (tmp_path / "bin" / "jetassay").chmod(0o755)
    secrets = tmp_path / ".config" / "jetassay"
    secrets.mkdir(parents=True)
    (secrets / "environment").write_text(f"MLFLOW_TRACKING_PASSWORD={WORD}\n")
    return tmp_path


def _start(home, script, arguments, **more):
    path = f"{home / 'bin'}:{os.environ['PATH']}"
    environment = {"HOME": str(home), "PATH": path, "JETASSAY_CACHE": str(home), **SYSTEMS[script], **more}
    given = {name: value for name, value in environment.items() if value is not None}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([EXAMPLES / script, *arguments], env=given, **pipes)


@pytest.mark.parametrize("script", SYSTEMS)
def test_a_job_runs_its_suite_with_the_threads_it_was_given(home, script):
    process = _start(home, script, ARGUMENTS[script], JETASSAY_DEVICE="cuda")
    assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 0
    assert (home / "got").read_text() == "run b c.toml --device cuda threads 6\n"


@pytest.mark.parametrize("script", SYSTEMS)
def test_the_signal_before_the_end_reaches_jetassay_which_has_the_secrets_in_its_environment(home, script):
    process = _start(home, script, ARGUMENTS[script], WAIT="1")
    while not (home / "got").exists():
        time.sleep(0.01)
    assert WORD not in Path(f"/proc/{process.pid}/cmdline").read_text()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 3
    assert f"stopped, word {WORD}" in (home / "got").read_text()


@pytest.mark.parametrize("script", SYSTEMS)
def test_a_job_without_suite_or_without_a_cache_that_all_see_stops_at_once_and_says_so(home, script):
    for arguments, more, message in (
        ([], {}, "suite"),
        (ARGUMENTS[script], {"JETASSAY_CACHE": None}, "JETASSAY_CACHE"),
    ):
        process = _start(home, script, arguments, **more)
        _, err = process.communicate(timeout=30)
        assert process.returncode != 0
        assert message in err
    assert not (home / "got").exists()


def test_the_submit_file_names_a_script_that_is_there_and_no_secret():
    lines = [line for line in (EXAMPLES / "htcondor.sub").read_text().splitlines() if line and line[0] != "#"]
    settings = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines[:-1])}
    assert (EXAMPLES.parent / settings["executable"]).stat().st_mode & 0o111
    assert not [name for name in settings["getenv"].split(", ") if "PASSWORD" in name or "TOKEN" in name]
    assert lines[-1].startswith("queue suite from")
