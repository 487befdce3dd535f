"""Tables for people, one row a jet, written piece by piece: parquet or CSV by the file's ending."""

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from jetassay.errors import ConfigError
from jetassay.whole_files import whole_file

SUFFIXES = (".parquet", ".csv")


def check_output(output: Path, *, force: bool, suffixes: tuple[str, ...] = SUFFIXES) -> None:
    """Raises `ConfigError` where `output` has another ending, or exists and `force` was not given."""
    if output.suffix not in suffixes:
        raise ConfigError(f"{output}: the ending must be {' or '.join(suffixes)}")
    if output.is_dir() or (output.exists() and not force):
        raise ConfigError(f"{output}: exists already; give --force to overwrite it, or another name")


@contextmanager
def row_writer(output: Path) -> Iterator[Callable[[pa.Table], None]]:
    """A function that appends a table; the first one sets names and types. The file is whole or absent."""
    with whole_file(output) as partial, ExitStack() as stack:
        writers: list[pq.ParquetWriter | pa_csv.CSVWriter] = []

        def append(table: pa.Table) -> None:
            if not writers:
                opened = _open_csv(partial, table, stack) if output.suffix == ".csv" else _open(partial, table)
                stack.callback(opened.close)
                writers.append(opened)
            writers[0].write_table(table)

        yield append
        if not writers:
            raise ConfigError(f"{output}: there are no rows to write")


def numbered(prefix: str, values: NDArray[Any]) -> dict[str, Any]:
    """The columns of (J, D) values as PREFIX_0, PREFIX_1 and so on."""
    by_column = np.ascontiguousarray(values.T)
    return {f"{prefix}_{index}": pa.array(column) for index, column in enumerate(by_column)}


def _open(path: Path, table: pa.Table) -> pq.ParquetWriter:
    return pq.ParquetWriter(path, table.schema, compression="zstd")


def _open_csv(path: Path, table: pa.Table, stack: ExitStack) -> pa_csv.CSVWriter:
    """The header is written here, since pyarrow puts quotation marks around every name."""
    stream = stack.enter_context(path.open("wb"))
    header = io.StringIO()
    csv.writer(header, lineterminator="\n").writerow(table.column_names)
    stream.write(header.getvalue().encode())
    options = pa_csv.WriteOptions(include_header=False, quoting_style="needed")
    return pa_csv.CSVWriter(stream, table.schema, write_options=options)
