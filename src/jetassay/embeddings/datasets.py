"""A dataset through backbones: what is missing is computed, the rest is taken from the store."""

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from itertools import chain
from typing import Any

from jetassay.backbones.protocol import Backbone
from jetassay.embeddings.aside import FilesAside
from jetassay.embeddings.batching import Batching
from jetassay.embeddings.embedded import Embedded
from jetassay.embeddings.extraction import embed_together
from jetassay.embeddings.filling import Filling
from jetassay.embeddings.pools import Work
from jetassay.embeddings.scheduling.clusters import chosen_cluster
from jetassay.embeddings.scheduling.driver import fill_by_workers
from jetassay.embeddings.store import EmbeddingStore
from jetassay.embeddings.stored import StoredEmbedding, load_tables
from jetassay.embeddings.tables import JetTable, tabulate
from jetassay.embeddings.units import Reading, TableRecipe, Unit, embedding_recipe, plan
from jetassay.errors import DataError, NotFiniteError
from jetassay.jets.dataset import Dataset
from jetassay.jets.reading import OnInvalid
from jetassay.places import cache_folder
from jetassay.progress import Bar, Reporter

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

    As `stream_dataset`, but whole.
    """
    return stream_dataset(
        backbone, dataset, store=store, on_invalid=on_invalid, batching=batching, threads=threads, reporter=reporter
    ).load()


def stream_dataset(
    backbone: Backbone,
    dataset: Dataset,
    *,
    store: EmbeddingStore,
    on_invalid: OnInvalid = "error",
    batching: Batching = DEFAULT_BATCHING,
    threads: int | None = None,
    reporter: Reporter | None = None,
) -> StoredEmbedding:
    """The embedding of every jet of a dataset, all of it in the store, to be read shard by shard.

    A shard that is in the store is not computed again; one that is damaged is, with a warning. May be stopped at
    any time: shards that are complete are kept.

    on_invalid: what becomes of unusable jets, as in `jets.reading.read_chunks`
    threads:    batches that run side by side, None for one per usable core; the bits do not depend on it

    Raises `DataError` for bad jets, `NotFiniteError` where the backbone gives NaN or infinity, `StoreError` where the
    store cannot be written.
    """
    planned = plan_embedding(
        backbone, dataset, store=store, on_invalid=on_invalid, batching=batching, threads=threads, reporter=reporter
    )
    complete(planned)
    return planned


def plan_embedding(
    backbone: Backbone,
    dataset: Dataset,
    *,
    store: EmbeddingStore,
    on_invalid: OnInvalid = "error",
    batching: Batching = DEFAULT_BATCHING,
    threads: int | None = None,
    reporter: Reporter | None = None,
) -> StoredEmbedding:
    """What `fill` completes: nothing is read or computed yet. Arguments are those of `stream_dataset`."""
    reading = Reading(schema=dataset.schema, selection=dataset.selection, on_invalid=on_invalid)
    units = plan(
        dataset.files,
        reading=reading,
        recipe=embedding_recipe(backbone, feature_set=backbone.feature_set, batching=batching),
        entries_per_unit=batching.entries_per_unit,
    )
    return StoredEmbedding(
        backbone=backbone,
        tables=_plan_tables(dataset, reading, batching),
        units=units,
        store=store,
        threads=threads,
        reporter=reporter or Reporter(quiet=True),
    )


def complete(planned: StoredEmbedding) -> None:
    """As `fill` of one; raises `NotFiniteError` where its backbone gives NaN or infinity."""
    for error in fill([planned]):
        if error is not None:
            raise error


def fill(embeddings: Sequence[StoredEmbedding], *, aside_before: int = 0) -> list[NotFiniteError | None]:
    """Write the tables and shards that the store lacks; jets that several backbones need are read once for all.

    aside_before: files that were set aside before, of the few that may be

    All are of one store, and threads and reporter are those of the first. Gives an error for each whose backbone gives
    NaN or infinity, which costs the others nothing, and None for those that are complete. A file that cannot be read
    stops nothing but itself, and comes as a `SetAsideError` at the end. Raises `DataError` where the files can never
    give the inputs, or too many cannot be read, `StoreError` where the store cannot be written.

    What another run over the same store is at is left to it while there is anything else to do.

    Inside `scheduled` the workers of a cluster do it: to the same bits.
    """
    for each in embeddings:
        feature_set = each.backbone.feature_set
        for schema in {unit.reading.schema for unit in each.units}:
            schema.require_columns(feature_set.needs, owner=f"feature set '{feature_set.name}'")
    cluster = chosen_cluster()
    if cluster is not None:
        return fill_by_workers(embeddings, cluster=cluster, aside_before=aside_before)
    first = embeddings[0]
    aside = FilesAside(first.reporter, before=aside_before)
    fill_tables(
        tuple(dict.fromkeys(unit for each in embeddings for unit in each.tables)),
        store=first.store,
        reporter=first.reporter,
        aside=aside,
    )
    failed = _fill_embeddings(embeddings, aside)
    aside.close()
    return failed


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
    units, reporter = _plan_tables(dataset, reading, batching), reporter or Reporter(quiet=True)
    fill_tables(units, store=store, reporter=reporter)
    return load_tables(units, store=store, reporter=reporter)


def fill_tables(
    units: Sequence[Unit[TableRecipe]], *, store: EmbeddingStore, reporter: Reporter, aside: FilesAside | None = None
) -> None:
    """Write the tables that the store lacks; aside: takes files that cannot be read, in place of an error."""
    filling = Filling("table of jets", units, store, reporter)
    if not filling.missing:
        return  # every backbone of a suite comes by here: a line each time would say nothing
    with filling.reported(), reporter.bar(filling.label, filling.entries) as bar:
        for unit in chain(filling.missing, filling.later):
            if (aside is not None and unit.file in aside) or not filling.begin(unit, advance=bar.advance):
                continue
            try:
                filling.finished(unit, tabulate(unit))
            except DataError as error:
                if aside is None:
                    raise
                aside.put(unit.file, str(error))
            bar.advance(len(unit))


def _fill_embeddings(embeddings: Sequence[StoredEmbedding], aside: FilesAside) -> list[NotFiniteError | None]:
    store, reporter, threads = embeddings[0].store, embeddings[0].reporter, embeddings[0].threads
    fillings = [Filling(each.backbone.card.reference, each.units, store, reporter) for each in embeddings]
    lacking = [filling for filling in fillings if filling.missing]
    with ExitStack() as stack:
        for filling in reversed(fillings):
            stack.enter_context(filling.reported())
        if not lacking:
            return [None] * len(embeddings)
        label = lacking[0].label if len(lacking) == 1 else f"{len(lacking)} backbones"
        bar = stack.enter_context(reporter.bar(label, sum(filling.entries for filling in lacking)))
        works = _works(embeddings, fillings, [filling.missing for filling in fillings], bar)
        failed = embed_together(works, threads=threads, aside=aside)
        errors = [failed.get(work) for work in works]
        later = [[] if error else list(filling.later) for error, filling in zip(errors, fillings, strict=True)]
        if any(later):
            works = _works(embeddings, fillings, later, bar)
            failed = embed_together(works, threads=threads, aside=aside)
            errors = [error or failed.get(work) for error, work in zip(errors, works, strict=True)]
    return errors


def _works(
    embeddings: Sequence[StoredEmbedding], fillings: Sequence[Filling[Any]], units: Sequence[Sequence[Any]], bar: Bar
) -> list[Work]:
    return [
        Work(
            backbone=each.backbone,
            units=some,
            finished=filling.finished,
            advance=bar.advance,
            begin=partial(filling.begin, advance=bar.advance),
        )
        for each, filling, some in zip(embeddings, fillings, units, strict=True)
    ]


def _plan_tables(dataset: Dataset, reading: Reading, batching: Batching) -> tuple[Unit[TableRecipe], ...]:
    return plan(dataset.files, reading=reading, recipe=TableRecipe(), entries_per_unit=batching.entries_per_unit)
