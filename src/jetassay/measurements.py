"""What `make throughput` saves: benchmarks, comparisons with peers, curves and single numbers, with the machine.

One run is a folder of JSON files, one by pytest-benchmark and one by each program of `benchmarks/`, all of one form
(`benchmarks/rounds.py` states it), and `throughput.json`, which is all of them together.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from jetassay.errors import DataError

Session = dict[str, Any]

_LISTS = ("benchmarks", "quantities", "curves", "numbers")
_TABLES = ("skipped", "failed")
_LOADS = {"load_before": "before", "load_after": "after"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One quantity of one network, or of reading: speeds of ours and of a peer in `unit`, a number a round.

    load: load average of the machine at the end of each round
    """

    network: str
    quantity: str
    unit: str
    ours: tuple[float, ...]
    peer: tuple[float, ...]
    load: tuple[float, ...]

    @property
    def name(self) -> str:
        """What it is, in one line."""
        return f"{self.network} {self.quantity}"

    @property
    def ratio(self) -> float:
        """Of the medians over rounds."""
        return median(self.ours) / median(self.peer)

    @property
    def best_ratio(self) -> float:
        """Of the fastest rounds."""
        return max(self.ours) / max(self.peer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One line of a figure; `x` and `y` say what the axes are, `points` holds the numbers, x rising."""

    figure: str
    series: str
    x: str
    y: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """One cell of the table `group`."""

    group: str
    name: str
    value: float
    unit: str


def read_session(path: Path) -> Session:
    """One JSON file in the form of `benchmarks/rounds.py`, or of pytest-benchmark with our `extra_info`.

    Raises `DataError` where it is missing or something else, or a number in it is none.
    """
    try:
        session: Session = json.loads(path.read_text(encoding="utf-8"))
        for each in session.get("benchmarks", ()):
            each["name"], float(each["extra_info"]["jets_per_s"]), float(each["stats"]["median"]), each["stats"]["iqr"]
        found = comparisons_of(session)
        curves_of(session), numbers_of(session)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read: {error.strerror}; no benchmark was finished, or none saved"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: not written by `make throughput` ({error!r}); remove it and run that again"
        ) from error
    if not any(name in session for name in _LISTS):
        raise DataError(f"{path}: not written by `make throughput` (nothing measured); remove it and run that again")
    for each in found:
        speeds = (*each.ours, *each.peer)
        if not each.ours or len(each.ours) != len(each.peer) or not all(0 < speed < math.inf for speed in speeds):
            raise DataError(f"{path}: {each.name}: speeds must be positive numbers, one a round")
    return session


def comparisons_of(session: Mapping[str, Any]) -> tuple[Comparison, ...]:
    """What was measured beside a peer."""
    found = []
    for each in session.get("quantities", ()):
        ours, peer, load = (tuple(float(number) for number in each[name]) for name in ("ours", "peer", "load"))
        network, quantity, unit = (str(each[name]) for name in ("network", "quantity", "unit"))
        found.append(Comparison(network=network, quantity=quantity, unit=unit, ours=ours, peer=peer, load=load))
    return tuple(found)


def curves_of(session: Mapping[str, Any]) -> tuple[Curve, ...]:
    """What was measured along an axis."""
    return tuple(
        Curve(
            **{name: str(each[name]) for name in ("figure", "series", "x", "y")},
            points=tuple(sorted((float(x), float(y)) for x, y in each["points"])),
        )
        for each in session.get("curves", ())
    )


def numbers_of(session: Mapping[str, Any]) -> tuple[Number, ...]:
    """Single numbers, in the order of their tables."""
    return tuple(
        Number(value=float(each["value"]), **{name: str(each[name]) for name in ("group", "name", "unit")})
        for each in session.get("numbers", ())
    )


def merge(sessions: Sequence[Session]) -> Session:
    """All of them as one: the facts are those of the first, the load after is that of the last."""
    first, last = sessions[0], sessions[-1]
    merged: Session = {name: first[name] for name in ("datetime", "machine_info", "commit_info") if name in first}
    after = (last.get("machine_info") or {}).get("load_after")
    if after is not None:
        merged["machine_info"] = {**merged.get("machine_info", {}), "load_after": after}
    for name in _LISTS:
        merged[name] = [each for session in sessions for each in session.get(name) or ()]
    for name in _TABLES:
        merged[name] = {key: text for session in sessions for key, text in (session.get(name) or {}).items()}
    return merged


def describe_machine(session: Mapping[str, Any]) -> str:
    """Processor, load, versions and commit of a session, as far as it says."""
    machine = session.get("machine_info") or {}
    commit = session.get("commit_info") or {}
    loads = " and ".join(f"{machine[key]:.1f} {when}" for key, when in _LOADS.items() if key in machine)
    facts = [
        (machine.get("cpu") or {}).get("brand_raw"),
        f"{machine['usable_cores']} cores" if "usable_cores" in machine else None,
        f"load average {loads}" if loads else None,
        f"torch {machine['torch']}" if "torch" in machine else None,
        f"commit {commit['id'][:10]}{' and changes' if commit.get('dirty') else ''}" if commit.get("id") else None,
        str(session.get("datetime", ""))[:19] + " UTC" if session.get("datetime") else None,
    ]
    return "; ".join(fact for fact in facts if fact)


def aligned(rows: Sequence[Sequence[str]], *, right: Iterable[int] = ()) -> str:
    """Rows as text: columns two spaces apart; those in `right` end together, the others begin together."""
    flush = frozenset(right)
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.rjust(width) if k in flush else cell.ljust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)
