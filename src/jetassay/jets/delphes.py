"""Delphes events, seen as a stream of jets: one entry a jet, in the order of events and of jets in them.

Columns and cuts are those of `makeNtuples.C` and `ParticleInfo.h` (jet-universe/jetclass2_generation 3a7a135,
jet-universe/sophon 4d5d63c), which made JetClass-II from such files. Nothing at generator level is read: what a jet
refers to and is no `ParticleFlowCandidate` is left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from jetassay.errors import DataError
from jetassay.jets.containers import FloatArray
from jetassay.jets.ordering import by_falling_pt
from jetassay.jets.root import RootSource, broken
from jetassay.jets.schema import SCHEMAS
from jetassay.jets.sources import Ragged, RawChunk, sound

TREE = "Delphes"
CANDIDATES = "ParticleFlowCandidate"
VERTICES = "Vertex"

RULES: tuple[str, ...] = ("not_a_stored_candidate", "pt_not_positive", "abs_eta_above_5", "abs_pz_above_10_TeV")
"""Why a constituent is left out; one that breaks several counts under the first."""

_FOUR_VECTOR = ("PT", "Eta", "Phi", "Mass")
_SOURCES: Mapping[str, tuple[str, ...]] = {
    "part_d0val": ("D0",),
    "part_d0err": ("ErrorD0",),
    "part_dzval": ("DZ",),
    "part_dzerr": ("ErrorDZ",),
    "part_charge": ("Charge",),
    "part_isChargedHadron": ("Charge", "PID"),
    "part_isNeutralHadron": ("Charge", "PID"),
    "part_isPhoton": ("PID",),
    "part_isElectron": ("PID",),
    "part_isMuon": ("PID",),
}
"""What a column is computed from, beside the four-vector."""
_UID = 0xFFFFFF
"""The part of ROOT's unique identifier that counts objects; the rest says which process wrote them."""

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Particle-flow candidates of some events, end to end: names of Delphes to (P,), and the event of each."""

    values: Mapping[str, Array]
    events: Array


class DelphesSource(RootSource):
    """The jets of one branch, such as `JetPUPPIAK8`, of a Delphes file; see `sources.Source`.

    Raises `DataError` where the file has no such jets, or not their constituents.
    """

    def __init__(self, path: Path, *, jets: str) -> None:
        super().__init__(path, tree=TREE)
        self._jets = jets
        try:
            self._branches = {name.rpartition("/")[2]: name for name in self._tree.keys(recursive=True)}
            self._require()
            counts = ak.num(self._tree[self._branches[f"{jets}.PT"]].array(), axis=1)
        except DataError:
            self.close()
            raise
        except Exception as error:  # uproot raises whatever its parser meets in broken bytes
            self.close()
            raise broken(path, error) from error
        self._edges = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.asarray(counts), dtype=np.int64)])
        self.n_entries = int(self._edges[-1])
        schema = SCHEMAS["delphes-ak8"]
        self.lists, self.numbers, self.others = schema.constituents, schema.columns, {}

    def _require(self) -> None:
        there = self._branches
        if f"{self._jets}.PT" not in there:
            jets = sorted(name.partition(".")[0] for name in there if "Jet" in name and name.endswith(".Constituents"))
            raise DataError(
                f"{self.path}: has no jets '{self._jets}'; jets in it: {', '.join(jets) or 'none with constituents'}"
            )
        references = f"{self._jets}.Constituents"
        needed = [references, *(f"{CANDIDATES}.{name}" for name in ("fUniqueID", *_FOUR_VECTOR))]
        missing = [name for name in needed if name not in there]
        if missing:
            raise DataError(
                f"{self.path}: a Delphes file without the constituents of its jets: {', '.join(missing)} missing; "
                f"keep {CANDIDATES} and the jets' Constituents in the TreeWriter of the Delphes card"
            )

    def chunks(self, names: Sequence[str], *, start: int, stop: int, step: int) -> Iterator[RawChunk]:
        """See `sources.Source`."""
        for begin in range(start, stop, step):
            end = min(begin + step, stop)
            try:
                chunk = self._read(names, begin, end)
            except DataError:
                raise
            except Exception as error:  # likewise
                raise broken(self.path, error, entries=(begin, end)) from error
            yield sound(chunk, path=self.path)

    def _read(self, names: Sequence[str], begin: int, end: int) -> RawChunk:
        first = int(np.searchsorted(self._edges, begin, side="right")) - 1
        last = int(np.searchsorted(self._edges, end, side="left"))
        rows = slice(begin - self._edges[first], end - self._edges[first])
        events = np.repeat(np.arange(last - first), np.diff(self._edges[first : last + 1]))[rows]
        jets = self._jet_columns(names, first, last, rows)
        if not any(name in self.lists or name == "jet_nparticles" for name in names):
            return RawChunk(begin, end, {name: jets[name] for name in names}, {})
        candidates = self._candidates(names, first, last)
        references = _rows(self._array(f"{self._jets}.Constituents", first, last).refs, rows)
        chosen, removed = constituents_of(references, events, candidates)
        if removed.get(RULES[0], 0) == len(references.content) > 0:
            raise DataError(
                f"{self.path}, jets {begin} to {end - 1}: no constituent of {self._jets} is among {CANDIDATES}; "
                "the file was written without the candidates that these jets were made of"
            )
        columns = constituent_columns(names, candidates, chosen, jets, self._vertices(first, last), events)
        jets["jet_nparticles"] = chosen.counts.astype(np.float32)
        numbers = {name: jets[name] for name in names if name in self.numbers}
        lists = {name: Ragged(chosen.offsets, columns[name]) for name in names if name in self.lists}
        return RawChunk(begin, end, numbers, lists, removed)

    def _array(self, name: str, first: int, last: int) -> Any:
        return self._tree[self._branches[name]].array(entry_start=first, entry_stop=last, library="ak")

    def _jet_columns(self, names: Sequence[str], first: int, last: int, rows: slice) -> dict[str, Array]:
        pt, eta, phi, mass = (_flat(self._array(f"{self._jets}.{name}", first, last))[rows] for name in _FOUR_VECTOR)
        columns = {"jet_pt": pt, "jet_eta": eta, "jet_phi": phi, "jet_energy": energy_of(pt, eta, mass)}
        if "jet_sdmass" in names:
            groomed = ak.flatten(self._array(f"{self._jets}.SoftDroppedP4[5]", first, last), axis=1)[rows, 0]
            squared = groomed.fE**2 - groomed.fP.fX**2 - groomed.fP.fY**2 - groomed.fP.fZ**2
            columns["jet_sdmass"] = np.sqrt(np.maximum(np.asarray(squared), 0.0))
        if any(name.startswith("jet_tau") for name in names):
            taus = np.asarray(ak.flatten(self._array(f"{self._jets}.Tau[5]", first, last), axis=1))[rows]
            columns |= {f"jet_tau{k + 1}": taus[:, k] for k in range(4)}
        return columns

    def _candidates(self, names: Sequence[str], first: int, last: int) -> Candidates:
        wanted = dict.fromkeys(
            ("fUniqueID", *_FOUR_VECTOR, *(each for name in names for each in _SOURCES.get(name, ())))
        )
        arrays = {name: self._array(f"{CANDIDATES}.{name}", first, last) for name in wanted}
        counts = np.asarray(ak.num(arrays["fUniqueID"], axis=1))
        return Candidates(
            {name: _flat(each) for name, each in arrays.items()}, np.repeat(np.arange(len(counts)), counts)
        )

    def _vertices(self, first: int, last: int) -> NDArray[np.float64]:
        """Where the first vertex of each event is along z in mm, the hard scatter in Delphes; 0 without one."""
        if f"{VERTICES}.Z" not in self._branches:
            return np.zeros(last - first)
        first_z = ak.firsts(self._array(f"{VERTICES}.Z", first, last), axis=1)
        return np.asarray(ak.fill_none(first_z, 0.0), dtype=np.float64)


def constituents_of(references: Ragged, events: Array, candidates: Candidates) -> tuple[Ragged, dict[str, int]]:
    """Rows of the candidates that each jet keeps, by falling pT, and how many constituents fell to each of `RULES`.

    references: ROOT's unique identifiers of each jet's constituents; events: of each jet, (J,)
    """
    jet_of = np.repeat(np.arange(len(events)), references.counts)
    rows = _resolve(references.content, events[jet_of], candidates)
    pt, eta = (candidates.values[name][rows].astype(np.float64) for name in ("PT", "Eta"))
    with np.errstate(over="ignore", invalid="ignore"):  # sinh of the eta of a particle without pT
        broken_rules = (rows < 0, pt <= 0, np.abs(eta) > 5, np.abs(pt * np.sinh(eta)) > 10_000)
    kept = np.ones(len(rows), dtype=np.bool_)
    removed = {}
    for rule, broken_by in zip(RULES, broken_rules, strict=True):
        removed[rule] = int((kept & broken_by).sum())
        kept &= ~broken_by
    counts = np.bincount(jet_of[kept], minlength=len(events))
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])
    chosen = rows[kept]
    hardness: FloatArray = pt[kept].astype(np.float32)
    order = by_falling_pt(hardness, np.zeros_like(hardness), offsets) if len(chosen) else None
    return Ragged(offsets, chosen if order is None else chosen[order]), {r: n for r, n in removed.items() if n}


def constituent_columns(
    names: Sequence[str],
    candidates: Candidates,
    chosen: Ragged,
    jets: Mapping[str, Array],
    vertices: NDArray[np.float64],
    events: Array,
) -> dict[str, Array]:
    """The columns `names` of the chosen constituents, float32 (N,) each; energies in GeV, lengths in mm."""
    jet_of = np.repeat(np.arange(len(events)), chosen.counts)
    value = {name: values[chosen.content] for name, values in candidates.values.items()}
    pt, eta, phi, mass = (value[name].astype(np.float64) for name in _FOUR_VECTOR)
    jet_eta, jet_phi = (jets[name][jet_of].astype(np.float64) for name in ("jet_eta", "jet_phi"))
    columns: dict[str, Array] = {
        "part_px": pt * np.cos(phi),
        "part_py": pt * np.sin(phi),
        "part_pz": pt * np.sinh(eta),
        "part_energy": energy_of(pt, eta, mass),
        "part_deta": np.where(jet_eta > 0, 1, -1) * (eta - jet_eta),
        "part_dphi": np.mod(phi - jet_phi + np.pi, 2 * np.pi) - np.pi,
    }
    if "PID" in value:
        kind = np.abs(value["PID"])
        columns |= {"part_isPhoton": kind == 22, "part_isElectron": kind == 11, "part_isMuon": kind == 13}
    if "PID" in value and "Charge" in value:
        charged = value["Charge"] != 0
        columns["part_isChargedHadron"] = charged & ~np.isin(kind, (11, 13))
        columns["part_isNeutralHadron"] = ~charged & (kind != 22)
    if "DZ" in value:
        dz = value["DZ"].astype(np.float64)
        columns["part_dzval"] = np.where(dz != 0, dz - vertices[events][jet_of], dz)  # 0: a neutral one, without track
    for name, sources in _SOURCES.items():
        if name not in columns and name in names:
            columns[name] = value[sources[0]]
    return {name: np.asarray(columns[name], dtype=np.float32) for name in names if name in columns}


def energy_of(pt: Array, eta: Array, mass: Array) -> Array:
    """Energy in GeV; a negative mass, which rounding leaves, counts as a negative mass squared, as in ROOT."""
    pt, eta, mass = (each.astype(np.float64) for each in (pt, eta, mass))
    return np.sqrt(np.maximum((pt * np.cosh(eta)) ** 2 + mass * np.abs(mass), 0.0))


def _resolve(references: Array, events: Array, candidates: Candidates) -> NDArray[np.int64]:
    """The candidate that each reference means in its event; -1 where it is none."""
    known = (candidates.events.astype(np.int64) << 24) | (candidates.values["fUniqueID"].astype(np.int64) & _UID)
    wanted = (events.astype(np.int64) << 24) | (references.astype(np.int64) & _UID)
    if not len(known):
        return np.full(len(wanted), -1, dtype=np.int64)
    order = np.argsort(known, kind="stable")
    found = order[np.minimum(np.searchsorted(known[order], wanted), len(known) - 1)]
    return np.where(known[found] == wanted, found, -1)


def _flat(array: Any) -> Array:
    return np.asarray(ak.flatten(array, axis=1))


def _rows(lists: Any, rows: slice) -> Ragged:
    """The lists `rows` of lists within events."""
    chosen = ak.flatten(lists, axis=1)[rows]
    counts = np.asarray(ak.num(chosen, axis=1), dtype=np.int64)
    return Ragged(np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]), _flat(chosen))
