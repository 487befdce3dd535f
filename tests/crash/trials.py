"""One trial: a fault in a home of its own, the same command again, and what came of it."""

import re
import shutil
import subprocess
import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from dask_processes import OWN_WORKERS, start_scheduler, start_worker
from homes import Home, make_home
from moments import STAGES, Course, Moment, read_course
from observed import Observed, Stamps, living, observe, repeated, stamps
from processes import start
from strikes import arm, follow

from jetassay.errors import JetAssayError

PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Way:
    """An undisturbed run: what it gives, and how it goes. cold: from nothing; else with jets and store there."""

    name: str
    result: Observed
    course: Course


@dataclass(frozen=True, slots=True)
class Ground:
    """What trials start from.

    ways: cold (everything from nothing), warm (jets and an empty store are there), data (they are files of a dataset),
    driver (as warm, with Dask workers of its own), crew (as warm, with a Dask worker of somebody, whose course it is)
    """

    root: Path
    stocked: Home
    ways: dict[str, Way]


@dataclass(slots=True)
class Outcome:
    """What came of one fault.

    problems: why it was not survived; lost: jets that are no longer counted; changed: results that differ
    repeated: units that were whole and were done again; in_flight: units that two runs at once both did
    """

    kind: str
    seed: int
    stage: str = ""
    problems: list[str] = field(default_factory=list)
    lost: int = 0
    changed: list[str] = field(default_factory=list)
    repeated: int = 0
    in_flight: int = 0
    seconds: float = 0.0

    @property
    def survived(self) -> bool:
        """Whether running again completed, and left nothing behind."""
        return not self.problems


@dataclass(slots=True)
class Trial:
    """What a fault has at hand. options: of `jetassay run`, for as long as the fault is under way."""

    ground: Ground
    way: Way
    home: Home
    random: Random
    outcome: Outcome
    server: str | None = None
    database: Path | None = None
    options: list[str] = field(default_factory=list)
    done: list[Callable[[], None]] = field(default_factory=list)

    def run(
        self, *arguments: str, prepare: Callable[..., Any] | None = None, given: tuple[Any, ...] = (), log: str = "log"
    ) -> Any:
        """Start `jetassay ARGUMENTS` (the suite, if none) here."""
        data = ["--data", str(self.home.root / "data")] if self.way.name == "data" else []
        return start(
            list(arguments) or ["run", str(self.home.suite), *data, *self.options],
            environment=self.home.environment(self.server),
            log=self.home.root / log,
            prepare=prepare,
            given=given,
        )

    def strike(
        self, act: Callable[..., None], *given: object, stages: tuple[str, ...] = STAGES, between: bool = False
    ) -> int:
        """Run the suite, with `act` at a moment drawn as `Course.draw` says; gives the exit code."""
        moment, self.outcome.stage = self.way.course.draw(self.random, stages, between=between)
        return self.strike_at(moment, act, *given)

    def strike_at(self, moment: Moment, act: Callable[..., None], *given: object) -> int:
        """As `strike`, at a given moment."""
        process = self.run(prepare=arm, given=(str(self.home.root), moment, act, given))
        return wait(process)

    def said(self, log: str = "log") -> str:
        """What the processes printed."""
        path = self.home.root / log
        return path.read_text(errors="replace") if path.exists() else ""

    def expect(self, code: int, allowed: tuple[int, ...]) -> None:
        """A process that ended otherwise, or with a traceback, is a problem."""
        text = self.said()
        if code not in allowed:
            self.outcome.problems.append(f"exit code {code}, not {allowed}: {last_lines(text)}")
        if "Traceback (most recent call last)" in text:
            self.outcome.problems.append(f"a traceback: {last_lines(text)}")


def wait(process: Any, patience_s: float = PATIENCE_S) -> int:
    """The exit code; a process that does not end is killed, and its code is then that of the kill."""
    process.join(patience_s)
    if process.is_alive():
        process.kill()
        process.join()
        return -99
    return int(process.exitcode)


def last_lines(text: str, count: int = 4) -> str:
    """The end of a log."""
    return " / ".join(text.strip().splitlines()[-count:])


