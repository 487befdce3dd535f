"""Jets made up for tests, written as ROOT and parquet files in every layout that is read."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot

from jetassay.jets.schema import SCHEMAS, Schema

_SHARED = Path(__file__).parents[3] / "shared" / "data"


@dataclass
class Sample:
    """Columns of J jets as they are written; a test may break any of them.

    counts: constituents of each jet; `lists` lie end to end; `own_counts` are those of branches that disagree
    """

    schema: Schema
    counts: np.ndarray
    lists: dict[str, np.ndarray]
    numbers: dict[str, np.ndarray]
    own_counts: dict[str, np.ndarray] = field(default_factory=dict)

    def __len__(self):
        return len(self.counts)

    @property
    def offsets(self):
        return np.concatenate([[0], np.cumsum(self.counts)])

    @property
    def labels(self):
        if self.schema.label_branch:
            return self.numbers[self.schema.label_branch]
        return np.argmax([self.numbers[name] for name in self.schema.label_branches], axis=0)

    def first_row(self, jet: int) -> int:
        return int(self.offsets[jet])

    def lengthen(self, name: str, jet: int) -> None:
        """One value too many in one branch of one jet."""
        self.own_counts[name] = self.counts.copy()
        self.own_counts[name][jet] += 1
        self.lists[name] = np.insert(self.lists[name], self.first_row(jet), 1)

    def empty(self, jet: int) -> None:
        """No constituents in one jet."""
        rows = slice(self.first_row(jet), self.first_row(jet + 1))
        self.lists = {name: np.delete(values, rows) for name, values in self.lists.items()}
        self.counts[jet] = 0

    def arrays(self) -> dict[str, ak.Array]:
        lists = {n: ak.unflatten(values, self.own_counts.get(n, self.counts)) for n, values in self.lists.items()}
        return {**lists, **{name: ak.Array(values) for name, values in self.numbers.items()}}


@pytest.fixture
def make_sample() -> Callable[..., Sample]:
    """J sound jets with the most constituents asked for, by falling pT, every label in turn."""

    def make(jets: int = 60, *, seed: int = 1, schema: str = "jetclass", most: int = 40) -> Sample:
        rng = np.random.default_rng(seed)
        form = SCHEMAS[schema]
        counts = rng.integers(1, most + 1, jets)
        rows, jet_of_row = counts.sum(), np.repeat(np.arange(jets), counts)
        pt = rng.exponential(20, rows) + 0.5
        pt = pt[np.lexsort((-pt, jet_of_row))]
        phi, eta = rng.uniform(-np.pi, np.pi, rows), rng.normal(0, 1, rows)
        four = {
            "part_px": pt * np.cos(phi),
            "part_py": pt * np.sin(phi),
            "part_pz": pt * np.sinh(eta),
            "part_energy": pt * np.cosh(eta) * 1.01,
        }
        lists = {n: four.get(n, rng.normal(0, 1, rows)).astype(np.float32) for n in form.constituents}
        for name in form.constituents:
            if name.startswith("part_is"):
                lists[name] = lists[name] > 0
        lists["part_charge"] = rng.integers(-1, 2, rows).astype(np.int32)
        numbers = {name: rng.uniform(0.1, 1.0, jets).astype(np.float32) for name in form.columns}
        numbers["jet_pt"] = rng.uniform(500, 1000, jets).astype(np.float32)
        numbers["jet_sdmass"] = rng.uniform(21, 400, jets).astype(np.float32)
        numbers["jet_energy"] = (numbers["jet_pt"] * 2).astype(np.float32)
        labels = np.arange(jets) % len(form.label_names)
        if form.label_branch:
            numbers[form.label_branch] = labels.astype(np.int32)
        for index, name in enumerate(form.label_branches):
            numbers[name] = labels == index
        for name in ("aux_genpart_pt", "aux_truth_match"):
            if name in form.truth_columns and schema == "jetclass":
                numbers[name] = rng.normal(0, 1, jets).astype(np.float32)
        return Sample(form, counts, lists, numbers)

    return make


def write_root(path: Path, sample: Sample, *, tree: str = "tree", one_counter: bool = False, basket: int = 10**6):
    """As uproot writes it: one counter per branch, or one `npart` for all; `basket` jets a basket."""
    arrays = sample.arrays()
    if one_counter:
        parts = ak.zip({name.removeprefix("part_"): arrays.pop(name) for name in sample.lists})
        arrays = {"part": parts, **arrays}
    kinds = {n: a.type if n in sample.lists or n == "part" else a.layout.data.dtype for n, a in arrays.items()}
    with uproot.recreate(path) as file:
        file.mktree(
            tree,
            kinds,
            counter_name=lambda counted: "n" + counted,
            field_name=lambda outer, inner: f"{outer}_{inner}",
        )
        for start in range(0, len(sample), basket):
            file[tree].extend({name: array[start : start + basket] for name, array in arrays.items()})
    return path


def write_parquet(path: Path, sample: Sample, *, row_group: int = 1000, **options):
    """One row a jet."""
    columns = {name: ak.to_arrow(array, extensionarray=False) for name, array in sample.arrays().items()}
    pq.write_table(pa.table(columns), path, row_group_size=row_group, **options)
    return path


WRITERS = {
    "one_counter.root": lambda path, sample: write_root(path, sample, one_counter=True),
    "counter_each.root": write_root,
    "baskets.root": lambda path, sample: write_root(path, sample, basket=7),
    "jets.parquet": write_parquet,
    "row_groups.parquet": lambda path, sample: write_parquet(path, sample, row_group=11),
}


@pytest.fixture(params=WRITERS)
def write(request, tmp_path) -> Callable[[Sample], Path]:
    """Write a sample in each layout in turn."""
    return lambda sample: WRITERS[request.param](tmp_path / request.param, sample)


@pytest.fixture(params=["counter_each.root", "jets.parquet"])
def write_broken(request, tmp_path) -> Callable[[Sample], Path]:
    """Write a sample in each layout whose branches can disagree."""
    return lambda sample: WRITERS[request.param](tmp_path / request.param, sample)


@pytest.fixture
def root_file(tmp_path) -> Callable[..., Path]:
    return lambda sample, name="jets.root", **options: write_root(tmp_path / name, sample, **options)


@pytest.fixture
def parquet_file(tmp_path) -> Callable[..., Path]:
    return lambda sample, name="jets.parquet", **options: write_parquet(tmp_path / name, sample, **options)


@pytest.fixture
def real() -> Callable[[str], Path]:
    """A file of real jets; the test is skipped where there are none."""

    def find(name: str) -> Path:
        path = _SHARED / name
        if not path.exists():
            pytest.skip(f"needs {name} in ../shared/data")
        return path

    return find


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """A cache folder of the test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("JETASSAY_CACHE", str(folder))
    return folder
