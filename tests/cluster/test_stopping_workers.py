"""Ctrl-C, SIGTERM and kill -9 of a run that has worker processes: it ends in seconds, and none of them stays."""

import os
import signal
import time

import pytest
from places_of_runs import finish, gone_within, wait_until

pytestmark = pytest.mark.slow
TWO = ("--scheduler", "processes", "--workers", "2")
FEW_S = 20


@pytest.mark.parametrize("whom", ["the command", "all of its group"])
@pytest.mark.parametrize(("number", "code", "told"), [(2, 130, "stopped by Ctrl-C"), (15, 1, "stopped by SIGTERM")])
def test_a_signal_ends_it_in_seconds_and_it_says_what_is_kept(place, number, code, told, whom):
    process = place.start(*TWO, seconds=0.5)
    wait_until(lambda: place.shards() >= 2)
    before, began = place.shards(), time.monotonic()
    (os.kill if whom == "the command" else os.killpg)(process.pid, number)
    found, said = finish(process)
    assert time.monotonic() - began < FEW_S
    assert found == code, said
    assert told in said
    assert "every shard of embeddings that is whole" in said
    assert place.shards() >= before
    assert not place.left_over()


def test_ctrl_c_while_the_workers_start_ends_it_too(place):
    process = place.start(*TWO)
    wait_until(lambda: len(list((place.root / "dask-local").rglob("worker-*"))) >= 1)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    code, said = finish(process)
    assert time.monotonic() - began < FEW_S
    assert code == 130, said


def test_workers_go_when_the_command_is_killed_and_the_next_one_computes_only_the_rest(place, undisturbed):
    process = place.start(*TWO, seconds=0.5)
    wait_until(lambda: place.shards() >= 2)
    process.kill()
    process.communicate()
    assert gone_within(process.pid, seconds=FEW_S) == []
    kept = place.written()
    assert 2 <= len(kept) < 8 * 3
    code, said = place.run(*TWO)
    assert code == 0, said
    assert place.written().items() >= kept.items()
    assert place.results() == undisturbed
    assert not place.left_over()
