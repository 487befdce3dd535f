"""The label lists of the public datasets, in their published order, without the branch prefix `label_`."""

from collections.abc import Mapping
from types import MappingProxyType

from jetassay.jets.classes import CLASS_NAMES

_TAUS = "tauhtaue tauhtaum tauhtauh"
_PAIRS = f"gg ee mm {_TAUS}"
_FOUR = {"b": "bb cc ss qq", "c": "cc ss qq", "s": "ss qq", "q": "qq", "g": ""}
_SINGLES = "b c s q g e m"
_MIXED = "qqqb qqqc qqqs bbcq ccbs ccbq ccsq sscq qqbc qqbs qqcs bcsq bcs bcq bsq csq"
_LEPTONIC = "bc cs bq cq sq qq"


def _resonances() -> list[str]:
    """X to two prongs, then X to YY to four, of which some may be lost, then X to YY* like WW*."""
    two = f"bb cc ss qq bc cs bq cq sq {_PAIRS}".split()
    four: list[str] = []
    for flavour, partners in _FOUR.items():
        pairs = f"{partners} {_PAIRS} {_SINGLES}".split()
        four += [2 * flavour + rest for rest in pairs]
    lost = [quark + pair for pair in f"ee mm {_TAUS}".split() for quark in "bcsqg"]
    leptons = [pair + lepton + "v" for lepton in ("e", "m", "taue", "taum", "tauh") for pair in _LEPTONIC.split()]
    return [f"X_{each}" for each in two] + [f"X_YY_{each}" for each in four + lost + _MIXED.split() + leptons]


def _qcd() -> list[str]:
    """QCD by its heavy and strange quarks: two, one or none of each flavour, the richest first."""
    contents = [b + c + s for b in ("bb", "b", "") for c in ("cc", "c", "") for s in ("ss", "s", "")]
    return [f"QCD_{each or 'light'}" for each in contents]


LABEL_LISTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"jetclass": CLASS_NAMES, "jetclass2": (*_resonances(), *_qcd())}
)
"""`jetclass`: the ten of JetClass_full.yaml; `jetclass2`: the 188 of `jet_label` in JetClassII_full.yaml."""
