"""Pairs of resonances with free masses and momenta, as hard processes for Pythia: the signals of JetClass-II.

gg to X X, each X decaying to two prongs, or to Y Y and from there to four. Published samples (arXiv:2405.12972,
jet-universe/jetclass2_generation) take grids of masses and of lower pT bounds through MadGraph with a
two-Higgs-doublet model; here masses and momenta are sampled freely, which covers the same range evenly. Decay
channels and branching fractions are the published ones; all decays are isotropic. What this does not reproduce are
the published spectra, pile-up and its removal.
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
import pythia8mc

from jetassay.simulation.generator import BoolArray, FloatArray, IntArray

BEAM_ENERGY = 6500.0
"""GeV"""
_CENTRE_OF_MASS = 2 * BEAM_ENERGY
_MASS_RANGE = (20.0, 500.0)
_PT_RANGE = (200.0, 2500.0)
_ABS_RAPIDITY_MAX = 1.8
_MOMENTUM_FRACTION_MAX = 0.9
_CHARGED_X, _CHARGED_Y = 144 / 336, 0.5
"""Fractions of charged pairs: of X with two prongs (published jobs: 192 neutral, 144 charged), and of Y."""
_EQUAL_Y_MASSES = 0.5
_MATCH_RADIUS = 1.8
"""Prongs of one jet (R = 0.8) lie within 1.6 of each other; the rest is what showers may move them."""
_PRONGS_NEEDED = MappingProxyType({"Res2P": 2, "Res34P": 3})

_X, _Y_NEUTRAL, _CHARGED, _GLUON = 25, 35, 37, 21
_QUARKS = (1, 2, 3, 4, 5)
_NEUTRINOS = (12, 14, 16)
_MASS_OF = np.zeros(_GLUON + 1)
_MASS_OF[[3, 4, 5, 11, 13, 15]] = (0.1, 1.5, 4.8, 0.000511, 0.10566, 1.77682)
"""GeV, by |PDG id|; massless otherwise."""

_NEUTRAL_CHANNELS = np.array([(5, -5), (4, -4), (3, -3), (2, -2), (1, -1), (21, 21), (11, -11), (13, -13), (15, -15)])
_NEUTRAL_FRACTIONS = np.array([0.125, 0.125, 0.125, 0.0625, 0.0625, 0.125, 0.0625, 0.0625, 0.25])
_CHARGED_CHANNELS = np.array([(2, -1), (2, -3), (2, -5), (4, -1), (4, -3), (4, -5), (-11, 12), (-13, 14), (-15, 16)])
_CHARGED_FRACTIONS = np.array([0.625 / 6] * 6 + [0.0625, 0.0625, 0.25])
_HADRONIC_CHARGED = 6

Topology = Literal["Res2P", "Res34P"]
Row = tuple[int, int, int, int, int, int, float, float, float, float, float]
"""PDG id, status, two mothers (counted from 1), colour, anticolour, px, py, pz, E, mass, as in Les Houches files."""


class ResonanceSource(pythia8mc.LHAup):  # type: ignore[misc]  # the bindings carry no types
    """Hands sampled hard processes to Pythia (`Beams:frameType = 5`)."""

    _EVENTS_AT_ONCE = 256
    _STRATEGY_UNWEIGHTED = 3

    def __init__(self, topology: Topology, *, seed: np.random.SeedSequence) -> None:
        super().__init__(self._STRATEGY_UNWEIGHTED)
        self._topology: Topology = topology
        self._rng = np.random.default_rng(seed)
        self._ready: list[list[Row]] = []

    def setInit(self) -> bool:  # noqa: N802  # Pythia's name
        """Beams and one process; its cross section has no meaning."""
        proton, process, cross_section = 2212, 1, 1.0
        self.setBeamA(proton, BEAM_ENERGY)
        self.setBeamB(proton, BEAM_ENERGY)
        self.addProcess(process, cross_section, 0.0, cross_section)
        return True

    def setEvent(self, process: int = 0) -> bool:  # noqa: N802  # Pythia's name
        """The next hard process."""
        del process
        if not self._ready:
            self._ready = sample_hard_processes(self._topology, self._EVENTS_AT_ONCE, self._rng)
        rows = self._ready.pop()
        scale = float(np.hypot(np.hypot(rows[2][6], rows[2][7]), rows[2][10]))
        self.setProcess(1, 1.0, scale, 1 / 128, 0.118)
        for row in rows:
            self.addParticle(*row)
        return True


def sample_hard_processes(topology: Topology, events: int, rng: np.random.Generator) -> list[list[Row]]:
    """At most `events` hard processes of which at least one X can be held by a jet."""
    pairs = _sample_pairs(events, rng)
    decays = (_two_prong_decays if topology == "Res2P" else _four_prong_decays)(pairs, rng)
    fits = decays.can_be_one_jet(_PRONGS_NEEDED[topology]).reshape(-1, 2).any(axis=1)
    return [decays.rows(pairs, event) for event in np.nonzero(fits)[0].tolist()]


@dataclass(frozen=True, slots=True)
class _Pairs:
    """E events of two X each: mass (E,), momenta (E, 2, 4), fractions (E, 2) of the beams' momenta."""

    mass: FloatArray
    momenta: FloatArray
    fractions: FloatArray

    @property
    def events(self) -> int:
        return len(self.mass)


