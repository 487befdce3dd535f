"""Jets to embeddings, unit by unit: read ahead, sort by length, embed batches side by side, back in file order.

A batch is a function of its unit alone and runs on one thread, so the bits of an embedding depend neither on how
many threads there are nor on which units are done before, beside or after it. No Python step is taken per jet.
"""

import platform
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import jetassay
from jetassay.backbones.protocol import Backbone, Output
from jetassay.embeddings.counts import Cost, Counts
from jetassay.embeddings.store import Column, Shard
from jetassay.embeddings.threads import one_thread_per_operator, read_ahead, usable_cores
from jetassay.embeddings.units import EmbeddingRecipe, Unit
from jetassay.errors import DataError, NotFiniteError
from jetassay.features.batch import InputBatch
from jetassay.features.cutting import between, sort_by_length, split_sorted
from jetassay.features.inputs import compute_inputs
from jetassay.features.recipe import FeatureSet
from jetassay.jets.containers import Chunk
from jetassay.jets.perturbations import perturb_chunk

EmbeddingUnit = Unit[EmbeddingRecipe]
Batch = tuple[slice, "Future[tuple[Output, float]]"]
_UNCUT = 1 << 30


@dataclass(frozen=True, slots=True)
class _Pool:
    """Jets that are in memory together, sorted by length; `order` says which jet of the file each of them is."""

    unit: EmbeddingUnit
    entries: NDArray[np.int64]
    inputs: InputBatch
    order: NDArray[np.int64]
    counts: Counts
    reading_cpu_s: float
    ends_unit: bool


@dataclass(frozen=True, slots=True)
class _Part:
    """The embedding of one pool in file order."""

    columns: Mapping[str, Column]
    counts: Counts
    cost: Cost


