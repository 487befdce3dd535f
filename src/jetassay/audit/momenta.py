"""Last digits of the momenta of constituents: where they tell a class, its jets went through another program.

The rule is that of `singles` for jet columns. Digits of constituents know nothing of each other: all of a jet count.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from jetassay.audit.columns import KINDS, by_category, last_digits
from jetassay.audit.finding import Finding
from jetassay.audit.singles import DIGITS, DIGITS_SD
from jetassay.audit.subject import Subject
from jetassay.jets.classes import BACKGROUND
from jetassay.jets.schema import CORE

_FEWEST_JETS = 4


def momenta(subject: Subject) -> Iterator[Finding]:
    """The row of the audit: learned on every other jet of the subsample, measured on the rest."""
    jets, truth = subject.subsample.jets, subject.subsample.truth
    enough = np.flatnonzero(np.bincount(truth.labels, minlength=len(truth.names)) >= _FEWEST_JETS)
    if len(enough) < 2:
        meaning = f"The subsample has not {_FEWEST_JETS} jets of two labels."
        yield Finding(check="last-digits", status="not run", figure="", meaning=meaning)
        return
    names = [truth.names[label] for label in enough]
    background = names.index(BACKGROUND) if BACKGROUND in names else 0
    found: dict[str, tuple[float, float]] = {}
    for column in CORE:
        marks = last_digits(jets.constituents[column])
        sides = _sides(marks, truth.labels, np.diff(jets.offsets), enough)
        for place, name in enumerate(names):
            pairs = [[half[place], half[background]] for half in sides]
            if place != background and min(len(side) for pair in pairs for side in pair) >= 2:
                found[f"{column} ({name})"] = by_category(*pairs, kinds=KINDS)
    yield _judged(found)


def _judged(found: dict[str, tuple[float, float]]) -> Finding:
    marked = [name for name, (value, sd) in found.items() if value > DIGITS and sd > DIGITS_SD]
    worst = max(found, key=lambda name: found[name][0], default="")
    return Finding(
        check="last-digits",
        status="fail" if marked else "pass",
        figure=f"AUC {found[worst][0]:.3f} ({worst})" if worst else "",
        meaning=f"{', '.join(marked)}: decimal places or last bits tell the class. Write all classes by one program."
        if marked
        else "Decimal places and last bits of the momenta of constituents do not tell a class.",
        numbers={name: value for name, (value, _) in found.items()},
    )


def _sides(
    marks: NDArray[np.int64], labels: NDArray[np.int64], lengths: NDArray[np.int64], wanted: NDArray[np.int64]
) -> list[list[NDArray[np.int64]]]:
    """The marks of the constituents of each wanted label, in every other of its jets and in the rest."""
    place = np.empty(len(labels), np.int64)
    for label in wanted:
        rows = np.flatnonzero(labels == label)
        place[rows] = np.arange(len(rows))
    known, half, label = marks >= 0, np.repeat(place % 2, lengths), np.repeat(labels, lengths)
    return [[marks[known & (half == side) & (label == each)] for each in wanted] for side in (0, 1)]
