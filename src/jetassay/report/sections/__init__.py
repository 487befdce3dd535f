"""The sections of a report page, in order.

To add one: write a module here with a function

    def section(content: Content) -> Section | None:

that gives None where the suite has nothing for it, and name it in `SECTIONS` where it shall stand. It reads
`content.scores(task, metric)` (rows of the long result frame), `content.tables` (what a task left in `Outcome.tables`,
looked up with `.get`), and never computes a score. A section is a title and blocks (`report/content.py`):

- `Text("One paragraph.")`; kind "note" in grey, "failure" in red
- `Table(cells, "backbone")`: cells are text as printed, made by the functions of `report/tables.py`; with backbones
  down, `content.grouped(cells, "backbone")` sets floors and controls apart
- `Figure("unique_name", lambda: draw(...), "Caption: what to see, in which units.")`: the function gives a matplotlib
  figure; draw backbones in `styles(content.frame)[name]` = (colour, marker) of `report/figures.py`, classes in the
  colours of `jets/classes.py`; sizes in inches are those on paper at 96 points an inch: 10.5 wide fills the page, 5.2
  is half of it, for a `Row` of two
- `Fold("What is in it", blocks)`: shown on a click, for what few readers need
- `Section(title, blocks, definitions=("Linear probe",))`: the first words of the paragraph in the task's `protocol`

Keep the figure's function free of `Content`: it takes frames, so that a test can call it on a small one.
"""

from collections.abc import Callable, Iterable
from functools import partial

from jetassay.report.content import Content, Section, Text
from jetassay.report.gaps import Gap, attempted
from jetassay.report.sections import (
    audit,
    bins,
    calibration,
    comparison,
    content,
    definitions,
    displays,
    few_shot,
    jets,
    ladder,
    layers,
    leaderboard,
    maps,
    missing,
    multiclass,
    provenance,
    published,
    robustness,
    roc,
    sculpting,
    similarity,
    similarity_families,
    stability,
    throughput,
)

SECTIONS: tuple[Callable[[Content], Section | None], ...] = (
    missing.section,
    audit.section,
    leaderboard.probe,
    leaderboard.zero_shot,
    roc.section,
    comparison.section,
    stability.section,
    published.section,
    ladder.section,
    multiclass.section,
    few_shot.section,
    bins.section,
    sculpting.section,
    calibration.section,
    robustness.section,
    content.section,
    similarity.section,
    similarity_families.section,
    layers.section,
    maps.section,
    displays.section,
    throughput.section,
    jets.section,
    missing.undefined,
    definitions.section,
    provenance.section,
)


Maker = Callable[[Content], Section | None]


def sections(content: Content, makers: Iterable[Maker] = ()) -> tuple[Section, ...]:
    """Every section that there is something for, or of `makers`; one that fails is there and says so."""
    found = (_made(make, content) for make in makers or SECTIONS)
    return tuple(each for each in found if each is not None)


def _made(make: Maker, content: Content) -> Section | None:
    name = f"{make.__module__.rpartition('.')[2].replace('_', ' ')}: {make.__name__}".removesuffix(": section")
    made = attempted(partial(make, content), f"section {name}")
    return (
        Section(f"Not drawn: {name}", (Text(str(made), "failure"),), gap=str(made)) if isinstance(made, Gap) else made
    )
