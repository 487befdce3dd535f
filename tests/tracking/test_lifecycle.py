import os
import signal
import time

import psutil
import pytest

from jetassay.errors import InterruptedRunError
from jetassay.tracking.lifecycle import identity_tags, sweep
from jetassay.tracking.stopping import Undisturbed, stoppable, undisturbed

# A suite that waits in the middle; prints the id of its run as soon as it is open.
WAITING = """
import time
from jetassay.progress import Reporter
from jetassay.tracking.stopping import stoppable
from jetassay.tracking.runs import open_suite_run
with stoppable(), open_suite_run(suite="trial", suite_id="t1", reporter=Reporter(quiet=True)) as opened:
    print(opened.run_id, flush=True)
    try:
        time.sleep(100)
    except Exception:  # what code in between does with failures must not matter
        time.sleep(100)
"""


@pytest.fixture
def waiting(start, database):
    """A process in the middle of a suite, and the id of its run."""
    process = start(WAITING, database)
    return process, process.stdout.readline().strip()


def status_of(tracking, run_id):
    return tracking.client.get_run(run_id).info.status


def test_a_suite_that_is_terminated_says_so(waiting, tracking):
    process, run_id = waiting
    assert status_of(tracking, run_id) == "RUNNING"
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "InterruptedRunError: stopped by SIGTERM. What was finished is kept" in err
    assert status_of(tracking, run_id) == "KILLED"


def test_a_suite_that_vanished_is_swept_but_only_once_it_is_gone(waiting, tracking, reporter, said):
    process, run_id = waiting
    assert sweep(tracking, reporter=reporter) == ()
    assert status_of(tracking, run_id) == "RUNNING"
    process.kill()
    process.wait(timeout=60)
    assert sweep(tracking, reporter=reporter) == (run_id,)
    assert status_of(tracking, run_id) == "KILLED"
    assert "1 tracked run(s)" in said()


def test_a_run_of_another_machine_is_not_swept(tracking, reporter):
    run_id = tracking.create_run("far", {**identity_tags(), "process.host": "elsewhere", "process.pid": "1"})
    assert sweep(tracking, reporter=reporter) == ()
    assert status_of(tracking, run_id) == "RUNNING"


def test_a_run_that_is_not_ours_is_not_swept(tracking, reporter):
    run_id = tracking.create_run("a user's own", {})
    assert sweep(tracking, reporter=reporter) == ()
    assert status_of(tracking, run_id) == "RUNNING"


def test_another_process_that_got_the_same_number_does_not_keep_a_run_alive(tracking, reporter):
    earlier = f"{psutil.Process().create_time() - 3600:.2f}"
    run_id = tracking.create_run("old", {**identity_tags(), "process.start": earlier})
    assert sweep(tracking, reporter=reporter) == (run_id,)


@pytest.mark.parametrize("jump_s", [-86400, 86400])
def test_a_clock_that_is_set_during_a_run_does_not_make_it_count_as_gone(tracking, reporter, monkeypatch, jump_s):
    run_id = tracking.create_run("long", identity_tags())
    started = psutil.boot_time()  # by the clock: Linux itself counts from there
    monkeypatch.setattr(psutil._psplatform, "boot_time", lambda: started + jump_s)
    assert sweep(tracking, reporter=reporter) == ()
    assert status_of(tracking, run_id) == "RUNNING"


def test_identity_names_no_host_in_plain(tracking):
    assert os.uname().nodename not in identity_tags().values()


def test_the_handler_of_before_is_put_back():
    before = signal.getsignal(signal.SIGTERM)
    with stoppable():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_sigterm_passes_those_who_catch_every_exception():
    caught = []

    def work():
        with stoppable():
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                signal.pause()
            except Exception as error:  # noqa: BLE001 - what must not happen
                caught.append(error)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # libraries put theirs in its place
    try:
        with pytest.raises(InterruptedRunError):
            work()
    finally:
        signal.signal(signal.SIGINT, before)
    assert caught == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_comes_in_a_destructor_is_not_lost(number):
    class Destroyed:
        def __del__(self):
            os.kill(os.getpid(), number)
            time.sleep(0.01)

    def work():
        with stoppable():
            Destroyed()
            time.sleep(30)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # libraries put theirs in its place
    try:
        with pytest.raises(InterruptedRunError):
            work()
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.fixture
def ctrl_c():
    """Ctrl-C as Python has it: libraries put theirs in its place."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("number", "name"), [(signal.SIGTERM, "SIGTERM"), (signal.SIGINT, "Ctrl-C")])
def test_a_signal_waits_for_the_end_of_a_transaction(ctrl_c, number, name):
    done = []

    class Database:
        address = "here"

        def write(self, row, *, times):
            os.kill(os.getpid(), number)
            time.sleep(0.05)
            done.append((row, times))
            return len(done)

    def work():
        database = Undisturbed(Database())
        assert database.address == "here"
        with stoppable():
            database.write("r", times=2)
            done.append("after")

    with pytest.raises(InterruptedRunError, match=f"stopped by {name}"):
        work()
    assert done == [("r", 2)]


def test_a_second_signal_does_not_wait(ctrl_c):
    done = []

    def work():
        with stoppable(), undisturbed():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.05)
            done.append("first")
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(30)

    with pytest.raises(InterruptedRunError):
        work()
    assert done == ["first"]
    with stoppable(), undisturbed():  # nothing of it is left
        pass


def test_ctrl_c_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stoppable():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
    finally:
        signal.signal(signal.SIGINT, before)
