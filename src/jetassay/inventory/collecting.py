"""What of the cache no kept run needs. What one does, and what cannot be told, stays."""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from jetassay.embeddings.datasets import default_store
from jetassay.embeddings.store import DamagedShardError, outline
from jetassay.errors import StoreError
from jetassay.inventory.contents import audits, partials, shards
from jetassay.inventory.kept import Kept, forgotten_runs, kept_results
from jetassay.inventory.planning import SuitePlan, plan_suite
from jetassay.inventory.rendering import size_text
from jetassay.inventory.verifying import range_free
from jetassay.places import cache_folder, workspace
from jetassay.progress import Reporter
from jetassay.suite import Suite
from jetassay.whole_files import is_leftover

_LEFT = "left by a process that was killed"
_FORGOTTEN = "says that a run was begun, which is forgotten"


@dataclass(frozen=True, slots=True)
class Waste:
    """A file that can go, and why."""

    path: Path
    size: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SortedCache:
    """The cache, sorted.

    kept_for: names of suites; needed: files that they take; young: files that none takes but that are too young
    """

    kept_for: tuple[str, ...]
    waste: tuple[Waste, ...]
    needed: int
    young: int
    min_age_h: float
    linked: tuple[Path, ...] = ()

    @property
    def size(self) -> int:
        """Bytes that can be had."""
        return sum(each.size for each in self.waste)

    def text(self, *, deleted: bool) -> str:
        """Every file that can go or is gone, and what stays."""
        done = "removed" if deleted else "not needed"
        lines = [f"{done}: {each.path} ({size_text(each.size)}, {each.why})" for each in self.waste]
        lines += [f"left alone: {path} is a link" for path in self.linked]
        owners = f"{self.needed} files that {', '.join(self.kept_for)} need" if self.kept_for else "nothing for a suite"
        lines += [f"kept: {owners} (results in {workspace()}, and --keep)"]
        if self.young:
            lines += [f"kept: {self.young} files younger than {self.min_age_h:g} h; --min-age 0 counts them too"]
        freed = "freed" if deleted else "could be freed; --delete does it"
        return "\n".join([*lines, f"{len(self.waste)} files, {size_text(self.size)} {freed}"])


def sort_cache(
    *, keep: Sequence[Suite] = (), forget: Sequence[str] = (), min_age_h: float = 24.0, reporter: Reporter
) -> SortedCache:
    """Tell what kept runs need from what they do not; nothing is removed.

    keep:      suites that shall need nothing computed, whether they have results or not
    forget:    suites whose results in the workspace do not count, nor that they were begun: that goes too
    min_age_h: hours since a file was written before it can go, so that what writes no results loses nothing under way

    Raises `StoreError` where it cannot be told what a suite needs, `ConfigError` where there is nothing to forget.
    """
    kept = _known(keep, forget, reporter)
    plans = [each.plan for each in kept if each.plan is not None]
    store, archive = default_store().root, cache_folder() / "audits"
    linked = tuple(folder for folder in (store, archive) if folder.is_symlink())
    limit = time.time() - 3600 * min_age_h
    waste: list[Waste] = []
    needed = young = 0
    in_cache = _reasons(plans, *(folder for folder in (store, archive) if folder not in linked))
    for path, why in chain(((path, _FORGOTTEN) for path in forgotten_runs(forget)), in_cache):
        status = _status(path)
        if status is None:
            continue
        if not why:
            needed += 1
        elif status.st_mtime > limit and why not in (_LEFT, _FORGOTTEN):
            young += 1
        else:
            waste.append(Waste(path, status.st_size, why))
    return SortedCache(
        kept_for=tuple(dict.fromkeys(each.label for each in kept)),
        waste=tuple(waste),
        needed=needed,
        young=young,
        min_age_h=min_age_h,
        linked=linked,
    )


def _reasons(plans: Sequence[SuitePlan], *folders: Path) -> Iterator[tuple[Path, str]]:
    """Every shard and audit in `folders`, and what killed processes left, with why it can go; empty where it cannot."""
    parts = [part for plan in plans for part in (*plan.parts, *plan.aside)]
    wanted = {range_free(unit.describe()) for part in parts for unit in part.units}
    needed = {path for plan in plans for path in plan.audits}
    for folder in folders:
        yield from ((path, _unneeded_shard(path, wanted)) for path in shards(folder))
        yield from ((path, "" if path in needed else "an audit of no kept run") for path in audits(folder))
    yield from ((path, _LEFT) for path in partials(cache_folder()) if is_leftover(path))


def _status(path: Path) -> os.stat_result | None:
    """None where somebody else has removed it meanwhile."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def remove(waste: Sequence[Waste]) -> None:
    """Remove the files. Raises `StoreError` naming the first that cannot be removed."""
    for each in waste:
        try:
            each.path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"{each.path}: cannot be removed: {error.strerror}; the others before it are") from error


def _known(keep: Sequence[Suite], forget: Sequence[str], reporter: Reporter) -> list[Kept]:
    """All that is kept, each with its plan. Raises `StoreError` where one is not known in full."""
    kept = kept_results(forget=forget, begun=True, reporter=reporter)
    kept += [Kept(suite.name, plan_suite(suite, reporter=reporter)) for suite in keep]
    unknown = [f"{each.label}: {each.why_unknown}" for each in kept if each.why_unknown]
    if unknown:
        told = "\n".join(unknown)
        raise StoreError(
            f"nothing is removed, for it cannot be told what these suites need:\n{told}\n"
            "Run them again, or leave their results out: --forget NAME"
        )
    return kept


def _unneeded_shard(path: Path, needed: set[str]) -> str:
    """Why a shard can go; empty where it is needed."""
    try:
        about = outline(path).description
        return "" if range_free(about) in needed else "a shard of no kept run"
    except (DamagedShardError, FileNotFoundError):
        return "damaged, so it is never used"
