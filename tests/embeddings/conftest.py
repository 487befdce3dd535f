"""Small files of jets, and a backbone that needs no network and counts its calls."""

import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jetassay.backbones.card import Card
from jetassay.backbones.loading import load_backbone
from jetassay.backbones.protocol import Output
from jetassay.embeddings.batching import Batching
from jetassay.embeddings.store import EmbeddingStore
from jetassay.embeddings.units import Reading, embedding_recipe, plan
from jetassay.features.sets import FEATURE_SETS
from jetassay.jets.dataset import open_dataset
from jetassay.jets.labels import LABEL_LISTS

SMALL = Batching(entries_per_unit=40, entries_per_pool=15, token_budget=100)


def write_jets(
    path: Path, jets: int, *, seed: int = 1, most: int = 30, least: int = 1, without=(), edit=lambda columns: None
):
    """A parquet file in the JetClass schema with what the kinematic feature set needs; labels in turn.

    edit: changes the columns, numpy arrays by name, before they are written
    """
    rng = np.random.default_rng(seed)
    counts = rng.integers(least, most + 1, jets)
    jet_of_row = np.repeat(np.arange(jets), counts)
    pt = rng.exponential(20, counts.sum()) + 0.5
    pt = pt[np.lexsort((-pt, jet_of_row))]
    phi, eta = rng.uniform(-np.pi, np.pi, len(pt)), rng.normal(0, 1, len(pt))
    rows = {
        "part_px": pt * np.cos(phi),
        "part_py": pt * np.sin(phi),
        "part_pz": pt * np.sinh(eta),
        "part_energy": pt * np.cosh(eta) * 1.01,
        "part_deta": rng.normal(0, 0.2, len(pt)),
        "part_dphi": rng.normal(0, 0.2, len(pt)),
    }
    jet_pt = rng.uniform(500, 1000, jets)
    columns = rows | {
        "jet_pt": jet_pt,
        "jet_eta": rng.normal(0, 1, jets),
        "jet_phi": rng.uniform(-3, 3, jets),
        "jet_energy": jet_pt * 4,
        "jet_sdmass": rng.uniform(20, 200, jets),
    }
    columns = {name: column.astype(np.float32) for name, column in columns.items() if name not in without}
    labels = {f"label_{n}": np.arange(jets) % 10 == k for k, n in enumerate(LABEL_LISTS["jetclass"])}
    columns |= {name: column for name, column in labels.items() if name not in without}
    edit(columns)
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
    table = {n: pa.ListArray.from_arrays(offsets, pa.array(v)) if n in rows else v for n, v in columns.items()}
    pq.write_table(pa.table(table), path, row_group_size=1000)
    return path


class SumBackbone:
    """Embeds a jet as sums over its constituents, jet by jet, so that no batch can change a bit."""

    dtype = "float32"
    feature_set = FEATURE_SETS["part-kin"]

    def __init__(self, *, width: int = 5, labels: tuple[str, ...] = ("a", "b"), name: str = "sums", **card) -> None:
        self.card = Card(
            name=name,
            title="Sums",
            role="floor",
            architecture="nowhere:nothing",
            feature_set="part-kin",
            embedding_dim=width,
            labels=labels,
            **card,
        )
        self.weights_sha256 = "0" * 64
        self.labels = labels
        self.batches: list[tuple[int, int]] = []
        self._lock = threading.Lock()

    def embed(self, batch):
        with self._lock:
            self.batches.append((len(batch), int(batch.multiplicities.max())))
        sums = np.add.reduceat(batch.features, batch.offsets[:-1], axis=0)
        embedding = sums[:, np.arange(self.card.embedding_dim) % sums.shape[1]]
        embedding[:, 0] = batch.multiplicities
        embedding[:, 1] = np.add.reduceat(batch.p4[:, 3], batch.offsets[:-1])
        if not self.labels:
            return Output(embedding, None)
        share = 1 / (1 + np.exp(-sums[:, :1]))
        return Output(embedding, np.concatenate([share, 1 - share], axis=1).astype(np.float32))

    @property
    def jets(self) -> int:
        return sum(jets for jets, _ in self.batches)


@pytest.fixture
def backbone():
    return SumBackbone()


@pytest.fixture
def make_backbone():
    """The class of `backbone`, for other widths, labels and cards."""
    return SumBackbone


@pytest.fixture
def small():
    return SMALL


@pytest.fixture
def store(tmp_path):
    return EmbeddingStore(tmp_path / "store")


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JETASSAY_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def write(tmp_path):
    """Write a file of jets into a folder of their own; see `write_jets`."""
    (tmp_path / "jets").mkdir()
    return lambda name, jets, **options: write_jets(tmp_path / "jets" / name, jets, **options)


@pytest.fixture
def dataset(write):
    """Two files, 100 and 37 jets: three and one units of `small`."""
    paths = [write("Hbb_000.parquet", 100, seed=1), write("QCD_000.parquet", 37, seed=2)]
    return open_dataset("small", paths, schema="jetclass")


@pytest.fixture
def units(dataset, backbone):
    """The four embedding units of `dataset`."""
    recipe = embedding_recipe(backbone, feature_set=FEATURE_SETS["part-kin"], batching=SMALL)
    reading = Reading(schema=dataset.schema, selection=())
    return plan(dataset.files, reading=reading, recipe=recipe, entries_per_unit=SMALL.entries_per_unit)


@pytest.fixture(scope="session")
def small_part():
    """A Particle Transformer with random weights, small enough for tests."""
    card = Card(
        name="part-small",
        title="Small",
        role="control",
        architecture="jetassay.backbones.part:build",
        parameters={
            "input_dim": 7,
            "num_classes": 10,
            "embed_dims": [16, 16],
            "pair_embed_dims": [8],
            "num_heads": 2,
            "num_layers": 2,
            "num_cls_layers": 1,
        },
        feature_set="part-kin",
        embedding_dim=16,
        labels="jetclass",
        untrained_twin_of="part",
        seed=1,
    )
    return load_backbone(card)
