"""Files as ranges of raw columns, whatever their format: the part of reading that knows no physics."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from jetassay.errors import DataError

Format = Literal["root", "parquet", "hdf5", "npz"]
_FORMATS: Mapping[bytes, Format] = {b"root": "root", b"PAR1": "parquet", b"\x89HDF": "hdf5", b"PK\x03\x04": "npz"}


@dataclass(frozen=True, slots=True)
class Ragged:
    """One list of numbers per entry, laid end to end: offsets int64 (J + 1,) from 0, content (N,)."""

    offsets: NDArray[np.int64]
    content: NDArray[Any]

    @property
    def counts(self) -> NDArray[np.int64]:
        """Length of each list, int64 (J,)."""
        return np.diff(self.offsets)


@dataclass(frozen=True, slots=True)
class RawChunk:
    """Entries start:stop of a file as they are stored: numbers (J,) and lists by branch name.

    removed: rule -> constituents that the format's own rules left out; most formats have no such rules
    """

    start: int
    stop: int
    numbers: Mapping[str, NDArray[Any]]
    lists: Mapping[str, Ragged]
    removed: Mapping[str, int] = field(default_factory=dict)

    def broken(self) -> str | None:
        """The branch, if there is one, whose arrays are not of the lengths that the range demands."""
        for name, values in self.numbers.items():
            if len(values) != len(self):
                return name
        for name, ragged in self.lists.items():
            sound = len(ragged.offsets) == len(self) + 1 and ragged.offsets[-1] == len(ragged.content)
            if not sound or ragged.offsets[0] != 0 or (np.diff(ragged.offsets) < 0).any():
                return name
        return None

    def __len__(self) -> int:
        return self.stop - self.start


class Source(Protocol):
    """An open file of jets.

    numbers, lists: branches with one number, and with one list of numbers, per entry
    others:         branches of any other kind, with what they are
    """

    path: Path
    n_entries: int
    numbers: tuple[str, ...]
    lists: tuple[str, ...]
    others: Mapping[str, str]

    def chunks(self, names: Sequence[str], *, start: int, stop: int, step: int) -> Iterator[RawChunk]:
        """The branches `names` of entries start:stop, at most `step` entries at a time.

        Raises `DataError` where the file cannot be decoded, or decodes to something else than that.
        """
        ...

    def close(self) -> None:
        """Give the file back."""
        ...


def file_format(path: Path) -> Format:
    """What a file is by its first bytes, whatever its name. Raises `DataError` where it is none that can be read."""
    head = _first_bytes(path)
    for start, form in _FORMATS.items():
        if head == start:
            return form
    raise DataError(
        f"{path}: neither a ROOT nor a parquet file, nor HDF5 or npz (it begins with {head!r}); "
        "if it was downloaded, fetch it again"
    )


def open_source(path: Path, *, tree: str, feature_names: Mapping[str, str] | None = None) -> Source:
    """Open a ROOT, parquet, HDF5 or npz file.

    tree:          the TTree of a ROOT file, or `Delphes:JETS` for the jets JETS of events; of an HDF5 file the group or
                   table, where it has one of this name
    feature_names: array -> array that holds the names of its columns, for HDF5 and npz files; see `arrays`

    Raises `DataError` for anything that cannot be read as jets, among it a file without a single entry.
    """
    form, names = file_format(path), feature_names or {}
    source: Source
    if form == "root" and tree.startswith("Delphes:"):
        from jetassay.jets.delphes import DelphesSource

        source = DelphesSource(path, jets=tree.partition(":")[2])
    elif form == "root":
        from jetassay.jets.root import RootSource

        source = RootSource(path, tree=tree)
    elif form == "parquet":
        from jetassay.jets.parquet import ParquetSource

        source = ParquetSource(path)
    elif form == "hdf5":
        from jetassay.jets.hdf5 import Hdf5Source
        from jetassay.jets.padded import unpadded

        source = unpadded(Hdf5Source(path, tree=tree, feature_names=names))
    else:
        from jetassay.jets.npz import NpzSource

        source = NpzSource(path, feature_names=names)
    if source.n_entries == 0:
        raise DataError(f"{path}: holds no jets (0 entries); leave it out")
    return source


def sound(chunk: RawChunk, *, path: Path) -> RawChunk:
    """The chunk. Raises `DataError` where what was decoded is not what was asked for."""
    branch = chunk.broken()
    if branch is not None:
        raise DataError(
            f"{path}: truncated or damaged file: branch {branch} does not hold entries {chunk.start} to "
            f"{chunk.stop - 1}; fetch or make it again"
        )
    return chunk


def require_branches(source: Source, *, numbers: Sequence[str], lists: Sequence[str]) -> None:
    """Raises `DataError` naming file and branches where some are missing or of the wrong kind."""
    for message in missing_branches(source, numbers=numbers, lists=lists):
        raise DataError(f"{source.path}: {message}")


def missing_branches(source: Source, *, numbers: Sequence[str], lists: Sequence[str]) -> Iterator[str]:
    """What to tell of branches that are missing or of the wrong kind."""
    kinds = {
        **dict.fromkeys(source.lists, "a list of numbers"),
        **dict.fromkeys(source.numbers, "one number"),
        **source.others,
    }
    needed = {**dict.fromkeys(lists, "a list of numbers"), **dict.fromkeys(numbers, "one number")}
    missing = [name for name in needed if name not in kinds]
    if missing:
        what = f"branch {missing[0]} is" if len(missing) == 1 else f"branches {', '.join(missing)} are"
        yield f"{what} missing; the file has {', '.join(kinds) or 'no branches'}"
    for name, kind in needed.items():
        if kinds.get(name, kind) != kind:
            yield f"branch {name} must hold {kind} per jet, but holds {kinds[name]}"


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            head = stream.read(4)
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file") from error
    except IsADirectoryError as error:
        raise DataError(f"{path}: is a folder, not a file") from error
    except PermissionError as error:
        raise DataError(f"{path}: no permission to read it") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if not head:
        raise DataError(f"{path}: is empty (0 bytes); fetch or make it again")
    return head
