"""What became slower than a saved baseline, or takes more memory: two runs of `make throughput` side by side.

Speeds of two days are not those of one machine in one state. So what was measured beside a peer is compared by its
ratio to that peer; every other speed in units of the matrix product that the same run measured, where both runs did;
and on another processor only the first kind is judged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from jetassay.errors import DataError, JetAssayError
from jetassay.measurements import Session, aligned, comparisons_of, describe_machine, numbers_of

PEAK = " / peak"
"""How the quantities end whose peer is the processor's matrix product."""

_MEMORY = "MiB"
_SHOWN_BEYOND = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing in both runs. ratio, best: after by before, by medians and by fastest rounds; below 1 is worse.

    kind: `ratio to a peer`, `speed` or `memory`; judged: whether it counts against the limit
    """

    name: str
    kind: str
    before: float
    after: float
    ratio: float
    best: float
    judged: bool = True

    def worse_than(self, limit: float) -> bool:
        """Whether it became worse beyond the limit, by median and fastest round alike: one slow round is no change."""
        return self.judged and self.ratio < limit and self.best < limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """All that is in both runs, and names of what is in one of them only."""

    changes: tuple[Change, ...]
    gone: tuple[str, ...]
    new: tuple[str, ...]
    scaled: bool
    same_machine: bool


def changes_between(before: Session, after: Session) -> Changes:
    """Every ratio to a peer, speed and memory of two sessions.

    Raises `DataError` where they have nothing in common.
    """
    same = _machine(before) == _machine(after)
    peaks = _peak(before), _peak(after)
    scale = 1.0 if None in peaks else peaks[1] / peaks[0]  # type: ignore[operator]  # neither is None
    old, new = _things(before), _things(after)
    common = [name for name in new if name in old]
    if not common:
        raise DataError("the two runs of `make throughput` have nothing in common; keep a new baseline")
    found = []
    for name in common:
        (kind, *was), (_, *now) = old[name], new[name]
        by = scale if kind == "speed" else 1.0
        middle, best = (after / before / by for before, after in zip(was, now, strict=True))
        judged = same or kind == "ratio to a peer"
        if kind == "memory":
            middle, best = 1 / middle, 1 / best
        found.append(Change(name=name, kind=kind, before=was[0], after=now[0], ratio=middle, best=best, judged=judged))
    return Changes(
        changes=tuple(sorted(found, key=lambda each: each.ratio)),
        gone=tuple(name for name in old if name not in new),
        new=tuple(name for name in new if name not in old),
        scaled=None not in peaks,
        same_machine=same,
    )


def enforce_speed(changes: Changes, *, limit: float) -> None:
    """Raise `JetAssayError` naming all that became worse than `limit` of the baseline."""
    worse = [each for each in changes.changes if each.worse_than(limit)]
    if worse:
        which = "\n".join(f"  {each.name}: {each.ratio:.2f} of the baseline" for each in worse)
        raise JetAssayError(f"{len(worse)} of {len(changes.changes)} below {limit:g} of the baseline\n{which}")


def render_changes(changes: Changes, before: Session, after: Session, *, limit: float) -> str:
    """One table, the worst first, of all that moved by more than a twentieth; and what the two runs are."""
    moved = [each for each in changes.changes if abs(each.ratio - 1) > _SHOWN_BEYOND]
    rows = [
        (each.name, each.kind, f"{each.before:.4g}", f"{each.after:.4g}", f"{each.ratio:.2f}", f"{each.best:.2f}",
         _word(each, limit)) for each in moved
    ]  # fmt: skip
    heads = ("", "kind", "baseline", "now", "ratio", "fastest", "verdict")
    blocks = [aligned([heads, *rows], right=(2, 3, 4, 5))] if rows else []
    blocks.append(
        f"{len(changes.changes) - len(moved)} others within {_SHOWN_BEYOND:.0%}. Below 1 is worse; the limit is "
        f"{limit:g}, by medians and by fastest rounds alike. Speeds are "
        + ("in units of each run's own matrix product." if changes.scaled else "as they were: one run has no peak.")
    )
    if not changes.same_machine:
        blocks.append("Not the same processor: only ratios to a peer are judged.")
    for text, names in (("only in the baseline", changes.gone), ("not in the baseline", changes.new)):
        if names:
            blocks.append(f"{text}: {', '.join(names)}")
    blocks.append(aligned([("baseline", describe_machine(before)), ("now", describe_machine(after))]))
    return "\n\n".join(blocks)


def newest_run(folder: Path) -> Path:
    """The last whole run below `folder`. Raises `DataError` where there is none."""
    found = sorted(folder.glob("*/throughput.json"))
    if not found:
        raise DataError(f"{folder}: no run of `make throughput` is here; run that first")
    return found[-1]


def _word(change: Change, limit: float) -> str:
    if not change.judged:
        return "-"
    return "worse" if change.worse_than(limit) else "better" if change.ratio > 1 / limit else "near"


def _things(session: Session) -> dict[str, tuple[str, float, float]]:
    """Name -> kind, number by medians, number by the fastest round."""
    found: dict[str, tuple[str, float, float]] = {}
    for pair in comparisons_of(session):
        if not pair.quantity.startswith("weaver"):  # what a peer reaches is not ours to change
            found[pair.name] = "ratio to a peer", pair.ratio, pair.best_ratio
    for each in session["benchmarks"]:
        about, stats = each["extra_info"], each["stats"]
        if not about.get("beside_peer"):
            rate = float(about["jets_per_s"])
            fastest = rate * float(stats["median"]) / float(stats.get("min", stats["median"]))
            found[str(each["name"])] = "speed", rate, fastest
    for number in numbers_of(session):
        if number.unit == _MEMORY and "weaver" not in number.name:
            found[f"{number.group}: {number.name}"] = "memory", number.value, number.value
    return found


def _peak(session: Session) -> float | None:
    """The matrix product's speed in a run, the median over the networks beside which it was measured."""
    found: Sequence[float] = [median(each.peer) for each in comparisons_of(session) if each.quantity.endswith(PEAK)]
    return median(found) if found else None


def _machine(session: Mapping[str, Any]) -> tuple[Any, ...]:
    machine = session.get("machine_info") or {}
    return (machine.get("cpu") or {}).get("brand_raw"), machine.get("usable_cores")
