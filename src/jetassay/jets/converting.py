"""Files of jets from one format to another: `jetassay convert`. Every jet of a file is written, the last one too.

ROOT files hold counted arrays with one counter of each kind of list, parquet files lists, HDF5 files arrays padded
with zeros to the longest list, with the counters beside them. Names are those of the schema, values as they were.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from jetassay.errors import ConfigError, DataError
from jetassay.jets.inspection import guess_schema
from jetassay.jets.mapped import open_jets
from jetassay.jets.padded import counter_of
from jetassay.jets.schema import Schema
from jetassay.jets.sources import RawChunk, Source, open_source
from jetassay.progress import Reporter
from jetassay.whole_files import whole_file

Target = Literal["root", "parquet", "hdf5"]
ENDINGS: Mapping[Target, str] = {"root": ".root", "parquet": ".parquet", "hdf5": ".h5"}
TREE = "tree"

_ENTRIES_PER_STEP = 8192
_CHUNK = (512, 32)
"""Jets and constituents that an HDF5 file compresses together."""

Add = Callable[[RawChunk], None]


@dataclass(frozen=True, slots=True)
class Conversion:
    """One file that was converted.

    jets:     in the old and in the new file
    left_out: columns of the old file that the schema does not know
    removed:  rule -> constituents that the old format's own rules left out
    """

    source: Path
    output: Path
    jets: int
    left_out: tuple[str, ...]
    removed: Mapping[str, int]

    def __str__(self) -> str:
        lines = [f"{self.source} -> {self.output}: {self.jets} jets in, {self.jets} jets out"]
        lines += [f"  constituents left out, {rule}: {count}" for rule, count in self.removed.items()]
        if self.left_out:
            lines.append(f"  columns left out, which the schema does not know: {', '.join(self.left_out)}")
        return "\n".join(lines)


def convert_files(
    files: Sequence[Path], *, schema: Schema | None, to: Target, output: Path, force: bool = False, reporter: Reporter
) -> Iterator[Conversion]:
    """Write each file as OUTPUT/STEM with the ending of the new format, whole or not at all.

    schema: what the files hold; None for what each looks like

    Raises `ConfigError` where a file is in the way or two would have the same name, `DataError` for unreadable input;
    files that were finished before stay.
    """
    targets = {path: output / f"{path.stem}{ENDINGS[to]}" for path in files}
    if len(set(targets.values())) < len(files):
        raise ConfigError(f"two of the files would become the same file in {output}; convert them to different folders")
    for path, target in targets.items():
        if path.resolve() == target.resolve():
            raise ConfigError(f"{target}: is the file to convert; choose another folder")
        if target.exists() and not force:
            raise ConfigError(f"{target}: is there already; give --force to overwrite it")
    with reporter.bar("converting", len(files), unit="files") as bar:
        for path, target in targets.items():
            yield convert_file(path, target, schema=schema or guess_schema(path), to=to)
            bar.advance()


def convert_file(path: Path, target: Path, *, schema: Schema, to: Target) -> Conversion:
    """Write one file in another format, streamed. Raises `DataError` where the new file has not every jet."""
    known = (*schema.constituents, *schema.columns, *schema.labels, *schema.truth_columns)
    removed: Counter[str] = Counter()
    with closing(open_jets(path, schema)) as source:
        existing = {*source.lists, *source.numbers}
        names = tuple(name for name in known if name in existing)
        left_out = tuple(name for name in (*source.lists, *source.numbers, *source.others) if name not in known)
        with whole_file(target) as partial:
            with _WRITERS[to](partial, source) as add:
                for chunk in source.chunks(names, start=0, stop=source.n_entries, step=_ENTRIES_PER_STEP):
                    add(chunk)
                    removed.update(chunk.removed)
            _require_all(partial, source)
        counters = {counter_of(name) for name in names if name in source.lists}
        return Conversion(path, target, source.n_entries, tuple(n for n in left_out if n not in counters), removed)


def _require_all(written: Path, source: Source) -> None:
    with closing(open_source(written, tree=TREE)) as result:
        if result.n_entries != source.n_entries:
            raise DataError(
                f"{source.path}: {source.n_entries} jets were read, but {result.n_entries} written; "
                "nothing was kept, please report this"
            )


def _kinds(chunk: RawChunk, path: Path) -> dict[str, tuple[str, ...]]:
    """The lists of each kind, which share a counter. Raises `DataError` where some are of other lengths."""
    kinds: dict[str, list[str]] = {}
    for name in chunk.lists:
        kinds.setdefault(name.partition("_")[0], []).append(name)
    for names in kinds.values():
        for name in names[1:]:
            if not np.array_equal(chunk.lists[name].offsets, chunk.lists[names[0]].offsets):
                differ = chunk.lists[name].counts != chunk.lists[names[0]].counts
                entry = chunk.start + int(np.flatnonzero(differ)[0])
                raise DataError(
                    f"{path}, branch {name}, entry {entry}: its list is not as long as that of {names[0]}; "
                    "repair the file before converting it"
                )
    return {kind: tuple(names) for kind, names in kinds.items()}


@contextmanager
def _root(path: Path, source: Source) -> Iterator[Add]:
    import awkward as ak
    import uproot

    with uproot.recreate(path, compression=uproot.ZSTD(5)) as file:

        def add(chunk: RawChunk) -> None:
            content: dict[str, Any] = {}
            for kind, names in _kinds(chunk, source.path).items():
                columns = {name.removeprefix(f"{kind}_"): chunk.lists[name].content for name in names}
                content[kind] = ak.unflatten(ak.zip(columns), chunk.lists[names[0]].counts)
            content.update(chunk.numbers)
            if TREE not in file:
                types = {
                    name: each.type if isinstance(each, ak.Array) else each.dtype for name, each in content.items()
                }
                file.mktree(TREE, types, counter_name=lambda kind: f"n{kind}", field_name=lambda a, b: f"{a}_{b}")
            file[TREE].extend(content)

        yield add


@contextmanager
def _parquet(path: Path, source: Source) -> Iterator[Add]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    writers: list[Any] = []

    def add(chunk: RawChunk) -> None:
        lists: dict[str, Any] = {}
        for name, each in chunk.lists.items():
            values: Any = pa.array(each.content)
            offsets: Any = pa.array(each.offsets)
            lists[name] = pa.LargeListArray.from_arrays(offsets, values)
        table = pa.table({**lists, **{name: pa.array(each) for name, each in chunk.numbers.items()}})
        if not writers:
            writers.append(pq.ParquetWriter(path, table.schema, compression="zstd"))
        writers[0].write_table(table)

    _ = source  # parquet has room for lists of any lengths
    try:
        yield add
    finally:
        for writer in writers:
            writer.close()


@contextmanager
def _hdf5(path: Path, source: Source) -> Iterator[Add]:
    try:
        import h5py
    except ImportError as error:
        raise ConfigError("HDF5 files need h5py; install it with: pip install 'jetassay[data]'") from error

    with h5py.File(path, "w") as file:

        def append(name: str, values: Any, start: int) -> None:
            if name not in file:
                options = {
                    "chunks": _CHUNK[: values.ndim],
                    "compression": "gzip",
                    "compression_opts": 4,
                    "shuffle": True,
                }
                file.create_dataset(name, (0,) * values.ndim, values.dtype, maxshape=(None,) * values.ndim, **options)
            widest = max(file[name].shape[1:], values.shape[1:])
            file[name].resize((start + len(values), *widest))
            file[name][(slice(start, None), *(slice(0, width) for width in values.shape[1:]))] = values

        def add(chunk: RawChunk) -> None:
            for kind, names in _kinds(chunk, source.path).items():
                counts = chunk.lists[names[0]].counts
                used = np.arange(counts.max(initial=1)) < counts[:, None]
                append(f"n{kind}", counts.astype(np.int32), chunk.start)
                for name in names:
                    table = np.zeros(used.shape, dtype=chunk.lists[name].content.dtype)
                    table[used] = chunk.lists[name].content
                    append(name, table, chunk.start)
            for name, values in chunk.numbers.items():
                append(name, values, chunk.start)

        yield add


@contextmanager
def open_writer(path: Path, source: Source, *, to: Target) -> Iterator[Add]:
    """Takes chunks with columns as those of `source`, and writes them to `path`; ROOT files into the tree `TREE`."""
    with _WRITERS[to](path, source) as add:
        yield add


_WRITERS: Mapping[Target, Callable[[Path, Source], AbstractContextManager[Add]]] = {
    "root": _root,
    "parquet": _parquet,
    "hdf5": _hdf5,
}
