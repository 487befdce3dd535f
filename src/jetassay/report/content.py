"""What a report page is made of: sections of blocks; and what they are made from, scores and tables on disk alone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from jetassay.report.jet_rows import JetRows

PASS, FAIL = "✓", "✗"
"""How a cell begins that passed or failed a check; a page shows the second in red."""

TRAINED, CONTROLS, UNRANKED = "trained backbones", "controls and floors", "not ranked"
"""The headings that backbones stand under in a table, in this order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """All that a section may be made from; nothing is computed again.

    frame:      the long result frame as people see it: backbones that have seen the jets in training are marked
    tables:     name -> long table that a task left for figures, with the same names of backbones as the frame
    counts:     jets of each split and class
    provenance: everything the numbers depend on
    protocol:   how scores are defined; paragraphs, with an empty line between them
    roles:      backbone, as the frame names it -> backbone, floor or control; one that is not there is a backbone
    names:      backbone, as the frame names it -> its reference, `CARD` or `CARD@LAYER`, where that is another
    unranked:   backbone, as the frame names it -> why it stands apart from the rankings
    jet_tables: name -> table with a row for each test jet; `of_jets` gives some of them
    """

    frame: pd.DataFrame
    tables: Mapping[str, pd.DataFrame]
    counts: pd.DataFrame
    provenance: Mapping[str, Any]
    protocol: str
    roles: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    unranked: Mapping[str, str] = field(default_factory=dict)
    jet_tables: "Mapping[str, JetRows]" = field(default_factory=dict)

    def scores(self, task: str, *metrics: str) -> pd.DataFrame:
        """The scores of one task, of some metrics where they are named; no rows where it was not run."""
        chosen = self.frame[self.frame["task"] == task]
        return chosen[chosen["metric"].isin(metrics)] if metrics else chosen

    def of_jets(self, table: str, jets: pd.Series) -> pd.DataFrame:
        """The rows of these test jets in one of `jet_tables`, with the same names of backbones as the frame."""
        rows = self.jet_tables[table].of_jets(jets.unique())
        if self.names and "backbone" in rows:
            rows["backbone"] = rows["backbone"].replace({name: shown for shown, name in self.names.items()})
        return rows

    @property
    def backbones(self) -> list[str]:
        """Every backbone, in the order of the suite."""
        return list(dict.fromkeys(self.frame["backbone"].dropna()))

    def card(self, backbone: str) -> str:
        """The name of its card."""
        return self.names.get(backbone, backbone).partition("@")[0]

    def is_control(self, backbone: str) -> bool:
        """Whether it has no trained weights: a twin with random ones, or simple observables."""
        return self.roles.get(backbone, "backbone") != "backbone"

    def group(self, backbone: str) -> str:
        """Under which heading of a table it stands."""
        if backbone in self.unranked:
            return UNRANKED
        return CONTROLS if self.is_control(backbone) else TRAINED

    def grouped(self, cells: pd.DataFrame, corner: str, **options: Any) -> "Table":
        """A table with backbones down, trained ones before controls and floors; names lead to what they depend on."""
        headings = (TRAINED, CONTROLS, UNRANKED)
        names = sorted(cells.index, key=lambda name: headings.index(self.group(name)))
        groups = {name: self.group(name) for name in names}
        return Table(cells.loc[names], corner, groups=groups, links=self.anchors, **options)

    @property
    def anchors(self) -> dict[str, str]:
        """Backbone -> where the page says which run its numbers are of and what they depend on, where it does."""
        return {name: f"backbone-{k + 1}" for k, name in enumerate(self.backbones)} if self.provenance else {}


@dataclass(frozen=True, slots=True)
class Text:
    """One paragraph. kind: plain, a note in grey, or a failure in red; anchor: what links on the page point to."""

    text: str
    kind: Literal["plain", "note", "failure"] = "plain"
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as they are printed, row names in the index.

    corner: what the rows are; title: a line above; groups: row name -> heading that it stands under, in the rows' order
    kind:   numbers stand right and do not wrap; text stands left and wraps; marks do so in small narrow columns
    folded: shown on a click; for what few readers need
    links:  row name -> what its name leads to on the page; anchors: row name -> where such links lead
    """

    cells: pd.DataFrame
    corner: str
    title: str = ""
    groups: Mapping[str, str] = field(default_factory=dict)
    kind: Literal["numbers", "text", "marks"] = "numbers"
    folded: bool = False
    links: Mapping[str, str] = field(default_factory=dict)
    anchors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure. `draw` gives it; it is saved as NAME.png, so names are unique on a page; caption: a line below."""

    name: str
    draw: "Callable[[], Drawing]"
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Pointed:
    """What the pointer shows over points of figures that link to `#jet-NUMBER`, once on a page.

    jets: JSON, number -> [text, constituents], as `report.pointing` makes it
    """

    jets: str


@dataclass(frozen=True, slots=True)
class Row:
    """Small figures beside each other where the page is wide enough."""

    figures: tuple[Figure, ...]


@dataclass(frozen=True, slots=True)
class Fold:
    """Blocks that are shown on a click on the title."""

    title: str
    blocks: "tuple[Block, ...]"


Block = Text | Table | Figure | Pointed | Row | Fold


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the page.

    title:       short; the list of contents shows it, and it is unique on the page
    blocks:      in order
    definitions: first words of the paragraphs of the protocol that define its numbers, such as "Linear probe"
    gap:         why it could not be made, where that is so
    """

    title: str
    blocks: tuple[Block, ...]
    definitions: tuple[str, ...] = ()
    gap: str = ""

    @property
    def figures(self) -> tuple[Figure, ...]:
        """Every figure in it, in order."""
        return _figures(self.blocks)


def _figures(blocks: tuple[Block, ...]) -> tuple[Figure, ...]:
    found: tuple[Figure, ...] = ()
    for block in blocks:
        match block:
            case Figure():
                found += (block,)
            case Row(figures):
                found += figures
            case Fold(blocks=inner):
                found += _figures(inner)
    return found
