from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from jetassay.embeddings.datasets import embed_dataset
from jetassay.embeddings.export import export_csv
from jetassay.embeddings.files import embed_files
from jetassay.errors import ConfigError, DataError
from jetassay.jets.dataset import open_dataset
from jetassay.jets.labels import LABEL_LISTS

REAL = Path(__file__).parents[3] / "shared" / "data" / "jetclass_mixed_dev.root"
LABELS = tuple(f"label_{name}" for name in LABEL_LISTS["jetclass"])


@pytest.fixture
def embed(backbone, tmp_path):
    """`embed_files` into `out.parquet`; arguments may be changed. Gives the frame."""

    def call(paths, *, name="out.parquet", **changes):
        output = tmp_path / name
        changes = {"backbone": backbone, **changes}
        rows = embed_files(changes.pop("backbone"), paths, schema="jetclass", output=output, **changes)
        frame = pd.read_csv(output) if output.suffix == ".csv" else pd.read_parquet(output)
        assert len(frame) == rows
        return frame

    return call


@pytest.mark.parametrize("name", ["out.parquet", "out.csv"])
def test_one_row_a_jet_with_file_entry_and_embedding(embed, backbone, write, name):
    frame = embed([write("Hbb_000.parquet", 12)], name=name)
    assert list(frame.columns) == ["source_file", "entry_index", *(f"emb_{k}" for k in range(5))]
    assert frame["source_file"].unique().tolist() == ["Hbb_000.parquet"]
    assert frame["entry_index"].tolist() == list(range(12))
    assert frame["emb_0"].between(1, 30).all()


def test_parquet_and_csv_hold_the_same_bits(embed, write):
    path = write("Hbb_000.parquet", 12)
    one, other = embed([path], scores=True), embed([path], name="out.csv", scores=True)
    assert list(one.columns) == list(other.columns)
    for name in one.columns[2:]:
        assert np.array_equal(one[name].to_numpy(), other[name].to_numpy().astype(np.float32))


def test_scores_are_columns_by_class_name(embed, write):
    frame = embed([write("Hbb_000.parquet", 12)], scores=True)
    assert list(frame.columns[-2:]) == ["score_a", "score_b"]
    np.testing.assert_allclose(frame["score_a"] + frame["score_b"], 1, atol=1e-6)


def test_files_stand_in_the_order_given(embed, write):
    paths = [write("Zqq_000.parquet", 3), write("Hbb_000.parquet", 2)]
    assert embed(paths)["source_file"].tolist() == ["Zqq_000.parquet"] * 3 + ["Hbb_000.parquet"] * 2


def test_files_without_labels_are_embedded_too(embed, write):
    assert len(embed([write("mine.parquet", 6, without=LABELS)])) == 6


def test_asking_again_computes_nothing(embed, backbone, write):
    path = write("Hbb_000.parquet", 12)
    embed([path])
    embed([path], scores=True, force=True)
    assert backbone.jets == 12


def test_what_exists_is_kept_before_anything_is_computed(embed, backbone, write, tmp_path):
    (tmp_path / "out.parquet").write_text("precious")
    with pytest.raises(ConfigError, match="--force"):
        embed([write("Hbb_000.parquet", 12)])
    assert (tmp_path / "out.parquet").read_text() == "precious"
    assert backbone.jets == 0


def test_scores_of_a_backbone_without_a_head_are_refused(embed, make_backbone, write):
    with pytest.raises(ConfigError, match="no classifier head"):
        embed([write("Hbb_000.parquet", 2)], backbone=make_backbone(labels=()), scores=True)


@pytest.mark.parametrize("name", ["out.txt", "out", "out.root"])
def test_an_unknown_ending_is_refused(embed, write, name):
    with pytest.raises(ConfigError, match=r"\.parquet or \.csv"):
        embed([write("Hbb_000.parquet", 2)], name=name)


def test_a_file_that_is_not_there_is_named(embed, tmp_path):
    with pytest.raises(DataError, match="nothing_000"):
        embed([tmp_path / "nothing_000.root"])


def test_the_same_file_twice_is_refused(embed, write):
    path = write("Hbb_000.parquet", 2)
    with pytest.raises(DataError, match="same name"):
        embed([path, path])


@pytest.mark.skipif(not REAL.exists(), reason=f"no real jets at {REAL}")
def test_real_jets_come_back_one_row_each_with_their_labels(embed, backbone, store, tmp_path):
    frame = embed([REAL])
    assert frame["entry_index"].tolist() == list(range(251))
    assert frame["emb_0"].between(1, 128).all()
    dataset = open_dataset("real", [REAL], schema="jetclass")
    embedded = embed_dataset(backbone, dataset, store=store)
    assert np.array_equal(embedded.embedding[:, 0], frame["emb_0"])
    assert set(embedded.labels.tolist()) == set(range(10))
    export_csv([embedded], output=tmp_path / "real.csv")
    assert pd.read_csv(tmp_path / "real.csv")["label_name"].nunique() == 10
