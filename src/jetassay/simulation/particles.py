"""Particles that reach the detector, and their way through the magnetic field.

Formulas follow Delphes' ParticlePropagator (arXiv:1307.6346): straight lines for neutral particles, helices for
charged ones, until the outer radius or the end of the tracker.
"""

from dataclasses import dataclass

import numpy as np

from jetassay.simulation.generator import BoolArray, EventRecord, FloatArray, IntArray

SPEED_OF_LIGHT = 2.99792458e8
"""m/s"""
FIELD = 3.8
"""T, along the beam."""
TRACKER_RADIUS = 1.29
TRACKER_HALF_LENGTH = 3.0
"""m. What is produced outside is not seen."""
_ABS_ETA_MAX = 5.5
_PT_MIN = 10**-4.5
_NEUTRINOS = (12, 14, 16)
_CHARGED = (11, 13, 211, 321, 2212, 3112, 3222, 3312, 3334)
_NEGATIVE_WHEN_ID_IS_POSITIVE = (11, 13, 3112, 3312, 3334)
_NEVER = 1e99


@dataclass(frozen=True, slots=True)
class Particles:
    """Visible stable particles, P of them, all columns (P,).

    event: number of the event; pdg_id: PDG code; charge: in units of e
    px, py, pz, energy, mass, pt, eta: GeV, at production
    phi: rad; for charged particles at the point closest to the beam line
    x, y, z: where they were produced, m
    d0, dz: signed impact parameter across and along the beam, mm; 0 for neutral particles
    calorimeter_eta, calorimeter_phi: where they leave the tracker
    """

    event: IntArray
    pdg_id: IntArray
    charge: FloatArray
    px: FloatArray
    py: FloatArray
    pz: FloatArray
    energy: FloatArray
    mass: FloatArray
    pt: FloatArray
    eta: FloatArray
    phi: FloatArray
    d0: FloatArray
    dz: FloatArray
    calorimeter_eta: FloatArray
    calorimeter_phi: FloatArray

    @property
    def kind(self) -> IntArray:
        """|PDG id|."""
        return np.abs(self.pdg_id)


def propagate(record: EventRecord) -> Particles:
    """What of the events is visible, carried to the surface of the calorimeter."""
    rows = record.final
    kind = np.abs(record.pdg_id[rows])
    pt = np.hypot(record.px[rows], record.py[rows])
    x, y, z = (position * 1e-3 for position in (record.x, record.y, record.z))
    seen = (
        ~np.isin(kind, _NEUTRINOS)
        & (np.hypot(x, y) <= TRACKER_RADIUS)
        & (np.abs(z) <= TRACKER_HALF_LENGTH)
        & (pt > _PT_MIN)
        & (np.abs(record.pz[rows]) < pt * np.sinh(_ABS_ETA_MAX))
    )
    rows, pt = rows[seen], pt[seen]
    flight = _Flight(
        x=x[seen], y=y[seen], z=z[seen],
        px=record.px[rows], py=record.py[rows], pz=record.pz[rows], pt=pt,
        energy=record.energy[rows], charge=_charge(record.pdg_id[rows]),
    )  # fmt: skip
    where, d0, dz, phi = _fly(flight)
    return Particles(
        event=record.event[rows],
        pdg_id=record.pdg_id[rows],
        charge=flight.charge,
        px=flight.px,
        py=flight.py,
        pz=flight.pz,
        energy=flight.energy,
        mass=record.mass[rows],
        pt=pt,
        eta=np.arcsinh(flight.pz / pt),
        phi=(phi + np.pi) % (2 * np.pi) - np.pi,
        d0=d0,
        dz=dz,
        calorimeter_eta=np.arcsinh(where[2] / np.maximum(np.hypot(where[0], where[1]), 1e-9)),
        calorimeter_phi=np.arctan2(where[1], where[0]),
    )


