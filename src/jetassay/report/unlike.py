"""What was not the same: every fact that two results or more depend on and do not share."""

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

from jetassay.report.sections.missing import MISSING, UNDEFINED
from jetassay.report.sections.provenance import flat
from jetassay.report.stored import Stored

_ORDER = ("task versions", "data", "weights", "cards", "git", "versions", "parameters", "seed", "threads", "machine")
"""What numbers depend on most comes first; anything else follows."""

_TASKS = "task versions."

_NEVER_THE_SAME = ("created", "timing_s", "peak_memory_mib", "title", "protocol", "suite", "provenance_version")
"""What a run did rather than what its numbers depend on, and what follows from other facts."""

_DIGITS = 12
"""Of a digest, in tables for people."""


def unlike(results: Sequence[Stored], letters: Sequence[str]) -> pd.DataFrame:
    """Facts down (`what`), a column for each letter with the whole value, only where they are not all equal.

    Absent facts are None. A working tree with changes that no commit holds is always listed: its code is not known.
    """
    facts = [_facts(each) for each in results]
    rows = []
    for name in sorted({name for each in facts for name in each}, key=_place):
        values = [each.get(name) for each in facts]
        if name.startswith(_TASKS) and None in values:
            continue  # a task that one of them did not run; its scores are counted as those of one side
        dirty = name == "git.dirty" and any(values)
        if dirty or any(value != values[0] for value in values[1:]):
            rows.append({"what": name, **dict(zip(letters, values, strict=True))})
    return pd.DataFrame(rows, columns=["what", *letters], dtype=object)


def short(value: Any) -> str:
    """A fact in a table for people: digests cut, long lists counted."""
    if value is None:
        return "-"
    if isinstance(value, list):
        text = json.dumps(value)
        return text if len(text) <= 2 * _DIGITS else f"{len(value)} entries"
    text = str(value)
    digest = len(text) >= 40 and all(letter in "0123456789abcdef" for letter in text)
    return text[:_DIGITS] if digest else text if len(text) <= 3 * _DIGITS else f"{text[: 3 * _DIGITS - 1]}…"


def _facts(result: Stored) -> dict[str, Any]:
    frame = result.frame
    versions = frame.groupby("task")["task_version"].unique()
    counted = {name: len(result.provenance.get(name, ())) for name in (MISSING, UNDEFINED)}
    kept = {name: value for name, value in result.provenance.items() if name not in (*_NEVER_THE_SAME, *counted)}
    return {
        **{f"{_TASKS}{task}": ", ".join(str(each) for each in found) for task, found in versions.items()},
        **flat(kept),
        **{f"{name}, lines": count for name, count in counted.items()},
    }


def _place(name: str) -> tuple[int, str]:
    top = name.partition(".")[0]
    return (_ORDER.index(top) if top in _ORDER else len(_ORDER), name)
