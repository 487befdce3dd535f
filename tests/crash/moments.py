"""When a fault strikes: just before the K-th thing that a process does to its files, or some time after it.

Counted by Python's own audit events, so that a moment is the same on a fast and on a slow machine, and no line of the
code under test knows of it. What C libraries write (parquet, SQLite) lies between two events, and is met by the time.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"}
STAGES = ("simulate", "embed", "tasks", "track")


@dataclass(frozen=True, slots=True)
class Moment:
    """`delay_s` seconds after just before the event number `event`, counted from 1."""

    event: int
    delay_s: float


@dataclass(frozen=True, slots=True)
class Course:
    """What an undisturbed process does: seconds since its start and stage of each event, and when it ended."""

    events: tuple[tuple[float, str], ...]
    end_s: float

    def draw(self, random: Random, stages: tuple[str, ...] = STAGES, *, between: bool = False) -> tuple[Moment, str]:
        """A moment in one of `stages`, and which: half of them just before an event, half at any time.

        between: all of them at any time, for what is there only while the process itself waits
        """
        there = [stage for stage in stages if any(found == stage for _, found in self.events)]
        stage = random.choice(there)
        own = [number for number, (_, found) in enumerate(self.events) if found == stage]
        if not between and random.random() < 0.5:
            return Moment(random.choice(own) + 1, 0.0), stage
        starts = [each for each, _ in self.events] + [self.end_s]
        gaps = [max(starts[number + 1] - starts[number], 1e-4) for number in own]
        number = random.choices(own, gaps)[0]
        return Moment(number + 1, random.random() * gaps[own.index(number)]), stage


def read_course(path: Path) -> Course:
    """As `record` wrote it."""
    found = json.loads(path.read_text())
    return Course(tuple((at, stage) for at, stage in found["events"]), found["end_s"])


def record(root: Path, path: Path) -> Callable[[], None]:
    """Note every event below `root` from now on; gives what writes them to `path`."""
    began, events = time.monotonic(), []

    def note(place: str) -> None:
        events.append((time.monotonic() - began, _stage(place, [stage for _, stage in events])))

    _listen(root, note)
    return lambda: path.write_text(json.dumps({"events": events, "end_s": time.monotonic() - began})) and None


def strike_at(root: Path, moment: Moment, act: Callable[[], None]) -> None:
    """Call `act` at `moment`, once."""
    seen = 0

    def count(_place: str) -> None:
        nonlocal seen
        seen += 1
        if seen != moment.event:
            return
        if moment.delay_s:
            threading.Thread(target=lambda: (time.sleep(moment.delay_s), act()), daemon=True).start()
        else:
            act()

    _listen(root, count)


def _listen(root: Path, heard: Callable[[str], None]) -> None:
    beginning = str(root)
    skipped = str(root / "matplotlib"), str(root / "log"), str(root / "struck")

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _EVENTS or not isinstance(arguments[0], str | bytes | os.PathLike):
            return
        place = os.fsdecode(arguments[0])
        if not place.startswith(beginning) or place.startswith(skipped):
            return
        if event == "open" and not (int(arguments[2] or 0) & _WRITES or place.endswith(".partial")):
            return
        heard(place.removeprefix(beginning))

    sys.addaudithook(hook)


def _stage(place: str, before: list[str]) -> str:
    """Simulation and embedding show in the cache, tracking in its files; in between are the tasks and the report.

    Of a driver with workers of its own, embedding begins with what Dask writes.
    """
    last = before[-1] if before else "simulate"
    if place.startswith("/cache/embeddings") or ("dask-scratch-space" in place and last in {"simulate", "embed"}):
        return "embed"
    if last == "simulate" and not place.startswith("/workspace/reports"):
        return "simulate"
    return "track" if place.startswith(("/workspace/ml", "/tmp")) or last == "track" else "tasks"
