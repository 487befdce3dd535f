"""The unit of work: a range of entries of one file, and all that its shard depends on."""

import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Generic, Literal, TypeVar

from jetassay.backbones.protocol import Backbone
from jetassay.embeddings.batching import Batching
from jetassay.embeddings.store import key_of
from jetassay.features.recipe import FeatureSet
from jetassay.jets.containers import Chunk
from jetassay.jets.dataset import DataFile
from jetassay.jets.perturbations import Perturbation
from jetassay.jets.reading import OnInvalid, read_chunks
from jetassay.jets.schema import Schema, Selection

EXTRACTION_VERSION = 3
"""Rises whenever a change of code may move an embedding: reading, features, batching, or a forward pass."""
TABLE_VERSION = 2
"""Rises whenever a change of code may move what a jets table holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How the entries of a file become jets; the same reading of the same range gives the same jets.

    labelled: False for files without labels
    """

    schema: Schema
    selection: tuple[Selection, ...]
    on_invalid: OnInvalid = "error"
    labelled: bool = True

    def describe(self) -> dict[str, object]:
        """JSON values, part of every key."""
        return {
            "schema": self.schema.digest(),
            "selection": [asdict(cut) for cut in self.selection],
            "on_invalid": self.on_invalid,
            "labelled": self.labelled,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRecipe:
    """What the jets table of a range depends on beside its jets: no backbone."""

    kind: Literal["jets"] = "jets"
    version: int = TABLE_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingRecipe:
    """What the embedding of a range depends on beside its jets.

    code: sha256 of the file with the architecture, where it is not one of ours: those have `EXTRACTION_VERSION`
    perturbation: what is done to the jets before their inputs are computed; None for jets as they were read

    Versions of libraries, threads and machine are kept beside the embedding, not in its key.
    """

    card: str
    weights: str
    feature_set: str
    dtype: str
    max_constituents: int
    entries_per_pool: int
    token_budget: int
    code: str | None = None
    perturbation: Perturbation | None = None
    kind: Literal["embedding"] = "embedding"
    version: int = EXTRACTION_VERSION


R = TypeVar("R", TableRecipe, EmbeddingRecipe)


def embedding_recipe(backbone: Backbone, *, feature_set: FeatureSet, batching: Batching) -> EmbeddingRecipe:
    """The recipe of one backbone. Class probabilities are stored too where it gives them."""
    return EmbeddingRecipe(
        card=backbone.card.digest(),
        weights=backbone.weights_sha256,
        feature_set=feature_set.digest(),
        dtype=backbone.dtype,
        max_constituents=backbone.card.max_constituents,
        entries_per_pool=batching.entries_per_pool,
        token_budget=batching.token_budget,
        code=_foreign_code(backbone.card.architecture),
    )


def _foreign_code(architecture: str) -> str | None:
    """sha256 hex of the imported file that holds somebody else's architecture; None for ours."""
    name = architecture.partition(":")[0]
    file = getattr(sys.modules.get(name), "__file__", None)
    if file is None or name.partition(".")[0] == "jetassay":
        return None
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit(Generic[R]):
    """Entries start:stop of one file, to be worked on in one go into one shard.

    The key does not depend on where the file lies or what it is called.
    """

    file: DataFile
    start: int
    stop: int
    reading: Reading
    recipe: R

    def __len__(self) -> int:
        """Entries, before any rule."""
        return self.stop - self.start

    def __str__(self) -> str:
        return f"{self.file.path}, entries {self.start}:{self.stop}"

    def describe(self) -> dict[str, object]:
        """All that the shard depends on, as JSON values; saved beside its columns and compared on read."""
        return {
            "file": self.file.digest,
            "start": self.start,
            "stop": self.stop,
            **self.reading.describe(),
            **{name: value for name, value in asdict(self.recipe).items() if value is not None},
        }

    def read(self, *, needs: tuple[str, ...], entries_per_chunk: int, max_constituents: int) -> Iterator[Chunk]:
        """The jets of the unit; see `jets.reading.read_chunks` and `DataFile.unchanged`."""
        chunks = read_chunks(
            self.file.path,
            schema=self.reading.schema,
            needs=needs,
            start=self.start,
            stop=self.stop,
            entries_per_chunk=entries_per_chunk,
            max_constituents=max_constituents,
            on_invalid=self.reading.on_invalid,
            selection=self.reading.selection,
            labelled=self.reading.labelled,
            file_name=self.file.name,
        )
        return self.file.unchanged(chunks)

    @property
    def key(self) -> str:
        """sha256 hex of the description."""
        return key_of(self.describe())


def plan(
    files: Sequence[DataFile],
    *,
    reading: Reading,
    recipe: R,
    entries_per_unit: int,
    stops: Mapping[DataFile, int] | None = None,
) -> tuple[Unit[R], ...]:
    """The units of `files`, in order: every entry in exactly one.

    stops: files of which only the first so many entries are wanted
    """
    ends = [file.entries if stops is None else stops.get(file, file.entries) for file in files]
    return tuple(
        Unit(
            file=file,
            start=start,
            stop=min(start + entries_per_unit, end),
            reading=reading,
            recipe=recipe,
        )
        for file, end in zip(files, ends, strict=True)
        for start in range(0, end, entries_per_unit)
    )
