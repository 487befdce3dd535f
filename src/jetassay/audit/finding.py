"""What a check found: passed, failed, worth a note, or not run; with its figure and what that means."""

import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import pandas as pd

Status = Literal["pass", "fail", "note", "not run"]

COLUMNS: tuple[str, ...] = ("check", "status", "figure", "meaning")
_HEADINGS = ("check", "result", "figure", "what it means")
_GAP = "  "
_ROOM = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One row of an audit.

    check:   name of the check, as in `catalogue.CHECKS`; a check may give several rows
    status:  "pass", "fail", "note" (not wrong, but a reader should know), or "not run" (`meaning` says why)
    figure:  the measured figure with its unit, short; "" where there is none
    meaning: one sentence: what the figure says of this backbone, and what to do about a failure
    numbers: name -> number behind the figure, for tables and tests
    """

    check: str
    status: Status
    figure: str
    meaning: str
    numbers: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Findings:
    """All rows of one audit, in the order of the catalogue."""

    rows: tuple[Finding, ...]

    @property
    def failures(self) -> tuple[Finding, ...]:
        """The rows that failed."""
        return tuple(row for row in self.rows if row.status == "fail")

    def of(self, check: str) -> tuple[Finding, ...]:
        """The rows of one check."""
        return tuple(row for row in self.rows if row.check == check)

    def frame(self) -> pd.DataFrame:
        """One row a finding, columns `COLUMNS`, all text."""
        return findings_frame(self.rows)

    def numbers(self) -> pd.DataFrame:
        """Every number behind the figures, one a row: columns check, name, value."""
        rows = [(row.check, name, float(value)) for row in self.rows for name, value in row.numbers.items()]
        return pd.DataFrame(rows, columns=["check", "name", "value"]).astype({"value": "float64"})

    def csv(self) -> str:
        """The same as CSV, with a header."""
        return str(self.frame().to_csv(index=False))

    def table(self, *, width: int = 80) -> str:
        """Aligned text of at most `width` characters a line; meanings stand below where there is little room."""
        cells = [tuple(getattr(row, name) for name in COLUMNS) for row in self.rows]
        return aligned([_HEADINGS, *cells], width=width)


def findings_frame(rows: Iterable[Finding]) -> pd.DataFrame:
    """The table of some findings: columns `COLUMNS`, all text."""
    table: list[dict[str, Any]] = [{name: getattr(row, name) for name in COLUMNS} for row in rows]
    return pd.DataFrame(table, columns=list(COLUMNS))


def aligned(rows: list[tuple[str, ...]], *, width: int) -> str:
    """Rows of four cells; the first two columns as wide as they must be, the figure up to a third, the rest wraps.

    Where less than `_ROOM` characters are left, each row is a line of three cells with the fourth below it.
    """
    first, second = (max(len(row[column]) for row in rows) for column in (0, 1))
    left = width - first - second - 3 * len(_GAP)
    if left < _ROOM:
        return "\n".join(line for row in rows for line in _stacked(row, width=width))
    third = min(max(len(row[2]) for row in rows), left // 3)
    spaces = first, second, third, left - third
    lines = []
    for row in rows:
        parts = [textwrap.wrap(cell, space) or [""] for cell, space in zip(row, spaces, strict=True)]
        for number in range(max(map(len, parts))):
            shown = (part[number] if number < len(part) else "" for part in parts)
            lines.append(_GAP.join(text.ljust(space) for text, space in zip(shown, spaces, strict=True)).rstrip())
    return "\n".join(lines)


def _stacked(row: tuple[str, ...], *, width: int) -> list[str]:
    margin = 2 * _GAP
    head = textwrap.wrap(_GAP.join(filter(None, row[:3])), width, subsequent_indent=margin)
    return head + textwrap.wrap(row[3], width, initial_indent=margin, subsequent_indent=margin)
