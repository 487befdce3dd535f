"""From particles to energy-flow candidates: tracker, calorimeters, and what they make of each particle together.

Without pile-up, as in JetClass. The mode `delphes` follows the published detector card in all its effects; `ideal`
differs in the tracker alone (see `tracks.find_tracks`). In `delphes` a track in a tower without a significant
neutral excess takes the energy the calorimeter measured, and where that is below threshold the track vanishes;
so soft charged hadrons are lost, as they are in JetClass.
"""

from dataclasses import dataclass, fields

import numpy as np

from jetassay.simulation import calorimeter
from jetassay.simulation.calorimeter import NO_CELL, Calorimeter, Deposits, NeutralTowers
from jetassay.simulation.generator import BoolArray, EventRecord, FloatArray, IntArray
from jetassay.simulation.particles import Particles, propagate
from jetassay.simulation.tracks import ELECTRON, MUON, PHOTON, DetectorMode, Tracks, find_tracks

NEUTRAL_HADRON = 0
"""Stands for the unknown PDG code of a neutral hadronic tower."""
_PT_MIN = 1e-6
_ABS_ETA_MAX = 5.0


@dataclass(frozen=True, slots=True)
class Candidates:
    """N energy-flow candidates of a batch, by event and falling pT; all columns (N,).

    event: number of the event; pdg_id: of the track's particle, 22 for photons, 0 for neutral hadrons
    pt, eta, phi, mass; px, py, pz, energy: GeV, radians
    charge: e; d0, d0_error, dz, dz_error: mm, 0 for neutral candidates
    """

    event: IntArray
    pdg_id: IntArray
    pt: FloatArray
    eta: FloatArray
    phi: FloatArray
    mass: FloatArray
    charge: FloatArray
    d0: FloatArray
    d0_error: FloatArray
    dz: FloatArray
    dz_error: FloatArray

    @property
    def px(self) -> FloatArray:
        """Along x, GeV."""
        return self.pt * np.cos(self.phi)

    @property
    def py(self) -> FloatArray:
        """Along y, GeV."""
        return self.pt * np.sin(self.phi)

    @property
    def pz(self) -> FloatArray:
        """Along the beam, GeV."""
        return self.pt * np.sinh(self.eta)

    @property
    def energy(self) -> FloatArray:
        """GeV, from momentum and mass."""
        return np.sqrt((self.pt * np.cosh(self.eta)) ** 2 + self.mass**2)

    def take(self, rows: IntArray) -> "Candidates":
        """Some rows, in that order."""
        return Candidates(*(getattr(self, column.name)[rows] for column in fields(self)))


def detect(record: EventRecord, rng: np.random.Generator, *, mode: DetectorMode) -> Candidates:
    """What the detector sees of a batch of events."""
    particles = propagate(record)
    tracks = find_tracks(particles, rng, mode=mode)
    electromagnetic = np.isin(particles.kind, (ELECTRON, PHOTON))
    hadronic = ~electromagnetic & (particles.kind != MUON)
    photons, ecal_factor = _measure(calorimeter.electromagnetic(), rng, particles, tracks, electromagnetic)
    neutral_hadrons, hcal_factor = _measure(calorimeter.hadronic(), rng, particles, tracks, hadronic)
    factor = np.nan_to_num(ecal_factor * hcal_factor)
    return _assemble(particles, tracks, tracks.pt * factor, photons, neutral_hadrons)


def _measure(
    which: Calorimeter, rng: np.random.Generator, particles: Particles, tracks: Tracks, ends_here: BoolArray
) -> tuple[NeutralTowers, FloatArray]:
    """As `calorimeter.measure`, for the particles that end in one calorimeter; factor 1 for other tracks."""
    cell = np.full(len(ends_here), NO_CELL)
    cell[ends_here] = calorimeter.find_cells(
        which,
        event=particles.event[ends_here],
        eta=particles.calorimeter_eta[ends_here],
        phi=particles.calorimeter_phi[ends_here],
    )
    towers, factor = calorimeter.measure(
        which,
        rng,
        particles=Deposits(cell, particles.energy, np.zeros(len(cell))),
        tracks=Deposits(cell[tracks.particle], tracks.energy, tracks.resolution),
    )
    return towers, np.where(ends_here[tracks.particle], factor, 1.0)


def _assemble(
    particles: Particles,
    tracks: Tracks,
    track_pt: FloatArray,
    photons: NeutralTowers,
    neutral_hadrons: NeutralTowers,
) -> Candidates:
    source = tracks.particle
    neutral = np.zeros(len(photons.event) + len(neutral_hadrons.event))

    def join(*parts: FloatArray) -> FloatArray:
        return np.concatenate(parts)

    candidates = Candidates(
        event=np.concatenate([particles.event[source], photons.event, neutral_hadrons.event]),
        pdg_id=np.concatenate(
            [
                particles.pdg_id[source],
                np.full(len(photons.event), PHOTON),
                np.full(len(neutral_hadrons.event), NEUTRAL_HADRON),
            ]
        ),
        pt=join(
            track_pt,
            photons.energy / np.cosh(photons.eta),
            neutral_hadrons.energy / np.cosh(neutral_hadrons.eta),
        ),
        eta=join(particles.eta[source], photons.eta, neutral_hadrons.eta),
        phi=join(particles.phi[source], photons.phi, neutral_hadrons.phi),
        mass=join(particles.mass[source], neutral),
        charge=join(particles.charge[source], neutral),
        d0=join(tracks.d0, neutral),
        d0_error=join(tracks.d0_error, neutral),
        dz=join(tracks.dz, neutral),
        dz_error=join(tracks.dz_error, neutral),
    )
    kept = np.nonzero((candidates.pt > _PT_MIN) & (np.abs(candidates.eta) < _ABS_ETA_MAX))[0]
    order = np.lexsort((-candidates.pt[kept], candidates.event[kept]))
    return candidates.take(kept[order])
