"""Four-vectors of constituents and jets, in float64: whatever a file gives to what the schemas promise.

Conventions: energies in GeV; phi in [-pi, pi); part_deta = (eta - jet_eta) * sign(jet_eta), where the sign of 0 is
+1, and part_dphi = phi - jet_phi, as in JetClass and weaver's converters (jet-universe/particle_transformer, utils/).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetassay.jets.containers import IntArray

Values = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Momenta:
    """Four-vectors of N particles or J jets, each float64, in GeV."""

    px: Values
    py: Values
    pz: Values
    energy: Values

    @property
    def pt(self) -> Values:
        """Transverse momentum in GeV."""
        return np.hypot(self.px, self.py)

    @property
    def eta(self) -> Values:
        """Pseudorapidity; not finite without transverse momentum."""
        with np.errstate(divide="ignore", invalid="ignore"):  # the reader names such jets
            return np.asarray(np.arcsinh(self.pz / self.pt))

    @property
    def phi(self) -> Values:
        """Azimuth in [-pi, pi)."""
        return wrapped(np.arctan2(self.py, self.px))

    @property
    def mass(self) -> Values:
        """sqrt(max(E^2 - p^2, 0)) in GeV."""
        momentum = np.hypot(self.pt, self.pz)
        return np.asarray(np.sqrt(np.maximum((self.energy - momentum) * (self.energy + momentum), 0.0)))

    def per_jet(self, offsets: IntArray) -> "Momenta":
        """The sum of each jet's constituents; 0 for a jet without any."""
        return Momenta(*(_sums(part, offsets) for part in (self.px, self.py, self.pz, self.energy)))


def from_direction(pt: Values, eta: Values, phi: Values, *, mass: Values | float, energy: Values | None) -> Momenta:
    """From pseudorapidity; the energy is that of the mass where none is given."""
    pz = pt * np.sinh(eta)
    if energy is None:
        energy = np.sqrt((pt * np.cosh(eta)) ** 2 + np.square(mass))
    return Momenta(pt * np.cos(phi), pt * np.sin(phi), pz, energy)


def from_rapidity(pt: Values, rapidity: Values, phi: Values, *, mass: Values | float) -> Momenta:
    """From rapidity, which is pseudorapidity where the mass is 0."""
    transverse = np.hypot(pt, mass)
    return Momenta(pt * np.cos(phi), pt * np.sin(phi), transverse * np.sinh(rapidity), transverse * np.cosh(rapidity))


def wrapped(phi: Values) -> Values:
    """Angles brought to [-pi, pi)."""
    return (phi + np.pi) % (2 * np.pi) - np.pi


def mirror(jet_eta: Values) -> Values:
    """The sign that part_deta carries: -1 for jets at negative eta, else 1."""
    return np.where(jet_eta < 0, -1.0, 1.0)


def _sums(values: Values, offsets: IntArray) -> Values:
    total = np.zeros(len(offsets) - 1)
    filled = np.diff(offsets) > 0
    if filled.any():
        total[filled] = np.add.reduceat(values, offsets[:-1][filled])
    return total
