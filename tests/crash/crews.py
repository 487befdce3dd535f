"""Faults of Dask: its workers, its scheduler, and the driver that has workers of its own."""

import re
import signal
import time
from dataclasses import dataclass
from multiprocessing.process import BaseProcess

import strikes
from dask_processes import OWN_WORKERS, start_scheduler, start_worker
from moments import Moment
from trials import Trial, wait

_GONE_S = 10.0


@dataclass(frozen=True, slots=True)
class Crew:
    """A Dask scheduler at an address, and workers with a thread each."""

    address: str
    scheduler: BaseProcess
    workers: tuple[BaseProcess, ...]

    def wait(self) -> None:
        """Until all have ended, as they do by themselves where they lose their scheduler; what is left is killed."""
        until = time.monotonic() + _GONE_S
        for each in (self.scheduler, *self.workers):
            each.join(max(until - time.monotonic(), 0.0))
        self.kill()

    def kill(self) -> None:
        """At once."""
        for each in (self.scheduler, *self.workers):
            each.kill()
            each.join()


def _gather(trial: Trial, moment: Moment, *, whom: str) -> Crew:
    """A crew in which the first worker that comes to `moment` is killed with -9, or lets the scheduler be killed."""
    home = trial.home
    address, scheduler = start_scheduler(home)
    victim = scheduler.pid if whom == "scheduler" else None
    armed = str(home.root), moment, strikes.send, (int(signal.SIGKILL), victim)
    workers = [start_worker(home, address, prepare=strikes.arm, given=armed) for _ in range(2)]
    crew = Crew(address, scheduler, tuple(workers))
    trial.done.append(crew.kill)
    trial.options = ["--scheduler", address]
    return crew


def _share(trial: Trial) -> Moment:
    """A moment while jets are embedded, of one of two workers: half as late as where one does it all."""
    moment, trial.outcome.stage = trial.way.course.draw(trial.random, ("embed",))
    return Moment(-(-moment.event // 2), moment.delay_s)


def kill_worker(trial: Trial) -> None:
    """One of two workers at an address; the other one does its work too."""
    crew = _gather(trial, _share(trial), whom="worker")
    trial.expect(wait(trial.run()), (0,))
    crew.kill()


def kill_scheduler(trial: Trial) -> None:
    """The scheduler at an address, at a moment of a worker, which may come before the run has found the scheduler."""
    crew = _gather(trial, _share(trial), whom="scheduler")
    code = wait(trial.run())
    if trial.home.struck.exists():
        trial.expect(code, (0, 1))
        said = " ".join(trial.said().split())
        if code and not re.search("the Dask scheduler is gone|no Dask scheduler can be reached", said):
            trial.outcome.problems.append("it does not say that the scheduler is gone")
        crew.wait()
    crew.kill()


def kill_own_worker(trial: Trial) -> None:
    """A worker of `--scheduler processes`; another one is started for it."""
    trial.options = list(OWN_WORKERS)
    armed = str(trial.home.root), _share(trial), int(signal.SIGKILL)
    trial.expect(wait(trial.run(prepare=strikes.arm_dask_workers, given=armed)), (0,))


def stop_driver(trial: Trial) -> None:
    """kill -9, SIGTERM or Ctrl-C of a run with `--scheduler processes`; its workers must go too."""
    trial.options = list(OWN_WORKERS)
    number = trial.random.choice((signal.SIGKILL, signal.SIGTERM, signal.SIGINT))
    code = trial.strike(strikes.send, int(number), stages=("embed",))
    if trial.home.struck.exists():
        allowed = {signal.SIGKILL: (-9,), signal.SIGTERM: (1, -signal.SIGTERM), signal.SIGINT: (130,)}
        trial.expect(code, allowed[number])
