"""The jets of an audit: a few entries of one file of each group, read once for all backbones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jetassay.embeddings.units import Reading
from jetassay.errors import DataError
from jetassay.jets.containers import Chunk, FloatArray, Jets, Truth
from jetassay.jets.dataset import DataFile, Dataset
from jetassay.jets.reading import OnInvalid, read_chunks


@dataclass(frozen=True, slots=True)
class Subsample:
    """J jets of the files `files`, in their order.

    jets, truth: the two sides, as the reader gives them
    entries:     for each file, the range 0:entries[k] that was read
    kept:        for each file, the entries of its jets, int64 (J_k,)
    """

    jets: Jets
    truth: Truth
    files: tuple[DataFile, ...]
    entries: tuple[int, ...]
    kept: tuple[np.ndarray[tuple[int], np.dtype[np.int64]], ...]

    def __len__(self) -> int:
        return len(self.jets)


class AuditedJets:
    """What every backbone of an audit sees: the files, and the subsample of them by what a backbone needs.

    Nothing is read before it is asked for, and nothing twice.
    """

    def __init__(
        self, dataset: Dataset, files: Sequence[DataFile], *, jets: int, on_invalid: OnInvalid = "error"
    ) -> None:
        groups = {file.group: file for file in reversed(files)}
        self.dataset = dataset
        self.files = tuple(sorted(groups.values(), key=lambda file: (file.group, file.name)))
        each = -(-jets // len(self.files))
        self.entries = tuple(min(each, file.entries) for file in self.files)
        self.reading = Reading(schema=dataset.schema, selection=dataset.selection, on_invalid=on_invalid)
        self._read: dict[tuple[tuple[str, ...] | None, int], Subsample] = {}

    def of(self, *, needs: tuple[str, ...] | None, max_constituents: int) -> Subsample:
        """The subsample with the observed columns `needs` (None for all that the files have), read as for the store.

        Raises `DataError` where the files cannot be read or give no jet.
        """
        key = needs, max_constituents
        if key not in self._read:
            chunks = [
                self._chunk(file, entries, needs=needs, max_constituents=max_constituents)
                for file, entries in zip(self.files, self.entries, strict=True)
            ]
            self._read[key] = self._join(chunks)
        return self._read[key]

    def _chunk(self, file: DataFile, entries: int, *, needs: tuple[str, ...] | None, max_constituents: int) -> Chunk:
        (chunk,) = read_chunks(
            file.path,
            schema=self.reading.schema,
            needs=needs,
            stop=entries,
            entries_per_chunk=entries,
            max_constituents=max_constituents,
            on_invalid=self.reading.on_invalid,
            selection=self.reading.selection,
            labelled=self.reading.labelled,
            file_name=file.name,
        )
        return chunk

    def _join(self, chunks: Sequence[Chunk]) -> Subsample:
        jets = join_jets([chunk.jets for chunk in chunks])
        if not len(jets):
            raise DataError(f"{self.dataset.name}: none of the first entries of its files gives a jet to audit with")
        labels = np.concatenate([chunk.truth.labels for chunk in chunks])
        truth = Truth(labels, self.dataset.schema.label_names, {})
        return Subsample(jets, truth, self.files, self.entries, tuple(chunk.origin.entries for chunk in chunks))


def join_jets(parts: Sequence[Jets]) -> Jets:
    """The jets of `parts`, one after the other; columns that not every part has are left out."""
    lengths = np.concatenate([part.multiplicities for part in parts])

    def joined(arrays: Sequence[dict[str, FloatArray]]) -> dict[str, FloatArray]:
        names = [name for name in arrays[0] if all(name in each for each in arrays)]
        return {name: np.concatenate([each[name] for each in arrays]) for name in names}

    return Jets(
        joined([dict(part.constituents) for part in parts]),
        np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]),
        joined([dict(part.columns) for part in parts]),
    )
