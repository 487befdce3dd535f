"""The ten JetClass classes: names, order, file prefixes, TeX, colours, markers and working points, once.

Order and names follow the ParT data configuration (JetClass_full.yaml); working points follow the ParT
paper (arXiv:2202.03772, table 1): a signal efficiency of 50 %, but 99 % for H to l nu qq' and 99.5 % for
t to b l nu.
Colours are the ten of Petroff's palette (arXiv:2107.02270), which stay apart for colour-blind readers.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class JetClass:
    """One jet class.

    name: the label's name, without the branch prefix `label_`
    file_stem: how published JetClass files of this class begin
    tex: for figures
    working_point: signal efficiency at which background rejection is quoted, in (0, 1)
    colour, marker: the same in every figure
    """

    name: str
    file_stem: str
    tex: str
    working_point: float
    colour: str
    marker: str


_CLASSES = (
    JetClass(name="QCD", file_stem="ZJetsToNuNu", tex=r"$q/g$", working_point=0.5, colour="#717581", marker="."),
    JetClass(name="Hbb", file_stem="HToBB", tex=r"$H\to b\bar{b}$", working_point=0.5, colour="#3f90da", marker="o"),
    JetClass(name="Hcc", file_stem="HToCC", tex=r"$H\to c\bar{c}$", working_point=0.5, colour="#ffa90e", marker="s"),
    JetClass(name="Hgg", file_stem="HToGG", tex=r"$H\to gg$", working_point=0.5, colour="#bd1f01", marker="^"),
    JetClass(name="H4q", file_stem="HToWW4Q", tex=r"$H\to 4q$", working_point=0.5, colour="#94a4a2", marker="v"),
    JetClass(
        name="Hqql",
        file_stem="HToWW2Q1L",
        tex=r"$H\to \ell\nu qq'$",
        working_point=0.99,
        colour="#832db6",
        marker="D",
    ),
    JetClass(name="Zqq", file_stem="ZToQQ", tex=r"$Z\to q\bar{q}$", working_point=0.5, colour="#a96b59", marker="P"),
    JetClass(name="Wqq", file_stem="WToQQ", tex=r"$W\to qq'$", working_point=0.5, colour="#e76300", marker="X"),
    JetClass(name="Tbqq", file_stem="TTBar", tex=r"$t\to bqq'$", working_point=0.5, colour="#b9ac70", marker="<"),
    JetClass(
        name="Tbl",
        file_stem="TTBarLep",
        tex=r"$t\to b\ell\nu$",
        working_point=0.995,
        colour="#92dadd",
        marker=">",
    ),
)

JET_CLASSES = MappingProxyType({each.name: each for each in _CLASSES})
CLASS_NAMES: tuple[str, ...] = tuple(JET_CLASSES)
BACKGROUND = "QCD"
SIGNAL_NAMES: tuple[str, ...] = tuple(name for name in CLASS_NAMES if name != BACKGROUND)


def jet_class(name: str) -> JetClass:
    """The class of this name; a label of another dataset is shown as it stands, at a working point of 50 %."""
    plain = JetClass(name=name, file_stem=name, tex=name, working_point=0.5, colour="#717581", marker="o")
    return JET_CLASSES.get(name, plain)


def in_order(names: Iterable[str]) -> list[str]:
    """Each name once: those of JetClass in their order, then others as they come."""
    found = list(dict.fromkeys(names))
    return [name for name in CLASS_NAMES if name in found] + [name for name in found if name not in CLASS_NAMES]
