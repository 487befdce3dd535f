"""Sections made and figures drawn one by one: what fails is named, and costs nothing else."""

import gc
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from jetassay.embeddings.heap import quick_collections
from jetassay.errors import JetAssayError
from jetassay.progress import Reporter
from jetassay.report.content import Figure
from jetassay.report.kept_figures import drawing_digest, keep_record, kept_pictures
from jetassay.report.pictures import Picture, own_style, picture
from jetassay.whole_files import whole_file

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Gap:
    """What a page has not: a section or a figure, and the error that it ended with."""

    what: str
    why: str

    def __str__(self) -> str:
        """One sentence for a page or a terminal."""
        return f"{self.what} could not be drawn: {self.why}"


@dataclass(frozen=True, slots=True)
class Page:
    """A page that was written, and what it should hold and does not, one sentence each."""

    path: Path
    gaps: tuple[str, ...] = ()

    def whole(self) -> Path:
        """The path. Raises `JetAssayError` naming the gaps where there are any."""
        if self.gaps:
            raise JetAssayError("\n".join([f"{self.path} is written, but not whole:", *self.gaps]))
        return self.path


def attempted(make: Callable[[], T], what: str) -> T | Gap:
    """What `make` gives, or the gap that its error leaves; the error's place is named, so that it can be mended."""
    try:
        return make()
    except Exception as error:  # noqa: BLE001 - whatever one drawing raises, the others and the scores are worth more
        place = traceback.extract_tb(error.__traceback__)[-1]
        why = str(error).strip() or "no message"
        return Gap(what, f"{type(error).__name__}: {why} ({Path(place.filename).name}, line {place.lineno})")


def draw_all(figures: Iterable[Figure], folder: Path, *, reporter: Reporter | None = None) -> dict[str, Picture | Gap]:
    """Every figure as PNG, also in `folder`, or the gap that it leaves, by name; other PNG files there are removed.

    What `folder` has from an earlier time, drawn from the same, is not drawn again. Raises `StoreError` where the
    folder cannot be written.
    """
    figures = list(figures)
    digests = {each.name: found for each in figures if (found := drawing_digest(each.draw)) is not None}
    kept = kept_pictures(folder, digests)
    fresh = _draw([each for each in figures if each.name not in kept], folder, reporter or Reporter(quiet=True))
    drawn: dict[str, Picture | Gap] = {each.name: {**kept, **fresh}[each.name] for each in figures}
    pictures = {name: made for name, made in drawn.items() if isinstance(made, Picture)}
    for path in folder.glob("*.png"):
        if path.stem not in pictures:
            path.unlink()
    keep_record(folder, digests, pictures)
    return drawn


def _draw(figures: Sequence[Figure], folder: Path, reporter: Reporter) -> dict[str, Picture | Gap]:
    if not figures:
        return {}
    import matplotlib.pyplot as plt

    drawn: dict[str, Picture | Gap] = {}
    with own_style(), quick_collections(), reporter.bar("drawing", len(figures), unit="figures") as bar:
        for each in figures:
            before = set(plt.get_fignums())
            made = drawn[each.name] = attempted(partial(_rendered, each), f"figure {each.name}")
            for number in set(plt.get_fignums()) - before:  # one that failed half-way
                plt.close(number)
            if isinstance(made, Picture):
                with whole_file(folder / f"{each.name}.png") as path:
                    path.write_bytes(made.png)
            bar.advance()
            gc.collect()  # a figure is full of cycles: a dozen of them would wait in memory
    return drawn


def _rendered(figure: Figure) -> Picture:
    return picture(figure.draw())
