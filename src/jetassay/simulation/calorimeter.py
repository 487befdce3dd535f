"""Calorimeter towers and energy flow, as in Delphes' SimpleCalorimeter (arXiv:1307.6346) with the JetClass card."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from jetassay.simulation.generator import FloatArray, IntArray
from jetassay.simulation.tables import CellTable, detector_tables
from jetassay.simulation.tracks import log_normal

_ETA_SLOTS, _PHI_SLOTS = 1024, 512
"""Larger than any number of cells, so that (event, eta cell, phi cell) fit one integer."""
NO_CELL = -1


@dataclass(frozen=True, slots=True)
class Calorimeter:
    """One calorimeter.

    cells: its segmentation
    resolution: energy resolution in GeV as a function of eta and energy (GeV)
    energy_min: GeV, below which a tower is empty
    significance_min: in standard deviations, below which a tower is empty
    """

    cells: CellTable
    resolution: Callable[[FloatArray, FloatArray], FloatArray]
    energy_min: float
    significance_min: float


@dataclass(frozen=True, slots=True)
class Deposits:
    """cell: from `find_cells`, `NO_CELL` outside; energy: GeV; resolution: relative, of tracks."""

    cell: IntArray
    energy: FloatArray
    resolution: FloatArray


@dataclass(frozen=True, slots=True)
class NeutralTowers:
    """What towers hold beyond their tracks: event, energy (GeV), eta, phi, all (N,)."""

    event: IntArray
    energy: FloatArray
    eta: FloatArray
    phi: FloatArray


def _ecal_resolution(eta: FloatArray, energy: FloatArray) -> FloatArray:
    abs_eta = np.abs(eta)
    central = np.sqrt((energy * 0.008) ** 2 + energy * 0.11**2 + 0.40**2)
    forward = np.sqrt((energy * 0.107) ** 2 + energy * 2.08**2)
    endcap = (2.16 + 5.6 * (abs_eta - 2) ** 2) * central
    return np.where(abs_eta <= 1.5, (1 + 0.64 * eta**2) * central, np.where(abs_eta <= 2.5, endcap, forward))


def _hcal_resolution(eta: FloatArray, energy: FloatArray) -> FloatArray:
    central = np.sqrt((energy * 0.05) ** 2 + energy * 1.5**2)
    forward = np.sqrt((energy * 0.13) ** 2 + energy * 2.7**2)
    return np.where(np.abs(eta) <= 3.0, central, forward)


def electromagnetic() -> Calorimeter:
    """Electrons and photons end here."""
    return Calorimeter(detector_tables().calorimeters["ecal"], _ecal_resolution, 0.5, 2.0)


def hadronic() -> Calorimeter:
    """Everything but electrons, photons and muons ends here."""
    return Calorimeter(detector_tables().calorimeters["hcal"], _hcal_resolution, 1.0, 1.0)


def find_cells(calorimeter: Calorimeter, *, event: IntArray, eta: FloatArray, phi: FloatArray) -> IntArray:
    """One number for event and cell of each particle, `NO_CELL` beyond the edges."""
    edges, phi_cells = calorimeter.cells.eta, calorimeter.cells.phi_cells
    eta_cell = np.searchsorted(edges, eta, side="left")
    inside = (eta_cell > 0) & (eta_cell < len(edges))
    eta_cell = np.clip(eta_cell, 1, len(edges) - 1)
    ring = phi_cells[eta_cell]
    phi_cell = np.clip(np.ceil((phi + np.pi) / (2 * np.pi) * ring).astype(np.int64), 1, ring)
    return np.where(inside, (event * _ETA_SLOTS + eta_cell) * _PHI_SLOTS + phi_cell, NO_CELL)


def measure(
    calorimeter: Calorimeter, rng: np.random.Generator, *, particles: Deposits, tracks: Deposits
) -> tuple[NeutralTowers, FloatArray]:
    """Smear the towers and share their energy between tracks and neutral particles.

    Gives the neutral excess of each tower where it is significant, and one factor per track by which its momentum
    is multiplied: 1 where the excess is significant, else the ratio of the best estimate of the charged energy (the
    mean of tracks and tower, weighted by their resolutions) to the tracks' energy; NaN outside the calorimeter.
    """
    hits = particles.cell != NO_CELL
    tracked = tracks.cell != NO_CELL
    towers, tower_of = np.unique(np.concatenate([particles.cell[hits], tracks.cell[tracked]]), return_inverse=True)
    tower_of_hit, tower_of_track = tower_of[: hits.sum()], tower_of[hits.sum() :]
    count = len(towers)
    true_energy = _sum_by_tower(tower_of_hit, particles.energy[hits], count)
    track_energy = _sum_by_tower(tower_of_track, tracks.energy[tracked], count)
    track_variance = _sum_by_tower(tower_of_track, (tracks.resolution[tracked] * tracks.energy[tracked]) ** 2, count)
    event, low, high, phi_cell, ring = _unpack(calorimeter.cells, towers)
    centre = 0.5 * (low + high)

    energy = log_normal(rng, mean=true_energy, sigma=calorimeter.resolution(centre, true_energy))
    sigma = calorimeter.resolution(centre, energy)
    empty = (energy < calorimeter.energy_min) | (energy < calorimeter.significance_min * sigma)
    energy = np.where(empty, 0.0, energy)
    eta = rng.uniform(low, high)
    phi = -np.pi + (phi_cell - 1 + rng.uniform(size=count)) * 2 * np.pi / ring

    excess = np.maximum(energy - track_energy, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        significance = excess / np.sqrt(track_variance + sigma**2)
        neutral = (excess > calorimeter.energy_min) & (significance > calorimeter.significance_min)
        track_weight = np.where(track_variance > 0, 1 / track_variance, 0.0)
        tower_weight = np.where(sigma > 0, 1 / sigma**2, 0.0)
        charged = (track_weight * track_energy + tower_weight * energy) / (track_weight + tower_weight)
        rescale = np.where(neutral, 1.0, np.where(track_energy > 0, charged / track_energy, 1.0))
    factor = np.full(len(tracks.cell), np.nan)
    factor[tracked] = rescale[tower_of_track]
    return NeutralTowers(event[neutral], excess[neutral], eta[neutral], phi[neutral]), factor


def _sum_by_tower(tower: IntArray, values: FloatArray, count: int) -> FloatArray:
    return np.asarray(np.bincount(tower, weights=values, minlength=count), dtype=np.float64)


def _unpack(cells: CellTable, towers: IntArray) -> tuple[IntArray, FloatArray, FloatArray, IntArray, IntArray]:
    """Event, eta edges, number along phi and number of cells in the ring of each tower."""
    eta_cell = (towers // _PHI_SLOTS) % _ETA_SLOTS
    return (
        towers // (_PHI_SLOTS * _ETA_SLOTS),
        cells.eta[eta_cell - 1],
        cells.eta[eta_cell],
        towers % _PHI_SLOTS,
        cells.phi_cells[eta_cell],
    )
