"""Tables with a row for each test jet: they grow with the sample, so they lie in files and are read by blocks."""

import mmap
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jetassay.embeddings.scratch import nameless_file, unwritable
from jetassay.errors import ConfigError
from jetassay.tasks.catalogue import KNN, MLP_PROBE, PROBE, ZERO_SHOT
from jetassay.tasks.curves import BLOCK, LOGITS, jet_scores_name
from jetassay.tasks.displays import JETS
from jetassay.whole_files import whole_file

KEPT = {PROBE.name: LOGITS, **{each.name: jet_scores_name(each.name) for each in (ZERO_SHOT, KNN, MLP_PROBE)}}
"""Tasks that leave scores of single jets, and in which table."""

JET_TABLES = frozenset({JETS, *KEPT.values()})
"""The names of all such tables."""


@dataclass(frozen=True, slots=True)
class JetRows:
    """Rows of test jets, with a column `jet`, in parquet files one after the other.

    parts: paths, or the mapped pages of files without a name, which are gone with the process

    Whatever reads raises `ConfigError` where a file is damaged.
    """

    parts: tuple[Path | mmap.mmap, ...]

    @classmethod
    def of(cls, blocks: Iterable[pd.DataFrame]) -> "JetRows":
        """Write blocks of the same columns, one at least, to a file without a name. Raises `StoreError`."""
        with nameless_file() as file:
            try:
                _write((pa.Table.from_pandas(block, preserve_index=False) for block in blocks), file)
                file.flush()
            except OSError as error:
                raise unwritable(error) from error
            return cls((mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ),))

    def __add__(self, other: "JetRows") -> "JetRows":
        """The rows of both; a column that one has not is NaN there."""
        return JetRows(self.parts + other.parts)

    def blocks(self) -> Iterator[pd.DataFrame]:
        """All rows in order, at most `BLOCK` at once, with the columns of their part."""
        return (table.to_pandas() for table in self._tables())

    def of_jets(self, jets: Collection[int]) -> pd.DataFrame:
        """All rows of these jets, in order."""
        wanted = pa.array(sorted({int(jet) for jet in jets}))
        found = [table.filter(pc.is_in(table["jet"], wanted.cast(table["jet"].type))) for table in self._tables()]
        return pa.concat_tables([self._empty(), *found], promote_options="default").to_pandas()

    def save(self, path: Path) -> None:
        """Write all rows to one file, whole or not at all, unless they lie there already. Raises `StoreError`."""
        if self.parts == (path,):
            return
        empty = self._empty()
        with whole_file(path) as partial:
            _write((pa.concat_tables([empty, each], promote_options="default") for each in self._tables()), partial)

    def _empty(self) -> pa.Table:
        schemas = [each.schema_arrow for each in self._opened()]
        empty: pa.Table = pa.unify_schemas(schemas).with_metadata(schemas[0].metadata).empty_table()
        return empty

    def _tables(self) -> Iterator[pa.Table]:
        for file in self._opened():
            try:
                for batch in file.iter_batches(batch_size=BLOCK):
                    yield pa.Table.from_batches([batch])
            except (OSError, pa.ArrowException) as error:
                raise self._damaged(error) from error

    def _opened(self) -> Iterator[pq.ParquetFile]:
        for part in self.parts:
            try:
                file = pq.ParquetFile(
                    part if isinstance(part, Path) else pa.BufferReader(part), page_checksum_verification=True
                )
            except (OSError, pa.ArrowException) as error:
                raise self._damaged(error) from error
            with file:
                yield file
            if not isinstance(part, Path) and hasattr(part, "madvise"):
                part.madvise(mmap.MADV_DONTNEED)

    def _damaged(self, error: Exception) -> ConfigError:
        where = ", ".join(str(part) for part in self.parts if isinstance(part, Path)) or "a table of test jets"
        return ConfigError(f"{where}: cannot be read ({' '.join(str(error).split())}); run the suite again")


def _write(tables: Iterator[pa.Table], file: Path | IO[bytes]) -> None:
    first = next(tables)
    with pq.ParquetWriter(file, first.schema, write_page_checksum=True) as writer:
        writer.write_table(first)
        for table in tables:
            writer.write_table(table)
