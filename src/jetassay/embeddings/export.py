"""Embeddings as CSV with truth labels and jet columns, for people who come from published scripts."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from jetassay.embeddings.embedded import Embedded
from jetassay.embeddings.rows import check_output, numbered, row_writer
from jetassay.progress import Reporter

JET_COLUMNS = ("jet_sdmass", "jet_mass", "jet_pt", "jet_eta", "jet_phi")


def check_export(output: Path, *, force: bool) -> None:
    """Raises `ConfigError` where `output` does not end in .csv, or exists and `force` is not set."""
    check_output(output, force=force, suffixes=(".csv",))


def export_csv(
    parts: Iterable[Embedded], *, output: Path, force: bool = False, reporter: Reporter | None = None
) -> int:
    """Write one row a jet: source_file, entry_index, truth_label, label_name, `JET_COLUMNS`, emb_0, emb_1, ...

    parts: from `datasets.stream_dataset`, or one `Embedded` in a list; each is written before the next is taken

    Masses and momenta are in GeV. A jet column that the files do not have has empty cells, with a warning; so have
    the labels of jets without any. Gives the number of rows. Raises `ConfigError` where `output` does not end in
    .csv, or exists and `force` is not set, `StoreError` where it cannot be written.
    """
    check_export(output, force=force)
    reporter = reporter or Reporter(quiet=True)
    rows, missing = 0, set[str]()
    with row_writer(output) as append:
        for part in parts:
            append(_table(part))
            rows += len(part)
            missing |= set(JET_COLUMNS) - set(part.jets.columns)
    for name in JET_COLUMNS:
        if name in missing:
            reporter.warning(f"{output}: some files have no {name}; its cells are empty there")
    return rows


def _table(part: Embedded) -> pa.Table:
    jets = part.jets
    labels: Any = pa.array(jets.labels, mask=jets.labels < 0)
    files: Any = pa.array(jets.file_index)
    jet_columns = {
        name: pa.array(jets.columns[name]) if name in jets.columns else pa.nulls(len(jets), pa.float32())
        for name in JET_COLUMNS
    }
    return pa.table(
        {
            "source_file": pa.array([file.name for file in jets.files], pa.string()).take(files),
            "entry_index": pa.array(jets.entries),
            "truth_label": labels,
            "label_name": pa.array(jets.label_names, pa.string()).take(labels),
            **jet_columns,
            **numbered("emb", part.embedding),
        }
    )
