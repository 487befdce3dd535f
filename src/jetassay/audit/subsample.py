"""The jets of an audit: the first entries of one file of each group, read once for all backbones, and their doubles."""

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetassay.audit.fingerprints import Fingerprints, fingerprint_files
from jetassay.audit.tainting import Shuffled, write_shuffled
from jetassay.embeddings.units import Reading
from jetassay.errors import DataError, SimulationError
from jetassay.jets.containers import Chunk, FloatArray, Jets, Truth
from jetassay.jets.dataset import DataFile, Dataset
from jetassay.jets.reading import OnInvalid, read_chunks
from jetassay.jets.sources import file_format
from jetassay.tasks.samples import JetKeys

Files = Mapping[str, tuple[DataFile, ...]]
Key = tuple[tuple[str, ...] | None, int]


@dataclass(frozen=True, slots=True)
class Subsample:
    """J jets of the files `files`, in their order.

    jets, truth: the two sides, as the reader gives them
    kept:        for each file, the entries of its jets, int64 (J_k,)
    """

    jets: Jets
    truth: Truth
    files: tuple[DataFile, ...]
    kept: tuple[NDArray[np.int64], ...]

    def __len__(self) -> int:
        return len(self.jets)

    @property
    def keys(self) -> JetKeys:
        """Which jets these are."""
        owners = np.repeat(np.arange(len(self.files)), [len(entries) for entries in self.kept])
        return JetKeys(tuple(file.digest for file in self.files), owners, np.concatenate(self.kept))


class AuditedJets:
    """What every backbone of an audit sees of a dataset: the files of its splits, and a subsample of their jets.

    Nothing is read before it is asked for, and nothing twice.

    splits: "train", "validation", "test" -> files of each
    jets:   size of the subsample, spread evenly over one test file of each group
    """

    def __init__(
        self, dataset: Dataset, splits: Files, *, jets: int, on_invalid: OnInvalid = "error", seed: int = 0
    ) -> None:
        self.dataset, self.splits, self.seed = dataset, splits, seed
        groups = {file.group: file for file in reversed(splits["test"])}
        self.files = tuple(sorted(groups.values(), key=lambda file: (file.group, file.name)))
        each = -(-jets // len(self.files))
        self.entries = tuple(min(each, file.entries) for file in self.files)
        self.reading = Reading(schema=dataset.schema, selection=dataset.selection, on_invalid=on_invalid)
        self._read: dict[Key, Subsample] = {}
        self._doubles: dict[Key, tuple[Subsample, Shuffled]] = {}

    def of(self, *, needs: tuple[str, ...] | None, max_constituents: int) -> Subsample:
        """The subsample with the observed columns `needs` (None for all that the files have), read as for the store.

        Raises `DataError` where the files cannot be read or give no jet.
        """
        key = needs, max_constituents
        if key not in self._read:
            chunks = [
                self._chunk(file.path, stop, key, file_name=file.name)
                for file, stop in zip(self.files, self.entries, strict=True)
            ]
            self._read[key] = self._join(chunks)
        return self._read[key]

    def double(self, *, needs: tuple[str, ...] | None, max_constituents: int) -> tuple[Subsample, Shuffled]:
        """The same jets out of a file of another name in which all truth is shuffled; see `tainting`.

        Raises `NotWritableError` where such files cannot be written.
        """
        key = needs, max_constituents
        if key not in self._doubles:
            schema, kept = self.dataset.schema, self.of(needs=needs, max_constituents=max_constituents).kept
            with tempfile.TemporaryDirectory(prefix="jetassay-audit-") as folder:
                copy = write_shuffled(Path(folder), self.files, kept, schema=schema, seed=self.seed)
                chunk = self._chunk(copy.path, sum(map(len, kept)), key, file_name=copy.path.name)
            self._doubles[key] = self._join([chunk]), copy
        return self._doubles[key]

    @cached_property
    def fingerprints(self) -> Mapping[str, Fingerprints]:
        """A hash of every jet of each split."""
        return {name: fingerprint_files(files, reading=self.reading) for name, files in self.splits.items()}

    @cached_property
    def simulations(self) -> Mapping[str, Mapping[str, Any]]:
        """File -> what its simulation noted in it, for all files of the splits that `simulation` wrote."""
        from jetassay.simulation.writing import read_facts

        found = {}
        for file in dict.fromkeys(file for files in self.splits.values() for file in files):
            if file_format(file.path) == "root":
                with suppress(SimulationError):  # a ROOT file that was not simulated here
                    found[file.name] = read_facts(file.path, needed=())
        return found

    def _chunk(self, path: Path, stop: int, key: Key, *, file_name: str) -> Chunk:
        (chunk,) = read_chunks(
            path,
            schema=self.reading.schema,
            needs=key[0],
            stop=stop,
            entries_per_chunk=stop,
            max_constituents=key[1],
            on_invalid=self.reading.on_invalid,
            selection=self.reading.selection,
            labelled=self.reading.labelled,
            file_name=file_name,
        )
        return chunk

    def _join(self, chunks: Sequence[Chunk]) -> Subsample:
        jets = join_jets([chunk.jets for chunk in chunks])
        if not len(jets):
            raise DataError(f"{self.dataset.name}: none of the first entries of its files gives a jet to audit with")
        labels = np.concatenate([chunk.truth.labels for chunk in chunks])
        truth = Truth(labels, self.dataset.schema.label_names, {})
        return Subsample(jets, truth, self.files, tuple(chunk.origin.entries for chunk in chunks))


def join_jets(parts: Sequence[Jets]) -> Jets:
    """The jets of `parts`, one after the other; columns that not every part has are left out."""
    lengths = np.concatenate([part.multiplicities for part in parts])

    def joined(arrays: Sequence[Mapping[str, FloatArray]]) -> dict[str, FloatArray]:
        names = [name for name in arrays[0] if all(name in each for each in arrays)]
        return {name: np.concatenate([each[name] for each in arrays]) for name in names}

    return Jets(
        joined([part.constituents for part in parts]),
        np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]),
        joined([part.columns for part in parts]),
    )
