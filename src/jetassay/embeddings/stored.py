"""The embedding of a dataset where it lies in the store: read shard by shard, as often as wanted, or as a whole."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from jetassay.backbones.protocol import Backbone
from jetassay.embeddings.counts import Cost, Counts
from jetassay.embeddings.embedded import Embedded, as_embedded, require_entries
from jetassay.embeddings.extraction import embed_unit
from jetassay.embeddings.pools import EmbeddingUnit
from jetassay.embeddings.scratch import RowFile, let_go
from jetassay.embeddings.store import DamagedShardError, EmbeddingStore, Shard
from jetassay.embeddings.tables import JetTable, as_table, tabulate
from jetassay.embeddings.units import R, TableRecipe, Unit
from jetassay.errors import StoreError
from jetassay.jets.dataset import DataFile
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
        """The embedding of one unit."""
        compute = partial(embed_unit, self.backbone, threads=self.threads)
        return take(self.store, unit, compute=compute, reporter=self.reporter)

    def jets(self) -> JetTable:
        """All jets, in memory, without their embedding."""
        return load_tables(self.tables, store=self.store, reporter=self.reporter)

    def load(self, *, jets: JetTable | None = None) -> Embedded:
        """The whole as arrays over files of no name (`scratch`): every shard is read and checked once.

        jets: those of `jets()`, where they are there already; the same for every backbone
        """
        backbone, jets = self.backbone, self.jets() if jets is None else jets
        widths = {"embedding": backbone.card.embedding_dim}
        if backbone.labels:
            widths["scores"] = len(backbone.labels)
        first, counts, costs = 0, [], []
        with ExitStack() as undo:
            files = {name: RowFile(np.float32, width) for name, width in widths.items()}
            for file in files.values():
                undo.callback(file.close)
            for unit in self.units:
                shard = self.shard(unit)
                rows = slice(first, first + len(shard))
                require_entries(backbone, unit.file, shard, jets.entries[rows])
                for name, file in files.items():
                    file.append(shard.columns[name])
                first = rows.stop
                counts.append(Counts(**shard.facts["counts"]))
                costs.append(Cost(**shard.facts["cost"]))
            found = {name: file.array() for name, file in files.items()}
        let_go(jets.entries)
        if first != len(jets):
            raise StoreError(f"{len(jets)} jets, but {first} stored embeddings by '{backbone.card.name}'")
        return Embedded.of(
            backbone,
            jets,
            embedding=found["embedding"],
            scores=found.get("scores"),
            counts=Counts.total(counts),
            cost=Cost.total(costs),
        )


def load_tables(units: tuple[Unit[TableRecipe], ...], *, store: EmbeddingStore, reporter: Reporter) -> JetTable:
    """The jets of tables that are in the store, one after the other: arrays over files of no name (`scratch`)."""
    position: dict[DataFile, int] = {}
    counts: list[list[Counts]] = []
    own = {"labels": RowFile(np.int64), "file_index": RowFile(np.int64), "entries": RowFile(np.int64)}
    columns: dict[str, RowFile] = {}
    with ExitStack() as undo:
        for opened in own.values():
            undo.callback(opened.close)
        for unit in units:
            part = as_table(unit, take(store, unit, compute=tabulate, reporter=reporter))
            if unit.file not in position:
                position[unit.file] = len(counts)
                counts.append([])
            here = position[unit.file]
            counts[here] += part.counts
            if unit is units[0]:
                columns |= {name: RowFile(np.float32) for name in part.columns}
                for opened in columns.values():
                    undo.callback(opened.close)
            for name in [name for name in columns if name not in part.columns]:
                columns.pop(name).close()  # a column is of all jets or of none
            for name, file in columns.items():
                file.append(part.columns[name])
            own["labels"].append(part.labels)
            own["file_index"].append(np.full(len(part), here))
            own["entries"].append(part.entries)
        return JetTable(
            files=tuple(position),
            counts=tuple(Counts.total(each) for each in counts),
            label_names=units[0].reading.schema.label_names,
            columns={name: file.array() for name, file in columns.items()},
            **{name: file.array() for name, file in own.items()},
        )


def take(store: EmbeddingStore, unit: Unit[R], *, compute: Callable[[Unit[R]], Shard], reporter: Reporter) -> Shard:
    """The shard of a unit that was filled before; one that is damaged, or gone by now, is computed again."""
    try:
        shard = store.read(unit)
        why = f"{store.path(unit)}: removed while it was in use; it is computed again"
    except DamagedShardError as error:
        shard, why = None, f"{error}; it is not used, but computed again"
    if shard is None:
        reporter.warning(why)
        shard = compute(unit)
        store.write(unit, shard)
    return shard
