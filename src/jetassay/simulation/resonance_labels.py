"""The 188 labels of JetClass-II: which decay, or which quark flavours, a jet holds.

The rules follow FatJetMatching.h of jet-universe/jetclass2_generation: products of a decay count as matched within
0.8 of the jet axis; X to Y Y needs three or four matched; of a pair of taus the first must decay to hadrons; jets
of QCD are sorted by the numbers of b, c and s quarks with pT > 10 GeV in the jet just before hadronisation. Three
choices are ours. A tau that decays to a lepton is matched by that lepton (there by the first entry of its decay,
often the neutrino). Jets of resonance samples without a resonance label are dropped (there they fall back to QCD
labels). Of several matched resonances the first is taken.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jetassay.simulation.clustering import JET_RADIUS, JetCollection, wrap
from jetassay.simulation.generator import EventRecord, IntArray
from jetassay.simulation.truth import daughters, final_copy

NO_LABEL = -1
_NAMES = """
X: bb cc ss qq bc cs bq cq sq gg ee mm TE TM TH
X_YY: bbbb bbcc bbss bbqq bbgg bbee bbmm bbTE bbTM bbTH bbb bbc bbs bbq bbg bbe bbm
X_YY: cccc ccss ccqq ccgg ccee ccmm ccTE ccTM ccTH ccb ccc ccs ccq ccg cce ccm
X_YY: ssss ssqq ssgg ssee ssmm ssTE ssTM ssTH ssb ssc sss ssq ssg sse ssm
X_YY: qqqq qqgg qqee qqmm qqTE qqTM qqTH qqb qqc qqs qqq qqg qqe qqm
X_YY: gggg ggee ggmm ggTE ggTM ggTH ggb ggc ggs ggq ggg gge ggm
X_YY: bee cee see qee gee bmm cmm smm qmm gmm bTE cTE sTE qTE gTE bTM cTM sTM qTM gTM bTH cTH sTH qTH gTH
X_YY: qqqb qqqc qqqs bbcq ccbs ccbq ccsq sscq qqbc qqbs qqcs bcsq bcs bcq bsq csq
X_YY: bcev csev bqev cqev sqev qqev bcmv csmv bqmv cqmv sqmv qqmv
X_YY: bctauev cstauev bqtauev cqtauev sqtauev qqtauev bctaumv cstaumv bqtaumv cqtaumv sqtaumv qqtaumv
X_YY: bctauhv cstauhv bqtauhv cqtauhv sqtauhv qqtauhv
QCD: bbccss bbccs bbcc bbcss bbcs bbc bbss bbs bb bccss bccs bcc bcss bcs bc bss bs b ccss ccs cc css cs c ss s light
"""
_PAIR_OF_TAUS = {"TE": "tauhtaue", "TM": "tauhtaum", "TH": "tauhtauh"}


def _expand() -> tuple[str, ...]:
    names = []
    for line in _NAMES.strip().splitlines():
        family, _, members = line.partition(": ")
        for member in members.split():
            short = member[-2:]
            names.append(f"{family}_{member.removesuffix(short) + _PAIR_OF_TAUS.get(short, short)}")
    return tuple(names)


LABEL_NAMES: tuple[str, ...] = _expand()
"""In the order of `jet_label`, without the prefix `label_`."""

_TOKENS = re.compile(r"tauhtau[emh]|tau[emh]v|[bcsqgemv]")


def _key(family: str, tokens: Sequence[str]) -> tuple[str, ...]:
    return (family, *sorted(tokens))


_RESONANCE_INDEX = {
    _key(family, _TOKENS.findall(tokens)): index
    for index, (family, tokens) in enumerate(name.rsplit("_", 1) for name in LABEL_NAMES)
    if family != "QCD"
}
_QCD_INDEX = {name.removeprefix("QCD_"): LABEL_NAMES.index(name) for name in LABEL_NAMES if name.startswith("QCD")}

_LETTERS = {1: "q", 2: "q", 3: "s", 4: "c", 5: "b", 21: "g", 11: "e", 13: "m", 12: "v", 14: "v"}
_QUARK_IDS = (1, 2, 3, 4, 5)
_RESONANCES = (25, 35, 37)
_INTERMEDIATE = (35, 37)
_ELECTRON, _MUON, _TAU, _TAU_NEUTRINO = 11, 13, 15, 16
_BEFORE_HADRONISATION = -71
_QUARK_PT_MIN = 10.0
_MATCHES_NEEDED = 3
_ROLES = ("isResX", "isResY", "isResDecayProd", "isTauDecayProd", "isQcdParton")


@dataclass(frozen=True, slots=True)
class Label:
    """index: 0 to 187, or `NO_LABEL`; rows of the event record that explain it, by role."""

    index: int = NO_LABEL
    resonances: list[int] = field(default_factory=list)
    products: list[int] = field(default_factory=list)
    tau_products: list[int] = field(default_factory=list)
    partons: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Pair:
    """The two products of one decay: their tokens if matched, and how many matched products those are."""

    tokens: list[str]
    matched: int
    products: list[int]
    tau_products: list[int]


def label_resonances(record: EventRecord, jets: JetCollection) -> list[Label]:
    """The label of every jet of a resonance sample."""
    candidates = np.nonzero(np.isin(np.abs(record.pdg_id), _RESONANCES))[0]
    by_event: dict[int, list[int]] = {}
    for row in _outermost(record, candidates.tolist()):
        by_event.setdefault(int(record.event[row]), []).append(row)
    labels = []
    for jet in range(len(jets.pt)):
        found = (_resonance_label(record, jets, jet, row) for row in by_event.get(int(jets.event[jet]), []))
        labels.append(next((label for label in found if label.index != NO_LABEL), Label()))
    return labels


def label_quarks(record: EventRecord, jets: JetCollection) -> list[Label]:
    """The label of every jet of a QCD sample."""
    quark = (record.status == _BEFORE_HADRONISATION) & np.isin(np.abs(record.pdg_id), _QUARK_IDS)
    rows = np.nonzero(quark & (np.hypot(record.px, record.py) > _QUARK_PT_MIN))[0]
    eta, phi = record.eta_phi(rows)
    labels = []
    for jet in range(len(jets.pt)):
        distance = np.hypot(eta - jets.eta[jet], wrap(phi - jets.phi[jet]))
        inside = rows[(record.event[rows] == jets.event[jet]) & (distance < JET_RADIUS)]
        kinds = np.abs(record.pdg_id[inside])
        content = "".join(
            letter * min(int((kinds == kind).sum()), 2) for letter, kind in (("b", 5), ("c", 4), ("s", 3))
        )
        labels.append(Label(index=_QCD_INDEX[content or "light"], partons=inside.tolist()))
    return labels


def _outermost(record: EventRecord, candidates: Sequence[int]) -> list[int]:
    """Final copies of resonances that do not come from another one."""
    inner: set[int] = set()
    for row in candidates:
        inner.update(daughters(record, row))
    first_copies = [row for row in candidates if row not in inner]
    return list(dict.fromkeys(final_copy(record, row) for row in first_copies))


def _resonance_label(record: EventRecord, jets: JetCollection, jet: int, row: int) -> Label:
    near = _Nearness(record, jets, jet)
    products = list(daughters(record, row))
    if len(products) != 2:
        return Label()
    if abs(int(record.pdg_id[products[0]])) not in _INTERMEDIATE:
        pair = _match_pair(near, products)
        if pair is None or pair.matched < len(products):
            return Label()
        index = _RESONANCE_INDEX.get(_key("X", pair.tokens), NO_LABEL)
        return Label(index, [row], pair.products, pair.tau_products)
    intermediate = [final_copy(record, each) for each in products]
    pairs = [_match_pair(near, list(daughters(record, each))) for each in intermediate]
    found = [pair for pair in pairs if pair is not None]
    if len(found) < 2 or sum(pair.matched for pair in found) < _MATCHES_NEEDED:
        return Label()
    index = _RESONANCE_INDEX.get(_key("X_YY", [token for pair in found for token in pair.tokens]), NO_LABEL)
    return Label(
        index,
        [row, *intermediate],
        [each for pair in found for each in pair.products],
        [each for pair in found for each in pair.tau_products],
    )


class _Nearness:
    """Whether rows of the event record lie within a jet."""

    def __init__(self, record: EventRecord, jets: JetCollection, jet: int) -> None:
        self.record = record
        self._eta, self._phi = float(jets.eta[jet]), jets.phi[jet]

    def __call__(self, row: int) -> bool:
        eta, phi = self.record.eta_phi(np.array([row]))
        return bool(np.hypot(eta - self._eta, wrap(phi - self._phi))[0] < JET_RADIUS)


def _match_pair(near: _Nearness, products: list[int]) -> _Pair | None:
    """None where the decay is one that no label knows."""
    record = near.record
    kinds = [abs(int(record.pdg_id[row])) for row in products]
    if kinds == [_TAU, _TAU]:
        return _match_taus(near, products)
    if _TAU in kinds and _TAU_NEUTRINO in kinds:
        tau = products[kinds.index(_TAU)]
        mode, place, decay = _tau_decay(record, tau)
        matched = near(place)
        return _Pair([f"tau{mode}v"] if matched else [], int(matched), products, decay)
    if any(kind not in _LETTERS for kind in kinds):
        return None
    inside = [near(row) for row in products]
    neutrinos = [_LETTERS[kind] == "v" for kind in kinds]
    tokens = [_LETTERS[kind] for kind, hit, gone in zip(kinds, inside, neutrinos, strict=True) if hit or gone]
    return _Pair(tokens, sum(hit for hit, gone in zip(inside, neutrinos, strict=True) if not gone), products, [])


def _match_taus(near: _Nearness, products: list[int]) -> _Pair | None:
    """Two taus of which one at least decays to hadrons, both matched."""
    decays = [_tau_decay(near.record, row) for row in products]
    modes = sorted((mode for mode, _, _ in decays), key="hem".index)
    if modes[0] != "h" or not all(near(place) for _, place, _ in decays):
        return None
    token = f"tauhtau{modes[1]}"
    return _Pair([token], 2, products, [row for _, _, decay in decays for row in decay])


def _tau_decay(record: EventRecord, tau: int) -> tuple[str, int, list[int]]:
    """Mode (h, e or m), the row whose direction stands for the tau, and its decay products."""
    products = list(daughters(record, final_copy(record, tau)))
    for row in products:
        kind = abs(int(record.pdg_id[row]))
        if kind in (_ELECTRON, _MUON):
            return ("e" if kind == _ELECTRON else "m"), row, products
    return "h", tau, products


def explanation(record: EventRecord, labels: Sequence[Label]) -> tuple[IntArray, dict[str, np.ndarray[Any, Any]]]:
    """How many particles explain each label (J,), and the columns `aux_genpart_*` without their prefix."""
    roles = [
        [
            *((row, "isResX" if order == 0 else "isResY") for order, row in enumerate(label.resonances)),
            *((row, "isResDecayProd") for row in label.products),
            *((row, "isTauDecayProd") for row in label.tau_products),
            *((row, "isQcdParton") for row in label.partons),
        ]
        for label in labels
    ]
    rows = np.array([row for each in roles for row, _ in each], dtype=np.int64)
    names = np.array([role for each in roles for _, role in each], dtype=object)
    eta, phi = record.eta_phi(rows)
    columns = {
        "pt": np.hypot(record.px[rows], record.py[rows]).astype(np.float32),
        "eta": eta.astype(np.float32),
        "phi": phi.astype(np.float32),
        "mass": record.mass[rows].astype(np.float32),
        "pid": record.pdg_id[rows].astype(np.int32),
        **{role: np.asarray(names == role, dtype=np.bool_) for role in _ROLES},
    }
    return np.array([len(each) for each in roles], dtype=np.int64), columns
