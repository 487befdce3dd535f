"""Particle identities by PDG number: mass, charge and the five flags that JetClass stores."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetassay.errors import DataError

FLAGS: tuple[str, ...] = (
    "part_isChargedHadron", "part_isNeutralHadron", "part_isPhoton", "part_isElectron", "part_isMuon",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Particle:
    """Mass in GeV (Review of Particle Physics 2024), charge of the particle with the positive number, flag."""

    mass: float
    charge: int
    flag: str


_CHARGED, _NEUTRAL, _PHOTON, _ELECTRON, _MUON = FLAGS
_PARTICLES = {
    11: _Particle(0.000510999, -1, _ELECTRON),
    13: _Particle(0.105658, -1, _MUON),
    22: _Particle(0.0, 0, _PHOTON),
    111: _Particle(0.134977, 0, _NEUTRAL),
    130: _Particle(0.497611, 0, _NEUTRAL),
    211: _Particle(0.139570, 1, _CHARGED),
    310: _Particle(0.497611, 0, _NEUTRAL),
    321: _Particle(0.493677, 1, _CHARGED),
    2112: _Particle(0.939565, 0, _NEUTRAL),
    2212: _Particle(0.938272, 1, _CHARGED),
    3112: _Particle(1.197449, -1, _CHARGED),
    3122: _Particle(1.115683, 0, _NEUTRAL),
    3222: _Particle(1.18937, 1, _CHARGED),
    3312: _Particle(1.32171, -1, _CHARGED),
    3322: _Particle(1.31486, 0, _NEUTRAL),
    3334: _Particle(1.67245, -1, _CHARGED),
}
_NUMBERS = np.array(sorted(_PARTICLES))
_MASSES = np.array([_PARTICLES[number].mass for number in _NUMBERS])
_CHARGES = np.array([_PARTICLES[number].charge for number in _NUMBERS])
_FLAG_OF = np.array([FLAGS.index(_PARTICLES[number].flag) for number in _NUMBERS])


@dataclass(frozen=True, slots=True)
class Identities:
    """N particles: `kinds` int64 (N,), row in the table of particles; `signs` int64 (N,), that of the PDG number."""

    kinds: NDArray[np.int64]
    signs: NDArray[np.int64]

    @classmethod
    def of(cls, numbers: NDArray[Any], *, path: Path, column: str) -> "Identities":
        """From PDG numbers (N,). Raises `DataError` naming the first number that is not in the table."""
        size = np.abs(numbers)
        kinds = np.minimum(np.searchsorted(_NUMBERS, size), len(_NUMBERS) - 1)
        unknown = _NUMBERS[kinds] != size
        if unknown.any():
            first = numbers[np.flatnonzero(unknown)[0]]
            raise DataError(
                f"{path}, column {column}: {first:g} is no PDG number of a particle that a detector sees; "
                f"known are {', '.join(str(number) for number in _NUMBERS)} and their antiparticles"
            )
        return cls(kinds.astype(np.int64), np.sign(numbers).astype(np.int64))

    @property
    def masses(self) -> NDArray[np.float64]:
        """In GeV, float64 (N,)."""
        return np.asarray(_MASSES[self.kinds])

    @property
    def charges(self) -> NDArray[np.float64]:
        """In units of the proton's, float64 (N,)."""
        return np.asarray(_CHARGES[self.kinds] * self.signs, dtype=np.float64)

    def flag(self, name: str) -> NDArray[np.float64]:
        """1 where the particle is what one of `FLAGS` says, else 0, float64 (N,)."""
        return np.asarray(_FLAG_OF[self.kinds] == FLAGS.index(name), dtype=np.float64)
