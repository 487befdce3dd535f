"""Units to jets in memory: each range of entries is read once for all backbones that still have to embed it."""

import time
from collections.abc import Callable, Container, Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jetassay.backbones.protocol import Backbone
from jetassay.embeddings.aside import FilesAside
from jetassay.embeddings.counts import Counts
from jetassay.embeddings.store import Shard
from jetassay.embeddings.units import EmbeddingRecipe, Unit
from jetassay.errors import DataError
from jetassay.features.batch import InputBatch
from jetassay.features.inputs import compute_inputs
from jetassay.features.recipe import FeatureSet
from jetassay.jets.containers import Chunk
from jetassay.jets.perturbations import perturb_chunk

EmbeddingUnit = Unit[EmbeddingRecipe]
_UNCUT = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Work:
    """What one backbone has to embed.

    units:    those of `finished`, each as soon as it is complete; in order where all works have the same ones
    advance:  hears of entries that are done
    begin:    asked of each unit just before its jets are read, whether it is still to be done
    """

    backbone: Backbone
    units: Sequence[EmbeddingUnit]
    finished: Callable[[EmbeddingUnit, Shard], None]
    advance: Callable[[int], None] = lambda _: None
    begin: Callable[[EmbeddingUnit], bool] = lambda _: True


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Jets of one unit that are in memory together, in file order.

    reading_cpu_s: of reading and features, shared evenly among the backbones that it was done for
    """

    work: Work
    unit: EmbeddingUnit
    entries: NDArray[np.int64]
    inputs: InputBatch
    counts: Counts
    reading_cpu_s: float
    ends_unit: bool


def read_pools(
    works: Sequence[Work], *, but: Container[Work], aside: FilesAside | None = None
) -> Generator[list[Pool]]:
    """The pools of all units, as many together as come from the same jets; of works in `but` no more.

    The jets of a range are read once, and inputs computed once for each feature set; ranges come in the order in which
    works have them, those of the first work first. Raises `DataError` where jets cannot be read or give no inputs; with
    `aside` the file is put there instead, and no more comes of it.
    """
    for members in _by_range(works):
        if aside is not None and members[0][1].file in aside:
            continue
        alive = [(work, unit) for work, unit in members if work not in but and work.begin(unit)]
        if not alive:
            continue
        try:
            yield from _pools(alive)
        except DataError as error:
            if aside is None:
                raise
            aside.put(alive[0][1].file, str(error))


def _pools(alive: Sequence[tuple[Work, EmbeddingUnit]]) -> Iterator[list[Pool]]:
    """Those of one range."""
    unit = alive[0][1]
    position, began = unit.start, time.thread_time()
    wanted = {unit.recipe.feature_set: work.backbone.feature_set for work, unit in alive}
    for chunk in _chunks(unit, list(wanted.values())):
        position += chunk.n_entries
        inputs = {digest: _inputs(feature_set, chunk) for digest, feature_set in wanted.items()}
        counts, spent = Counts.of(chunk), (time.thread_time() - began) / len(alive)
        yield [
            Pool(
                work=work,
                unit=unit,
                entries=chunk.origin.entries,
                inputs=inputs[unit.recipe.feature_set],
                counts=counts,
                reading_cpu_s=spent,
                ends_unit=position == unit.stop,
            )
            for work, unit in alive
        ]
        began = time.thread_time()


def _by_range(works: Sequence[Work]) -> list[list[tuple[Work, EmbeddingUnit]]]:
    """Units that are made of the same jets in the same pools, together; in the order in which they come."""
    found: dict[object, list[tuple[Work, EmbeddingUnit]]] = {}
    for work in works:
        for unit in work.units:
            recipe = unit.recipe
            cut = recipe.entries_per_pool, recipe.max_constituents, recipe.perturbation
            found.setdefault((unit.file, unit.start, unit.stop, unit.reading, cut), []).append((work, unit))
    return list(found.values())


def _chunks(unit: EmbeddingUnit, feature_sets: Sequence[FeatureSet]) -> Iterator[Chunk]:
    """The jets of a unit, perturbed where its recipe says so: then all constituents are read, and cut afterwards."""
    recipe = unit.recipe
    needs = tuple(sorted({name for feature_set in feature_sets for name in feature_set.needs}))
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
