"""Which resonance a jet holds: final copies, direct decay products, and whether all of them lie in the jet.

The codes are those of the column `aux_truth_match` in the published files (FatJetMatching.h of
jet-universe/jetclass_generation); a jet is matched when every visible decay product of a resonance lies within 0.8
of its axis. Leptons count as they are after final-state radiation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from jetassay.simulation.clustering import JET_RADIUS, JetCollection, wrap
from jetassay.simulation.generator import BoolArray, EventRecord, IntArray

CODE_CLASS = MappingProxyType(
    {
        11: "Tbqq", 12: "Tbqq", 15: "Tbl", 16: "Tbl",
        21: "Wqq", 22: "Wqq",
        31: "Zqq", 32: "Zqq", 33: "Zqq",
        41: "Hbb", 42: "Hcc", 44: "Hgg", 45: "H4q", 46: "Hqql",
        50: "QCD",
    }
)  # fmt: skip
"""Code to jet class: t to bcq, bqq, b e nu, b mu nu; W to cq, qq; Z to bb, cc, qq; H to bb, cc, gg, 4q, l nu qq."""
QCD_CODE = 50
NONE = -1
_TOP, _HIGGS, _W, _Z = 6, 25, 24, 23
_SEARCH_ORDER = (_TOP, _HIGGS, _W, _Z)
_ELECTRON, _MUON, _GLUON = 11, 13, 21
_CHARM, _BOTTOM = 4, 5
_MAX_PRONGS = 4


@dataclass(frozen=True, slots=True)
class Resonances:
    """R resonances of a batch whose decay has a class.

    event: (R,); row: (R,) of the final copy; code: (R,), as in `CODE_CLASS`; prongs: (R, 4) rows, `NONE` for none
    """

    event: IntArray
    row: IntArray
    code: IntArray
    prongs: IntArray


def find_resonances(record: EventRecord) -> Resonances:
    """Tops, then Higgs, W and Z bosons that do not come from those, by event."""
    kind = np.abs(record.pdg_id)
    candidates = np.nonzero(np.isin(kind, _SEARCH_ORDER) & (record.daughter_first > 0))[0]
    candidates = candidates[~_lives_on(record, candidates)]
    inside: set[int] = set()
    found: list[tuple[int, int, list[int]]] = []
    for wanted in _SEARCH_ORDER:
        for row in candidates[kind[candidates] == wanted].tolist():
            if row not in inside:
                code, prongs = _decay(record, row, inside)
                if code:
                    found.append((row, code, prongs))
    rows = np.array([row for row, _, _ in found], dtype=np.int64)
    prong_rows = np.full((len(found), _MAX_PRONGS), NONE, dtype=np.int64)
    for index, (_, _, prongs) in enumerate(found):
        prong_rows[index, : len(prongs)] = prongs
    codes = np.array([code for _, code, _ in found], dtype=np.int64)
    return Resonances(event=record.event[rows], row=rows, code=codes, prongs=prong_rows)


def match(record: EventRecord, jets: JetCollection) -> tuple[IntArray, IntArray]:
    """Code (J,) and row (J,) of the resonance in each jet.

    A jet of an event without such a resonance is `QCD_CODE` with row `NONE`; an unmatched jet of an event with one
    has code 0.
    """
    resonances = find_resonances(record)
    has_resonance = np.isin(jets.event, resonances.event)
    code = np.where(has_resonance, 0, QCD_CODE)
    row = np.full(len(code), NONE, dtype=np.int64)
    eta, phi = record.eta_phi(np.where(resonances.prongs == NONE, 0, resonances.prongs))
    for index in np.nonzero(has_resonance)[0]:
        for candidate in np.nonzero(resonances.event == jets.event[index])[0]:
            present = resonances.prongs[candidate] != NONE
            distance = np.hypot(eta[candidate] - jets.eta[index], wrap(phi[candidate] - jets.phi[index]))
            if np.all(~present | (distance < JET_RADIUS)):
                code[index], row[index] = resonances.code[candidate], resonances.row[candidate]
                break
    return code, row


def daughters(record: EventRecord, row: int) -> range:
    """Rows of the direct daughters."""
    first, last = int(record.daughter_first[row]), int(record.daughter_last[row])
    if first <= 0:
        return range(0)
    start = int(record.offsets[record.event[row]])
    return range(start + first, start + max(first, last) + 1)


def final_copy(record: EventRecord, row: int) -> int:
    """The last entry of the same particle: after recoil and radiation."""
    while True:
        same = [daughter for daughter in daughters(record, row) if record.pdg_id[daughter] == record.pdg_id[row]]
        if not same:
            return row
        row = same[0]


def _lives_on(record: EventRecord, rows: IntArray) -> BoolArray:
    """Whether one of the daughters is the same particle once more; `rows` have daughters."""
    first, last = record.daughter_first[rows], record.daughter_last[rows]
    sizes = np.maximum(last - first, 0) + 1
    mother = np.repeat(np.arange(len(rows)), sizes)
    rank = np.arange(len(mother)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    daughter = (record.offsets[record.event[rows]] + first)[mother] + rank
    lives_on = np.zeros(len(rows), dtype=bool)
    lives_on[mother[record.pdg_id[daughter] == record.pdg_id[rows][mother]]] = True
    return lives_on


def _decay(record: EventRecord, row: int, inside: set[int]) -> tuple[int, list[int]]:
    """Code (0 for a decay without a class) and prongs; bosons met on the way are added to `inside`."""
    kind = abs(int(record.pdg_id[row]))
    code, prongs = {_TOP: _top_decay, _HIGGS: _higgs_decay}.get(kind, _boson_decay)(record, row, inside)
    return (code, prongs) if len(prongs) <= _MAX_PRONGS else (0, [])


def _top_decay(record: EventRecord, row: int, inside: set[int]) -> tuple[int, list[int]]:
    products = daughters(record, row)
    bosons = [each for each in products if abs(record.pdg_id[each]) == _W]
    quarks = [each for each in products if abs(record.pdg_id[each]) <= _BOTTOM]
    if not bosons or not quarks:
        return 0, []
    boson = final_copy(record, bosons[-1])
    inside.add(boson)
    quark_prongs, leptons, _ = _fermions(record, boson)
    prongs = [quarks[-1], *quark_prongs, *leptons]
    if len(quark_prongs) == 2:
        return (11 if _heaviest(record, quark_prongs) >= _CHARM else 12), prongs
    if len(leptons) == 1 and not quark_prongs:
        return (15 if abs(record.pdg_id[leptons[0]]) == _ELECTRON else 16), prongs
    return 0, []


def _higgs_decay(record: EventRecord, row: int, inside: set[int]) -> tuple[int, list[int]]:
    products = list(daughters(record, row))
    kinds = [abs(int(record.pdg_id[each])) for each in products]
    if kinds[0] not in (_W, _Z):
        return {_BOTTOM: 41, _CHARM: 42, _GLUON: 44}.get(kinds[0], 43 if kinds[0] < _CHARM else 0), products
    quarks: list[int] = []
    leptons: list[int] = []
    neutrinos = 0
    for boson in (final_copy(record, each) for each in products):
        inside.add(boson)
        more_quarks, more_leptons, more_neutrinos = _fermions(record, boson)
        quarks += more_quarks
        leptons += more_leptons
        neutrinos += more_neutrinos
    if len(quarks) == 4:
        return 45, quarks
    if len(quarks) == 2 and len(leptons) == 1 and neutrinos == 1:
        return 46, [*quarks, *leptons]
    return 0, []


def _boson_decay(record: EventRecord, row: int, inside: set[int]) -> tuple[int, list[int]]:
    del inside
    quarks, _, _ = _fermions(record, row)
    if len(quarks) != 2:
        return 0, []
    heaviest = _heaviest(record, quarks)
    if abs(record.pdg_id[row]) == _W:
        return (21 if heaviest >= _CHARM else 22), quarks
    return {_BOTTOM: 31, _CHARM: 32}.get(heaviest, 33), quarks


def _fermions(record: EventRecord, boson: int) -> tuple[list[int], list[int], int]:
    """Quarks, electrons and muons (after radiation), and the number of neutrinos that a W or Z decays to."""
    products = list(daughters(record, boson))
    kinds = [abs(int(record.pdg_id[each])) for each in products]
    quarks = [row for row, kind in zip(products, kinds, strict=True) if 1 <= kind <= _BOTTOM]
    leptons = [final_copy(record, row) for row, kind in zip(products, kinds, strict=True) if kind in (_ELECTRON, _MUON)]
    return quarks, leptons, sum(kind in (12, 14, 16) for kind in kinds)


def _heaviest(record: EventRecord, quarks: Sequence[int]) -> int:
    return int(np.abs(record.pdg_id[list(quarks)]).max())


def of_class(code: IntArray, name: str) -> BoolArray:
    """Which codes belong to a jet class."""
    return np.isin(code, [each for each, owner in CODE_CLASS.items() if owner == name])
