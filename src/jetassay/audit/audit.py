"""All checks of an audit, one after the other; one that cannot be made is a failure of its own, and stops no other."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from jetassay.audit.archive import STOPPED, keep, recall
from jetassay.audit.catalogue import CHECKS
from jetassay.audit.finding import Finding, Findings
from jetassay.audit.subject import Subject
from jetassay.backbones.checks import REFUSALS
from jetassay.embeddings.threads import one_thread_per_operator
from jetassay.errors import JetAssayError, StoreError
from jetassay.progress import time_text


def audit(subject: Subject) -> Findings:
    """The checks that `subject.choice` names, in the order of the catalogue; taken from the cache where they are kept.

    Findings that cannot be kept are given all the same, with a warning.
    """
    label = f"audit of {subject.name}"
    kept = recall(subject)
    if kept is not None:
        subject.reporter.line(f"{label}: taken from the cache")
        return kept
    names, began = subject.choice.checks, time.perf_counter()
    rows: list[Finding] = []
    with one_thread_per_operator(), subject.reporter.bar(label, len(names), unit="checks") as bar:
        for name in names:
            bar.doing(f"{label}: {name}")
            rows += run_check(name, subject)
            bar.advance()
    subject.reporter.line(f"{label}: {len(names)} checks in {time_text(time.perf_counter() - began)}")
    findings = Findings(tuple(_told_once(rows)))
    try:
        keep(subject, findings)
    except StoreError as error:
        subject.reporter.warning(f"{error} The audit of {subject.name} is not kept.")
    return findings


def _told_once(rows: Sequence[Finding]) -> Iterator[Finding]:
    """The rows; a check that was stopped by what had stopped another one refers to that."""
    first: dict[str, str] = {}
    for row in rows:
        known = first.setdefault(row.meaning, row.check) if row.figure == STOPPED else row.check
        if known == row.check:
            yield row
        else:
            yield replace(row, status="not run", figure="", meaning=f"Stopped by the same as {known}.")


def run_check(name: str, subject: Subject) -> tuple[Finding, ...]:
    """The rows of one check; where it stops with an error, that as its one failure."""
    try:
        return tuple(CHECKS[name].load()(subject))
    except JetAssayError as error:
        meaning = str(error)
    except (*REFUSALS, MemoryError, OSError) as error:  # of a feature set or a check: no score may be lost by it
        meaning = f"{type(error).__name__}: {error}"
    return (Finding(check=name, status="fail", figure=STOPPED, meaning=meaning),)
