"""What a file holds, as one hash: of the jets in it, not of its bytes, computed once per file and kept in the cache.

Two files with the same jets have the same digest although a ROOT file's bytes also hold the time of writing and a
random identifier; so the same simulation recipe gives the same digest on every machine, and so do ROOT and parquet.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jetassay.errors import DataError, StoreError
from jetassay.jets.mapped import open_jets
from jetassay.jets.schema import Schema
from jetassay.jets.sources import Source
from jetassay.places import cache_folder
from jetassay.whole_files import whole_file

_ENTRIES_PER_STEP = 8192
_SETTLED_NS = 2_000_000_000
"""A file younger than this may still change within one tick of the clock of its file system: it is not kept."""
_NAMED = 5
_KEPT = ("size", "mtime_ns", "schema", "entries", "digest")
Stamp = tuple[int, int]
"""Size and time of change in ns, by which another file in the place of one is told."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one file: entries, and sha256 hex over every column of the schema that it has.

    stamp: of the file when these were its facts; None where nobody looked
    """

    entries: int
    digest: str
    stamp: Stamp | None = None


@contextmanager
def kept_facts(schema: Schema, *, unkept: Callable[[str], None] | None = None) -> Iterator[Callable[[Path], Facts]]:
    """Within, the facts of one file after the other. Kept by path, size, time of change and schema in `digests.json`.

    unkept: hears why they cannot be kept, in place of a `StoreError`; they are then computed again next time

    What is given raises `DataError` where a file cannot be read or changes meanwhile; others may be asked for after.
    """
    store = cache_folder() / "digests.json"
    kept = _load(store)
    schema_digest, fresh = schema.digest(), False

    def facts_of(path: Path) -> Facts:
        nonlocal fresh
        key, before = str(path.resolve()), stamp_of(path)
        entry = kept.get(key, {})
        if entry.get("schema") == schema_digest and (entry["size"], entry["mtime_ns"]) == before:
            return Facts(entry["entries"], entry["digest"], before)
        facts = content_facts(path, schema)
        if stamp_of(path) != before:
            raise DataError(f"{path}: changed while it was being read; wait until it is complete")
        if time.time_ns() - before[1] > _SETTLED_NS:
            kept[key] = {"size": before[0], "mtime_ns": before[1], "schema": schema_digest}
            kept[key] |= {"entries": facts.entries, "digest": facts.digest}
            fresh = True
        return Facts(facts.entries, facts.digest, before)

    try:
        yield facts_of
    finally:  # also where a file cannot be used or the run is stopped: it may be the last of hours
        if fresh:
            try:
                _save(store, kept)
            except StoreError as error:
                if unkept is None:
                    raise
                unkept(f"hashes of the files of jets are not kept, and will be computed again: {error}")


def known_files(paths: Sequence[Path]) -> set[Path]:
    """Those whose facts are kept: they were read before, and have not changed since by size and time of change."""
    kept = _load(cache_folder() / "digests.json")
    entries = {path: kept.get(str(path.resolve()), {}) for path in paths if path.is_file()}
    return {path for path, entry in entries.items() if (entry.get("size"), entry.get("mtime_ns")) == stamp_of(path)}


def content_facts(path: Path, schema: Schema) -> Facts:
    """Read the whole file, streamed, and hash it; raises `DataError` where it cannot be decoded or is foreign.

    sha256 over names, list lengths and values of every column of the schema that the file has, observed ones as
    float32 and truth as float64, little endian; independent of file format, compression and baskets.
    """
    with closing(open_jets(path, schema)) as source:
        hashes = _column_hashes(source, schema)
        if not hashes:
            found = ", ".join([*source.numbers, *source.lists][:_NAMED]) or "none"
            raise DataError(f"{path}: has no branch of the schema '{schema.name}'; it begins with {found}")
        for chunk in source.chunks(tuple(hashes), start=0, stop=source.n_entries, step=_ENTRIES_PER_STEP):
            for name, (dtype, lengths, values) in hashes.items():
                if name in chunk.lists:
                    lengths.update(chunk.lists[name].counts.astype("<i8").tobytes())
                content = chunk.lists[name].content if name in chunk.lists else chunk.numbers[name]
                with np.errstate(over="ignore"):  # as when reading
                    values.update(np.ascontiguousarray(content, dtype=dtype).tobytes())
        columns = [[name, lengths.hexdigest(), values.hexdigest()] for name, (_, lengths, values) in hashes.items()]
        text = json.dumps({"schema": schema.name, "entries": source.n_entries, "columns": columns})
        return Facts(source.n_entries, hashlib.sha256(text.encode()).hexdigest())


def _column_hashes(source: Source, schema: Schema) -> dict[str, tuple[str, Any, Any]]:
    existing = {*source.numbers, *source.lists}
    observed = {*schema.constituents, *schema.columns}
    names = sorted(existing & {*observed, *schema.labels, *schema.truth_columns})
    return {name: ("<f4" if name in observed else "<f8", hashlib.sha256(), hashlib.sha256()) for name in names}


def stamp_of(path: Path) -> Stamp:
    """The stamp of a file as it is now. Raises `DataError` where it cannot be looked at."""
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    return status.st_size, status.st_mtime_ns


def _load(store: Path) -> dict[str, dict[str, Any]]:
    """What was kept; entries that are not of the expected form are not used, since all can be computed again."""
    try:
        table = json.loads(store.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(table, dict):
        return {}
    return {key: each for key, each in table.items() if isinstance(each, dict) and sorted(each) == sorted(_KEPT)}


def _save(store: Path, kept: dict[str, dict[str, Any]]) -> None:
    with whole_file(store) as partial:
        partial.write_text(json.dumps(kept, indent=1, sort_keys=True), encoding="utf-8")
