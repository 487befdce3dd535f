"""ROOT files: `std::vector` branches as published, and counted arrays with one counter or one per branch."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from uproot.interpretation.jagged import AsJagged
from uproot.interpretation.numerical import AsDtype

from jetassay.errors import DataError
from jetassay.jets.sources import Ragged, RawChunk, sound
from jetassay.root_files import open_root


class RootSource:
    """The TTree `tree` of a ROOT file; see `sources.Source`."""

    def __init__(self, path: Path, *, tree: str) -> None:
        self.path = path
        try:
            # No caches: they would hold arrays of ranges that are never read again.
            self._file = open_root(path, object_cache=None, array_cache=None)
            complete = int(self._file.file.fEND)
            found = self._file.classnames(cycle=False)
        except Exception as error:  # uproot raises whatever its parser meets in broken bytes
            raise broken(path, error) from error
        if path.stat().st_size < complete:
            self.close()
            raise DataError(
                f"{path}: truncated or damaged ROOT file: {path.stat().st_size} of {complete} bytes; "
                "fetch or make it again"
            )
        if found.get(tree) != "TTree":
            self.close()
            others = ", ".join(f"{name} ({kind})" for name, kind in found.items()) or "nothing"
            raise DataError(f"{path}: has no TTree '{tree}'; it has {others}")
        try:
            self._tree = self._file[tree]
            self.n_entries = int(self._tree.num_entries)
            self._classify()
        except Exception as error:  # likewise
            self.close()
            raise broken(path, error) from error

    def _classify(self) -> None:
        numbers: list[str] = []
        lists: list[str] = []
        self.others: Mapping[str, str] = {}
        for branch in self._tree.branches:
            kind = branch.interpretation
            if isinstance(kind, AsDtype) and not kind.inner_shape and kind.to_dtype.fields is None:
                numbers.append(branch.name)
            elif isinstance(kind, AsJagged) and isinstance(kind.content, AsDtype) and not kind.content.inner_shape:
                lists.append(branch.name)
            else:
                self.others[branch.name] = branch.typename
        self.numbers, self.lists = tuple(numbers), tuple(lists)

    def chunks(self, names: Sequence[str], *, start: int, stop: int, step: int) -> Iterator[RawChunk]:
        """See `sources.Source`."""
        for name in names:
            length = self._tree[name].num_entries
            if length != self.n_entries:
                raise DataError(
                    f"{self.path}: branch {name} has {length} entries, but the tree has {self.n_entries}; "
                    "the file was not written to its end"
                )
        ranges = self._tree.iterate(
            filter_name=list(names),
            entry_start=start,
            entry_stop=stop,
            step_size=step,
            library="ak",
            how=dict,
        )
        for begin in range(start, stop, step):
            end = min(begin + step, stop)
            try:
                arrays = next(ranges)
            except Exception as error:  # likewise
                raise broken(self.path, error, entries=(begin, end)) from error
            lists = {name: _ragged(arrays[name]) for name in names if name in self.lists}
            numbers = {name: np.asarray(arrays[name].layout.data) for name in names if name in self.numbers}
            yield sound(RawChunk(begin, end, numbers, lists), path=self.path)

    def close(self) -> None:
        """See `sources.Source`."""
        self._file.close()


def _ragged(array: Any) -> Ragged:
    """The parts of uproot's list array; they start at 0 already."""
    layout = array.layout
    offsets: NDArray[np.int64] = np.asarray(layout.offsets.data, dtype=np.int64)
    return Ragged(offsets, np.asarray(layout.content.data))


def broken(path: Path, error: Exception, *, entries: tuple[int, int] | None = None) -> DataError:
    """What to tell of a file that cannot be decoded, at entries first:last where that is known."""
    where = f", entries {entries[0]} to {entries[1] - 1}" if entries else ""
    reason = (str(error).strip().splitlines() or ["no reason given"])[0]
    return DataError(
        f"{path}{where}: truncated or damaged ROOT file ({type(error).__name__}: {reason}); fetch or make it again"
    )
