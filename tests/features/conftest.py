"""Jets made of random numbers with every observed column, and the real samples where they are at hand."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from jetassay.jets.containers import Jets
from jetassay.jets.schema import SCHEMAS
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


LENGTH = 128


class Weaver:
    """What weaver makes of the same jets."""

    @classmethod
    def inputs(cls, configuration, *, path=None, table=None):
        """weaver's features (J, F, 128) and vectors (J, 4, 128) of every jet; no jet is selected away."""
        tensors = cls.tensors(configuration, path=path, table=table)
        return tensors["_pf_features"], tensors["_pf_vectors"]

    @staticmethod
    def tensors(configuration, *, path=None, table=None):
        """Everything that weaver makes of every jet."""
        import awkward as ak
        from weaver.utils.data.config import DataConfig
        from weaver.utils.data.fileio import _read_files
        from weaver.utils.dataset import _preprocess

        config = DataConfig.load(str(configuration), load_observers=False, load_reweight_info=False)
        if table is None:
            labels = {name for name in config.test_load_branches if name.startswith("label_")}
            table = _read_files([str(path)], config.test_load_branches - labels)
            for name in labels:
                table = ak.with_field(table, np.ones(len(table)), name)
        config.selection = config.test_time_selection = None
        options = {"training": False, "mode": "test", "reweight": False, "shuffle": False}
        output, _ = _preprocess(table, config, options)
        return output

    @staticmethod
    def table(jets):
        """The jets as weaver holds them, with a stand-in for the labels of JetClass."""
        import awkward as ak

        return ak.Array(
            {name: ak.unflatten(values, jets.multiplicities) for name, values in jets.constituents.items()}
            | dict(jets.columns)
            | {f"label_{name}": np.ones(len(jets)) for name in SCHEMAS["jetclass"].label_names}
        )

    @staticmethod
    def largest_difference(table, rows, multiplicities):
        mask = np.arange(LENGTH) < multiplicities[:, None]
        return np.abs(table.transpose(0, 2, 1)[mask] - rows).max()


@pytest.fixture
def weaver() -> type[Weaver]:
    return Weaver


@pytest.fixture
def tops(real_data):
    """Real tops with the columns behind all 17 inputs, brought back from the stored inputs; and those, clipped."""
    stored = np.load(real_data / "jetclass_top_dev.npz")
    mask = stored["mask"][:, 0] > 0
    raw = stored["features"].transpose(0, 2, 1)[mask].astype(float)
    px, py, pz, energy = stored["vectors"].transpose(0, 2, 1)[mask].astype(float).T
    multiplicities = mask.sum(axis=1)
    offsets = np.concatenate([[0], np.cumsum(multiplicities)])
    displacement = np.arctanh(np.clip(raw[:, [11, 13]], -1 + 1e-16, 1 - 1e-16))
    constituents = {
        "part_px": px, "part_py": py, "part_pz": pz, "part_energy": energy, "part_charge": raw[:, 5],
        "part_isChargedHadron": raw[:, 6], "part_isNeutralHadron": raw[:, 7], "part_isPhoton": raw[:, 8],
        "part_isElectron": raw[:, 9], "part_isMuon": raw[:, 10], "part_d0val": displacement[:, 0],
        "part_d0err": raw[:, 12], "part_dzval": displacement[:, 1], "part_dzerr": raw[:, 14],
        "part_deta": raw[:, 15], "part_dphi": raw[:, 16],
    }  # fmt: skip
    columns = {
        "jet_pt": (np.hypot(px, py) / np.exp(raw[:, 2] / 0.7 - 4.7))[offsets[:-1]],
        "jet_energy": (energy / np.exp(raw[:, 3] / 0.7 - 4.7))[offsets[:-1]],
    }
    jets = Jets(
        {name: values.astype(np.float32) for name, values in constituents.items()},
        offsets,
        {name: values.astype(np.float32) for name, values in columns.items()},
    )
    clipped = raw.copy()
    clipped[:, :5] = np.clip(raw[:, :5], -5, 5)
    return jets, clipped
