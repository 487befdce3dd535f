"""Real jets written as the publishers of other datasets write theirs; no file of theirs is at hand.

Layouts: TopLandscape, a pandas table of Zenodo 2603256; quark/gluon, the npz arrays of EnergyFlow (Zenodo 3164691);
both also in weaver's parquet form (jet-universe/particle_transformer, utils/); HLS4ML, Zenodo 3602260; JetSSL,
data/make_jetclass.py of mattcleigh/jetssl.
"""

from dataclasses import dataclass
from pathlib import Path

import awkward as ak
import h5py
import numpy as np
import pandas as pd

JETSSL_ORDER = ("QCD", "Tbl", "Tbqq", "Wqq", "Zqq", "Hbb", "Hcc", "Hgg", "H4q", "Hqql")
HLS4ML_PARTICLES = [
    "j1_px", "j1_py", "j1_pz", "j1_e", "j1_erel", "j1_pt", "j1_ptrel", "j1_eta", "j1_etarel", "j1_etarot", "j1_phi",
    "j1_phirel", "j1_phirot", "j1_deltaR", "j1_costheta", "j1_costhetarel", "j1_pdgid",
]  # fmt: skip
HLS4ML_JETS = [
    "j_ptfrac", "j_pt", "j_eta", "j_mass", "j_tau1_b1", "j_tau2_b1", "j_tau3_b1", *(f"j_other_{k}" for k in range(45)),
    "j_mass_mmdt", "j_g", "j_q", "j_w", "j_z", "j_t", "j_undef",
]  # fmt: skip
IDENTITIES = np.array([22, 211, -211, 321, -321, 130, 2112, -2112, 2212, -2212, 11, -11, 13, -13])


@dataclass
class RealJets:
    """J jets: `p4` (J, 4, C) px, py, pz, E in GeV, zeros in unused places; `used` (J, C); labels (J,)."""

    p4: np.ndarray
    used: np.ndarray
    labels: np.ndarray

    @classmethod
    def read(cls, path: Path, jets: int | None = None) -> "RealJets":
        stored = np.load(path)
        vectors, mask = stored["vectors"][:jets].astype(np.float64), stored["mask"][:jets, 0] > 0
        labels = stored["labels"][:jets]
        return cls(vectors * mask[:, None], mask, labels.argmax(axis=1) if labels.ndim == 2 else labels)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def counts(self):
        return self.used.sum(axis=1)

    @property
    def jet(self):
        """px, py, pz, E of the sum, (4, J)."""
        return self.p4.sum(axis=2).T

    @property
    def pt(self):
        return np.hypot(self.p4[:, 0], self.p4[:, 1])

    @property
    def eta(self):
        return np.arcsinh(self.p4[:, 2] / np.where(self.used, self.pt, 1))

    @property
    def phi(self):
        return np.arctan2(self.p4[:, 1], self.p4[:, 0])

    @property
    def jet_axis(self):
        """pt, eta and phi of the sum, each (J,)."""
        px, py, pz, _ = self.jet
        return np.hypot(px, py), np.arcsinh(pz / np.hypot(px, py)), np.arctan2(py, px)

    @property
    def jet_mass(self):
        px, py, pz, energy = self.jet
        return np.sqrt(np.maximum(energy**2 - px**2 - py**2 - pz**2, 0))

    @property
    def sign(self):
        return np.where(self.jet_axis[1] < 0, -1.0, 1.0)[:, None]

    @property
    def deta(self):
        return np.where(self.used, (self.eta - self.jet_axis[1][:, None]) * self.sign, 0)

    @property
    def dphi(self):
        return np.where(self.used, (self.phi - self.jet_axis[2][:, None] + np.pi) % (2 * np.pi) - np.pi, 0)

    def identities(self):
        """PDG numbers drawn at random: the real sample comes without; 0 in unused places."""
        return np.where(self.used, np.random.default_rng(3).choice(IDENTITIES, self.used.shape), 0)


def write_top_hdf5(path: Path, jets: RealJets, *, places: int = 200, **options) -> Path:
    """The pandas table `table`: E_0, PX_0, PY_0, PZ_0, E_1 ..., truthE ..., ttv, is_signal_new."""
    table = {}
    for k in range(places):
        for name, row in (("E", 3), ("PX", 0), ("PY", 1), ("PZ", 2)):
            values = jets.p4[:, row, k] if k < jets.p4.shape[2] else np.zeros(len(jets))
            table[f"{name}_{k}"] = values.astype(np.float32)
    for name in ("truthE", "truthPX", "truthPY", "truthPZ"):
        table[name] = np.zeros(len(jets), np.float32)
    table |= {"ttv": np.zeros(len(jets), np.int64), "is_signal_new": jets.labels.astype(np.int64)}
    pd.DataFrame(table).to_hdf(path, key="table", format="table", **options)
    return path


