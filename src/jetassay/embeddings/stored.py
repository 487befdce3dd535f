"""The embedding of a dataset where it lies in the store: read shard by shard, as often as wanted, or as a whole."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from jetassay.backbones.protocol import Backbone
from jetassay.embeddings.counts import Cost, Counts
from jetassay.embeddings.embedded import Embedded, as_embedded, require_entries
from jetassay.embeddings.extraction import embed_unit
from jetassay.embeddings.pools import EmbeddingUnit
from jetassay.embeddings.store import DamagedShardError, EmbeddingStore, Shard
from jetassay.embeddings.tables import JetTable, as_table, join_tables, tabulate
from jetassay.embeddings.units import R, TableRecipe, Unit
from jetassay.errors import StoreError
from jetassay.progress import Reporter


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEmbedding:
    """The jets of some units and their embedding by one backbone, all of it in the store.

    Iterating gives one unit after the other, each as an `Embedded` of its own, in the order of files and entries; so
    memory does not grow with the number of jets. It can be done any number of times: each time every shard is read
    once and held against its checksum. One that is damaged is computed again, with a warning.

    tables, units: the same ranges of the same files, one for one
    """

    backbone: Backbone
    tables: tuple[Unit[TableRecipe], ...]
    units: tuple[EmbeddingUnit, ...]
    store: EmbeddingStore
    threads: int | None = None
    reporter: Reporter = field(default_factory=lambda: Reporter(quiet=True))

    def __iter__(self) -> Iterator[Embedded]:
        for table, unit in zip(self.tables, self.units, strict=True):
            jets = take(self.store, table, compute=tabulate, reporter=self.reporter)
            yield as_embedded(self.backbone, as_table(table, jets), self.shard(unit))

    def shard(self, unit: EmbeddingUnit) -> Shard:
        """The embedding of one unit. Raises `StoreError` where it is gone."""
        compute = partial(embed_unit, self.backbone, threads=self.threads)
        return take(self.store, unit, compute=compute, reporter=self.reporter)

    def jets(self) -> JetTable:
        """All jets, in memory, without their embedding."""
        return load_tables(self.tables, store=self.store, reporter=self.reporter)

    def load(self, *, jets: JetTable | None = None) -> Embedded:
        """The whole in memory, once: shards are put into their places one by one.

        jets: those of `jets()`, where they are there already; the same for every backbone
        """
        backbone, jets = self.backbone, self.jets() if jets is None else jets
        embedding = np.empty((len(jets), backbone.card.embedding_dim), np.float32)
        scores = np.empty((len(jets), len(backbone.labels)), np.float32) if backbone.labels else None
        first, counts, costs = 0, [], []
        for unit in self.units:
            shard = self.shard(unit)
            rows = slice(first, first + len(shard))
            require_entries(backbone, unit.file, shard, jets.entries[rows])
            embedding[rows] = shard.columns["embedding"]
            if scores is not None:
                scores[rows] = shard.columns["scores"]
            first = rows.stop
            counts.append(Counts(**shard.facts["counts"]))
            costs.append(Cost(**shard.facts["cost"]))
        if first != len(jets):
            raise StoreError(f"{len(jets)} jets, but {first} stored embeddings by '{backbone.card.name}'")
        return Embedded.of(
            backbone,
            jets,
            embedding=embedding,
            scores=scores,
            counts=Counts.total(counts),
            cost=Cost.total(costs),
        )


def load_tables(units: tuple[Unit[TableRecipe], ...], *, store: EmbeddingStore, reporter: Reporter) -> JetTable:
    """The jets of tables that are in the store, one after the other."""
    return join_tables([as_table(unit, take(store, unit, compute=tabulate, reporter=reporter)) for unit in units])


def take(store: EmbeddingStore, unit: Unit[R], *, compute: Callable[[Unit[R]], Shard], reporter: Reporter) -> Shard:
    """The shard of a unit that was filled before; one that is damaged is computed again and put in its place.

    Raises `StoreError` where it is gone.
    """
    try:
        shard = store.read(unit)
    except DamagedShardError as error:
        reporter.warning(f"{error}; it is not used, but computed again")
        shard = compute(unit)
        store.write(unit, shard)
    if shard is None:
        raise StoreError(f"{store.path(unit)}: vanished while it was in use; run the same command again")
    return shard
