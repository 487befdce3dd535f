"""Every shard, kept audit and simulated file held against its key and its checksum; who depended on a damaged one."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jetassay.audit.archive import check_audit
from jetassay.embeddings.datasets import default_store
from jetassay.embeddings.store import DamagedShardError, check_shard, key_of, outline
from jetassay.errors import SimulationError, StoreError
from jetassay.inventory.contents import audits, foreign, partials, shards, simulated
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
    """What was checked: shards, audits, and files of simulated jets; rows: of the shards.

    foreign:   files among ours that we did not write, and folders in the place of one
    leftovers: of killed processes
    missing:   shards that are not there, by the results that took them
    unknown:   results of which it cannot be told what they took, and why
    """

    shards: int
    audits: int
    jets: int
    rows: int
    damaged: tuple[Damaged, ...]
    foreign: tuple[Path, ...]
    leftovers: tuple[Path, ...]
    missing: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()

    def text(self) -> str:
        """What is damaged, by whom it was used, and what else lies there."""
        lines = []
        for each in self.damaged:
            lines += [f"damaged: {each.reason}"]
            lines += [f"  results that depended on it: {name}" for name in each.results]
            lines += [f"  cannot be told of {reason}" for reason in each.uncertain]
            if not each.results and not each.uncertain:
                lines += ["  no results in this workspace depended on it"]
        for name, paths in self.missing.items():
            lines += [f"missing: {path}" for path in paths]
            lines += [f"  {len(paths)} missing of {name}; running it again computes those of files that can be read"]
        lines += [f"cannot be told what {each}" for each in self.unknown]
        lines += [f"foreign, or a link, not checked: {path}{_in_the_way(path)}" for path in self.foreign]
        lines += [f"left by a process that was killed: {path}" for path in self.leftovers]
        counts = (
            f"{self.shards} shards with {self.rows} rows, {self.audits} audits, {self.jets} files of simulated jets"
        )
        lines += [f"{counts} checked, {len(self.damaged)} damaged"]
        if self.damaged:
            lines += [
                "Damaged ones are never used: running a suite again computes them anew, and its scores with them."
            ]
        return "\n".join(lines)


def verify(*, reporter: Reporter) -> Verified:
    """Read every shard, kept audit and simulated jet of the cache. Nothing is changed."""
    store, archive = default_store().root, cache_folder() / "audits"
    bad: list[tuple[Path, str]] = []
    of_shards, of_audits = list(shards(store)), list(audits(archive))
    rows = 0
    of_jets = list(simulated(cache_folder() / "simulated"))
    files = (*of_shards, *of_audits, *of_jets)
    with reporter.bar("verifying", len(files), unit="files") as bar:
        for path in files:
            try:
                rows += _check(path)
            except (StoreError, SimulationError) as error:
                bad.append((path, str(error)))
            except FileNotFoundError:
                reporter.line(f"{path}: vanished meanwhile")
            bar.advance(1)
    kept = kept_results(reporter=Reporter(quiet=True))
    return Verified(
        shards=len(of_shards),
        audits=len(of_audits),
        jets=len(of_jets),
        rows=rows,
        damaged=tuple(_blame(path, reason, kept) for path, reason in bad),
        foreign=tuple(foreign(store, archive)),
        leftovers=tuple(path for path in partials(cache_folder()) if is_leftover(path)),
        missing={each.told: gone for each in kept if each.plan is not None and (gone := _missing(each.plan))},
        unknown=tuple(f"{each.name} takes: {each.why_unknown}" for each in kept if each.why_unknown),
    )


def _missing(plan: SuitePlan) -> tuple[Path, ...]:
    """Shards of a plan that are not there, each once."""
    store = default_store()
    places = dict.fromkeys(store.path(unit) for part in plan.parts if part.known for unit in part.units)
    return tuple(place for place in places if not place.is_file())


def _in_the_way(path: Path) -> str:
    return "" if path.is_symlink() or not path.is_dir() else " (a folder where a file goes: move it away)"


def _check(path: Path) -> int:
    """Rows of a shard that is whole; 0 for an audit or for jets.

    Raises `StoreError` or `SimulationError` where it is damaged.
    """
    if path.suffix == ".root":
        from jetassay.simulation.writing import check_content, read_facts

        check_content(path, read_facts(path))
        return 0
    if path.suffix == ".json":
        check_audit(path)
        return 0
    return check_shard(path).rows


def _blame(path: Path, reason: str, kept: Sequence[Kept]) -> Damaged:
    """The results that took this file, by its name; where a plan is not known to its last unit, by what it says."""
    about = _description(path)
    results, uncertain = [], []
    for each in kept:
        if each.plan is not None and (_names(each.plan, path) or takes(each.plan, path.stem, about)):
            results.append(each.told)
        elif each.why_unknown:
            uncertain.append(f"{each.name}: {each.why_unknown}")
    return Damaged(path, reason, tuple(results), tuple(uncertain))


def _names(plan: SuitePlan, path: Path) -> bool:
    """Whether `path` is an audit or a file of jets of the suite, those in another detector mode too."""
    return path in plan.audits or path in {unit.file.path for part in plan.parts for unit in part.units}


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