def write_weaver(path: Path, jets: RealJets, *, identities: bool) -> Path:
    """One row a jet with lists, and the integer `label`."""
    pt, eta, phi = jets.jet_axis
    lists = {f"part_{name}": jets.p4[:, k] for k, name in enumerate(("px", "py", "pz", "energy"))}
    lists |= {"part_deta": jets.deta, "part_dphi": jets.dphi}
    if identities:
        pid = jets.identities()
        size, sign = np.abs(pid), np.sign(pid)
        lists["part_pid"] = pid
        lists["part_charge"] = np.isin(size, (211, 321, 2212)) * sign - np.isin(size, (11, 13)) * sign
        lists["part_isChargedHadron"] = np.isin(size, (211, 321, 2212))
        lists["part_isNeutralHadron"] = np.isin(size, (130, 2112))
        lists["part_isPhoton"], lists["part_isElectron"], lists["part_isMuon"] = size == 22, size == 11, size == 13
    columns = {name: ak.unflatten(values[jets.used].astype(np.float32), jets.counts) for name, values in lists.items()}
    columns |= {
        "label": jets.labels, "jet_pt": pt.astype(np.float32), "jet_eta": eta.astype(np.float32),
        "jet_phi": phi.astype(np.float32), "jet_energy": jets.jet[3].astype(np.float32),
        "jet_mass": jets.jet_mass.astype(np.float32), "jet_nparticles": jets.counts,
    }  # fmt: skip
    ak.to_parquet(ak.Array(columns), path)
    return path


def write_energyflow(path: Path, jets: RealJets, *, compressed: bool = True) -> Path:
    """X (J, C, 4): pt, y, phi, PDG number, zeros in unused places; y (J,)."""
    parts = (jets.pt, jets.eta, jets.phi, jets.identities())
    table = np.stack([np.where(jets.used, part, 0) for part in parts], axis=2)
    (np.savez_compressed if compressed else np.savez)(path, X=table, y=jets.labels.astype(np.float64))
    return path


def write_hls4ml(path: Path, jets: RealJets, names: list[str], *, mass_scale: float = 1.0) -> Path:
    """jetConstituentList (J, 150, 16), jets (J, 59), and the names of their columns; `names` are labels g q w z t."""
    table = np.zeros((len(jets), 150, 16))
    width = jets.p4.shape[2]
    for place, values in enumerate((jets.p4[:, 0], jets.p4[:, 1], jets.p4[:, 2], jets.p4[:, 3])):
        table[:, :width, place] = values
    table[:, :width, 5] = jets.pt
    columns = dict.fromkeys(HLS4ML_JETS, np.zeros(len(jets)))
    columns |= {"j_pt": jets.jet_axis[0], "j_eta": jets.jet_axis[1], "j_mass": jets.jet_mass}
    columns |= {"j_mass_mmdt": jets.jet_mass * mass_scale, "j_tau1_b1": np.full(len(jets), 0.3)}
    columns |= {f"j_{name}": np.array([each == name for each in names]) for name in "gqwzt"}
    with h5py.File(path, "w") as file:
        file["jetConstituentList"] = table
        file["jets"] = np.stack([columns[name].astype(np.float64) for name in HLS4ML_JETS], axis=1)
        file["jetImage"] = np.zeros((len(jets), 10, 10))
        file["particleFeatureNames"] = np.array(HLS4ML_PARTICLES, dtype="S20")
        file["jetFeatureNames"] = np.array(HLS4ML_JETS, dtype="S20")
    return path


def write_jetssl(path: Path, jets: RealJets, class_names: list[str]) -> Path:
    """csts (J, 128, 7), csts_id (J, 128), jets (J, 5), labels (J,) in the order of that script, mask (J, 128)."""
    pt, eta, phi = jets.jet_axis
    displacement = np.where(jets.used, 0.25, 0)
    csts = [jets.pt, jets.deta, jets.dphi, displacement, displacement / 2, -displacement, displacement / 4]
    kinds = np.random.default_rng(5).integers(0, 8, jets.used.shape)
    with h5py.File(path, "w") as file:
        file.create_dataset("csts", data=np.stack(csts, axis=2).astype(np.float32), chunks=(50, 128, 7))
        file["csts_id"] = np.where(jets.used, kinds, 0)
        file["jets"] = np.stack([pt, eta, phi, jets.jet_mass, jets.counts], axis=1).astype(np.float32)
        file["labels"] = np.array([JETSSL_ORDER.index(name) for name in class_names])
        file["mask"] = jets.used
    return path