@dataclass(frozen=True, slots=True)
class _Flight:
    """Position in m, momentum and energy in GeV, charge in e; all (P,)."""

    x: FloatArray
    y: FloatArray
    z: FloatArray
    px: FloatArray
    py: FloatArray
    pz: FloatArray
    pt: FloatArray
    energy: FloatArray
    charge: FloatArray

    def __getitem__(self, rows: BoolArray) -> "_Flight":
        return _Flight(
            x=self.x[rows], y=self.y[rows], z=self.z[rows],
            px=self.px[rows], py=self.py[rows], pz=self.pz[rows], pt=self.pt[rows],
            energy=self.energy[rows], charge=self.charge[rows],
        )  # fmt: skip


def _charge(pdg_id: IntArray) -> FloatArray:
    kind = np.abs(pdg_id)
    sign = np.sign(pdg_id) * np.where(np.isin(kind, _NEGATIVE_WHEN_ID_IS_POSITIVE), -1.0, 1.0)
    return np.where(np.isin(kind, _CHARGED), sign, 0.0)


def _fly(flight: _Flight) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """End point (3, P) in m, d0 and dz in mm, phi at the point closest to the beam line."""
    count = len(flight.px)
    where = np.empty((3, count))
    d0, dz, phi = np.zeros(count), np.zeros(count), np.arctan2(flight.py, flight.px)
    charged = flight.charge != 0
    where[:, ~charged] = _fly_straight(flight[~charged])
    where[:, charged], d0[charged], dz[charged], phi[charged] = _fly_on_helix(flight[charged], phi[charged])
    return where, d0, dz, phi


def _fly_straight(flight: _Flight) -> FloatArray:
    moment = flight.px * flight.y - flight.py * flight.x
    along = flight.px * flight.x + flight.py * flight.y
    to_barrel = (np.sqrt(np.maximum(flight.pt**2 * TRACKER_RADIUS**2 - moment**2, 0)) - along) / flight.pt**2
    with np.errstate(divide="ignore", invalid="ignore"):
        to_end = (np.sign(flight.pz) * TRACKER_HALF_LENGTH - flight.z) / flight.pz
    to_end = np.where(flight.pz == 0, _NEVER, to_end)
    step = np.minimum(to_barrel, to_end)
    return np.stack([flight.x + flight.px * step, flight.y + flight.py * step, flight.z + flight.pz * step])


def _fly_on_helix(flight: _Flight, phi_start: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """As `_fly`. The radius carries the sign of the charge, and so does the angular frequency (rad/s)."""
    frequency = flight.charge * FIELD * SPEED_OF_LIGHT**2 / (flight.energy * 1e9)
    radius = flight.pt / (flight.charge * FIELD) * 1e9 / SPEED_OF_LIGHT
    x_centre = flight.x + radius * np.sin(phi_start)
    y_centre = flight.y - radius * np.cos(phi_start)
    distance = np.hypot(x_centre, y_centre)
    speed_z = flight.pz * SPEED_OF_LIGHT / flight.energy

    time_closest = (phi_start + np.arctan2(x_centre, y_centre)) / frequency
    half_turn = np.abs(np.pi / frequency)
    time_closest = time_closest - np.round(time_closest / half_turn) * half_turn
    phi_closest = phi_start - frequency * time_closest
    sine, cosine = np.sin(phi_closest), np.cos(phi_closest)
    d0 = ((x_centre - radius * sine) * sine - (y_centre + radius * cosine) * cosine) * 1e3
    dz = (flight.z + speed_z * time_closest) * 1e3

    with np.errstate(divide="ignore", invalid="ignore"):
        to_end = np.where(speed_z == 0, _NEVER, (np.sign(flight.pz) * TRACKER_HALF_LENGTH - flight.z) / speed_z)
        opening = (radius**2 + distance**2 - TRACKER_RADIUS**2) / (2 * np.abs(radius) * distance)
        turn = np.arccos(np.clip(opening, -1, 1))
    curls_up = distance + np.abs(radius) < TRACKER_RADIUS
    step = np.where(curls_up, to_end, np.minimum(time_closest + np.abs(turn / frequency), to_end))
    phi_end = phi_start - frequency * step
    where = np.stack(
        [x_centre - radius * np.sin(phi_end), y_centre + radius * np.cos(phi_end), flight.z + speed_z * step]
    )
    return where, d0, dz, phi_closest
