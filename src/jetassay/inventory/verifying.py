"""Every shard and every kept audit held against its key and its checksum, and who depended on a damaged one."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jetassay.audit.archive import check_audit
from jetassay.embeddings.datasets import default_store
from jetassay.embeddings.store import DamagedShardError, check_shard, key_of, outline
from jetassay.errors import StoreError
from jetassay.inventory.contents import audits, foreign, partials, shards
from jetassay.inventory.kept import Kept, kept_results
from jetassay.inventory.planning import SuitePlan
from jetassay.places import cache_folder
from jetassay.progress import Reporter
from jetassay.whole_files import is_leftover


@dataclass(frozen=True, slots=True)
class Damaged:
    """A shard or audit that is not what its name stands for.

    results:   suites whose results depended on it, with their tracked runs
    uncertain: suites of which that cannot be told, and why
    """

    path: Path
    reason: str
    results: tuple[str, ...]
    uncertain: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was checked. foreign: files among ours that we did not write; leftovers: of killed processes."""

    shards: int
    audits: int
    rows: int
    damaged: tuple[Damaged, ...]
    foreign: tuple[Path, ...]
    leftovers: tuple[Path, ...]

    def text(self) -> str:
        """What is damaged, by whom it was used, and what else lies there."""
        lines = []
        for each in self.damaged:
            lines += [f"damaged: {each.reason}"]
            lines += [f"  results that depended on it: {name}" for name in each.results]
            lines += [f"  cannot be told of {reason}" for reason in each.uncertain]
            if not each.results and not each.uncertain:
                lines += ["  no results in this workspace depended on it"]
        lines += [f"foreign, or a link, not checked: {path}" for path in self.foreign]
        lines += [f"left by a process that was killed: {path}" for path in self.leftovers]
        counts = f"{self.shards} shards with {self.rows} rows and {self.audits} audits checked"
        lines += [f"{counts}, {len(self.damaged)} damaged"]
        if self.damaged:
            lines += [
                "Damaged ones are never used: running a suite again computes them anew, and its scores with them."
            ]
        return "\n".join(lines)


def verify(*, reporter: Reporter) -> Verified:
    """Read every shard and kept audit of the cache. Nothing is changed."""
    store, archive = default_store().root, cache_folder() / "audits"
    bad: list[tuple[Path, str]] = []
    of_shards, of_audits = list(shards(store)), list(audits(archive))
    rows = 0
    with reporter.bar("verifying", len(of_shards) + len(of_audits), unit="files") as bar:
        for path in (*of_shards, *of_audits):
            try:
                rows += _check(path)
            except StoreError as error:
                bad.append((path, str(error)))
            except FileNotFoundError:
                reporter.line(f"{path}: vanished meanwhile")
            bar.advance(1)
    kept = kept_results(reporter=Reporter(quiet=True)) if bad else []
    return Verified(
        shards=len(of_shards),
        audits=len(of_audits),
        rows=rows,
        damaged=tuple(_blame(path, reason, kept) for path, reason in bad),
        foreign=tuple(foreign(store, archive)),
        leftovers=tuple(path for path in partials(cache_folder()) if is_leftover(path)),
    )


def _check(path: Path) -> int:
    """Rows of a shard that is whole; 0 for an audit. Raises `StoreError` where it is damaged."""
    if path.suffix == ".json":
        check_audit(path)
        return 0
    return check_shard(path).rows


def _blame(path: Path, reason: str, kept: Sequence[Kept]) -> Damaged:
    """The results that took this file, by its name; where a plan is not known to its last unit, by what it says."""
    about = _description(path)
    results, uncertain = [], []
    for each in kept:
        if each.plan is None:
            uncertain.append(f"{each.name}: {each.reason}")
        elif path in each.plan.audits or takes(each.plan, path.stem, about):
            results.append(each.told)
        elif not each.plan.known:
            uncertain.append(f"{each.name}: some of its jets, or of their tables, are not there or damaged too")
    return Damaged(path, reason, tuple(results), tuple(uncertain))


def takes(plan: SuitePlan, key: str, description: Any | None) -> bool:
    """Whether a suite takes the shard `key`, or one of the same file by the same recipe, whatever the entries."""
    units = [unit for part in plan.parts for unit in part.units]
    if description is not None:
        return range_free(description) in {range_free(unit.describe()) for unit in units}
    return key in {unit.key for unit in units}


def range_free(description: Any) -> str:
    """A description without the range of entries, as text."""
    return json.dumps(
        {name: value for name, value in description.items() if name not in ("start", "stop")}, sort_keys=True
    )


def _description(path: Path) -> Any | None:
    """What a damaged shard says it is, where that still fits its name."""
    try:
        found = outline(path).description
    except (DamagedShardError, FileNotFoundError):
        return None
    return found if key_of(found) == path.stem else None
