"""Jets as the columns of the published data sets: names, types and sign conventions."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jetassay.jets.classes import BACKGROUND, CLASS_NAMES
from jetassay.simulation.clustering import JetCollection, wrap
from jetassay.simulation.detector import NEUTRAL_HADRON, Candidates
from jetassay.simulation.generator import EventRecord, FloatArray, IntArray
from jetassay.simulation.resonance_labels import Label, explanation
from jetassay.simulation.tracks import ELECTRON, MUON, PHOTON
from jetassay.simulation.truth import NONE
from jetassay.simulation.writing import AUX_PREFIX, PART_PREFIX, JetTable

_CHARGED_HADRONS = (211, 321, 2212)
_LABELS_AS_INTEGERS = ("Zqq", "Wqq", "Tbqq", "Tbl")
"""The published files mix float (QCD), bool (Higgs bosons) and int labels; readers must take all three."""

Column = np.ndarray[Any, Any]


def constituents(
    candidates: Candidates, jets: JetCollection, *, flag_type: type[np.generic], charge_type: type[np.generic]
) -> dict[str, Column]:
    """The 16 columns of constituents, without their prefix `part_`.

    deta is mirrored for jets at negative eta, as published; momenta in GeV, impact parameters in mm.
    """
    rows, jet = jets.constituents, jets.jet_of_constituent
    kind = np.abs(candidates.pdg_id[rows])
    mirror = np.where(jets.eta > 0, 1.0, -1.0)[jet]
    real: dict[str, FloatArray] = {
        "px": candidates.px[rows],
        "py": candidates.py[rows],
        "pz": candidates.pz[rows],
        "energy": candidates.energy[rows],
        "deta": mirror * (candidates.eta[rows] - jets.eta[jet]),
        "dphi": wrap(candidates.phi[rows] - jets.phi[jet]),
        "d0val": candidates.d0[rows],
        "d0err": candidates.d0_error[rows],
        "dzval": candidates.dz[rows],
        "dzerr": candidates.dz_error[rows],
    }
    flags = {
        "isChargedHadron": np.isin(kind, _CHARGED_HADRONS),
        "isNeutralHadron": kind == NEUTRAL_HADRON,
        "isPhoton": kind == PHOTON,
        "isElectron": kind == ELECTRON,
        "isMuon": kind == MUON,
    }
    return {
        **{name: column.astype(np.float32) for name, column in real.items()},
        "charge": candidates.charge[rows].astype(charge_type),
        **{name: column.astype(flag_type) for name, column in flags.items()},
    }


def observables(
    jets: JetCollection, soft_drop_mass: FloatArray, subjettiness: FloatArray, *, count_type: type[np.generic]
) -> dict[str, Column]:
    """The 10 columns of jets."""
    return {
        "jet_pt": jets.pt.astype(np.float32),
        "jet_eta": jets.eta.astype(np.float32),
        "jet_phi": jets.phi.astype(np.float32),
        "jet_energy": jets.energy.astype(np.float32),
        "jet_nparticles": jets.counts.astype(count_type),
        "jet_sdmass": soft_drop_mass.astype(np.float32),
        **{f"jet_tau{axes + 1}": subjettiness[:, axes].astype(np.float32) for axes in range(4)},
    }


def jetclass_table(
    record: EventRecord,
    candidates: Candidates,
    jets: JetCollection,
    *,
    substructure: tuple[FloatArray, FloatArray],
    truth: tuple[IntArray, IntArray],
    name: str,
) -> JetTable:
    """The 41 columns of JetClass, for jets of the class `name`."""
    code, resonance = truth
    jet_columns = observables(jets, *substructure, count_type=np.float32)
    for other in CLASS_NAMES:
        label_type = np.float32 if other == BACKGROUND else np.int32 if other in _LABELS_AS_INTEGERS else np.bool_
        jet_columns[f"label_{other}"] = np.full(len(code), other == name, dtype=label_type)
    present = resonance != NONE
    rows = np.where(present, resonance, 0)
    eta, phi = record.eta_phi(rows)
    for column, values in (
        ("aux_genpart_eta", eta),
        ("aux_genpart_phi", phi),
        ("aux_genpart_pid", record.pdg_id[rows]),
        ("aux_genpart_pt", np.hypot(record.px[rows], record.py[rows])),
        ("aux_truth_match", code),
    ):
        known = present if column != "aux_truth_match" else np.ones(len(code), dtype=bool)
        jet_columns[column] = np.where(known, values, 0).astype(np.float32)
    particles = constituents(candidates, jets, flag_type=np.int32, charge_type=np.float32)
    return JetTable(jet_columns, {PART_PREFIX: (jets.counts, particles)})


def jetclass2_table(
    record: EventRecord,
    candidates: Candidates,
    jets: JetCollection,
    *,
    substructure: tuple[FloatArray, FloatArray],
    labels: Sequence[Label],
) -> JetTable:
    """The columns of JetClass-II but for the generator-level jets: 16 and 10 as above, `jet_label`, 10 of truth."""
    jet_columns = observables(jets, *substructure, count_type=np.int32)
    jet_columns["jet_label"] = np.array([label.index for label in labels], dtype=np.int32)
    particles = constituents(candidates, jets, flag_type=np.bool_, charge_type=np.int32)
    return JetTable(jet_columns, {PART_PREFIX: (jets.counts, particles), AUX_PREFIX: explanation(record, labels)})
