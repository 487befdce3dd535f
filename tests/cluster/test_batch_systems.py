"""Jobs of SLURM and HTCondor: what is submitted, and the suite run by it, with stand-ins for the batch systems."""

import os
import re
import signal
import time

import pytest
from places_of_runs import HERE, SOURCE, finish, wait_until

pytestmark = pytest.mark.slow
WORD = "hunter2-9fL"
JOBS = """
jobqueue:
  {system}:
    cores: 2
    processes: 1
    memory: 6 GB
    {disk}
    death-timeout: 30
    job-script-prologue: ["export PYTHONPATH={source}", "{more}"]
    scheduler-options: {{host: 127.0.0.1, dashboard_address: ":0"}}
"""


def describe(place, system, *, more="true"):
    (place.root / "dask").mkdir()
    disk = "disk: 1 GB" if system == "htcondor" else "walltime: '00:20:00'"
    text = JOBS.format(system=system, disk=disk, source=SOURCE, more=more)
    (place.root / "dask" / "jobqueue.yaml").write_text(text)


@pytest.mark.parametrize("system", ["slurm", "htcondor"])
def test_a_suite_runs_in_jobs_to_the_bits_of_one_process_and_they_are_cancelled(place, batch, undisturbed, system):
    describe(place, system)
    secret = {"MLFLOW_TRACKING_PASSWORD": WORD, "AWS_SECRET_ACCESS_KEY": WORD}
    code, said = place.run("--scheduler", system, "--workers", "2", environment=batch | secret)
    assert code == 0, said
    assert f"2 workers asked of {system}" in said
    assert place.results() == undisturbed
    assert len(place.jobs()) == 2
    assert not list((place.root / "cache").glob(".dask*"))  # keys go with the cluster
    for folder in place.jobs():
        assert (folder / "cancelled").exists()
        script = (folder / "script").read_text()
        assert WORD not in script
        assert "PRIVATE KEY" not in script
        assert all(f"--tls-{each} {place.root / 'cache'}" in script for each in ("ca-file", "key", "cert"))
        assert "--nthreads 2" in script
        assert re.search(r"--memory-limit 5\.59GiB", script)
        assert "DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE=False" in script
        assert str(SOURCE) in script  # the user's own lines stay
        wanted = {
            "slurm": ["#SBATCH -n 1", "#SBATCH --cpus-per-task=2", "#SBATCH --mem=6G", "#SBATCH -t 00:20:00"],
            "htcondor": ["MY.DaskWorkerCores = 2", "MY.DaskWorkerMemory = 6000000000", "Executable = /bin/sh"],
        }[system]
        assert [line for line in wanted if line not in script] == []


def test_a_job_that_the_system_ends_is_submitted_again(place, batch, undisturbed):
    preload = f"export MISBEHAVE='{{\\\"seconds\\\": 1}}' DASK_DISTRIBUTED__WORKER__PRELOAD={HERE / 'misbehave.py'}"
    describe(place, "slurm", more=preload)
    timeout = {"DASK_DISTRIBUTED__DEPLOY__LOST_WORKER_TIMEOUT": "1s"}
    process = place.start("--scheduler", "slurm", "--workers", "1", environment=batch | timeout)
    wait_until(lambda: place.shards() >= 2)
    (first,) = place.jobs()
    os.killpg(int((first / "pid").read_text()), signal.SIGKILL)  # as at the end of its time
    code, said = finish(process)
    assert code == 0, said
    assert len(place.jobs()) >= 2
    assert place.results() == undisturbed


def test_ctrl_c_while_it_waits_for_the_queue_withdraws_the_jobs(place, batch):
    describe(place, "slurm", more="sleep 100")
    process = place.start("--scheduler", "slurm", "--workers", "2", environment=batch)
    wait_until(lambda: (place.root / "jobs").exists() and len(list((place.root / "jobs").glob("*/task-0"))) == 2)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    code, said = finish(process, patience_s=20)
    assert code == 130, said
    assert all((folder / "cancelled").exists() for folder in place.jobs())


def test_a_job_that_is_refused_is_told_with_the_reason(place, batch):
    describe(place, "slurm")
    (place.root / "bin" / "sbatch").write_text("#!/bin/sh\necho 'sbatch: error: invalid account' >&2\nexit 1\n")
    code, said = place.run("--scheduler", "slurm", "--workers", "1", environment=batch)
    assert code == 1
    assert "sbatch refuses the job" in said
    assert "invalid account" in said


def test_jobs_that_nobody_has_described_are_told_where_to_be(place, batch):
    code, said = place.run("--scheduler", "slurm", "--workers", "1", environment=batch)
    assert code == 1
    assert "`jobqueue: slurm:` of a file in ~/.config/dask" in said
