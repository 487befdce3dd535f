"""Rules that remove more jets of one class than of another: what is left is no fair sample.

For each rule the files' counts give a table, classes by jets dropped and kept. A class of a file is that of the jets
which it kept, or what its name says where it kept none; files of several classes cannot be divided. Each class is
tested against all others by Fisher's exact test, corrected by Bonferroni for classes and rules. A rule fails where the
corrected p-value is below 1e-3 and the class lost at least one jet in a thousand more than the others; less is a note.
A cut that the dataset's own definition makes (a mass window, say) is a note too: it depends on the class by its nature.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from jetassay.audit.finding import Finding
from jetassay.audit.once import once_for_all_backbones
from jetassay.audit.subject import Subject
from jetassay.embeddings.datasets import default_store, jet_table
from jetassay.embeddings.tables import JetTable

SIGNIFICANCE = 1e-3
LEAST_EXCESS = 1e-3
"""Difference of the fractions dropped below which a rule is a note."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Excess:
    """The class that a rule treats most differently from all others.

    fraction, elsewhere: of the class's entries and of all others', that the rule removed
    p_value: of Fisher's exact test, corrected
    """

    rule: str
    name: str
    fraction: float
    elsewhere: float
    p_value: float


def drops_by_class(jets: JetTable) -> tuple[dict[str, NDArray[np.int64]], NDArray[np.int64], int]:
    """Rule -> entries that it removed of each class, int64 (L,); entries of each class; and drops of mixed files."""
    classes = len(jets.label_names)
    entries, mixed = np.zeros(classes, np.int64), 0
    dropped: dict[str, NDArray[np.int64]] = {}
    kept = np.zeros((len(jets.files), classes), np.int64)
    known = jets.labels >= 0
    np.add.at(kept, (jets.file_index[known], jets.labels[known]), 1)
    for file, counts, of_class in zip(jets.files, jets.counts, kept, strict=True):
        here = np.flatnonzero(of_class)
        if not len(here) and file.group in jets.label_names:
            here = np.array([jets.label_names.index(file.group)])
        if len(here) != 1:
            mixed += sum(counts.dropped.values())
            continue
        entries[here] += counts.entries
        for rule, number in counts.dropped.items():
            dropped.setdefault(rule, np.zeros(classes, np.int64))[here] += number
    return dropped, entries, mixed


def excesses(
    dropped: dict[str, NDArray[np.int64]], entries: NDArray[np.int64], *, names: Sequence[str]
) -> list[Excess]:
    """For each rule, the class of the smallest p-value; none where fewer than two classes have entries."""
    classes = np.flatnonzero(entries)
    if len(classes) < 2:
        return []
    found = []
    for rule, removed in dropped.items():
        p_values = []
        for each in classes:
            lost, others = removed[each], removed.sum() - removed[each]
            rest = entries.sum() - entries[each]
            table = [[lost, entries[each] - lost], [others, rest - others]]
            p_values.append(float(stats.fisher_exact(table).pvalue))
        worst = classes[int(np.argmin(p_values))]
        found.append(
            Excess(
                rule=rule,
                name=names[worst],
                fraction=float(removed[worst] / entries[worst]),
                elsewhere=float((removed.sum() - removed[worst]) / (entries.sum() - entries[worst])),
                p_value=min(1.0, min(p_values) * len(classes) * len(dropped)),
            )
        )
    return found


@once_for_all_backbones
def class_dependent_drops(subject: Subject) -> Iterator[Finding]:
    """Rows of the audit: one for each rule that treats classes differently, or one that says that none does."""
    dataset = subject.dataset
    used = {file for files in subject.files.values() for file in files}
    jets = jet_table(
        replace(dataset, files=tuple(file for file in dataset.files if file in used)),
        store=default_store(),
        on_invalid=subject.jets.reading.on_invalid,
        reporter=subject.reporter,
    )
    yield from judge_drops(jets, declared=tuple(cut.rule for cut in dataset.selection))


def judge_drops(jets: JetTable, *, declared: Sequence[str] = ()) -> Iterator[Finding]:
    """The rows of the audit for a table of jets. declared: rules that the dataset's own definition makes."""
    dropped, entries, mixed = drops_by_class(jets)
    check = "class-dependent-drops"
    if mixed:
        meaning = "Of files with jets of several classes, nobody knows what was dropped."
        yield Finding(check=check, status="note", figure=f"{mixed} jets dropped", meaning=meaning)
    unequal = [each for each in excesses(dropped, entries, names=jets.label_names) if each.p_value < SIGNIFICANCE]
    for each in unequal:
        own = each.rule in declared
        small = abs(each.fraction - each.elsewhere) < LEAST_EXCESS
        why = (
            "the dataset's own definition; compare results under the same cuts only"
            if own
            else (
                "too few to move a result"
                if small
                else "what is left is no fair sample; find out why these jets are unusable"
            )
        )
        yield Finding(
            check=check,
            status="note" if own or small else "fail",
            figure=f"{100 * each.fraction:.2g} % of {each.name}, {100 * each.elsewhere:.2g} % of others",
            meaning=f"'{each.rule}' removes jets by class (p = {each.p_value:.1g}): {why}.",
            numbers={"fraction": each.fraction, "elsewhere": each.elsewhere, "p_value": each.p_value},
        )
    if not unequal and not mixed:
        lost = int(sum(each.sum() for each in dropped.values()))
        meaning = "Nothing was dropped." if not lost else "What was dropped does not depend on the class."
        yield Finding(check=check, status="pass", figure=f"{lost} of {entries.sum()} jets", meaning=meaning)
