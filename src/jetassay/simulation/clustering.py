"""Large-R jets, their soft-drop mass and N-subjettiness."""

from dataclasses import dataclass
from typing import Any

import awkward as ak
import fastjet
import numpy as np

from jetassay.simulation.detector import Candidates
from jetassay.simulation.generator import BoolArray, FloatArray, IntArray
from jetassay.simulation.soft_drop import soft_drop_mass

JET_RADIUS = 0.8
SOFT_DROP_Z_CUT = 0.1
SUBJETTINESS_AXES = 4
_WHOLE_JET = 100.0
"""A radius that holds every constituent, for clustering a jet once more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which jets are kept: GeV, and |eta| at most."""

    pt_min: float
    pt_max: float
    abs_eta_max: float
    soft_drop_mass_min: float = -np.inf
    soft_drop_mass_max: float = np.inf


JETCLASS_SELECTION = Selection(pt_min=500.0, pt_max=1000.0, abs_eta_max=2.0)
"""arXiv:2202.03772, section 3."""
JETCLASS2_SELECTION = Selection(
    pt_min=200.0, pt_max=2500.0, abs_eta_max=2.5, soft_drop_mass_min=20.0, soft_drop_mass_max=500.0
)
"""The selection of Sophon's data configuration (arXiv:2405.12972) and |eta| of makeNtuples.C."""


@dataclass(frozen=True, slots=True)
class JetCollection:
    """J jets of a batch.

    event: (J,); pt, eta, phi, energy: (J,), GeV, of the sum of constituents
    offsets: (J + 1,); constituents: (N,) rows of the candidates, by falling pT in each jet
    """

    event: IntArray
    pt: FloatArray
    eta: FloatArray
    phi: FloatArray
    energy: FloatArray
    offsets: IntArray
    constituents: IntArray

    @property
    def counts(self) -> IntArray:
        """Constituents of each jet (J,)."""
        return np.diff(self.offsets)

    @property
    def jet_of_constituent(self) -> IntArray:
        """The jet of each constituent (N,)."""
        return np.repeat(np.arange(len(self.pt)), self.counts)

    def select(self, kept: BoolArray) -> "JetCollection":
        """Some of the jets."""
        offsets = np.concatenate([[0], np.cumsum(self.counts[kept])])
        return JetCollection(
            event=self.event[kept],
            pt=self.pt[kept],
            eta=self.eta[kept],
            phi=self.phi[kept],
            energy=self.energy[kept],
            offsets=offsets,
            constituents=self.constituents[kept[self.jet_of_constituent]],
        )


def wrap(angle: FloatArray) -> FloatArray:
    """The same angle in [-pi, pi)."""
    return (angle + np.pi) % (2 * np.pi) - np.pi


def find_jets(candidates: Candidates, *, events: int, selection: Selection) -> JetCollection:
    """Anti-kT jets with R = 0.8 (arXiv:0802.1189) that pass the selection on pT and eta."""
    counts = np.bincount(candidates.event, minlength=events)
    first = np.concatenate([[0], np.cumsum(counts)])
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, JET_RADIUS)
    clustering = fastjet.ClusterSequence(_momenta(candidates, counts), definition)
    jets = clustering.inclusive_jets(min_pt=selection.pt_min).layout
    px, py, pz, energy = (np.asarray(jets.content.content(name).data) for name in ("px", "py", "pz", "E"))
    pt = np.hypot(px, py)
    eta = np.arcsinh(pz / np.maximum(pt, 1e-9))
    passed = (pt >= selection.pt_min) & (pt < selection.pt_max) & (np.abs(eta) < selection.abs_eta_max)

    event = np.repeat(np.arange(events), np.diff(jets.offsets.data))[passed]
    members = clustering.constituent_index(min_pt=selection.pt_min).layout.content
    sizes = np.diff(members.offsets.data).astype(np.int64)
    index = members.content.data[members.offsets[0] : members.offsets[-1]].astype(np.int64)[np.repeat(passed, sizes)]
    sizes = sizes[passed]
    rows = index + np.repeat(first[event], sizes)
    order = np.lexsort((-candidates.pt[rows], np.repeat(np.arange(len(sizes)), sizes)))
    return JetCollection(
        event=event,
        pt=pt[passed],
        eta=eta[passed],
        phi=np.arctan2(py, px)[passed],
        energy=energy[passed],
        offsets=np.concatenate([[0], np.cumsum(sizes)]),
        constituents=rows[order],
    )


def substructure(candidates: Candidates, jets: JetCollection) -> tuple[FloatArray, FloatArray]:
    """Soft-drop mass (J,) in GeV and tau_1 to tau_4 (J, 4).

    Soft drop with z_cut = 0.1 and beta = 0, see `soft_drop`; N-subjettiness (arXiv:1011.2268)
    with one-pass kT axes and beta = 1, which is what the bindings take by default and the detector card too.
    """
    if not len(jets.pt):
        return np.zeros(0), np.zeros((0, SUBJETTINESS_AXES))
    definition = fastjet.JetDefinition(fastjet.cambridge_algorithm, _WHOLE_JET)
    clustering = fastjet.ClusterSequence(_momenta(candidates.take(jets.constituents), jets.counts), definition)
    subjettiness = ak.to_numpy(clustering.njettiness()).reshape(len(jets.pt), SUBJETTINESS_AXES)
    return soft_drop_mass(clustering, z_cut=SOFT_DROP_Z_CUT), subjettiness


def _momenta(candidates: Candidates, counts: IntArray) -> Any:
    columns = {"px": candidates.px, "py": candidates.py, "pz": candidates.pz, "E": candidates.energy}
    return ak.unflatten(ak.zip(columns, with_name="Momentum4D"), counts)
