"""Jets to embeddings, unit by unit: read ahead, cut into batches by length, embed side by side, back in file order.

A batch is a function of its unit alone and runs on one thread, so the bits of an embedding depend neither on how
many threads there are, nor on which units and backbones are done before, beside or after it. No Python step is taken
per jet.
"""

import platform
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import chain, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

import jetassay
from jetassay.backbones.protocol import Backbone, Output
from jetassay.embeddings.aside import FilesAside
from jetassay.embeddings.counts import Cost, Counts
from jetassay.embeddings.pools import EmbeddingUnit, Pool, Work, read_pools
from jetassay.embeddings.store import Column, Shard
from jetassay.embeddings.threads import one_thread_per_operator, prompt_turns, read_ahead, usable_cores
from jetassay.errors import DataError, NotFiniteError
from jetassay.features.cutting import batches_of

Indices = NDArray[np.int64]
Batch = tuple[Indices, "Future[tuple[Output, float]]"]
_QUEUED = 8  # batches for each thread that wait while those of one pool are collected and its unit is written


@dataclass(frozen=True, slots=True)
class _Part:
    """The embedding of one pool in file order."""

    columns: Mapping[str, Column]
    counts: Counts
    cost: Cost


def embed_together(
    works: Sequence[Work], *, threads: int | None = None, aside: FilesAside | None = None
) -> dict[Work, NotFiniteError]:
    """Embed the units of several backbones in one go, so that jets they share are read once.

    threads: batches that run side by side; None for one per usable core
    aside:   takes files that cannot be read, in place of an error

    Forward passes go on while the next jets are read and a unit is written. In memory are the jets of two chunks and
    of one that is being read, and of short files so many that the queue is never empty.

    Gives the backbones that were left behind because they gave NaN or infinity, with the first such case of each.
    Raises `DataError` where jets cannot be read, or an output cannot be right.
    """
    threads = threads or usable_cores()
    workers = ThreadPoolExecutor(threads, thread_name_prefix="embed")
    failed: dict[Work, NotFiniteError] = {}
    parts: dict[tuple[Work, int], list[_Part]] = defaultdict(list)
    with (
        one_thread_per_operator(),
        prompt_turns(),
        closing(read_pools(works, but=failed, aside=aside)) as pools,
        closing(read_ahead(pools)) as ahead,
    ):
        try:
            under_way = _under_way(chain.from_iterable(ahead), workers, queued=_QUEUED * threads)
            for pool, part in _finished(under_way, failed):
                unit = pool.work, id(pool.unit)
                parts[unit].append(part)
                if pool.ends_unit:
                    pool.work.finished(pool.unit, _assemble(parts.pop(unit), pool, threads))
        finally:
            workers.shutdown(cancel_futures=True)
    return failed


