"""What a check takes: one backbone, the jets it is audited on, and what was made of them, each made once."""

from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from jetassay.audit.choices import AuditChoice
from jetassay.audit.forward import embed_inputs
from jetassay.audit.subsample import AuditedJets, Files, Subsample
from jetassay.backbones.protocol import Backbone
from jetassay.features.batch import InputBatch
from jetassay.features.inputs import compute_inputs
from jetassay.jets.dataset import Dataset
from jetassay.progress import Reporter
from jetassay.tasks.samples import Splits


class Subject:
    """One backbone under audit.

    backbone: as loaded
    jets:     the dataset's files and a subsample of their jets, shared by all backbones of an audit
    choice:   what was asked for: sizes, draws, seed
    samples:  gives the embedded jets of each split, when first asked for
    reporter: who hears how far it is
    threads:  batches that run side by side; None for one per usable core
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        jets: AuditedJets,
        choice: AuditChoice,
        samples: Callable[[], Splits],
        reporter: Reporter | None = None,
        threads: int | None = None,
    ) -> None:
        self.backbone = backbone
        self.jets = jets
        self.choice = choice
        self.reporter = reporter or Reporter(quiet=True)
        self.threads = threads
        self._samples = samples

    @property
    def name(self) -> str:
        """The backbone's reference."""
        return self.backbone.card.reference

    @property
    def dataset(self) -> Dataset:
        """The dataset that the files belong to."""
        return self.jets.dataset

    @property
    def files(self) -> Files:
        """The files of each split: train, validation, test."""
        return self.jets.splits

    @cached_property
    def splits(self) -> Splits:
        """The embedded jets of each split with labels and observed columns: all that the suite's tasks see."""
        return self._samples()

    @cached_property
    def subsample(self) -> Subsample:
        """Some thousand jets, read through the ordinary path with the columns that the backbone needs."""
        needs, most = self.backbone.feature_set.needs, self.backbone.card.max_constituents
        return self.jets.of(needs=needs, max_constituents=most)

    @cached_property
    def inputs(self) -> InputBatch:
        """What the backbone sees of the subsample."""
        return compute_inputs(self.backbone.feature_set, self.subsample.jets)

    @cached_property
    def outputs(self) -> NDArray[np.float32]:
        """All that the backbone gives for the subsample, made here and now, not taken from the store.

        Embedding (J, D) and class probabilities (J, K), side by side: float32 (J, D + K).
        """
        return embed_inputs(self.backbone, self.inputs, threads=self.threads)

    @cached_property
    def embedding(self) -> NDArray[np.float32]:
        """Of that the embedding (J, D)."""
        return np.ascontiguousarray(self.outputs[:, : self.backbone.card.embedding_dim])

    def embed(self, inputs: InputBatch, *, backbone: Backbone) -> NDArray[np.float32]:
        """The embedding (J, D) of any inputs by another backbone, in the batches of the store."""
        return embed_inputs(backbone, inputs, threads=self.threads)[:, : backbone.card.embedding_dim]
