"""Files of jets through one backbone into one table: what `jetassay embed` does. No truth is read."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from jetassay.backbones.protocol import Backbone
from jetassay.embeddings.datasets import DEFAULT_BATCHING, complete, default_store
from jetassay.embeddings.rows import check_output, numbered, row_writer
from jetassay.embeddings.store import Column
from jetassay.embeddings.stored import StoredEmbedding
from jetassay.embeddings.units import Reading, embedding_recipe, plan
from jetassay.errors import ConfigError
from jetassay.jets.dataset import DataFile, open_dataset
from jetassay.jets.schema import Schema
from jetassay.progress import Reporter


def embed_files(
    backbone: Backbone,
    files: Sequence[Path],
    *,
    schema: str | Schema,
    output: Path,
    scores: bool = False,
    force: bool = False,
    reporter: Reporter | None = None,
) -> int:
    """Write one row a jet: source_file, entry_index, emb_0, emb_1, ...; with `scores` also score_NAME.

    Rows stand in the order of the files as given and of their entries. The format follows the ending of `output`,
    .parquet or .csv. Shards go through the store in the cache, so a command that was stopped goes on where it was.

    Gives the number of rows. Raises `ConfigError` where `output` cannot be that, or scores are asked of a backbone
    without a classifier head; `DataError` where a file cannot be read; `StoreError` where nothing can be written.
    """
    check_output(output, force=force)
    if scores and not backbone.labels:
        raise ConfigError(f"'{backbone.card.reference}' has no classifier head: no scores to give; leave --scores out")
    reporter = reporter or Reporter(quiet=True)
    dataset = open_dataset("files", files, schema=schema, selection=(), reporter=reporter)
    given = {file.path: file for file in dataset.files}
    units = plan(
        [given[path] for path in files],
        reading=Reading(schema=dataset.schema, selection=(), labelled=False),
        recipe=embedding_recipe(backbone, feature_set=backbone.feature_set, batching=DEFAULT_BATCHING),
        entries_per_unit=DEFAULT_BATCHING.entries_per_unit,
    )
    planned = StoredEmbedding(backbone=backbone, tables=(), units=units, store=default_store(), reporter=reporter)
    complete(planned)
    rows = 0
    with row_writer(output) as append:
        for unit in units:
            columns = planned.shard(unit).columns
            append(_table(columns, unit.file, backbone.labels if scores else ()))
            rows += len(columns["entry_index"])
    return rows


def _table(columns: Mapping[str, Column], file: DataFile, score_names: tuple[str, ...]) -> pa.Table:
    entries = columns["entry_index"]
    scores = numbered("score", columns["scores"]).values() if score_names else ()
    return pa.table(
        {
            "source_file": pa.repeat(file.name, len(entries)),
            "entry_index": pa.array(entries),
            **numbered("emb", columns["embedding"]),
            **{f"score_{name}": column for name, column in zip(score_names, scores, strict=True)},
        }
    )
