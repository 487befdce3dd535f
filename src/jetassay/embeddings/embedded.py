"""What tasks read: jets, their labels, and what a backbone made of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jetassay.backbones.protocol import Backbone
from jetassay.embeddings.counts import Cost, Counts
from jetassay.embeddings.store import Shard
from jetassay.embeddings.tables import JetTable, join_tables
from jetassay.errors import StoreError


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
    if not np.array_equal(shard.columns["entry_index"], jets.entries):
        raise StoreError(
            f"{jets.files[0].path}: the stored embedding by '{backbone.card.name}' and the table of jets hold "
            "different entries; the code that reads jets has changed without its version"
        )
    scores = shard.columns.get("scores")
    return Embedded(
        backbone=backbone.card.reference,
        layer=backbone.card.layer,
        weights_sha256=backbone.weights_sha256,
        dtype=backbone.dtype,
        jets=jets,
        embedding=shard.columns["embedding"].astype(np.float32, copy=False),
        scores=None if scores is None else scores.astype(np.float32, copy=False),
        score_names=backbone.labels,
        counts=Counts(**shard.facts["counts"]),
        cost=Cost(**shard.facts["cost"]),
    )


def join_embedded(parts: Sequence[Embedded]) -> Embedded:
    """The jets of `parts`, of one backbone, one after the other."""
    first = parts[0]
    scores = [part.scores for part in parts if part.scores is not None]
    return Embedded(
        backbone=first.backbone,
        layer=first.layer,
        weights_sha256=first.weights_sha256,
        dtype=first.dtype,
        jets=join_tables([part.jets for part in parts]),
        embedding=np.concatenate([part.embedding for part in parts]),
        scores=np.concatenate(scores) if scores else None,
        score_names=first.score_names,
        counts=Counts.total(part.counts for part in parts),
        cost=Cost.total(part.cost for part in parts),
    )


def require_same_jets(embedded: Sequence[Embedded]) -> None:
    """Raises `DataError` unless all of them hold the same jets in the same order."""
    for other in embedded[1:]:
        embedded[0].jets.require_same_jets(other.jets)
