"""Charged tracks: which are found, and how well their momenta and impact parameters are measured.

Formulas and tables are those of the JetClass detector card (jet-universe/jetclass_generation, delphes_card.tcl):
Delphes' CMS card with a smearing of impact parameters.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from jetassay.simulation.generator import BoolArray, FloatArray, IntArray
from jetassay.simulation.particles import Particles
from jetassay.simulation.tables import detector_tables

DetectorMode: TypeAlias = Literal["delphes", "ideal"]
ELECTRON, MUON, PHOTON = 11, 13, 22
_ABS_ETA_MAX = 2.5


@dataclass(frozen=True, slots=True)
class Tracks:
    """T found tracks, all columns (T,).

    particle: row of the particle that made it
    pt: measured, GeV
    resolution: relative, as the energy flow uses it
    energy: GeV
    d0, dz: measured, mm; d0_error, dz_error: their resolutions, mm
    """

    particle: IntArray
    pt: FloatArray
    resolution: FloatArray
    energy: FloatArray
    d0: FloatArray
    dz: FloatArray
    d0_error: FloatArray
    dz_error: FloatArray


def find_tracks(particles: Particles, rng: np.random.Generator, *, mode: DetectorMode) -> Tracks:
    """Drop what the tracker misses, and smear what it finds.

    `delphes`: the card sets the momentum resolution of its smearing step to 0, by which the magnitude of a track's
    momentum returns to truth and its relative resolution to 0; momentum smearing then only decides which pT bin
    the impact-parameter errors are read from. `ideal` keeps the smeared momentum and its resolution.
    """
    abs_eta = np.abs(particles.calorimeter_eta)
    accepted = np.nonzero((particles.charge != 0) & (abs_eta <= _ABS_ETA_MAX))[0]
    kind, pt, abs_eta = particles.kind[accepted], particles.pt[accepted], abs_eta[accepted]
    chance = rng.uniform(size=len(particles.kind))[accepted]
    is_found = chance < _efficiency(kind, pt, abs_eta)
    found = accepted[is_found]
    true_pt = pt[is_found]
    relative = _relative_resolution(kind[is_found], true_pt, abs_eta[is_found])
    smeared_pt = log_normal(rng, mean=true_pt, sigma=relative * true_pt)
    d0_error, dz_error = (
        _impact_parameter_error(name, smeared_pt, np.abs(particles.eta[found])) for name in ("d0", "dz")
    )
    d0 = particles.d0[found] + d0_error * rng.standard_normal(len(found))
    dz = particles.dz[found] + dz_error * rng.standard_normal(len(found))
    exact = mode == "delphes"
    pt = true_pt if exact else smeared_pt
    return Tracks(
        particle=found,
        pt=pt,
        resolution=np.zeros(len(found)) if exact else relative,
        energy=np.hypot(pt * np.cosh(particles.eta[found]), particles.mass[found]),
        d0=d0,
        dz=dz,
        d0_error=d0_error,
        dz_error=dz_error,
    )


def log_normal(rng: np.random.Generator, *, mean: FloatArray, sigma: FloatArray) -> FloatArray:
    """Numbers of the given mean and standard deviation, log-normally distributed; 0 where the mean is 0."""
    drawn = np.zeros_like(mean)
    positive = mean > 0
    centre = mean[positive]
    width = np.sqrt(np.log1p((sigma[positive] / centre) ** 2))
    drawn[positive] = np.exp(np.log(centre) - 0.5 * width**2 + width * rng.standard_normal(centre.size))
    return drawn


def _efficiency(kind: IntArray, pt: FloatArray, abs_eta: FloatArray) -> FloatArray:
    """Chance to find the track of a charged particle."""
    efficiency = _hadron_efficiency(pt, abs_eta)
    for lepton, formula in ((ELECTRON, _electron_efficiency), (MUON, _muon_efficiency)):
        rows = kind == lepton
        efficiency[rows] = formula(pt[rows], abs_eta[rows])
    return efficiency


def _relative_resolution(kind: IntArray, pt: FloatArray, abs_eta: FloatArray) -> FloatArray:
    """Of the momentum of a track, at most 1."""
    resolution = _momentum_resolution(_HADRON_RESOLUTION, pt, abs_eta)
    for lepton, terms in ((ELECTRON, _ELECTRON_RESOLUTION), (MUON, _MUON_RESOLUTION)):
        rows = kind == lepton
        resolution[rows] = _momentum_resolution(terms, pt[rows], abs_eta[rows])
    return np.minimum(resolution, 1.0)


def _by_region(
    pt: FloatArray,
    abs_eta: FloatArray,
    *,
    barrel: tuple[float, float | FloatArray],
    endcap: tuple[float, float | FloatArray],
) -> FloatArray:
    """One value for 0.1 < pT <= 1 GeV and one above, in the barrel (|eta| <= 1.5) and the endcap (<= 2.5)."""
    soft: BoolArray = (pt > 0.1) & (pt <= 1.0)
    hard: BoolArray = pt > 1.0
    in_barrel = abs_eta <= 1.5
    in_endcap = (abs_eta > 1.5) & (abs_eta <= _ABS_ETA_MAX)
    return np.asarray(
        in_barrel * (soft * barrel[0] + hard * barrel[1]) + in_endcap * (soft * endcap[0] + hard * endcap[1])
    )


def _hadron_efficiency(pt: FloatArray, abs_eta: FloatArray) -> FloatArray:
    return _by_region(pt, abs_eta, barrel=(0.70, 0.95), endcap=(0.60, 0.85))


def _electron_efficiency(pt: FloatArray, abs_eta: FloatArray) -> FloatArray:
    very_hard = pt > 100
    return _by_region(
        pt,
        abs_eta,
        barrel=(0.73, np.where(very_hard, 0.99, 0.95)),
        endcap=(0.50, np.where(very_hard, 0.90, 0.83)),
    )


def _muon_efficiency(pt: FloatArray, abs_eta: FloatArray) -> FloatArray:
    decline = np.where(pt > 1000, np.exp(0.5 - pt * 5e-4), 1.0)
    return _by_region(pt, abs_eta, barrel=(0.75, 0.99 * decline), endcap=(0.70, 0.98 * decline))


_Resolution: TypeAlias = tuple[tuple[float, float, float], tuple[float, float, float]]
"""Constant and pT-proportional (per GeV) terms, for |eta| up to 0.5, 1.5 and 2.5; added in quadrature."""
_HADRON_RESOLUTION: _Resolution = ((0.06, 0.10, 0.25), (1.3e-3, 1.7e-3, 3.1e-3))
_ELECTRON_RESOLUTION: _Resolution = ((0.03, 0.05, 0.15), (1.3e-3, 1.7e-3, 3.1e-3))
_MUON_RESOLUTION: _Resolution = ((0.01, 0.015, 0.025), (1e-4, 1.5e-4, 3.5e-4))


def _momentum_resolution(terms: _Resolution, pt: FloatArray, abs_eta: FloatArray) -> FloatArray:
    region = np.digitize(abs_eta, [0.5, 1.5], right=True)
    constant, proportional = (np.take(values, region) for values in terms)
    measured = (pt > 0.1) & (abs_eta <= _ABS_ETA_MAX)
    return np.asarray(np.sqrt(constant**2 + (pt * proportional) ** 2) * measured)


def _impact_parameter_error(name: Literal["d0", "dz"], pt: FloatArray, abs_eta: FloatArray) -> FloatArray:
    """mm, from a table of 3 |eta| by 34 pT bins; beyond its last bin the last holds, below its first 0."""
    table = detector_tables().impact_parameters[name]
    row = np.searchsorted(table.eta, abs_eta, side="left") - 1
    column = np.searchsorted(table.pt, pt, side="left") - 1
    rows, columns = table.error.shape
    inside = (row >= 0) & (row < rows) & (column >= 0)
    return np.where(inside, table.error[np.clip(row, 0, rows - 1), np.clip(column, 0, columns - 1)], 0.0)