def _sample_pairs(events: int, rng: np.random.Generator) -> _Pairs:
    """Masses evenly, pT evenly in its logarithm, rapidities and azimuth evenly; the two X balance in pT."""
    mass = rng.uniform(*_MASS_RANGE, size=events)
    pt = np.exp(rng.uniform(np.log(_PT_RANGE[0]), np.log(_PT_RANGE[1]), size=events))
    rapidity = rng.uniform(-_ABS_RAPIDITY_MAX, _ABS_RAPIDITY_MAX, size=(events, 2))
    phi = rng.uniform(0, 2 * np.pi, size=events)
    transverse_mass = np.hypot(mass, pt)
    toward = np.stack([pt * np.cos(phi), pt * np.sin(phi)], axis=-1)
    momenta = np.stack(
        [
            np.stack([toward[:, 0], -toward[:, 0]], axis=-1),
            np.stack([toward[:, 1], -toward[:, 1]], axis=-1),
            transverse_mass[:, None] * np.sinh(rapidity),
            transverse_mass[:, None] * np.cosh(rapidity),
        ],
        axis=-1,
    )
    fractions = (transverse_mass / _CENTRE_OF_MASS)[:, None] * np.stack(
        [np.exp(rapidity).sum(axis=1), np.exp(-rapidity).sum(axis=1)], axis=-1
    )
    possible = (fractions < _MOMENTUM_FRACTION_MAX).all(axis=1)
    return _Pairs(mass[possible], momenta[possible], fractions[possible])


