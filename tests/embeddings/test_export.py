import csv

import numpy as np
import pandas as pd
import pytest

from jetassay.embeddings.datasets import stream_dataset
from jetassay.embeddings.export import export_csv
from jetassay.errors import ConfigError, DataError
from jetassay.jets.dataset import open_dataset
from jetassay.progress import Reporter

HEADER = (
    "source_file,entry_index,truth_label,label_name,jet_sdmass,jet_mass,jet_pt,jet_eta,jet_phi,"
    "emb_0,emb_1,emb_2,emb_3,emb_4"
)


@pytest.fixture
def parts(backbone, store, small):
    """The streamed parts of a dataset, `small` by default a few of them."""
    return lambda dataset: stream_dataset(backbone, dataset, store=store, batching=small)


def test_the_header_is_that_of_published_scripts_and_every_row_is_as_wide(parts, dataset, tmp_path):
    output = tmp_path / "out.csv"
    assert export_csv(parts(dataset), output=output) == 137
    with output.open(newline="") as stream:
        rows = list(csv.reader(stream))
    assert output.read_text().splitlines()[0] == HEADER
    assert len(rows) == 138
    assert {len(row) for row in rows} == {len(HEADER.split(","))}


def test_every_number_comes_back_to_the_bit(parts, dataset, tmp_path):
    output = tmp_path / "out.csv"
    export_csv(parts(dataset), output=output)
    frame = pd.read_csv(output)
    expected = list(parts(dataset))
    embedding = np.concatenate([part.embedding for part in expected])
    found = frame[[f"emb_{k}" for k in range(5)]].to_numpy().astype(np.float32)
    assert np.array_equal(found, embedding)
    for name in ("jet_sdmass", "jet_mass", "jet_pt", "jet_eta", "jet_phi"):
        column = np.concatenate([part.jets.columns[name] for part in expected])
        assert np.array_equal(frame[name].to_numpy().astype(np.float32), column)
    assert frame["source_file"].tolist() == ["Hbb_000.parquet"] * 100 + ["QCD_000.parquet"] * 37
    assert frame["entry_index"].tolist() == [*range(100), *range(37)]
    assert frame["truth_label"].tolist() == [entry % 10 for entry in frame["entry_index"]]
    names = expected[0].label_names
    assert frame["label_name"].tolist() == [names[label] for label in frame["truth_label"]]


def test_a_file_name_with_commas_and_quotes_stays_one_cell(parts, write, tmp_path):
    dataset = open_dataset("odd", [write('Hbb, "new"_000.parquet', 3)], schema="jetclass")
    export_csv(parts(dataset), output=tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as stream:
        rows = list(csv.reader(stream))
    assert [row[0] for row in rows[1:]] == ['Hbb, "new"_000.parquet'] * 3
    assert {len(row) for row in rows} == {14}


def test_a_column_that_the_files_lack_has_empty_cells_and_a_warning(parts, write, tmp_path, capsys):
    dataset = open_dataset("bare", [write("Hbb_000.parquet", 5, without=("jet_sdmass",))], schema="jetclass")
    export_csv(parts(dataset), output=tmp_path / "out.csv", reporter=Reporter(quiet=True))
    frame = pd.read_csv(tmp_path / "out.csv")
    assert frame["jet_sdmass"].isna().all()
    assert frame["jet_pt"].notna().all()
    assert "no jet_sdmass" in capsys.readouterr().err


def test_nothing_is_overwritten_unless_asked(parts, dataset, tmp_path):
    output = tmp_path / "out.csv"
    output.write_text("precious")
    with pytest.raises(ConfigError, match="--force"):
        export_csv(parts(dataset), output=output)
    assert output.read_text() == "precious"
    export_csv(parts(dataset), output=output, force=True)
    assert output.read_text().startswith("source_file")


def test_an_export_that_fails_half_way_leaves_what_was_there(parts, dataset, tmp_path):
    output = tmp_path / "out.csv"
    output.write_text("precious")

    def failing():
        yield next(iter(parts(dataset)))
        raise DataError("the second part cannot be had")

    with pytest.raises(DataError, match="second part"):
        export_csv(failing(), output=output, force=True)
    assert output.read_text() == "precious"
    assert [path.name for path in tmp_path.glob("*out*")] == ["out.csv"]


@pytest.mark.parametrize("name", ["out.txt", "out", "out.parquet"])
def test_an_ending_that_is_not_csv_is_refused(parts, dataset, tmp_path, name):
    with pytest.raises(ConfigError, match=r"\.csv"):
        export_csv(parts(dataset), output=tmp_path / name)
