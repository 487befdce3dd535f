"""Jets as another detector would have seen them: constituents lost, momenta smeared or shifted, measurements missing.

A perturbation is a function of the observed side of jets: `Jets` in, `Jets` out. Random numbers belong to
constituents (`random_numbers`), so every backbone sees the same perturbed jets, in whatever batches; and a larger value
of the same perturbation goes on from a smaller one: what is lost at 5 % is lost at 20 %.

Where momenta change, the jet changes with them: `jet_pt`, `jet_energy` and `jet_mass` by the ratio of the sums of
constituents after and before, `jet_eta` and `jet_phi` by their difference, `part_deta` and `part_dphi` refer to the new
axis, `jet_nparticles` counts what is left, and constituents stand by falling pT again. Soft-drop mass and
N-subjettiness would need the jet to be clustered again: they stay as they are (but for `scale`, which is exact).
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetassay.errors import ConfigError, DataError
from jetassay.jets.containers import Chunk, FloatArray, IntArray, Jets
from jetassay.jets.identities import FLAGS
from jetassay.jets.kinematics import Momenta, mirror, wrapped
from jetassay.jets.ordering import by_falling_pt, hardest
from jetassay.jets.random_numbers import uniform_of_constituents
from jetassay.jets.schema import CORE
from jetassay.registry import Registry

Uniform = NDArray[np.float64]
Value = float | str

GROUPS: Mapping[str, tuple[str, ...]] = {
    "displacement": ("part_d0val", "part_d0err", "part_dzval", "part_dzerr"),
    "charge": ("part_charge",),
    "identity": FLAGS,
}
"""Measurements that `without` takes away, and the columns that hold them."""
_CHARGED_FLAG, _NEUTRAL_FLAG, _PHOTON_FLAG, *_LEPTON_FLAGS = FLAGS


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What one name does.

    version: rises whenever the same value may give other jets
    value:   reads and checks what stands after the `=`; raises `ValueError`
    apply:   (jets, value, uniform numbers of (0, 1) for the constituents) -> jets
    random:  whether it uses those numbers
    moves:   whether momenta change
    """

    name: str
    title: str
    value: Callable[[str], Value]
    apply: Callable[[Jets, Any, Uniform], Jets]
    random: bool
    moves: bool
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Perturbation:
    """One perturbation with its strength, `NAME=VALUE`; all that perturbed jets depend on beside the jets.

    seed: of its random numbers
    """

    name: str
    value: Value
    seed: int = 0
    version: int = 1

    def __str__(self) -> str:
        return f"{self.name}={self.value:g}" if isinstance(self.value, float) else f"{self.name}={self.value}"

    def needs(self, needs: tuple[str, ...]) -> tuple[str, ...]:
        """The observed columns to read where a feature set asks for `needs`."""
        more: tuple[str, ...] = ()
        if PERTURBATIONS[self.name].moves and "part_deta" in needs:
            more = ("jet_eta",)  # the sign of part_deta is that of the jet
        elif self.changed & set(needs) & set(FLAGS):
            more = FLAGS
        return tuple(dict.fromkeys((*needs, *more)))

    @property
    def changed(self) -> frozenset[str]:
        """The columns that `without` changes; none for perturbations that change momenta."""
        return frozenset(GROUPS[str(self.value)]) if self.name == "without" else frozenset()

    def touches(self, needs: tuple[str, ...]) -> bool:
        """Whether jets can change in the columns `needs` at all; where not, they are the same to the bit."""
        return PERTURBATIONS[self.name].moves or bool(self.changed & set(needs))


def parse_perturbation(text: str, *, seed: int = 0) -> Perturbation:
    """From `NAME=VALUE`, such as `drop=0.05`. Raises `ConfigError` for an unknown name or a value without sense."""
    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"perturbation '{text}': write NAME=VALUE, such as drop=0.05")
    kind = PERTURBATIONS[name.strip()]
    try:
        return Perturbation(name=kind.name, value=kind.value(value.strip()), seed=seed, version=kind.version)
    except ValueError as error:
        raise ConfigError(f"perturbation '{text}': {error}") from error