def prepare_ground(root: Path, wanted: AbstractSet[str]) -> Ground:
    """Undisturbed runs of each way that is wanted; they must agree, or nothing else means anything."""
    stocked = make_home(root / "stocked")
    ways = {"cold": _undisturbed("cold", stocked)}
    _empty_store(stocked)
    for name in sorted(wanted - {"cold"}):
        ways[name] = _undisturbed(name, make_home(root / name, stocked=stocked, data=name == "data"))
        differences = ways["cold"].result.differences(ways[name].result)
        if differences and name != "data":
            raise RuntimeError(f"two undisturbed runs, cold and {name}, differ in {', '.join(differences)}")
    return Ground(root, stocked, ways)


def _undisturbed(name: str, home: Home) -> Way:
    course = home.root / "course.json"
    noted = {"prepare": follow, "given": (str(home.root), str(course))}
    options = {"data": ["--data", str(home.root / "data")], "driver": list(OWN_WORKERS)}.get(name, [])
    crew: list[Any] = []
    if name == "crew":  # the course is that of a worker, which does it all
        address, scheduler = start_scheduler(home)
        crew, noted = [start_worker(home, address, **noted), scheduler], {}
        options = ["--scheduler", address]
    environment = home.environment()
    code = wait(start(["run", str(home.suite), *options], environment=environment, log=home.root / "log", **noted))
    for each in crew:
        each.terminate()
        wait(each)
    if code:
        raise RuntimeError(f"the undisturbed run {name} failed: {last_lines((home.root / 'log').read_text(), 30)}")
    return Way(name, observe(home), read_course(course))


def _empty_store(home: Home) -> None:
    """A tracking store with our experiment and no run, for others to begin with."""
    aside = make_home(home.root / "aside")
    process = start(["sync"], environment=aside.environment(), log=home.root / "log", prepare=_open_store)
    wait(process)
    shutil.copy2(aside.workspace / "mlflow.db", home.root / "empty.db")
    shutil.rmtree(aside.root)


def _open_store() -> None:
    from jetassay.progress import Reporter
    from jetassay.tracking.engine import open_tracking

    open_tracking(reporter=Reporter(quiet=True))


Fault = Callable[[Trial], None]


def attempt(ground: Ground, kind: str, fault: Fault, *, way: str, seed: int) -> Outcome:
    """One fault, run again, compare. Where the moment came after the end, another one is drawn."""
    outcome = Outcome(kind, seed)
    began = time.monotonic()
    for again in range(6):
        root = ground.root / f"{re.sub('[^a-z0-9]+', '-', kind.lower())}-{seed}-{again}"
        random = Random(f"{kind}/{seed}/{again}")
        outcome.problems, outcome.changed = [], []
        trial = Trial(ground, ground.ways[way], Home(root), random, outcome)
        try:
            if _one(trial, fault, way):
                break
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:  # the others go on
            outcome.problems.append(f"the trial broke off: {type(error).__name__}: {error}")
            break
        finally:
            for undo in reversed(trial.done):
                undo()
        shutil.rmtree(root, ignore_errors=True)
    else:
        outcome.problems.append("the fault never struck")
    outcome.seconds = time.monotonic() - began
    if outcome.survived and not outcome.changed and not outcome.lost:
        shutil.rmtree(root, ignore_errors=True)
    return outcome


def _one(trial: Trial, fault: Fault, way: str) -> bool:
    """Whether the fault struck."""
    if not trial.home.root.exists():
        make_home(trial.home.root, stocked=None if way == "cold" else trial.ground.stocked, data=way == "data")
    fault(trial)
    if not trial.home.struck.exists():
        return False
    trial.options = []
    if left := living(trial.home):
        trial.outcome.problems.append(f"processes live on: {', '.join(left)}")
    before = stamps(trial.home)
    code = wait(trial.run(log="again"))
    if code:
        trial.outcome.problems.append(f"running again gave {code}: {last_lines(trial.said('again'))}")
        return True
    judge(trial, before)
    return True


def judge(trial: Trial, before: Stamps) -> None:
    """Hold the home against the undisturbed one."""
    outcome, wanted = trial.outcome, trial.way.result
    outcome.repeated += repeated(before, trial.home)
    try:
        found = observe(trial.home, database=trial.database)
    except (JetAssayError, OSError) as error:
        outcome.problems.append(f"{type(error).__name__}: {error}")
        return
    outcome.lost = max(wanted.jets - found.jets, 0)
    outcome.changed = wanted.differences(found)
    if outcome.repeated:
        outcome.problems.append(f"{outcome.repeated} units that were whole were done again")
    if found.orphans:
        outcome.problems.append(f"left behind: {', '.join(found.orphans)}")
    if found.running:
        outcome.problems.append(f"{len(found.running)} runs count as running")
