"""Samples that several tests share, and the small real samples that they are compared with."""

from collections.abc import Callable
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from jetassay.jets.classes import CLASS_NAMES
from jetassay.progress import Reporter
from jetassay.simulation import JETCLASS2_NAMES, Recipe, simulate

QUIET = Reporter(quiet=True)


@pytest.fixture(scope="session")
def read() -> Callable[[list[Path]], ak.Array]:
    """All branches of some files."""

    def read_all(paths: list[Path]) -> ak.Array:
        return ak.concatenate([uproot.open(path)["tree"].arrays() for path in paths])

    return read_all


@pytest.fixture(scope="session")
def all_classes(tmp_path_factory) -> list[Path]:
    """A few jets of each of the ten classes, one file a class, in their order."""
    recipe = Recipe(classes=CLASS_NAMES, jets=20, files=1, seed=11)
    return simulate(recipe, output=tmp_path_factory.mktemp("jetclass"), reporter=QUIET)


@pytest.fixture(scope="session")
def jetclass2(tmp_path_factory) -> list[Path]:
    recipe = Recipe(classes=JETCLASS2_NAMES, jets=60, files=1, seed=11, kind="jetclass2")
    return simulate(recipe, output=tmp_path_factory.mktemp("jetclass2"), reporter=QUIET)


@pytest.fixture
def quiet() -> Reporter:
    return QUIET


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Small real samples and official weights, beside the checkout."""
    folder = Path(__file__).parents[3] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real jets and official weights are not at {folder}")
    return folder


@pytest.fixture(scope="session")
def real_jets(shared_data) -> Callable[[str, str], np.ndarray]:
    """Four-vectors (J, 4, 128) of real jets of one class, zero where there is no constituent."""

    def vectors_of(name: str, sample: str) -> np.ndarray:
        with np.load(shared_data / f"{sample}.npz") as arrays:
            wanted = arrays["labels"].argmax(axis=1) == CLASS_NAMES.index(name)
            return arrays["vectors"][wanted] * arrays["mask"][wanted]

    return vectors_of