def perturb(jets: Jets, perturbation: Perturbation, *, file: str, entries: IntArray) -> Jets:
    """The jets perturbed; order and number of jets stay.

    file:    what identifies the jets' file for good: its digest
    entries: int64 (J,), entry number of each jet in it
    """
    kind = PERTURBATIONS[perturbation.name]
    numbers = np.empty(0)
    if kind.random:
        purpose = f"{perturbation.seed}/{file}/{perturbation.name}"
        numbers = uniform_of_constituents(purpose=purpose, entries=entries, offsets=jets.offsets)
    return kind.apply(jets, perturbation.value, numbers)


def perturb_chunk(chunk: Chunk, perturbation: Perturbation, *, file: str, max_constituents: int) -> Chunk:
    """A chunk that was read with all its constituents, perturbed, and only then cut to those of highest pT."""
    jets = perturb(chunk.jets, perturbation, file=file, entries=chunk.origin.entries)
    cut = hardest(jets.offsets, max_constituents)
    if cut is None:
        return replace(chunk, jets=jets)
    rows, offsets = cut
    kept = Jets({name: values[rows] for name, values in jets.constituents.items()}, offsets, jets.columns)
    longer = jets.multiplicities > max_constituents
    lost = int(jets.offsets[-1] - offsets[-1])
    return replace(chunk, jets=kept, truncated_jets=int(longer.sum()), truncated_constituents=lost)


def _drop(jets: Jets, probability: float, numbers: Uniform) -> Jets:
    """Each constituent is lost with this probability; where all would be, the one lost last is kept."""
    starts, lengths = jets.offsets[:-1], jets.multiplicities
    if not len(jets):
        return jets
    kept = numbers >= np.repeat(np.minimum(probability, np.maximum.reduceat(numbers, starts)), lengths)
    counts = np.add.reduceat(kept.astype(np.int64), starts)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    return _consistent(jets, {name: values[kept] for name, values in jets.constituents.items()}, offsets)


def _smear(jets: Jets, width: float, numbers: Uniform) -> Jets:
    """The four-momentum of each constituent times a log-normal factor of mean 1 and this standard deviation.

    As Delphes smears momenta, so that none turns negative; direction and mass over energy stay.
    """
    from scipy.special import ndtri  # the normal quantile function

    spread = np.sqrt(np.log1p(width**2))
    return _consistent(jets, _scaled(jets, np.exp(spread * ndtri(numbers) - spread**2 / 2)), jets.offsets)


def _scale(jets: Jets, shift: float, numbers: Uniform) -> Jets:  # noqa: ARG001  the same for every constituent
    """All four-momenta times 1 + shift: an energy scale that is off."""
    moved = _consistent(jets, _scaled(jets, 1 + shift), jets.offsets)
    if "jet_sdmass" not in moved.columns:
        return moved
    mass = (jets.columns["jet_sdmass"].astype(np.float64) * (1 + shift)).astype(np.float32)
    return Jets(moved.constituents, moved.offsets, {**moved.columns, "jet_sdmass": mass})


def _without(jets: Jets, group: str, numbers: Uniform) -> Jets:  # noqa: ARG001  nothing random
    """What a detector without these measurements gives.

    Displacement and its errors, and charge: 0, as JetClass has them for neutral constituents. Identity: leptons are
    charged hadrons, photons neutral hadrons.
    """
    parts = dict(jets.constituents)
    if group != "identity":
        parts |= {name: np.zeros_like(parts[name]) for name in GROUPS[group] if name in parts}
    elif any(name in parts for name in FLAGS):
        _require(parts, FLAGS, "identity is removed from all of its flags")
        charged = np.maximum.reduce([parts[name] for name in (_CHARGED_FLAG, *_LEPTON_FLAGS)])
        neutral = np.maximum(parts[_NEUTRAL_FLAG], parts[_PHOTON_FLAG])
        parts |= {name: np.zeros_like(charged) for name in FLAGS} | {_CHARGED_FLAG: charged, _NEUTRAL_FLAG: neutral}
    return Jets(parts, jets.offsets, jets.columns)


def _scaled(jets: Jets, factor: Uniform | float) -> dict[str, FloatArray]:
    """The constituents with their four-momenta times a factor each."""
    moved = {name: (jets.constituents[name].astype(np.float64) * factor).astype(np.float32) for name in CORE}
    return {**jets.constituents, **moved}


