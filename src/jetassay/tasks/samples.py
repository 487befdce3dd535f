"""What a task takes: embeddings with their labels, and which jets these are; for training, validation and test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from jetassay.embeddings.scratch import chunks, gather
from jetassay.errors import DataError, LeakageError

IntArray = NDArray[np.int64]
_ENTRY_BITS = 40  # more entries than any file has
_CHUNK = 8192  # jets looked at at once


@dataclass(frozen=True, slots=True)
class JetKeys:
    """Which jets these are, whatever backbone embedded them.

    files:   sha256 of the content of each file, so that a renamed copy is the same file
    file:    int64 (J,), index into `files`
    entries: int64 (J,), entry number in that file

    Raises `DataError` where shapes disagree or an index is out of range.
    """

    files: tuple[str, ...]
    file: IntArray
    entries: IntArray

    def __post_init__(self) -> None:
        if self.file.shape != self.entries.shape or self.file.ndim != 1:
            raise DataError(f"keys: {self.file.shape} file indices and {self.entries.shape} entries; give each jet one")
        if len(self.file) and not 0 <= self.file.min() <= self.file.max() < len(self.files):
            raise DataError(f"keys: a file index is outside the {len(self.files)} files")

    def __len__(self) -> int:
        return len(self.file)

    def take(self, rows: IntArray) -> "JetKeys":
        """The keys of the jets `rows`, in that order."""
        return JetKeys(self.files, self.file[rows], self.entries[rows])

    def first_difference(self, other: "JetKeys") -> int | None:
        """The first row where the two name different jets; None where all are the same, in the same order."""
        shared = min(len(self), len(other))
        number = {digest: index for index, digest in enumerate(dict.fromkeys(self.files + other.files))}
        numbers = [np.array([number[digest] for digest in keys.files], np.int64) for keys in (self, other)]
        for start in range(0, shared, _CHUNK):
            here = slice(start, min(start + _CHUNK, shared))
            ours, theirs = (known[keys.file[here]] for known, keys in zip(numbers, (self, other), strict=True))
            unlike = np.flatnonzero((ours != theirs) | (self.entries[here] != other.entries[here]))
            if len(unlike):
                return start + int(unlike[0])
        return None if len(self) == len(other) else shared

    def find(self, others: "JetKeys") -> IntArray:
        """The row of each of `others` here, int64 (len(others),); -1 for a jet that is not here."""
        number = {digest: index for index, digest in enumerate(dict.fromkeys(self.files + others.files))}
        ours, theirs = (
            np.array([number[digest] for digest in keys.files], np.int64)[keys.file] << _ENTRY_BITS | keys.entries
            for keys in (self, others)
        )
        order = np.argsort(ours, kind="stable")
        place = np.searchsorted(ours, theirs, sorter=order)
        rows = np.append(order, -1)[place]
        return np.where(np.append(ours, -1)[rows] == theirs, rows, -1)

    def shared_with(self, other: "JetKeys") -> int:
        """How many different jets are in both."""
        common = _used(self) & _used(other)
        return sum(len(np.intersect1d(_entries(self, digest), _entries(other, digest))) for digest in common)


@dataclass(frozen=True, slots=True)
class Sample:
    """J jets as one backbone sees them, with their labels.

    embedding: float32 (J, D)
    labels:    int64 (J,), index into `names`
    names:     label names in the dataset's order
    keys:      which jets these are
    scores:    float32 (J, K), class probabilities of the backbone's own classifier; None where it has none
    outputs:   K names of its classes
    columns:   name -> float32 (J,), observed jet columns (GeV) and `multiplicity`, as the dataset has them

    Raises `DataError` where shapes or types disagree. NaN is let in here and refused by the tasks, so that the
    message names the task that it stops.
    """

    embedding: NDArray[np.float32]
    labels: IntArray
    names: tuple[str, ...]
    keys: JetKeys
    scores: NDArray[np.float32] | None = None
    outputs: tuple[str, ...] = ()
    columns: Mapping[str, NDArray[np.float32]] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        wrong = [name for name, column in self.columns.items() if column.shape != (len(self),)]
        if wrong:
            raise DataError(f"column {wrong[0]}: {self.columns[wrong[0]].shape} values for {len(self)} jets")
        if self.scores is not None and self.scores.shape != (len(self), len(self.outputs)):
            raise DataError(
                f"class probabilities of shape {self.scores.shape} for {len(self)} jets and {len(self.outputs)} classes"
            )
        if self.embedding.ndim != 2 or self.embedding.dtype != np.float32:
            raise DataError(f"embedding: expected float32 (J, D), got {self.embedding.dtype} {self.embedding.shape}")
        if self.labels.shape != (len(self),) or self.labels.dtype != np.int64 or len(self.keys) != len(self):
            raise DataError(
                f"{len(self)} embedded jets, but labels are {self.labels.dtype} {self.labels.shape} and there are "
                f"{len(self.keys)} keys; expected one int64 label and one key for each jet"
            )
        if len(self) and not 0 <= self.labels.min() <= self.labels.max() < len(self.names):
            raise DataError(f"a label is outside the {len(self.names)} names {', '.join(self.names)}")

    def __len__(self) -> int:
        return len(self.embedding)

    @property
    def width(self) -> int:
        """D of the embedding."""
        return int(self.embedding.shape[1])

    def rows(self, name: str) -> IntArray:
        """Rows (int64) of the jets with the label `name`. Raises `DataError` for a name that is not there."""
        if name not in self.names:
            raise DataError(f"there is no label '{name}' among {', '.join(self.names)}")
        return np.flatnonzero(self.labels == self.names.index(name)).astype(np.int64, copy=False)

    def take(self, rows: IntArray) -> "Sample":
        """The jets `rows`, in that order."""
        scores = None if self.scores is None else gather(self.scores, rows)
        columns = {name: gather(column, rows) for name, column in self.columns.items()}
        embedding, labels, keys = gather(self.embedding, rows), self.labels[rows], self.keys.take(rows)
        return Sample(embedding, labels, self.names, keys, scores, self.outputs, columns)


@dataclass(frozen=True, slots=True)
class Splits:
    """Samples that share no jet: to fit, to choose the penalty, and to measure.

    Raises `DataError` where names or widths differ, `LeakageError` where a jet is in two of them.
    """

    train: Sample
    validation: Sample
    test: Sample

    def __post_init__(self) -> None:
        samples = self.by_name()
        for (first, a), (second, b) in combinations(samples.items(), 2):
            if a.names != b.names or a.width != b.width:
                raise DataError(f"the {first} and {second} samples differ in label names or in embedding width")
            shared = a.keys.shared_with(b.keys)
            if shared:
                raise LeakageError(
                    f"{shared} jets are in both the {first} and the {second} sample; split by file so that none is"
                )

    def by_name(self) -> Mapping[str, Sample]:
        """The three samples by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def same_jets(samples: Mapping[str, Sample]) -> None:
    """Raise `DataError` unless all samples hold the same jets in the same order, with the same labels."""
    (reference_name, reference), *others = samples.items()
    for name, sample in others:
        row = reference.keys.first_difference(sample.keys)
        if row is not None:
            raise DataError(
                f"'{reference_name}' ({len(reference)} jets) and '{name}' ({len(sample)} jets) are embeddings of "
                f"different jets, or of the same in another order; they first differ at row {row}. Embed one dataset "
                "with both, and compare rows of equal keys."
            )
        if sample.names != reference.names or not np.array_equal(sample.labels, reference.labels):
            raise DataError(f"'{reference_name}' and '{name}' hold the same jets with different labels")


