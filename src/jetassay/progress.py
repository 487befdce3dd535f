"""Progress of long work: bars with an estimate of the time left on a terminal, plain lines elsewhere.

Everything goes to standard error, so that standard output stays clean for tables and pipes.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_PLAIN_INTERVAL_S = 10.0


@dataclass(slots=True)
class Reporter:
    """Where work says how far it is. `quiet` silences everything but warnings and errors."""

    quiet: bool = False
    console: Console = field(default_factory=lambda: Console(file=sys.stderr, highlight=False, soft_wrap=True))

    def line(self, text: str) -> None:
        """One plain line."""
        if not self.quiet:
            self.console.print(text, markup=False)

    def warning(self, text: str) -> None:
        """A line that is shown even when quiet."""
        self.console.print(f"warning: {text}", style="yellow", markup=False)

    @contextmanager
    def bar(self, label: str, total: int, *, unit: str = "jets") -> Iterator["Bar"]:
        """A bar over `total` units of work."""
        if self.quiet:
            yield Bar()
        elif self.console.is_terminal:
            with Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn(unit),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=self.console,
                transient=True,
            ) as progress:
                task = progress.add_task(label, total=total)
                yield Bar(advance_by=lambda amount: progress.advance(task, amount))
        else:
            yield _PlainBar(self, label, total, unit)


class Bar:
    """Takes `advance(amount)`; the base class shows nothing."""

    def __init__(self, advance_by: Callable[[int], None] | None = None) -> None:
        self._advance_by = advance_by

    def advance(self, amount: int = 1) -> None:
        """`amount` more units are done."""
        if self._advance_by:
            self._advance_by(amount)


class _PlainBar(Bar):
    """A line at most every ten seconds, for logs."""

    def __init__(self, reporter: Reporter, label: str, total: int, unit: str) -> None:
        super().__init__(None)
        self._reporter, self._label, self._total, self._unit = reporter, label, total, unit
        self._done = 0
        self._start = self._last = time.monotonic()

    def advance(self, amount: int = 1) -> None:
        self._done += amount
        now = time.monotonic()
        if now - self._last < _PLAIN_INTERVAL_S and self._done < self._total:
            return
        self._last = now
        spent = now - self._start
        left = spent * (self._total - self._done) / max(self._done, 1)
        self._reporter.line(
            f"{self._label}: {self._done}/{self._total} {self._unit}, {spent:.0f} s spent, about {left:.0f} s left"
        )