@dataclass(frozen=True, slots=True)
class _Decays:
    """Decays of X = 2 E resonances to P = 2 or 4 prongs.

    x_id: (X,); y_id, y_mass: (X, 2), y_momentum: (X, 2, 4), if there are Y; prong_id: (X, P), prong_momentum: (X, P, 4)
    """

    x_id: IntArray
    y_id: IntArray | None
    y_momentum: FloatArray
    y_mass: FloatArray
    prong_id: IntArray
    prong_momentum: FloatArray

    def can_be_one_jet(self, needed: int) -> BoolArray:
        """Whether `needed` visible prongs of an X lie close together (X,)."""
        momentum = self.prong_momentum
        eta = np.arcsinh(momentum[..., 2] / np.maximum(np.hypot(momentum[..., 0], momentum[..., 1]), 1e-9))
        phi = np.arctan2(momentum[..., 1], momentum[..., 0])
        turn = np.abs(phi[:, :, None] - phi[:, None, :])
        distance = np.hypot(eta[:, :, None] - eta[:, None, :], np.minimum(turn, 2 * np.pi - turn))
        visible = ~np.isin(np.abs(self.prong_id), _NEUTRINOS)
        near = (distance < _MATCH_RADIUS) & visible[:, :, None] & visible[:, None, :]
        return np.asarray((near.sum(axis=-1) >= needed).any(axis=-1))

    def rows(self, pairs: _Pairs, event: int) -> list[Row]:
        """The hard process of one event."""
        energy_a, energy_b = (pairs.fractions[event] * BEAM_ENERGY).tolist()
        rows: list[Row] = [
            (_GLUON, -1, 0, 0, 501, 502, 0.0, 0.0, energy_a, energy_a, 0.0),
            (_GLUON, -1, 0, 0, 502, 501, 0.0, 0.0, -energy_b, energy_b, 0.0),
        ]
        decayed = 2
        for side in range(2):
            momentum = pairs.momenta[event, side].tolist()
            rows.append((int(self.x_id[2 * event + side]), decayed, 1, 2, 0, 0, *momentum, float(pairs.mass[event])))
        for side in range(2):
            index, mother = 2 * event + side, 3 + side
            if self.y_id is None:
                rows += self._prong_rows(index, 0, mother)
                continue
            first = len(rows) + 1
            for which in range(2):
                momentum, mass = self.y_momentum[index, which].tolist(), float(self.y_mass[index, which])
                rows.append((int(self.y_id[index, which]), decayed, mother, mother, 0, 0, *momentum, mass))
            rows += self._prong_rows(index, 0, first) + self._prong_rows(index, 2, first + 1)
        return rows

    def _prong_rows(self, index: int, first: int, mother: int) -> list[Row]:
        """Two prongs of one decay, joined by colour; tags are unique in an event."""
        ids = self.prong_id[index, first : first + 2].tolist()
        tag = 510 + 4 * (2 * index + first)
        outgoing = 1
        rows: list[Row] = []
        for which, pdg_id in enumerate(ids):
            colours = (0, 0)
            if pdg_id == _GLUON:
                colours = (tag, tag + 1) if which == 0 else (tag + 1, tag)
            elif abs(pdg_id) in _QUARKS:
                colours = (tag, 0) if pdg_id > 0 else (0, tag)
            momentum = self.prong_momentum[index, first + which].tolist()
            rows.append((pdg_id, outgoing, mother, mother, *colours, *momentum, float(_MASS_OF[abs(pdg_id)])))
        return rows


def _two_prong_decays(pairs: _Pairs, rng: np.random.Generator) -> _Decays:
    charged_x = np.repeat(rng.uniform(size=pairs.events) < _CHARGED_X, 2)
    first_of_pair = np.tile([True, False], pairs.events)
    mass = np.repeat(pairs.mass, 2)
    ids = _pick_channels(charged_x, mass, rng, hadronic_if_charged=True)
    ids = np.where((charged_x & ~first_of_pair)[:, None], _conjugate(ids), ids)
    momenta = np.stack(_decay(pairs.momenta.reshape(-1, 4), _masses(ids), rng), axis=1)
    x_id = np.where(charged_x, np.where(first_of_pair, _CHARGED, -_CHARGED), _X)
    nothing = np.zeros((len(mass), 2))
    return _Decays(x_id, None, np.zeros((len(mass), 2, 4)), nothing, ids, momenta)


