"""A hash of each jet, of its constituents alone, so that the same jet is found again in any file and any order."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jetassay.embeddings.scratch import RowFile, chunks, let_go
from jetassay.embeddings.units import Reading
from jetassay.jets.containers import Jets
from jetassay.jets.dataset import DataFile
from jetassay.jets.reading import ENTRIES_PER_CHUNK, read_chunks
from jetassay.jets.schema import CORE

_UNCUT = 1 << 30
_CHUNK = 1 << 18  # hashes looked at at once
_HASH = np.dtype([("first", "<u8"), ("second", "<u8")])
_MULTIPLIERS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F)
"""Odd numbers without structure: 2^64 over the golden ratio, and the second prime of xxHash64."""

Hashes = NDArray[np.void]


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """One 128-bit hash of each of J jets; the arrays may be mapped from files.

    hashes: (J,), two uint64 each
    files:  names of the files
    file:   int64 (J,), index into `files`
    """

    hashes: Hashes
    files: tuple[str, ...]
    file: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.hashes)

    def bucket(self, number: int, *, of: int) -> "Fingerprints":
        """About one jet in `of`: those of equal hashes have buckets of equal number, whatever files they are of."""
        if of == 1:
            return self
        hashes, owners = [self.hashes[:0]], [self.file[:0]]
        for here, some in chunks(self.hashes, _CHUNK):
            kept = some["first"] % np.uint64(of) == number
            hashes.append(some[kept])
            owners.append(self.file[here][kept])
            let_go(self.file[here])
        return Fingerprints(np.concatenate(hashes), self.files, np.concatenate(owners))


def fingerprint_files(files: Sequence[DataFile], *, reading: Reading) -> Fingerprints:
    """The jets of `files` that a suite would see, by their constituents' four-vectors, none cut.

    Hashes lie in files of no name: 24 bytes a jet.
    """
    with ExitStack() as undo:
        hashes, owners = RowFile(_HASH), RowFile(np.int64)
        for each in (hashes, owners):
            undo.callback(each.close)
        for number, jets in _read(files, reading):
            hashes.append(fingerprints(jets))
            owners.append(np.full(len(jets), number))
        return Fingerprints(hashes.array(), tuple(file.name for file in files), owners.array())


def _read(files: Sequence[DataFile], reading: Reading) -> Iterator[tuple[int, Jets]]:
    """Some jets after others, each time with the number of their file."""
    for number, file in enumerate(files):
        ranges = read_chunks(
            file.path,
            schema=reading.schema,
            needs=(),
            stop=file.entries,
            entries_per_chunk=ENTRIES_PER_CHUNK,
            max_constituents=_UNCUT,
            on_invalid=reading.on_invalid,
            selection=reading.selection,
            labelled=reading.labelled,
        )
        for chunk in file.unchanged(ranges):
            yield number, chunk.jets


def fingerprints(jets: Jets) -> Hashes:
    """Hashes (J,): a jet's is the sum, modulo 2^64 and twice, of its constituents', so their order does not matter.

    A constituent's is a mix of the bits of px, py, pz and E in float32. Two jets with equal hashes are the same jet
    but for a chance of some 2^-128 for each pair.
    """
    rows = np.stack([jets.constituents[name] + np.float32(0) for name in CORE], axis=1)  # -0 becomes 0
    words = np.ascontiguousarray(rows, "<f4").view("<u8")  # (N, 2): px with py, pz with E
    halves = []
    for multiplier in _MULTIPLIERS:
        mixed = _mix(_mix(words[:, 0] * np.uint64(multiplier)) ^ words[:, 1])
        halves.append(np.add.reduceat(mixed, jets.offsets[:-1]) if len(jets) else mixed[:0])
    return np.stack(halves, axis=1).astype("<u8").view(_HASH)[:, 0]


def _mix(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64 (Steele, Lea, Flood 2014): every bit of a word moves half of the others."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
