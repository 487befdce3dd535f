"""A dataset of any size out of few simulated jets: one file of each class, under as many names as it takes.

Names are hard links, so a million jets take the disk of some thousands. The store keeps what it computes under the
digest of the jets in a file, so it would compute one link of each and take the others from there. Every link is
therefore given a digest of its own, in the cache's table of digests, before anything reads it: a run takes each for
another file and does all of the work. What links spare is reading from a disk: pages of the one file stay in memory.
What they do not give is other jets: scores over them mean nothing, and an audit would find the same jets in every
split.
"""

import hashlib
import json
import os
from pathlib import Path

from benchmarks.conftest import table_of

from jetassay.jets.dataset import group_of
from jetassay.jets.digests import content_facts
from jetassay.jets.schema import SCHEMAS
from jetassay.progress import Reporter
from jetassay.simulation.writing import JetTable, join, write
from jetassay.throughput import benchmark_files


def link_files(folder: Path, *, cache: Path, links: int, entries: int) -> list[Path]:
    """`links` names for a file of `entries` jets of each class, each known in a new `cache` by a digest of its own."""
    folder.mkdir(parents=True)
    paths, known = [], {}
    for source in benchmark_files(reporter=Reporter(quiet=True)):
        first = folder / f"{group_of(source)}_0000.root"
        write(first, repeated(table_of(source), entries), facts={})
        facts = content_facts(first, SCHEMAS["jetclass"])
        names = [first.with_name(f"{group_of(source)}_{number:04d}.root") for number in range(links)]
        for name in names[1:]:
            os.link(first, name)
        status = first.stat()
        for name in names:
            known[str(name.resolve())] = {
                "size": status.st_size,
                "mtime_ns": status.st_mtime_ns,
                "schema": SCHEMAS["jetclass"].digest(),
                "entries": entries,
                "digest": hashlib.sha256(f"{facts.digest}:{name.name}".encode()).hexdigest(),
            }
        paths += names
    cache.mkdir(parents=True)
    (cache / "digests.json").write_text(json.dumps(known), encoding="utf-8")
    return paths


def repeated(table: JetTable, entries: int) -> JetTable:
    """The jets of a file over and over, as many as wanted."""
    return join([table] * -(-entries // len(table))).head(entries) if entries > len(table) else table.head(entries)


def size_of(folder: Path) -> int:
    """Bytes of the files below a folder, each counted once whatever its names."""
    facts = [path.stat() for path in folder.rglob("*") if path.is_file()]
    return sum({(each.st_dev, each.st_ino): each.st_size for each in facts}.values())