def _four_prong_decays(pairs: _Pairs, rng: np.random.Generator) -> _Decays:
    """Half of the X decay to Y of equal mass; for the rest the second is light, as off-shell ones are."""
    mass = np.repeat(pairs.mass, 2)
    count = len(mass)
    charged_y = rng.uniform(size=count) < _CHARGED_Y
    lightest = np.minimum(5.0, 0.2 * mass)
    equal = rng.uniform(size=count) < _EQUAL_Y_MASSES
    first = rng.uniform(lightest, np.where(equal, 0.4995 * mass, 0.75 * mass))
    room = np.maximum(0.999 * mass - first, lightest)
    second = np.where(equal, first, rng.uniform(lightest, room))
    y_mass = np.stack([first, np.minimum(second, 0.999 * mass - first)], axis=1)

    both_charged = np.repeat(charged_y, 2)
    ids = _pick_channels(both_charged, y_mass.reshape(-1), rng, hadronic_if_charged=False)
    second_of_pair = np.tile([False, True], count)
    ids = np.where((both_charged & second_of_pair)[:, None], _conjugate(ids), ids)
    y_momentum = np.stack(_decay(pairs.momenta.reshape(-1, 4), y_mass, rng), axis=1)
    prongs = np.stack(_decay(y_momentum.reshape(-1, 4), _masses(ids), rng), axis=1)
    y_id = np.where(both_charged, np.where(second_of_pair, -_CHARGED, _CHARGED), _Y_NEUTRAL)
    return _Decays(
        np.full(count, _X), y_id.reshape(-1, 2), y_momentum, y_mass, ids.reshape(-1, 4), prongs.reshape(-1, 4, 4)
    )


def _pick_channels(
    charged: BoolArray, mass: FloatArray, rng: np.random.Generator, *, hadronic_if_charged: bool
) -> IntArray:
    """Decay channels by their branching fractions (D, 2), among those light enough for `mass` (D,)."""
    channels = np.concatenate([_NEUTRAL_CHANNELS, _CHARGED_CHANNELS])
    neutral = np.arange(len(channels)) < len(_NEUTRAL_CHANNELS)
    charged_fractions = _CHARGED_FRACTIONS.copy()
    if hadronic_if_charged:
        charged_fractions[_HADRONIC_CHARGED:] = 0
    fractions = np.concatenate([_NEUTRAL_FRACTIONS, charged_fractions])
    allowed = (charged[:, None] != neutral[None, :]) & (_masses(channels).sum(axis=1) < 0.98 * mass[:, None])
    cumulative = np.cumsum(np.where(allowed, fractions, 0.0), axis=1)
    drawn = rng.uniform(size=len(mass)) * cumulative[:, -1]
    return np.asarray(channels[(cumulative <= drawn[:, None]).sum(axis=1)])


def _masses(ids: IntArray) -> FloatArray:
    return np.asarray(_MASS_OF[np.abs(ids)])


def _conjugate(ids: IntArray) -> IntArray:
    return np.where(ids == _GLUON, ids, -ids)


def _decay(parent: FloatArray, masses: FloatArray, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Isotropic two-body decays: parents (D, 4), masses of the products (D, 2), both momenta (D, 4)."""
    count = len(parent)
    mass = np.sqrt(np.maximum(parent[:, 3] ** 2 - (parent[:, :3] ** 2).sum(axis=1), 0.0))
    heavy, light = masses.sum(axis=1), masses[:, 0] - masses[:, 1]
    momentum = np.sqrt(np.maximum((mass**2 - heavy**2) * (mass**2 - light**2), 0.0)) / (2 * mass)
    cosine, phi = rng.uniform(-1, 1, size=count), rng.uniform(0, 2 * np.pi, size=count)
    sine = np.sqrt(1 - cosine**2)
    direction = np.stack([sine * np.cos(phi), sine * np.sin(phi), cosine], axis=1)
    forth = momentum[:, None] * direction
    products = (
        np.concatenate([sign * forth, np.hypot(momentum, masses[:, which])[:, None]], axis=1)
        for which, sign in enumerate((1.0, -1.0))
    )
    first, second = (_boost(product, parent, mass) for product in products)
    return first, second


def _boost(product: FloatArray, parent: FloatArray, mass: FloatArray) -> FloatArray:
    """From the rest frame of `parent` (D, 4) to the frame it is given in."""
    along = (parent[:, :3] * product[:, :3]).sum(axis=1)
    energy = (parent[:, 3] * product[:, 3] + along) / mass
    scale = (energy + product[:, 3]) / (parent[:, 3] + mass)
    return np.concatenate([product[:, :3] + scale[:, None] * parent[:, :3], energy[:, None]], axis=1)