def require_finite(sample: Sample, where: str) -> None:
    """Raise `DataError` naming the first jet whose embedding holds NaN or infinity; `where` begins the message."""
    broken, first = 0, 0
    for here, rows in chunks(sample.embedding, _CHUNK):
        found = np.flatnonzero(~np.isfinite(rows).all(axis=1))
        if len(found) and not broken:
            first = here.start + int(found[0])
        broken += len(found)
    if broken:
        raise DataError(
            f"{where}: the embeddings of {broken} of {len(sample)} jets hold NaN or infinity, the first is row "
            f"{first} (entry {sample.keys.entries[first]} of file {sample.keys.files[sample.keys.file[first]][:12]})"
        )


def require_jets(sample: Sample, names: Sequence[str], *, fewest: int, where: str) -> None:
    """Raise `DataError`, which begins with `where`, for fewer than `fewest` jets of one of the labels `names`."""
    for name in names:
        jets = len(sample.rows(name))
        if jets < fewest:
            raise DataError(f"{where}: {jets} jets of {name}; at least {fewest} are needed")


def jets_of(sample: Sample, names: Sequence[str], *, fewest: int, where: str) -> tuple[IntArray, Sample]:
    """Rows (int64, rising) of the jets with one of the labels `names`, and the sample of these jets.

    Raises `DataError`, which begins with `where`, for fewer than `fewest` jets of a label, or NaN or infinity.
    """
    require_jets(sample, names, fewest=fewest, where=where)
    every = np.sort(np.concatenate([sample.rows(name) for name in names]))
    kept = sample.take(every)
    require_finite(kept, where)
    return every, kept


def _used(keys: JetKeys) -> set[str]:
    """The files that have jets here."""
    jets = np.bincount(keys.file, minlength=len(keys.files))
    return {digest for digest, number in zip(keys.files, jets.tolist(), strict=True) if number}


def _entries(keys: JetKeys, digest: str) -> IntArray:
    """The entries of the jets of one file, which may stand in the list twice."""
    numbers = [index for index, each in enumerate(keys.files) if each == digest]
    return keys.entries[np.isin(keys.file, numbers)]