def _consistent(jets: Jets, constituents: Mapping[str, FloatArray], offsets: IntArray) -> Jets:
    """Jets of changed or fewer constituents: axis, columns and order follow. What did not change stays to the bit."""
    before, after = (
        Momenta(*(parts[name].astype(np.float64) for name in CORE)).per_jet(bounds)
        for parts, bounds in ((jets.constituents, jets.offsets), (constituents, offsets))
    )
    turn = {"eta": after.eta - before.eta, "phi": _difference(after.phi - before.phi)}
    columns = {name: column.astype(np.float64) for name, column in jets.columns.items()}
    for name, old, new in (
        ("jet_pt", before.pt, after.pt),
        ("jet_energy", before.energy, after.energy),
        ("jet_mass", before.mass, after.mass),
    ):
        if name in columns:
            columns[name] = columns[name] * np.divide(new, old, out=np.ones_like(new), where=old > 0)
    if "jet_eta" in columns:
        columns["jet_eta"] = columns["jet_eta"] + turn["eta"]
    if "jet_phi" in columns:
        columns["jet_phi"] = _turned(columns["jet_phi"], turn["phi"])
    if "jet_nparticles" in columns:
        columns["jet_nparticles"] = columns["jet_nparticles"] - (jets.multiplicities - np.diff(offsets))
    parts = dict(constituents)
    lengths = np.diff(offsets)
    if "part_deta" in parts:
        _require(jets.columns, ("jet_eta",), "part_deta carries the sign of the jet's eta")
        signs = mirror(jets.columns["jet_eta"]), mirror(columns["jet_eta"])
        old_sign, new_sign, shift = (np.repeat(each, lengths) for each in (*signs, turn["eta"]))
        parts["part_deta"] = ((parts["part_deta"] * old_sign - shift) * new_sign).astype(np.float32)
    if "part_dphi" in parts:
        shift = np.repeat(-turn["phi"], lengths)
        parts["part_dphi"] = _turned(parts["part_dphi"].astype(np.float64), shift).astype(np.float32)
    rows = by_falling_pt(parts["part_px"], parts["part_py"], offsets)
    if rows is not None:
        parts = {name: values[rows] for name, values in parts.items()}
    return Jets(parts, offsets, {name: column.astype(np.float32) for name, column in columns.items()})


def _difference(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """A difference of two angles brought to [-pi, pi); 0 stays 0."""
    return _turned(np.zeros_like(angle), angle)


def _turned(angle: NDArray[np.float64], by: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(by == 0, angle, wrapped(angle + by))


def _require(there: Collection[str], names: tuple[str, ...], reason: str) -> None:
    missing = [name for name in names if name not in there]
    if missing:
        raise DataError(f"jets without {', '.join(missing)} cannot be perturbed: {reason}; read these columns too")


def _number(text: str, *, low: float, high: float, what: str) -> float:
    number = float(text)
    if not low <= number < high:
        raise ValueError(f"{what} lies in [{low:g}, {high:g}), not {number:g}")
    return number


def _group(text: str) -> str:
    if text not in GROUPS:
        raise ValueError(f"there is no group '{text}'; known: {', '.join(GROUPS)}")
    return text


PERTURBATIONS: Registry[Kind] = Registry("perturbation", of=Kind)
for _kind in (
    Kind(
        name="drop",
        title="each constituent is lost with this probability, one of each jet always kept",
        value=partial(_number, low=0, high=1, what="a probability of loss"),
        apply=_drop,
        random=True,
        moves=True,
    ),
    Kind(
        name="smear",
        title="each constituent's four-momentum times a log-normal factor of mean 1 and this standard deviation",
        value=partial(_number, low=0, high=1, what="a relative resolution"),
        apply=_smear,
        random=True,
        moves=True,
    ),
    Kind(
        name="scale",
        title="all four-momenta times 1 + this shift",
        value=partial(_number, low=-0.5, high=1, what="a shift of the energy scale"),
        apply=_scale,
        random=False,
        moves=True,
    ),
    Kind(
        name="without",
        title=f"a group of measurements is missing: {', '.join(GROUPS)}",
        value=_group,
        apply=_without,
        random=False,
        moves=False,
    ),
):
    PERTURBATIONS.add(_kind.name, partial(lambda kind: kind, _kind))