def embed_units(
    backbone: Backbone,
    units: Sequence[EmbeddingUnit],
    *,
    feature_set: FeatureSet,
    finished: Callable[[EmbeddingUnit, Shard], None],
    threads: int | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> None:
    """Embed every unit, in order, and hand each to `finished` as soon as it is complete.

    threads: batches that run side by side; None for one per usable core
    advance: hears of entries that are done

    Forward passes go on while the next jets are read and the last unit is written; at most four pools of jets are
    in memory. Raises `DataError` where jets cannot be read, or get an embedding that is not finite.
    """
    threads = threads or usable_cores()
    workers = ThreadPoolExecutor(threads, thread_name_prefix="embed")
    provenance = _provenance(backbone, threads)
    with one_thread_per_operator(), closing(_pools(units, feature_set)) as pools, closing(read_ahead(pools)) as ahead:
        try:
            parts: list[_Part] = []
            began = time.perf_counter()
            for pool, batches in _under_way(ahead, workers, backbone):
                parts.append(_collect(pool, batches, backbone, advance))
                if pool.ends_unit:
                    now = time.perf_counter()
                    finished(pool.unit, _assemble(parts, {**provenance, "file": pool.unit.file.name}, now - began))
                    parts, began = [], now
        finally:
            workers.shutdown(cancel_futures=True)


def embed_unit(
    backbone: Backbone, unit: EmbeddingUnit, *, feature_set: FeatureSet, threads: int | None = None
) -> Shard:
    """The shard of one unit: the same bits as in any other company."""
    shards: list[Shard] = []
    embed_units(
        backbone, [unit], feature_set=feature_set, threads=threads, finished=lambda _, shard: shards.append(shard)
    )
    return shards[0]


def _pools(units: Iterable[EmbeddingUnit], feature_set: FeatureSet) -> Generator[_Pool]:
    for unit in units:
        position = unit.start
        began = time.thread_time()
        for chunk in _chunks(unit, feature_set):
            position += chunk.n_entries
            inputs, order = sort_by_length(_inputs(feature_set, chunk))
            yield _Pool(
                unit=unit,
                entries=chunk.origin.entries,
                inputs=inputs,
                order=order,
                counts=Counts.of(chunk),
                reading_cpu_s=time.thread_time() - began,
                ends_unit=position == unit.stop,
            )
            began = time.thread_time()


def _chunks(unit: EmbeddingUnit, feature_set: FeatureSet) -> Iterator[Chunk]:
    """The jets of a unit, perturbed where its recipe says so: then all constituents are read, and cut afterwards."""
    recipe, needs = unit.recipe, feature_set.needs
    if recipe.perturbation is None:
        yield from unit.read(
            needs=needs, entries_per_chunk=recipe.entries_per_pool, max_constituents=recipe.max_constituents
        )
        return
    whole = unit.read(
        needs=recipe.perturbation.needs(needs), entries_per_chunk=recipe.entries_per_pool, max_constituents=_UNCUT
    )
    for chunk in whole:
        yield perturb_chunk(chunk, recipe.perturbation, file=unit.file.digest, max_constituents=recipe.max_constituents)


def _inputs(feature_set: FeatureSet, chunk: Chunk) -> InputBatch:
    try:
        return compute_inputs(feature_set, chunk.jets)
    except DataError as error:
        first = f"jet 0 is entry {chunk.origin.entries[0]}" if len(chunk.jets) else "no jets"
        raise DataError(f"{chunk.origin.file} ({first}): {error}") from error


def _under_way(
    pools: Iterable[_Pool], workers: ThreadPoolExecutor, backbone: Backbone
) -> Iterator[tuple[_Pool, list[Batch]]]:
    """Every pool with its batches submitted; those of the next pool are submitted before one is given out."""
    waiting: deque[tuple[_Pool, list[Batch]]] = deque()
    for pool in pools:
        ranges = split_sorted(pool.inputs, token_budget=pool.unit.recipe.token_budget)
        batches = [
            (slice(first, last), workers.submit(_forward, backbone, between(pool.inputs, first, last)))
            for first, last in ranges
        ]
        waiting.append((pool, batches))
        if len(waiting) > 1:
            yield waiting.popleft()
    yield from waiting


def _forward(backbone: Backbone, batch: InputBatch) -> tuple[Output, float]:
    began = time.thread_time()
    output = backbone.embed(batch)
    return output, time.thread_time() - began


def _collect(pool: _Pool, batches: Sequence[Batch], backbone: Backbone, advance: Callable[[int], None]) -> _Part:
    """Wait for the batches of a pool and put their jets back in file order."""
    jets, cpu_s = len(pool.entries), 0.0
    widths = {"embedding": backbone.card.embedding_dim}
    if backbone.labels:
        widths["scores"] = len(backbone.labels)
    found = {name: np.empty((jets, width), np.float32) for name, width in widths.items()}
    for rows, future in batches:
        try:
            output, spent = future.result()
        except DataError as error:
            raise DataError(f"{pool.unit}: {error}") from error
        where = pool.order[rows]
        for name, column in found.items():
            column[where] = _checked(getattr(output, name), (len(where), widths[name]), name, backbone)
        cpu_s += spent
        advance(len(where))
    if pool.counts.dropped:
        advance(pool.counts.entries - jets)
    for name, column in found.items():
        _require_finite(column, name, pool, backbone)
    cost = Cost(jets=jets, forward_cpu_s=cpu_s, reading_cpu_s=pool.reading_cpu_s)
    return _Part({"entry_index": pool.entries, **found}, pool.counts, cost)


def _checked(array: Any, shape: tuple[int, int], name: str, backbone: Backbone) -> NDArray[np.float32]:
    """Assigning rows would broadcast an array of another shape without a word."""
    if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype != np.float32:
        found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
        raise DataError(f"backbone '{backbone.card.name}': {name} should be float32 {shape}, not {found}")
    return array


def _require_finite(column: NDArray[np.float32], name: str, pool: _Pool, backbone: Backbone) -> None:
    bad = np.flatnonzero(~np.isfinite(column).all(axis=1))
    if len(bad):
        raise NotFiniteError(
            f"{pool.unit.file.path}, entry {pool.entries[bad[0]]}: backbone '{backbone.card.name}' gives NaN or "
            f"infinity as {name}, for {len(bad)} of {len(column)} jets; check its weights and its feature set"
        )


def _assemble(parts: Sequence[_Part], provenance: dict[str, Any], seconds: float) -> Shard:
    columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns}
    cost = Cost.total(part.cost for part in parts)
    facts = {
        "counts": Counts.total(part.counts for part in parts).facts(),
        "cost": {**asdict(cost), "seconds": seconds},
        "provenance": provenance,
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
