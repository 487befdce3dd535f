"""A figure as a small PNG, drawn once, and where its points stand."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from jetassay.report.pointing import has_points, points

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox
    from PIL.Image import Image as Palette

DPI = 150
_COLOURS = 256
_COMPRESSION = 6  # 9 takes seven times as long for a tenth less
_PADDING = 15  # pixels around what is drawn
_MARGIN = 2  # inches around the figure that are drawn too: legends and labels may stand there
_WIDEST = 8
_GUARD = 75  # pixels at the ends of the margin: with something there, more may stand beyond
_WHITE = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawn figure.

    png:    the file
    points: `x y jet` of its points that stand for jets, as `pointing.points` gives them
    scale:  whether colours stand for numbers, so that a page may not turn their lightness round
    """

    png: bytes
    points: str = ""
    scale: bool = False


@contextmanager
def own_style() -> Iterator[None]:
    """Within, figures look as they do everywhere, whatever this machine's matplotlibrc says."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        yield


def picture(figure: "Figure", *, dpi: int = DPI) -> Picture:
    """The figure as PNG of at most 256 colours, cut to what is drawn, and forget it.

    A palette takes less than a third of the space: a page holds some 40 figures. With half as many colours, the edges
    of text would take so many that the cells of a heat map are left with a dozen.
    """
    import matplotlib.pyplot as plt

    pixels, box = _drawn(figure, dpi=dpi)
    found = points(figure, box) if has_points(figure) else ""
    scale, small = _has_scale(figure), BytesIO()
    plt.close(figure)
    _quantized(pixels).save(small, format="png", compress_level=_COMPRESSION, dpi=(dpi, dpi))
    return Picture(small.getvalue(), found, scale)


def _quantized(pixels: NDArray[np.uint8]) -> "Palette":
    """RGBA pixels as an image with a palette; white, most of a figure, is its last colour and costs nothing."""
    from PIL import Image

    inked = _inked(pixels)
    ink = np.ascontiguousarray(pixels[inked][None, :, :3])
    places = np.full(inked.shape, _COLOURS - 1, np.uint8)
    palette = [255] * 3 * _COLOURS
    if ink.size:
        quantized = Image.fromarray(ink).quantize(_COLOURS - 1, dither=Image.Dither.NONE)
        places[inked] = np.asarray(quantized)[0]
        colours = (quantized.getpalette() or [])[: 3 * (_COLOURS - 1)]
        palette[: len(colours)] = colours
    image = Image.fromarray(places)
    image.putpalette(palette)
    return image


def _inked(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which pixels (rows, columns, RGBA) are not white."""
    return np.asarray(np.ascontiguousarray(pixels).view(np.uint32)[..., 0] != _WHITE)


def _drawn(figure: "Figure", *, dpi: int, margin: int = _MARGIN) -> "tuple[NDArray[np.uint8], Bbox]":
    """Pixels (rows, columns, RGBA) of all that is not white, and where they are in the figure, in inches.

    matplotlib's own tight box lays everything out twice more; here the figure is drawn with a margin, once, and cut.
    Where something reaches the end of the margin, it is drawn again with a wider one.
    """
    from matplotlib.transforms import Bbox

    for axes in figure.axes:
        axes.apply_aspect()
    width, height = (math.ceil(each) + 2 * margin for each in figure.get_size_inches())
    raw, area = BytesIO(), Bbox.from_bounds(-margin, -margin, width, height)
    figure.savefig(raw, format="raw", dpi=dpi, bbox_inches=area)
    pixels = np.frombuffer(raw.getbuffer(), np.uint8).reshape(height * dpi, width * dpi, 4)
    inked = _inked(pixels)
    (top, bottom), (left, right) = (_ends(np.atleast_1d(inked.any(axis=axis))) for axis in (1, 0))
    free = min(top, left, len(pixels) - bottom, pixels.shape[1] - right)
    if free < _GUARD and margin < _WIDEST:
        return _drawn(figure, dpi=dpi, margin=4 * margin)
    top, left = max(top - _PADDING, 0), max(left - _PADDING, 0)
    kept = pixels[top : bottom + _PADDING, left : right + _PADDING]
    x, y = area.x0 + left / dpi, area.y1 - top / dpi
    return kept, Bbox.from_extents(x, y - len(kept) / dpi, x + kept.shape[1] / dpi, y)


def _ends(inked: NDArray[np.bool_]) -> tuple[int, int]:
    """Where the first begins and the last ends; the whole figure without its margin where there is none."""
    there = np.flatnonzero(inked)
    return (int(there[0]), int(there[-1]) + 1) if len(there) else (_MARGIN * DPI, len(inked) - _MARGIN * DPI)


def _has_scale(figure: "Figure") -> bool:
    return any(part.get_array() is not None for axes in figure.axes for part in (*axes.images, *axes.collections))
