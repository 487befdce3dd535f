"""The colour and marker of each backbone: the same on every page, of whichever suite.

Petroff's ten colours (arXiv:2107.02270), which colour-blind readers can tell apart, and ten markers, so that backbones
stay apart in black and white too.
"""

from collections.abc import Iterable, Iterator
from hashlib import sha256

Style = tuple[str, str]
"""Colour, as hexadecimal RGB, and marker, as matplotlib calls it."""

BLUE, RED, ORANGE, GREY, PURPLE = "#3f90da", "#bd1f01", "#ffa90e", "#717581", "#832db6"
BROWN, SAGE, RUST, SAND, SKY = "#a96b59", "#94a4a2", "#e76300", "#b9ac70", "#92dadd"
COLOURS = (BLUE, RED, ORANGE, GREY, PURPLE, BROWN, SAGE, RUST, SAND, SKY)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")

SHIPPED: dict[str, Style] = {
    "sophon-mini": (BLUE, "o"),
    "part-mini": (RED, "s"),
    "mlp": (ORANGE, "^"),
    "jet-observables": (GREY, "D"),
    "sophon-mini-untrained": (PURPLE, "v"),
    "part-mini-untrained": (BROWN, "P"),
    "part-mini-untrained-2": (SAGE, "X"),
    "mlp-untrained": (RUST, "<"),
    "sophon": (PURPLE, "*"),
    "sophon-onnx": (SKY, "*"),
    "part-full": (BROWN, ">"),
    "part-kin": (RUST, "X"),
    "part-kinpid": (SAGE, "v"),
    "particlenet-full": (SAND, "P"),
    "particlenet-kin": (SKY, "<"),
    "particlenet-kinpid": (SKY, ">"),
}
"""Cards that ship. In every suite that ships no two of them share a colour or a marker."""


def backbone_styles(names: Iterable[str]) -> dict[str, Style]:
    """The style of each backbone of one page, whatever the order of `names`; the keys are in that order.

    A card that ships has its own. Any other has a list of preferences that follows from its name alone (sha256), and
    takes the first that nobody on the page has: in colour and marker, where there are none of these in colour, else as
    a pair; of several that want the same, the first by name. A remark in brackets behind a name, such as that it has
    seen the jets in training, changes nothing, but where a page holds a card twice. After 100 backbones styles repeat.
    """
    shown = list(dict.fromkeys(names))
    taken: dict[str, Style] = {}
    for name in sorted(shown, key=lambda name: (_card(name) not in SHIPPED, name)):
        own = SHIPPED.get(_card(name))
        taken[name] = own if own is not None and own not in taken.values() else _free(name, taken.values())
    return {name: taken[name] for name in shown}


def _card(name: str) -> str:
    return name.partition(" (")[0]


def _free(name: str, taken: Iterable[Style]) -> Style:
    used = set(taken)
    colours, markers = ({each[part] for each in used} for part in (0, 1))
    wanted = list(_preferences(_card(name)))
    for choice in (
        [each for each in wanted if each[0] not in colours and each[1] not in markers],
        [each for each in wanted if each[0] not in colours],
        [each for each in wanted if each not in used],
    ):
        if choice:
            return choice[0]
    return wanted[0]


def _preferences(card: str) -> Iterator[Style]:
    """All pairs, in an order that the name alone decides."""
    pairs = [(colour, marker) for colour in COLOURS for marker in MARKERS]
    yield from sorted(pairs, key=lambda pair: sha256("\0".join((card, *pair)).encode()).digest())
