"""Jets made of random numbers with every observed column, and the real samples where they are at hand."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from jetassay.jets.containers import Jets
from jetassay.places import project_root

FLAGS = ("part_isChargedHadron", "part_isNeutralHadron", "part_isPhoton", "part_isElectron", "part_isMuon")


@pytest.fixture
def real_data() -> Path:
    folder = project_root().parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real samples are not at hand: {folder} does not exist")
    return folder


@pytest.fixture
def make_jets() -> Callable[..., Jets]:
    return jets_of


def jets_of(multiplicities: list[int], *, seed: int = 1) -> Jets:
    """Jets of pT around 600 GeV whose constituents fall in pT; jet columns follow from the constituents."""
    random = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(multiplicities)]).astype(np.int64)
    rows, jets = int(offsets[-1]), len(multiplicities)
    owner = np.repeat(np.arange(jets), multiplicities)
    axis = random.uniform(-2, 2, jets)
    pt = random.pareto(1.2, rows) + 0.5
    pt = pt[np.lexsort((-pt, owner))]
    pt *= (600 / np.bincount(owner, pt))[owner]
    deta, dphi = random.normal(0, 0.2, (2, rows))
    eta = axis[owner] + deta
    energy = np.hypot(pt * np.cosh(eta), random.choice([0, 0.13957], rows))
    kind = random.integers(0, 5, rows)
    constituents = {
        "part_px": pt * np.cos(dphi),
        "part_py": pt * np.sin(dphi),
        "part_pz": pt * np.sinh(eta),
        "part_energy": energy,
        "part_deta": deta * np.sign(axis)[owner],
        "part_dphi": dphi,
        "part_d0val": random.normal(0, 2, rows),
        "part_d0err": random.exponential(0.5, rows),
        "part_dzval": random.normal(0, 2, rows),
        "part_dzerr": random.exponential(0.5, rows),
        "part_charge": random.integers(-1, 2, rows),
        **{name: kind == k for k, name in enumerate(FLAGS)},
    }
    total = {name: np.bincount(owner, constituents[f"part_{name}"]) for name in ("px", "py", "pz", "energy")}
    jet_pt = np.hypot(total["px"], total["py"])
    tau = np.sort(random.uniform(0, 0.5, (4, jets)), axis=0)[::-1]
    columns = {
        "jet_pt": jet_pt,
        "jet_eta": np.arcsinh(total["pz"] / jet_pt),
        "jet_phi": np.arctan2(total["py"], total["px"]),
        "jet_energy": total["energy"],
        "jet_mass": np.sqrt(np.maximum(total["energy"] ** 2 - jet_pt**2 - total["pz"] ** 2, 0)),
        "jet_sdmass": random.uniform(0, 200, jets),
        "jet_nparticles": np.array(multiplicities),
        **{f"jet_tau{k + 1}": tau[k] for k in range(4)},
    }
    return Jets(
        {name: np.asarray(values, np.float32) for name, values in constituents.items()},
        offsets,
        {name: np.asarray(values, np.float32) for name, values in columns.items()},
    )
