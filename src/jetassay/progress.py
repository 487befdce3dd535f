"""Progress of long work: bars with an estimate of the time left on a terminal, plain lines elsewhere.

Everything goes to standard error, so that standard output stays clean for tables and pipes. A bar goes away when its
work is done; what was computed, and what was taken from the store, is a line of the stage that did it.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.progress_bar import ProgressBar
from rich.text import Text

from jetassay.masking import mask

_PLAIN_INTERVAL_S = 10.0
_SHORTEST_BAR, _LONGEST_BAR = 4, 40
_NARROW = 20
"""Columns for label and bar together: with fewer there is no bar, for the label says more."""

_TIME_WIDTH = len("about 59.9 min left")


def time_text(seconds: float, *, digits: int = 1) -> str:
    """Seconds in the unit that fits: s, min or h."""
    if seconds < 90:
        return f"{seconds:.{digits}f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _terminal() -> Console:
    """Standard error. FORCE_COLOR and the like, which logs are given as well, must not bring bars into a file."""
    return Console(file=sys.stderr, force_terminal=sys.stderr.isatty(), highlight=False, soft_wrap=True)


@dataclass(slots=True)
class Reporter:
    """Where work says how far it is. `quiet` silences everything but warnings and errors."""

    quiet: bool = False
    console: Console = field(default_factory=_terminal)
    _drawing: bool = field(default=False, init=False)

    def line(self, text: str) -> None:
        """One plain line."""
        if not self.quiet:
            self.console.print(mask(text), markup=False)

    def warning(self, text: str) -> None:
        """A line that is shown even when quiet."""
        self.console.print(f"warning: {mask(text)}", style="yellow", markup=False)

    @contextmanager
    def bar(self, label: str, total: int, *, unit: str = "jets") -> Iterator["Bar"]:
        """A bar over `total` units of work; a terminal shows the outermost one alone."""
        if self.quiet or self._drawing:
            yield Bar()
        elif self.console.is_terminal and not self.console.is_dumb_terminal:
            self._drawing, progress = True, _drawn(self.console, label, total, unit)
            try:
                progress.start()  # within the try: Ctrl-C may come while it starts, and the cursor must come back
                yield _DrawnBar(progress)
            finally:
                progress.stop()
                self._drawing = False
        else:
            yield _PlainBar(self, label, total, unit)


class Bar:
    """Takes `advance(amount)` and `doing(what)`; the base class shows nothing."""

    def advance(self, amount: int = 1) -> None:
        """`amount` more units are done."""

    def doing(self, what: str) -> None:
        """What is being done now, shown in place of the label."""


class _DrawnBar(Bar):
    """The one task of a `Progress`."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def advance(self, amount: int = 1) -> None:
        self._progress.advance(self._progress.task_ids[0], amount)

    def doing(self, what: str) -> None:
        self._progress.update(self._progress.task_ids[0], description=what)


class _PlainBar(Bar):
    """For logs: a line every ten seconds, and none for what takes less."""

    def __init__(self, reporter: Reporter, label: str, total: int, unit: str) -> None:
        self._reporter, self._label, self._total, self._unit = reporter, label, total, unit
        self._done = 0
        self._start = self._last = time.monotonic()

    def doing(self, what: str) -> None:
        self._label = what

    def advance(self, amount: int = 1) -> None:
        self._done += amount
        now = time.monotonic()
        if now - self._last < _PLAIN_INTERVAL_S or self._done >= self._total:
            return
        self._last = now
        spent = now - self._start
        left = spent * (self._total - self._done) / max(self._done, 1)
        self._reporter.line(
            f"{self._label}: {self._done}/{self._total} {self._unit}, {time_text(spent, digits=0)} spent, "
            f"about {time_text(left, digits=0)} left"
        )


class _TimeLeft(ProgressColumn):
    """The time left once it can be estimated, until then the time spent."""

    def render(self, task: Task) -> Text:
        left = task.time_remaining
        if left is None:
            return Text(f"{time_text(task.elapsed or 0, digits=0)} spent", no_wrap=True)
        return Text(f"about {time_text(left, digits=0)} left", no_wrap=True)


class _Label(ProgressColumn):
    """What is being done, cut to the columns that the terminal leaves."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self._width = max(width, 1)

    def render(self, task: Task) -> Text:
        label = Text(task.description, no_wrap=True)
        label.truncate(self._width, overflow="ellipsis")
        return label


class _Bar(BarColumn):
    """A bar over what the label leaves."""

    def __init__(self, free: int) -> None:
        super().__init__()
        self._free = free

    def render(self, task: Task) -> ProgressBar:
        self.bar_width = min(max(self._free - len(task.description), _SHORTEST_BAR), _LONGEST_BAR)
        return super().render(task)


def _drawn(console: Console, label: str, total: int, unit: str) -> Progress:
    """One line that fits the terminal: label, bar, count, time left."""
    counts = 2 * len(str(total)) + 2 + len(unit)
    free = console.width - counts - _TIME_WIDTH - 4  # a space between columns, none in the last place
    label_and_bar = (_Label(free - _SHORTEST_BAR), _Bar(free)) if free >= _NARROW else (_Label(free + 1),)
    columns = *label_and_bar, MofNCompleteColumn(), TextColumn(unit), _TimeLeft()
    progress = Progress(*columns, console=console, transient=True)
    progress.add_task(label, total=total)
    return progress
