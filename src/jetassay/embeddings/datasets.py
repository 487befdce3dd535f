"""A dataset through a backbone: what is missing is computed, the rest is taken from the store."""

import time
from collections.abc import Callable, Iterator, Sequence

from jetassay.backbones.protocol import Backbone
from jetassay.embeddings.batching import Batching
from jetassay.embeddings.embedded import Embedded, as_embedded, join_embedded
from jetassay.embeddings.extraction import EmbeddingUnit, embed_units
from jetassay.embeddings.store import DamagedShardError, EmbeddingStore, Shard
from jetassay.embeddings.tables import JetTable, as_table, join_tables, tabulate
from jetassay.embeddings.units import R, Reading, TableRecipe, Unit, embedding_recipe, plan
from jetassay.errors import StoreError
from jetassay.features.recipe import FeatureSet
from jetassay.jets.dataset import Dataset
from jetassay.jets.reading import OnInvalid
from jetassay.places import cache_folder
from jetassay.progress import Reporter

DEFAULT_BATCHING = Batching()


def default_store() -> EmbeddingStore:
    """The store in the cache folder."""
    return EmbeddingStore(cache_folder() / "embeddings")


def embed_dataset(
    backbone: Backbone,
    dataset: Dataset,
    *,
    store: EmbeddingStore,
    on_invalid: OnInvalid = "error",
    batching: Batching = DEFAULT_BATCHING,
    threads: int | None = None,
    reporter: Reporter | None = None,
) -> Embedded:
    """The embedding of every jet of a dataset, in memory, in the order of its files and entries.

    A shard that is in the store is not computed again; one that is damaged is, with a warning. May be stopped at
    any time: shards that are complete are kept.

    on_invalid: what becomes of unusable jets, as in `jets.reading.read_chunks`
    threads:    batches that run side by side, None for one per usable core; the bits do not depend on it

    Raises `DataError` for bad jets, `StoreError` where the store cannot be written.
    """
    parts = stream_dataset(
        backbone, dataset, store=store, on_invalid=on_invalid, batching=batching, threads=threads, reporter=reporter
    )
    return join_embedded(list(parts))


def stream_dataset(
    backbone: Backbone,
    dataset: Dataset,
    *,
    store: EmbeddingStore,
    on_invalid: OnInvalid = "error",
    batching: Batching = DEFAULT_BATCHING,
    threads: int | None = None,
    reporter: Reporter | None = None,
) -> Iterator[Embedded]:
    """As `embed_dataset`, but one shard after the other, so that memory does not grow with the number of jets."""
    reporter = reporter or Reporter(quiet=True)
    reading = Reading(schema=dataset.schema, selection=dataset.selection, on_invalid=on_invalid)
    feature_set = backbone.feature_set
    tables = _plan_tables(dataset, reading, batching)
    units = plan(
        dataset.files,
        reading=reading,
        recipe=embedding_recipe(backbone, feature_set=feature_set, batching=batching),
        entries_per_unit=batching.entries_per_unit,
    )
    fill_tables(tables, store=store, reporter=reporter)
    fill_embeddings(backbone, units, feature_set=feature_set, store=store, threads=threads, reporter=reporter)
    for table, unit in zip(tables, units, strict=True):
        yield as_embedded(backbone, as_table(table, take(store, table)), take(store, unit))


def jet_table(
    dataset: Dataset,
    *,
    store: EmbeddingStore,
    on_invalid: OnInvalid = "error",
    batching: Batching = DEFAULT_BATCHING,
    reporter: Reporter | None = None,
) -> JetTable:
    """The jets of a dataset without any backbone: labels and jet columns; computed once, then from the store."""
    reading = Reading(schema=dataset.schema, selection=dataset.selection, on_invalid=on_invalid)
    units = _plan_tables(dataset, reading, batching)
    fill_tables(units, store=store, reporter=reporter or Reporter(quiet=True))
    return join_tables([as_table(unit, take(store, unit)) for unit in units])


def fill_tables(units: Sequence[Unit[TableRecipe]], *, store: EmbeddingStore, reporter: Reporter) -> None:
    """Write the tables that the store lacks."""

    def compute(
        missing: Sequence[Unit[TableRecipe]],
        finished: Callable[[Unit[TableRecipe], Shard], None],
        advance: Callable[[int], None],
    ) -> None:
        for unit in missing:
            finished(unit, tabulate(unit))
            advance(len(unit))

    # Every backbone of a suite comes by here: a line each time would say nothing.
    _fill("table of jets", units, compute, store=store, reporter=reporter, mention_complete=False)


def fill_embeddings(
    backbone: Backbone,
    units: Sequence[EmbeddingUnit],
    *,
    feature_set: FeatureSet,
    store: EmbeddingStore,
    threads: int | None = None,
    reporter: Reporter,
) -> None:
    """Write the embeddings that the store lacks. Raises `DataError` where the files can never give the inputs."""
    for schema in {unit.reading.schema for unit in units}:
        schema.require_columns(feature_set.needs, owner=f"feature set '{feature_set.name}'")

    def compute(
        missing: Sequence[EmbeddingUnit],
        finished: Callable[[EmbeddingUnit, Shard], None],
        advance: Callable[[int], None],
    ) -> None:
        embed_units(backbone, missing, feature_set=feature_set, threads=threads, finished=finished, advance=advance)

    _fill(backbone.card.reference, units, compute, store=store, reporter=reporter)


def _fill(
    label: str,
    units: Sequence[Unit[R]],
    compute: Callable[[Sequence[Unit[R]], Callable[[Unit[R], Shard], None], Callable[[int], None]], None],
    *,
    store: EmbeddingStore,
    reporter: Reporter,
    mention_complete: bool = True,
) -> None:
    missing = [unit for unit in units if not _holds(store, unit, reporter)]
    there = len(units) - len(missing)
    written: list[int] = []

    def finished(unit: Unit[R], shard: Shard) -> None:
        store.write(unit, shard)
        written.append(len(unit))

    began = time.perf_counter()
    try:
        if missing:
            with reporter.bar(label, sum(len(unit) for unit in missing)) as bar:
                compute(missing, finished, bar.advance)
    finally:
        if len(written) < len(missing):
            reporter.line(f"{label}: stopped; {there + len(written)} of {len(units)} shards are whole and kept")
    if not missing and not mention_complete:
        return
    spent = time.perf_counter() - began
    computed = f"{sum(written)} entries computed in {spent:.1f} s, " if missing else ""
    reporter.line(f"{label}: {computed}{there} of {len(units)} shards taken from the store")


def _holds(store: EmbeddingStore, unit: Unit[R], reporter: Reporter) -> bool:
    try:
        return store.read(unit) is not None
    except DamagedShardError as error:
        reporter.warning(f"{error}; it is not used, but computed again")
        return False


def take(store: EmbeddingStore, unit: Unit[R]) -> Shard:
    """The shard of a unit that was just filled. Raises `StoreError` where it is gone or damaged."""
    shard = store.read(unit)
    if shard is None:
        raise StoreError(f"{store.path(unit)}: vanished while it was in use; run the same command again")
    return shard


def _plan_tables(dataset: Dataset, reading: Reading, batching: Batching) -> tuple[Unit[TableRecipe], ...]:
    return plan(dataset.files, reading=reading, recipe=TableRecipe(), entries_per_unit=batching.entries_per_unit)
