"""What is there of a plan, and what the rest may cost, from what shards of the same weights have cost before."""

import heapq
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jetassay.embeddings.datasets import default_store
from jetassay.embeddings.store import DamagedShardError, Outline, outline
from jetassay.embeddings.units import EmbeddingRecipe, Unit
from jetassay.inventory.contents import shards
from jetassay.inventory.planning import TABLE_COLUMNS, Part, SuitePlan

_SHARD_BYTES = 6_000
"""More than a shard has beside its rows: a footer of 3.4 to 4.3 kB (measured, of all kinds), and headers of pages."""
_LEVELS = 1.02
"""Bytes of a row on the disk over those of its numbers, uncompressed: where each list ends is 1 % of 128 numbers."""
_Of = tuple[str, str]
"""Digests of card and weights; twice empty for tables of jets."""


@dataclass(slots=True)
class Rate:
    """What shards of one backbone have cost: their number, entries, bytes; of timed ones wall and CPU seconds."""

    shards: int = 0
    entries: int = 0
    size: int = 0
    timed_entries: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def add(self, entries: int, size: int, seconds: float | None, cpu_seconds: float | None) -> None:
        """One more shard; one that says nothing of CPU time was made by one thread."""
        self.shards += 1
        self.entries += entries
        self.size += size
        if seconds is not None:
            self.timed_entries += entries
            self.seconds += seconds
            self.cpu_seconds += seconds if cpu_seconds is None else cpu_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One unit of a plan.

    key:      of its shard; None where the jets are not there yet
    size:     bytes on disk of a shard that is there, else the estimate of them
    measured: whether a size that is estimated is that of other shards, and not an upper limit
    seconds:  estimate of the wall time it takes; 0 for one that is there, None where nothing was ever timed
    cpu_seconds: likewise of the CPU time
    """

    unit: Unit[Any]
    key: str | None
    there: bool
    size: float
    measured: bool
    seconds: float | None
    cpu_seconds: float | None = 0.0


@dataclass(frozen=True, slots=True)
class Stored:
    """The outlines of all shards of the store, by key, with their sizes in bytes, and the rates that follow."""

    outlines: Mapping[str, tuple[Outline, int]]
    rates: Mapping[_Of, Rate] = field(default_factory=dict)

    def look_up(self, part: Part) -> list[Planned]:
        """What is there of each unit of `part`, and what it may cost if not."""
        return [self._look_up(part, unit) for unit in part.units]

    def rate(self, part: Part) -> Rate:
        """What shards like those of `part` have cost."""
        return self.rates.get(_of_recipe(part.units[0].recipe), Rate()) if part.units else Rate()

    def _look_up(self, part: Part, unit: Unit[Any]) -> Planned:
        key = unit.key if part.known else None
        found = self.outlines.get(key) if key is not None else None
        if found is not None and found[0].description == unit.describe():
            return Planned(unit=unit, key=key, there=True, size=found[1], measured=True, seconds=0.0)
        rate = self.rate(part)
        return Planned(
            unit=unit,
            key=key,
            there=False,
            size=len(unit) * rate.size / rate.entries if rate.entries else _most_bytes(part, len(unit)),
            measured=rate.entries > 0,
            seconds=len(unit) * rate.seconds / rate.timed_entries if rate.timed_entries else None,
            cpu_seconds=len(unit) * rate.cpu_seconds / rate.timed_entries if rate.timed_entries else None,
        )


def stored() -> Stored:
    """Read the footer of every shard in the store. Damaged ones are left out: they would be computed again."""
    outlines: dict[str, tuple[Outline, int]] = {}
    rates: dict[_Of, Rate] = defaultdict(Rate)
    for path in shards(default_store().root):
        found = _outline(path)
        if found is None:
            continue
        outlines[path.stem] = found
        about, facts = found[0].description, found[0].facts
        of = str(about.get("card", "")), str(about.get("weights", ""))
        entries = _number(facts, "counts", "entries")
        if entries:
            spent = [_number(facts, "cost", name) for name in ("forward_cpu_s", "reading_cpu_s")]
            cpu = None if None in spent else sum(filter(None, spent))
            rates[of].add(int(entries), found[1], _number(facts, "cost", "seconds"), cpu)
    return Stored(outlines, rates)


def look_up_all(plan: SuitePlan) -> list[tuple[Part, list[Planned]]]:
    """Every part of a plan with what is there of it."""
    store = stored()
    return [(part, store.look_up(part)) for part in plan.parts]


def scoring_bytes(costed: Sequence[tuple[Part, Sequence[Planned]]]) -> int:
    """At most this much of the disk of the cache holds what is scored, from the embeddings to the end of the run.

    4 (D + K) bytes a jet for each backbone, and once 24 and 4 for each column of the table of jets.
    """
    found = 0
    for part, units in costed:
        entries = sum(len(each.unit) for each in units)
        if part.what == "all splits":
            found += entries * (24 + 4 * TABLE_COLUMNS)
        elif part.what == "embedding":
            found += entries * (part.row_bytes - 8)  # the numbers of entries stay in the store
    return found


def time_of_workers(costed: Sequence[tuple[Part, Sequence[Planned]]], *, workers: int) -> tuple[float, bool]:
    """Seconds that `workers` processes of one thread each take, and whether every unit was ever timed.

    As the driver of a cluster hands them out: all that is made of the same entries goes to whoever is free first.
    """
    ranges: dict[object, float] = defaultdict(float)
    for part, units in costed:
        for each in units:
            stage = "" if part.what in ("all splits", "embedding") else part.what
            ranges[stage, each.unit.file, each.unit.start, each.unit.stop] += each.cpu_seconds or 0.0
    busy = [0.0] * workers
    for seconds in ranges.values():
        heapq.heapreplace(busy, busy[0] + seconds)
    return max(busy), all(each.cpu_seconds is not None for _, units in costed for each in units)


def _outline(path: Path) -> tuple[Outline, int] | None:
    try:
        return outline(path), path.stat().st_size
    except (DamagedShardError, FileNotFoundError):
        return None


def _most_bytes(part: Part, entries: int) -> float:
    return _SHARD_BYTES + _LEVELS * part.row_bytes * entries


def _number(facts: Mapping[str, Any], table: str, name: str) -> float | None:
    """A number that a shard tells of itself; tables of jets of earlier versions tell no cost."""
    inner = facts.get(table)
    value = inner.get(name) if isinstance(inner, dict) else None
    return value if isinstance(value, (int, float)) else None


def _of_recipe(recipe: Any) -> _Of:
    return (recipe.card, recipe.weights) if isinstance(recipe, EmbeddingRecipe) else ("", "")
