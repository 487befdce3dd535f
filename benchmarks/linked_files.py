"""A dataset of any size out of few simulated jets: one file of each class, under as many names as it takes.

A file holds the jets of its class in the suite `default` (2,500) over and over, in clusters of as many, as ROOT files
have clusters. Names are hard links, so a million jets take the disk of some thousands. The store keeps what it computes
under the digest of the jets in a file, so it would compute one link of each and take the others from there. Every link
is therefore given a digest of its own, in the cache's table of digests, before anything reads it: a run takes each for
another file and does all of the work. What links spare is reading from a disk: pages of the one file stay in memory.
What they do not give is other jets: scores over them mean nothing, and an audit would find the same jets in every
split. Nor is the size of a store that of other jets, where a shard holds jets more than once: it compresses better.
"""

import hashlib
import json
import os
from pathlib import Path

import awkward as ak
import uproot
from benchmarks.conftest import table_of

from jetassay.jets.digests import content_facts
from jetassay.jets.schema import SCHEMAS
from jetassay.progress import Reporter
from jetassay.simulation.writing import TREE, JetTable, join
from jetassay.steps import find_jets
from jetassay.suite import find_suite


def link_files(folder: Path, *, cache: Path, links: int, entries: int) -> list[Path]:
    """`links` names for a file of `entries` jets of each class, each known in a new `cache` by a digest of its own."""
    folder.mkdir(parents=True)
    paths, known, schema = [], {}, SCHEMAS["jetclass"]
    for group, files in find_jets(find_suite("default").dataset, reporter=Reporter(quiet=True)).groups.items():
        first = folder / f"{group}_0000.root"
        write_clusters(first, join([table_of(file.path) for file in files]), entries)
        digest = content_facts(first, schema).digest
        names = [first.with_name(f"{group}_{number:04d}.root") for number in range(links)]
        for name in names[1:]:
            os.link(first, name)
        status = first.stat()
        for name in names:
            known[str(name.resolve())] = {
                "size": status.st_size,
                "mtime_ns": status.st_mtime_ns,
                "schema": schema.digest(),
                "entries": entries,
                "digest": hashlib.sha256(f"{digest}:{name.name}".encode()).hexdigest(),
            }
        paths += names
    cache.mkdir(parents=True)
    (cache / "digests.json").write_text(json.dumps(known), encoding="utf-8")
    return paths


def write_clusters(path: Path, table: JetTable, entries: int) -> None:
    """A ROOT file of `entries` jets: those of the table over and over, a cluster of baskets each time."""
    with uproot.recreate(path, compression=uproot.ZSTD(5)) as file:
        left = entries
        while left:
            part = table.head(left)
            left -= len(part)
            content = {
                prefix.rstrip("_"): ak.unflatten(ak.zip(dict(columns)), sizes)
                for prefix, (sizes, columns) in part.ragged.items()
            } | part.jets
            if TREE not in file:
                types = {
                    name: each.type if isinstance(each, ak.Array) else each.dtype for name, each in content.items()
                }
                file.mktree(
                    TREE,
                    types,
                    counter_name=lambda name: f"n{name}",
                    field_name=lambda outer, inner: f"{outer}_{inner}",
                )
            file[TREE].extend(content)


def size_of(folder: Path) -> int:
    """Bytes of the files below a folder, each counted once whatever its names."""
    facts = [path.stat() for path in folder.rglob("*") if path.is_file()]
    return sum({(each.st_dev, each.st_ino): each.st_size for each in facts}.values())
