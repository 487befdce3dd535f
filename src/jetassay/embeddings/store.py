"""Shards on disk: parquet files named by what they hold, each whole or absent, checked whenever they are read."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from jetassay.errors import StoreError
from jetassay.whole_files import whole_file

Facts = Mapping[str, Any]
Column = NDArray[Any]

FORMAT = 1
_METADATA = b"jetassay"


class DamagedShardError(StoreError):
    """A file under a shard's name that is not that shard; it is never used."""


class Described(Protocol):
    """What a shard is stored under."""

    @property
    def key(self) -> str:
        """sha256 hex of the description."""
        ...

    def describe(self) -> Facts:
        """All that the shard's content depends on, as JSON values."""
        ...


@dataclass(frozen=True, slots=True)
class Shard:
    """Columns of J rows, and facts about them.

    columns: name -> (J,) or (J, K) arrays of float32 or int64
    facts:   JSON values that tell how the columns came about (counts, timing, versions); the key does not depend
             on them
    """

    columns: Mapping[str, Column]
    facts: Facts

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


@dataclass(frozen=True, slots=True)
class Outline:
    """What a shard's file says of itself, without its columns.

    description: what it is stored under; rows: J; facts: as of `Shard`
    """

    description: Facts
    rows: int
    facts: Facts


def key_of(description: Facts) -> str:
    """sha256 hex of a description: the name of its shard."""
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()


def outline(path: Path) -> Outline:
    """What the footer of a shard says; values are not read, so damage among them is not seen.

    Raises `DamagedShardError` where there is no footer of a shard, `FileNotFoundError` where there is no file.
    """
    with _opened(path) as file:
        record = _record(file, path)
    return Outline(record["description"], record["rows"], record["facts"])


def check_shard(path: Path) -> Outline:
    """Read the whole of a shard and hold it against its checksum and its name.

    Raises `DamagedShardError` where it is not that shard, `FileNotFoundError` where there is no file.
    """
    record, _ = _read(path)
    if key_of(record["description"]) != path.stem:
        raise DamagedShardError(f"{path}: describes something other than what its name stands for")
    return Outline(record["description"], record["rows"], record["facts"])


class EmbeddingStore:
    """A folder of shards. Any number of processes may read and write it at once."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, unit: Described) -> Path:
        """Where the shard of `unit` lies, whether it exists or not."""
        return self.root / unit.key[:2] / f"{unit.key}.parquet"

    def write(self, unit: Described, shard: Shard) -> None:
        """Put `shard` in place of whatever is there. Raises `StoreError` where it cannot be written."""
        table = _to_arrow(shard.columns)
        record = {"format": FORMAT, "description": unit.describe(), "rows": len(shard), "facts": shard.facts}
        record["checksum"] = _checksum(record, shard.columns)
        table = table.replace_schema_metadata({_METADATA: json.dumps(record, sort_keys=True)})
        lists = [f"{name}.list.element" for name, column in shard.columns.items() if column.ndim == 2]
        with whole_file(self.path(unit)) as partial:
            pq.write_table(
                table,
                partial,
                compression="zstd",
                use_dictionary=False,
                use_byte_stream_split=lists,  # type: ignore[arg-type]  # the stubs know only bool
                write_page_checksum=True,
            )

    def holds(self, unit: Described) -> bool:
        """Whether there is a shard of `unit`, by what the file says of itself; values are not looked at.

        Raises `DamagedShardError` where a file of that name is no shard, or describes something else.
        """
        path = self.path(unit)
        try:
            found = outline(path)
        except FileNotFoundError:
            return False
        _require_description(found.description, unit, path)
        return True

    def read(self, unit: Described) -> Shard | None:
        """The shard of `unit`, or None where there is none.

        Raises `DamagedShardError` where a file of that name is truncated, altered, or describes something else.
        """
        path = self.path(unit)
        try:
            record, columns = _read(path)
        except FileNotFoundError:
            return None
        _require_description(record["description"], unit, path)
        return Shard(columns, record["facts"])


def _require_description(found: Facts, unit: Described, path: Path) -> None:
    if found != unit.describe():
        raise DamagedShardError(f"{path}: describes something other than what its name stands for")


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    """Whatever is wrong with the file becomes a `DamagedShardError`, but for its absence."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            yield file
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        reason = str(error).partition("\n")[0]
        raise DamagedShardError(f"{path}: not a whole parquet file ({reason})") from error


def _record(file: pq.ParquetFile, path: Path) -> dict[str, Any]:
    return _parse((file.schema_arrow.metadata or {}).get(_METADATA), path)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Column]]:
    """The record of a shard, without its checksum, and its columns; both are what was written."""
    with _opened(path) as file:
        record, table = _record(file, path), file.read()
    columns = {name: _to_numpy(table, name, path) for name in table.column_names}
    if any(len(column) != record["rows"] for column in columns.values()):
        raise DamagedShardError(f"{path}: does not hold the {record['rows']} rows that it should")
    if record.pop("checksum") != _checksum(record, columns):
        raise DamagedShardError(f"{path}: content and checksum disagree")
    return record, columns


def _parse(text: bytes | None, path: Path) -> dict[str, Any]:
    try:
        record = json.loads(text or b"")
    except ValueError as error:
        raise DamagedShardError(f"{path}: its metadata cannot be read") from error
    if not isinstance(record, dict) or set(record) != {"format", "description", "rows", "facts", "checksum"}:
        raise DamagedShardError(f"{path}: its metadata is not that of a shard")
    if not (isinstance(record["description"], dict) and isinstance(record["facts"], dict)):
        raise DamagedShardError(f"{path}: its metadata is not that of a shard")
    if record["format"] != FORMAT:
        raise DamagedShardError(f"{path}: written in format {record['format']}, this version reads {FORMAT}")
    return record


def _checksum(record: Facts, columns: Mapping[str, Column]) -> str:
    """sha256 hex over the metadata and over names, types, shapes and values of all columns."""
    digest = hashlib.sha256(json.dumps(record, sort_keys=True).encode())
    for name, column in columns.items():
        digest.update(f"\n{name} {column.dtype.str} {column.shape}\n".encode())
        digest.update(np.ascontiguousarray(column).data)
    return digest.hexdigest()


def _to_arrow(columns: Mapping[str, Column]) -> pa.Table:
    arrays = {
        name: pa.array(column)
        if column.ndim == 1
        else pa.FixedSizeListArray.from_arrays(pa.array(column.reshape(-1)), column.shape[1])
        for name, column in columns.items()
    }
    return pa.table(arrays)


def _to_numpy(table: pa.Table, name: str, path: Path) -> Column:
    """One column. Lists are flattened chunk by chunk with `flatten`, since `values` ignores slicing."""
    column: Any = table[name]
    kind = column.type
    if column.null_count:
        raise DamagedShardError(f"{path}: column {name} has empty cells")
    if not pa.types.is_fixed_size_list(kind):
        return np.asarray(column.to_numpy())
    flat = [chunk.flatten() for chunk in column.chunks]
    values = pa.chunked_array(flat, kind.value_type).to_numpy()
    if len(values) != len(column) * kind.list_size:
        raise DamagedShardError(f"{path}: column {name} has {len(values)} values for {len(column)} rows")
    return np.asarray(values).reshape(len(column), kind.list_size)
