"""What tasks read: jets, their labels, and what a backbone made of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from jetassay.backbones.protocol import Backbone
from jetassay.embeddings.counts import Cost, Counts
from jetassay.embeddings.scratch import let_go
from jetassay.embeddings.store import Shard
from jetassay.embeddings.tables import JetTable
from jetassay.errors import StoreError
from jetassay.jets.dataset import DataFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """The embedding of J jets by one backbone.

    backbone:    its reference, `NAME` or `NAME@LAYER`
    layer:       which layer of it this is, as its card names it; None where the card names none
    jets:        where they come from, labels and jet columns; the same for every backbone
    embedding:   float32 (J, D), in the order of `jets`
    scores:      float32 (J, K), class probabilities; None without a classifier head
    score_names: K names
    counts:      as this backbone read the jets; it may cut them to fewer constituents than another
    cost:        what it took when it was computed, whether now or in an earlier run
    """

    backbone: str
    weights_sha256: str
    dtype: str
    jets: JetTable
    embedding: NDArray[np.float32]
    scores: NDArray[np.float32] | None
    score_names: tuple[str, ...]
    layer: str | None
    counts: Counts
    cost: Cost

    def __len__(self) -> int:
        return len(self.embedding)

    @classmethod
    def of(
        cls,
        backbone: Backbone,
        jets: JetTable,
        *,
        embedding: NDArray[np.float32],
        scores: NDArray[np.float32] | None,
        counts: Counts,
        cost: Cost,
    ) -> Self:
        """Arrays beside the facts of the backbone that they come from."""
        return cls(
            backbone=backbone.card.reference,
            layer=backbone.card.layer,
            weights_sha256=backbone.weights_sha256,
            dtype=backbone.dtype,
            jets=jets,
            embedding=embedding,
            scores=scores,
            score_names=backbone.labels,
            counts=counts,
            cost=cost,
        )

    def let_go(self) -> None:
        """Take what is mapped from files out of this process's memory; it comes back when it is looked at."""
        jets = self.jets
        arrays = (self.embedding, self.scores, jets.labels, jets.file_index, jets.entries, *jets.columns.values())
        let_go(*(each for each in arrays if each is not None))

    @property
    def labels(self) -> NDArray[np.int64]:
        """int64 (J,), index into `label_names`."""
        return self.jets.labels

    @property
    def label_names(self) -> tuple[str, ...]:
        """What labels mean."""
        return self.jets.label_names


def as_embedded(backbone: Backbone, jets: JetTable, shard: Shard) -> Embedded:
    """One unit: its jets beside its embedding. Raises `StoreError` where they are not the same jets."""
    require_entries(backbone, jets.files[0], shard, jets.entries)
    scores = shard.columns.get("scores")
    return Embedded.of(
        backbone,
        jets,
        embedding=shard.columns["embedding"].astype(np.float32, copy=False),
        scores=None if scores is None else scores.astype(np.float32, copy=False),
        counts=Counts(**shard.facts["counts"]),
        cost=Cost(**shard.facts["cost"]),
    )


def require_entries(backbone: Backbone, file: DataFile, shard: Shard, entries: NDArray[np.int64]) -> None:
    """Raises `StoreError` where a stored embedding is not of the entries of its file that the table of jets has."""
    if not np.array_equal(shard.columns["entry_index"], entries):
        raise StoreError(
            f"{file.path}: the stored embedding by '{backbone.card.name}' and the table of jets hold "
            "different entries; the code that reads jets has changed without its version"
        )


def require_same_jets(embedded: Sequence[Embedded]) -> None:
    """Raises `DataError` unless all of them hold the same jets in the same order."""
    for other in embedded[1:]:
        embedded[0].jets.require_same_jets(other.jets)
