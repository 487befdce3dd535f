"""A Dask cluster that somebody else has started: `dask scheduler` and `dask worker`, reached by its address."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from places_of_runs import finish, gone_within, wait_until

pytestmark = pytest.mark.slow


class Engine:
    """A scheduler and its workers, each leading a group of its own."""

    def __init__(self, place):
        self.place, self.started = place, []
        (place.root / "dask-local").mkdir()
        self.scheduler = self._start("scheduler", "--port", "0", "--dashboard-address", ":0", "--host", "127.0.0.1")
        said = wait_until(lambda: re.search(r"Scheduler at: +(tcp://\S+)", self.said(0)))
        self.address = said[1]

    def worker(self, *options, environment=None, **how):
        process = self._start("worker", self.address, *options, environment=environment, **how)
        number = len(self.started) - 1
        wait_until(lambda: "Registered to" in self.said(number))
        return process

    def said(self, number):
        return (self.place.root / f"engine-{number}").read_text()

    def _start(self, *arguments, environment=None, **how):
        given = self.place.environment(**how) | (environment or {})
        with (self.place.root / f"engine-{len(self.started)}").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", *arguments],
                env=given, cwd=self.place.root, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.started.append(process)
        return process

    def stop(self):
        for process in self.started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def engine(place):
    made = Engine(place)
    yield made
    made.stop()


def test_it_gives_the_bits_of_one_process_with_weights_loaded_once_a_worker_and_lives_on(place, engine, undisturbed):
    loads = place.root / "loads"
    for threads in ("1", "2"):
        engine.worker("--nthreads", threads, loads=str(loads), seconds=0.1)
    code, said = place.run("--scheduler", engine.address)
    assert code == 0, said
    assert re.search(
        rf"cluster: {engine.address}, 2 workers with 3 threads in all, dashboard http://\S+:\d+/status", said
    )
    assert place.results() == undisturbed
    lines = loads.read_text().splitlines()
    assert len(lines) == len(set(lines)) == 2 * 2
    assert place.run("--scheduler", engine.address)[0] == 0  # all is there: no worker is asked
    assert all(process.poll() is None for process in engine.started)


def test_where_nobody_listens_it_says_so_and_what_to_start(place):
    began = time.monotonic()
    code, said = place.run("--scheduler", "tcp://127.0.0.1:9")
    assert time.monotonic() - began < 90
    assert code == 1
    assert "tcp://127.0.0.1:9" in said
    assert "start `dask scheduler`" in said


def test_a_worker_of_another_version_is_refused_and_both_are_named(place, engine):
    engine.worker(version="0.0.1")
    code, said = place.run("--scheduler", engine.address)
    assert code == 1
    assert re.search(r"has jetassay 0\.0\.1 .* instead of \d+\.\d+\.\d+ .* as on the driver", said)
    assert place.shards() == 0


@pytest.mark.parametrize("who", ["worker", "scheduler"])
def test_an_environment_without_jetassay_is_told_apart(place, engine, who):
    """The scheduler reads what the client sends, so it needs the package as well."""
    blocked = place.root / "blocked"
    (blocked / "jetassay").mkdir(parents=True)
    (blocked / "jetassay" / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'jetassay'\")\n")
    without = {"PYTHONPATH": str(blocked)}
    if who == "scheduler":
        engine.stop()
        engine.started.clear()
        engine.scheduler = engine._start("scheduler", "--port", "0", "--host", "127.0.0.1", environment=without)
        engine.address = wait_until(lambda: re.search(r"Scheduler at: +(tcp://\S+)", engine.said(0)))[1]
    engine.worker(**({"environment": without} if who == "worker" else {}))
    code, said = place.run("--scheduler", engine.address)
    assert code == 1
    assert "Give scheduler, workers and driver the same environment" in said
    assert place.shards() == 0


def test_a_scheduler_that_goes_away_in_the_middle_stops_it_and_it_goes_on_with_another(place, engine, undisturbed):
    engine.worker(seconds=0.5)
    process = place.start("--scheduler", engine.address)
    wait_until(lambda: place.shards() >= 2)
    os.killpg(engine.scheduler.pid, signal.SIGKILL)
    code, said = finish(process)
    assert code == 1
    assert "the Dask scheduler is gone" in said
    assert 2 <= place.shards() < 8 * 3
    assert place.run()[0] == 0
    assert place.results() == undisturbed


def test_a_worker_without_nanny_that_is_killed_leaves_its_work_to_the_others(place, engine, undisturbed):
    first = engine.worker("--no-nanny", "--nthreads", "1", seconds=0.3)
    engine.worker("--no-nanny", "--nthreads", "1", seconds=0.3)
    process = place.start("--scheduler", engine.address)
    wait_until(lambda: place.shards() >= 2)
    first.kill()
    code, said = finish(process)
    assert code == 0, said
    assert place.results() == undisturbed


def test_where_no_worker_is_left_it_does_not_wait_for_ever(place, engine):
    only = engine.worker("--no-nanny", seconds=0.5)
    process = place.start("--scheduler", engine.address)
    wait_until(lambda: place.shards() >= 2)
    only.kill()
    code, said = finish(process)
    assert code == 1
    assert "no worker is left" in said


def test_ctrl_c_leaves_the_cluster_of_others_alone_and_nothing_of_ours_runs_on_it(place, engine):
    engine.worker("--nthreads", "1", seconds=0.5)
    process = place.start("--scheduler", engine.address)
    wait_until(lambda: place.shards() >= 2)
    process.send_signal(signal.SIGINT)
    code, _ = finish(process)
    assert code == 130
    time.sleep(1.5)
    there = place.shards()
    time.sleep(1.5)
    assert place.shards() == there
    assert all(each.poll() is None for each in engine.started)
    assert gone_within(process.pid, seconds=0) == []
