"""The styles of figures for a paper: our own, and those of the experiments as mplhep keeps them, scaled to ours."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from jetassay.errors import ConfigError, UnknownNameError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

PLAIN = "plain"
STYLES = (PLAIN, "CMS", "ATLAS", "LHCb", "ALICE")
EXTRA = "is a style of mplhep, which is not installed: pip install 'jetassay[paper]'"

_NUMBERS = 9.0
"""Points: the size of the numbers at our axes, between the 8 of small panels and the 10 of large ones."""

_TAKEN = ("mathtext.", "xtick.", "ytick.", "legend.", "axes.linewidth", "axes.unicode_minus")
_PLACED = ("xaxis.labellocation", "yaxis.labellocation")
_OURS = ("xtick.labelsize", "ytick.labelsize", "legend.fontsize", "legend.title_fontsize", "legend.loc")
_LENGTHS = ("tick.major.size", "tick.minor.size", "tick.major.width", "tick.minor.width", "tick.major.pad",
            "tick.minor.pad", "axes.linewidth")  # fmt: skip
_LAST = {"sans-serif": "DejaVu Sans", "serif": "DejaVu Serif"}  # matplotlib brings both: signs that others have not


def paper_style(name: str) -> dict[str, Any]:
    """What a style sets of matplotlib's parameters: fonts, ticks, frame and legend; no colours, sizes or labels.

    name: one of `STYLES`; of our own, nothing

    Lengths of mplhep are for figures of 10 inches with one panel; here they keep their proportion to the numbers at the
    axes. Raises `UnknownNameError` with the nearest style, and `ConfigError` where mplhep is not installed.
    """
    if name not in STYLES:
        folded = {each.casefold(): each for each in STYLES}
        near = get_close_matches(name.casefold(), folded, n=1)
        hint = f" Did you mean '{folded[near[0]]}'?" if near else ""
        raise UnknownNameError(f"There is no style '{name}'.{hint} Known: {', '.join(STYLES)}.")
    if name == PLAIN:
        return {}
    try:
        import mplhep.styles
    except ImportError as error:
        raise ConfigError(f"--style {name}: {EXTRA}") from error
    return in_proportion(getattr(mplhep.styles, name))


def in_proportion(style: Mapping[str, Any]) -> dict[str, Any]:
    """What is taken of one of mplhep's dictionaries, lengths scaled to our figures, fonts as far as they are here."""
    from matplotlib.font_manager import font_scalings

    size = style.get("xtick.labelsize", "medium")
    scale = _NUMBERS / (font_scalings[size] * style["font.size"] if isinstance(size, str) else size)
    taken = {key: value for key, value in style.items() if key.startswith((*_TAKEN, *_PLACED)) and key not in _OURS}
    taken |= {key: value * scale for key, value in taken.items() if key.endswith(_LENGTHS)}
    kind = str(style.get("font.family", "sans-serif"))
    taken["font.family"] = [*_there(style.get(f"font.{kind}", ())), _LAST.get(kind, "DejaVu Sans")]
    if not _there([style.get("mathtext.rm", "DejaVu Sans").partition(":")[0]]):
        taken = {key: value for key, value in taken.items() if not key.startswith("mathtext.")}
    # Fonts of mplhep are OpenType with PostScript outlines, which matplotlib writes wrongly as TrueType.
    return {**taken, "pdf.fonttype": 3}


def finish(figure: "Figure") -> None:
    """Take away the ticks of a style that mean nothing: between ticks that a figure has set, and on coloured cells."""
    from matplotlib.category import StrCategoryLocator
    from matplotlib.collections import QuadMesh
    from matplotlib.ticker import AutoMinorLocator, FixedLocator, NullLocator

    for axes in figure.axes:
        chosen = [isinstance(axis.get_major_locator(), FixedLocator | StrCategoryLocator) for axis in _both(axes)]
        for axis, is_chosen in zip(_both(axes), chosen, strict=True):
            if is_chosen and isinstance(axis.get_minor_locator(), AutoMinorLocator):
                axis.set_minor_locator(NullLocator())
        if all(chosen) and (axes.images or any(isinstance(each, QuadMesh) for each in axes.collections)):
            axes.tick_params(which="both", length=0)


def _both(axes: "Axes") -> "tuple[Axis, Axis]":
    return axes.xaxis, axes.yaxis


def _there(families: Iterable[str]) -> list[str]:
    """Those whose fonts this process knows, whatever the capitals; matplotlib complains of each of the others."""
    from matplotlib.font_manager import fontManager

    known = {font.name.casefold() for font in fontManager.ttflist}
    return [each for each in families if each.casefold() in known]
