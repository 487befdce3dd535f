"""Batches of made-up jets, networks with every weight moved, and cards written on the spot."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from jetassay.backbones.card import Card, read_card
from jetassay.features.batch import InputBatch
from jetassay.features.recipe import FeatureSet
from jetassay.places import project_root


@pytest.fixture
def real_data() -> Path:
    folder = project_root().parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real samples are not at hand: {folder} does not exist")
    return folder


@pytest.fixture
def make_batch() -> Callable[..., InputBatch]:
    return batch_of


@pytest.fixture(scope="session")
def moved() -> Callable[..., torch.nn.Module]:
    return move_all_weights


@pytest.fixture
def write_card(tmp_path: Path) -> Callable[..., Card]:
    """Writes `tmp_path/models/NAME/card.toml` and reads it back."""

    def write(text: str, *, name: str = "mine") -> Card:
        folder = tmp_path / "models" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "card.toml").write_text(f'name = "{name}"\ntitle = "A card"\n{text}')
        return read_card(folder / "card.toml")

    return write


def batch_of(
    multiplicities: Sequence[int], *, width: int = 7, jet_width: int = 0, feature_set: FeatureSet | None = None
) -> InputBatch:
    """Jets of some 600 GeV with falling pT, partly massless; their features are random numbers of order one."""
    if feature_set is not None:
        width, jet_width = feature_set.width, feature_set.jet_width
    random = np.random.default_rng(3)
    offsets = np.concatenate([[0], np.cumsum(multiplicities)]).astype(np.int64)
    rows, jets = int(offsets[-1]), len(multiplicities)
    owner = np.repeat(np.arange(jets), multiplicities)
    pt = random.pareto(1.2, rows) + 0.5
    pt = pt[np.lexsort((-pt, owner))]
    pt *= (600 / np.bincount(owner, pt))[owner]
    eta = random.uniform(-2, 2, jets)[owner] + random.normal(0, 0.2, rows)
    phi = random.uniform(-np.pi, np.pi, jets)[owner] + random.normal(0, 0.2, rows)
    energy = np.hypot(pt * np.cosh(eta), random.choice([0, 0.13957], rows))
    p4 = np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), energy], axis=1)
    features = np.clip(random.normal(0, 1, (rows, width)), -5, 5)
    jet_features = random.uniform(0, 300, (jets, jet_width))
    return InputBatch(*(a.astype(np.float32) for a in (features, p4)), offsets, jet_features.astype(np.float32))


def move_all_weights(module: torch.nn.Module, *, seed: int = 1) -> torch.nn.Module:
    """Every parameter and every running statistic away from its first value, so that none can be forgotten."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
        for each in module.modules():
            if isinstance(each, torch.nn.BatchNorm1d):
                each.running_mean.copy_(torch.randn(each.num_features, generator=generator))
                each.running_var.copy_(0.5 + 1.5 * torch.rand(each.num_features, generator=generator))
    return module.eval()
