"""A plan as text: one table a backbone, or every unit as CSV or JSON."""

import json
import shutil
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from jetassay.inventory.costs import Planned, scoring_bytes, time_of_workers
from jetassay.inventory.planning import Part, SuitePlan
from jetassay.places import cache_folder
from jetassay.progress import time_text
from jetassay.report.tables import aligned

Costed = Sequence[tuple[Part, Sequence[Planned]]]


def render_plan(
    plan: SuitePlan,
    costed: Costed,
    *,
    format: str,  # noqa: A002 - the option's name
    width: int,
    workers: int | None = None,
) -> str:
    """`table`, `csv` or `json`; the latter two name every unit. workers: also the time that so many processes take."""
    if format == "csv":
        return pd.DataFrame(list(_units(costed))).to_csv(index=False).rstrip("\n")
    if format == "json":
        found = {"schema": 1, "suite": plan.suite.name, "jets": _jets(plan), "units": list(_units(costed))}
        found["disk"] = {name: round(size) for name, size in _disk(costed).items()}
        found["audits"] = [{"path": path.name, "there": path.is_file()} for path in plan.audits]
        if workers is not None:
            seconds, complete = time_of_workers(costed, workers=workers)
            found["workers"] = {"count": workers, "seconds": seconds, "complete": complete}
        return json.dumps(found, indent=1)
    return "\n\n".join(_tables(plan, costed, width, workers))


def size_text(size: float) -> str:
    """Bytes in the unit that fits."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _jets(plan: SuitePlan) -> dict[str, Any]:
    files = plan.jets.dataset.files
    return {
        "dataset": plan.jets.dataset.name,
        "files": len(files),
        "files_to_simulate": plan.jets.missing,
        "entries": sum(file.entries for file in files),
        "bytes": plan.jets.size,
    }


def _units(costed: Costed) -> Iterator[dict[str, Any]]:
    for part, units in costed:
        for each in units:
            yield {
                "backbone": part.backbone,
                "what": part.what,
                "file": each.unit.file.name,
                "start": each.unit.start,
                "stop": each.unit.stop,
                "known": part.known,
                "there": each.there,
                "key": each.key,
                "bytes": round(each.size),
                "bytes_from": "disk" if each.there else "other shards" if each.measured else "upper limit",
                "seconds": each.seconds,
            }


def _tables(plan: SuitePlan, costed: Costed, width: int, workers: int | None) -> Iterator[str]:
    every = [each for _, units in costed for each in units]
    there = sum(each.there for each in every)
    yield f"{plan.suite.name}: {there} of {len(every)} units are there\n{_jets_text(plan)}"
    for backbone in dict.fromkeys(part.backbone for part, _ in costed):
        rows = {_name(part): _cells(units) for part, units in costed if part.backbone == backbone}
        yield f"{backbone}\n{aligned(pd.DataFrame.from_dict(rows, orient='index'), width=width)}"
    total = pd.DataFrame.from_dict({"in all": _cells(every)}, orient="index")
    spread = "" if workers is None else f"\n{_workers_text(costed, workers)}"
    yield f"{aligned(total, width=width)}\n{_disk_text(costed)}{spread}"
    yield "\n".join(_footnotes(plan, every))


def _disk(costed: Costed) -> dict[str, float]:
    """Bytes of the cache's disk: free, to write and keep, and taken while the run scores."""
    return {
        "free": shutil.disk_usage(_existing_cache()).free,
        "to_write": sum(each.size for _, units in costed for each in units if not each.there),
        "scoring": scoring_bytes(costed),
    }


def _disk_text(costed: Costed) -> str:
    disk = _disk(costed)
    lines = [
        f"free on the disk of the cache: {size_text(disk['free'])}",
        f"scoring takes < {size_text(disk['scoring'])} of it besides, until the run ends",
    ]
    if disk["to_write"] + disk["scoring"] > disk["free"]:
        lines.append("warning: that does not fit; set JETASSAY_CACHE to a larger disk, or take fewer jets or backbones")
    return "\n".join(lines)


def _workers_text(costed: Costed, workers: int) -> str:
    seconds, complete = time_of_workers(costed, workers=workers)
    time = time_text(seconds) if complete else f"> {time_text(seconds)}" if seconds else "?"
    return f"{workers} worker process{'es' * (workers != 1)} of one thread each: {time}, by CPU time of other shards"


def _existing_cache() -> Any:
    folder = cache_folder().absolute()
    return next(each for each in (folder, *folder.parents) if each.exists())


def _name(part: Part) -> str:
    return part.what if part.known else f"{part.what} *"


def _cells(units: Sequence[Planned]) -> dict[str, str]:
    missing = [each for each in units if not each.there]
    timed = [each.seconds for each in missing if each.seconds is not None]
    time = time_text(sum(timed))
    if len(timed) < len(missing):
        time = f"> {time}" if timed else "?"
    limit = any(not each.measured for each in missing)
    return {
        "files": str(len({each.unit.file.name for each in units})),
        "units": str(len(units)),
        "there": str(len(units) - len(missing)),
        "entries": str(sum(len(each.unit) for each in units)),
        "to do": str(sum(len(each.unit) for each in missing)),
        "on disk": size_text(sum(each.size for each in units if each.there)),
        "to write": ("< " if limit else "") + size_text(sum(each.size for each in missing)),
        "time": time if missing else "-",
    }


def _jets_text(plan: SuitePlan) -> str:
    jets = plan.jets
    files = len(jets.dataset.files)
    entries = sum(file.entries for file in jets.dataset.files)
    if jets.there:
        return f"jets: {entries} entries in {files} files, {size_text(jets.size)}"
    return (
        f"jets: {entries} entries in {files} files, of which {jets.missing} are not simulated yet; "
        "what is there of their embeddings cannot be told, and all is counted as to do"
    )


def _footnotes(plan: SuitePlan, units: Sequence[Planned]) -> Iterator[str]:
    if plan.suite.audit is not None:
        kept = sum(path.is_file() for path in plan.audits)
        yield f"audit: findings on {kept} of {len(plan.suite.backbones)} backbones are there"
    if plan.aside:
        names = ", ".join(dict.fromkeys(unit.file.name for part in plan.aside for unit in part.units))
        yield f"not in the plan: {names}; the last run went on without, and the next one tries them again"
    if not plan.known:
        yield "* how many entries, or of which files, is estimated: the jets, or tables of them, are not there yet"
    if any(not each.there for each in units):
        yield "time and disk: what shards of the same weights took in this cache; < upper limit, ? none was ever timed"
    yield "not in the plan: the time of simulation, scores, audit and throughput"
