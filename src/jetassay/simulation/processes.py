"""What is generated for each jet class: the settings of Pythia, and what the veto before the showers looks for.

The processes are those of JetClass (arXiv:2202.03772, section 3): boosted Higgs, Z and W bosons recoil against a
Z that decays to neutrinos, tops come in pairs, and quark and gluon jets recoil against an invisible Z. JetClass
took hard processes from MadGraph; here Pythia's own leading-order matrix elements stand for them.
"""

from dataclasses import dataclass, field
from types import MappingProxyType

BEAM_SETTINGS: tuple[str, ...] = ("Print:quiet = on", "Beams:eCM = 13000")
"""Proton-proton collisions at 13 TeV; Monash tune and multi-parton interactions are Pythia's defaults."""

_HARD_SCALE = ("PhaseSpace:pTHatMin = 460", "PhaseSpace:pTHatMax = 1150")
"""GeV. Wide enough that jets of 500 to 1000 GeV are not shaped by its edges."""

_QUARKS, _LEPTONS, _NEUTRINOS = "1 2 3 4 5", "11 13", "12 14 16"
_INVISIBLE_Z = ("WeakZ0:gmZmode = 2", "23:onMode = off", f"23:onIfAny = {_NEUTRINOS}")
_HIGGS = ("HiggsSM:ffbar2HZ = on", "25:onMode = off", "23:onMode = off", f"23:onIfAny = {_NEUTRINOS}")
_HIGGS_TO_WW = (*_HIGGS, "25:onIfMatch = 24 -24", "24:onMode = off")
_HADRONIC_W = ("24:onMode = off", f"24:onIfAny = {_QUARKS}")
_TOPS = ("Top:gg2ttbar = on", "Top:qqbar2ttbar = on", "24:onMode = off")


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """How one class is generated.

    settings: lines for `Pythia.readString`
    alternating: further lines that take turns from batch to batch, so that a decay is had in both charges
    veto_ids: |PDG ids| of which at least one must be hard, central and collimated for an event to be showered
    veto_needs_decays: whether the decay products must lie close to the particle too
    """

    settings: tuple[str, ...]
    alternating: tuple[tuple[str, ...], ...] = field(default=((),))
    veto_ids: frozenset[int] = frozenset()
    veto_needs_decays: bool = True


def _process(*settings: str, veto_id: int, alternating: tuple[tuple[str, ...], ...] = ((),)) -> Process:
    return Process(settings=(*_HARD_SCALE, *settings), veto_ids=frozenset({veto_id}), alternating=alternating)


PROCESSES = MappingProxyType(
    {
        "QCD": Process(
            settings=(
                *_HARD_SCALE,
                "WeakBosonAndParton:qqbar2gmZg = on",
                "WeakBosonAndParton:qg2gmZq = on",
                *_INVISIBLE_Z,
            ),
            veto_ids=frozenset({1, 2, 3, 4, 5, 21}),
            veto_needs_decays=False,
        ),
        "Hbb": _process(*_HIGGS, "25:onIfMatch = 5 -5", veto_id=25),
        "Hcc": _process(*_HIGGS, "25:onIfMatch = 4 -4", veto_id=25),
        "Hgg": _process(*_HIGGS, "25:onIfMatch = 21 21", veto_id=25),
        "H4q": _process(*_HIGGS_TO_WW, f"24:onIfAny = {_QUARKS}", veto_id=25),
        "Hqql": _process(
            *_HIGGS_TO_WW,
            veto_id=25,
            alternating=(
                ("24:onMode = off", f"24:onPosIfAny = {_LEPTONS}", f"24:onNegIfAny = {_QUARKS}"),
                ("24:onMode = off", f"24:onNegIfAny = {_LEPTONS}", f"24:onPosIfAny = {_QUARKS}"),
            ),
        ),
        "Zqq": _process(
            "WeakDoubleBoson:ffbar2gmZgmZ = on",
            "WeakZ0:gmZmode = 2",
            "23:onMode = off",
            f"23:onIfAny = {_QUARKS}",
            veto_id=23,
        ),
        "Wqq": _process("WeakDoubleBoson:ffbar2ZW = on", *_INVISIBLE_Z, *_HADRONIC_W, veto_id=24),
        "Tbqq": _process(*_TOPS, f"24:onIfAny = {_QUARKS}", veto_id=6),
        "Tbl": _process(*_TOPS, f"24:onIfAny = {_LEPTONS}", veto_id=6),
    }
)
"""Jet class to process, in no order of its own: `jets.classes` holds the order."""

RESONANCE_PROCESS = Process(settings=("Beams:frameType = 5",))
"""Hard processes come from outside (`resonances.py`); Pythia adds showers, tau decays and hadrons."""

MULTIJET_PROCESS = Process(
    settings=(
        "HardQCD:all = on",
        "PhaseSpace:pTHatMin = 160",
        "PhaseSpace:pTHatMax = 3000",
        # The pT spectrum is drawn out so that each factor of pT is about as frequent, as the slices of pT in the
        # published sample do; its events carry no weights either.
        "PhaseSpace:bias2Selection = on",
        "PhaseSpace:bias2SelectionPow = 5.5",
        "PhaseSpace:bias2SelectionRef = 100",
    )
)
"""The background of JetClass-II."""