def embed_units(
    backbone: Backbone,
    units: Sequence[EmbeddingUnit],
    *,
    finished: Callable[[EmbeddingUnit, Shard], None],
    threads: int | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> None:
    """As `embed_together` of one backbone; raises `NotFiniteError` where it gives NaN or infinity."""
    work = Work(backbone=backbone, units=units, finished=finished, advance=advance)
    for error in embed_together([work], threads=threads).values():
        raise error


def embed_unit(backbone: Backbone, unit: EmbeddingUnit, *, threads: int | None = None) -> Shard:
    """The shard of one unit: the same bits as in any other company."""
    shards: list[Shard] = []
    embed_units(backbone, [unit], threads=threads, finished=lambda _, shard: shards.append(shard))
    return shards[0]


def _under_way(
    pools: Iterable[Pool], workers: ThreadPoolExecutor, *, queued: int
) -> Iterator[tuple[Pool, list[Batch]]]:
    """Every pool with its batches submitted, each when those after it hold `queued` batches or a whole pool's jets."""
    waiting: deque[tuple[Pool, list[Batch]]] = deque()
    for pool in pools:
        batches = batches_of(pool.inputs, token_budget=pool.unit.recipe.token_budget)
        waiting.append((pool, [(jets, workers.submit(_forward, pool, jets)) for jets in batches]))
        while len(waiting) > 1:
            later = list(islice(waiting, 1, None))
            jets_later = sum(len(each.entries) for each, _ in later)
            if sum(len(batches) for _, batches in later) < queued and jets_later < pool.unit.recipe.entries_per_pool:
                break
            yield waiting.popleft()
    yield from waiting


def _forward(pool: Pool, jets: Indices) -> tuple[Output, float]:
    began = time.thread_time()
    output = pool.work.backbone.embed(pool.inputs.take(jets))
    return output, time.thread_time() - began


def _finished(
    under_way: Iterable[tuple[Pool, list[Batch]]], failed: MutableMapping[Work, NotFiniteError]
) -> Iterator[tuple[Pool, _Part]]:
    """The embedding of each pool; what gives NaN or infinity is put into `failed`, and nothing more comes of it."""
    ended = time.perf_counter()
    for pool, batches in under_way:
        found = None
        try:
            if pool.work not in failed:
                found = _collect(pool, batches)
        except NotFiniteError as error:
            failed[pool.work] = error
        finally:
            for _, future in batches:
                future.cancel()
        began, ended = ended, time.perf_counter()  # what failed has taken is no cost of the next one
        if found is not None:
            columns, cpu_s = found
            seconds, jets = ended - began, len(pool.entries)
            cost = Cost(jets=jets, seconds=seconds, forward_cpu_s=cpu_s, reading_cpu_s=pool.reading_cpu_s)
            yield pool, _Part(columns, pool.counts, cost)


def _collect(pool: Pool, batches: Sequence[Batch]) -> tuple[dict[str, Column], float]:
    """Wait for the batches of a pool and put their jets back in file order; and the CPU time that they took."""
    jets, cpu_s, backbone = len(pool.entries), 0.0, pool.work.backbone
    widths = {"embedding": backbone.card.embedding_dim}
    if backbone.labels:
        widths["scores"] = len(backbone.labels)
    found = {name: np.empty((jets, width), np.float32) for name, width in widths.items()}
    for where, future in batches:
        try:
            output, spent = future.result()
        except DataError as error:
            raise type(error)(f"{pool.unit}: {error}") from error
        for name, column in found.items():
            column[where] = _checked(getattr(output, name), (len(where), widths[name]), name, backbone)
        cpu_s += spent
        pool.work.advance(len(where))
    if pool.counts.dropped:
        pool.work.advance(pool.counts.entries - jets)
    for name, column in found.items():
        _require_finite(column, name, pool)
    return {"entry_index": pool.entries, **found}, cpu_s


def _checked(array: Any, shape: tuple[int, int], name: str, backbone: Backbone) -> NDArray[np.float32]:
    """Assigning rows would broadcast an array of another shape without a word."""
    if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype != np.float32:
        found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
        raise DataError(f"backbone '{backbone.card.name}': {name} should be float32 {shape}, not {found}")
    return array


def _require_finite(column: NDArray[np.float32], name: str, pool: Pool) -> None:
    bad = np.flatnonzero(~np.isfinite(column).all(axis=1))
    if len(bad):
        place = f"{pool.unit.file.path}, entry {pool.entries[bad[0]]}"
        raise NotFiniteError(
            f"{place}: backbone '{pool.work.backbone.card.name}' gives NaN or infinity as {name}, for {len(bad)} of "
            f"{len(column)} jets; check its weights and its feature set"
        )


def _assemble(parts: Sequence[_Part], pool: Pool, threads: int) -> Shard:
    columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns}
    facts = {
        "counts": Counts.total(part.counts for part in parts).facts(),
        "cost": asdict(Cost.total(part.cost for part in parts)),
        "provenance": {**_provenance(pool.work.backbone, threads), "file": pool.unit.file.name},
    }
    return Shard(columns, facts)


def _provenance(backbone: Backbone, threads: int) -> dict[str, Any]:
    import torch

    return {
        "backbone": backbone.card.reference,
        "jetassay": jetassay.__version__,
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "threads": threads,
    }
