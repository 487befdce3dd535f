"""All checks of an audit, one after the other; one that cannot be made is a failure of its own, and stops no other."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from jetassay.audit.archive import STOPPED, keep, recall
from jetassay.audit.catalogue import CHECKS
from jetassay.audit.finding import Finding, Findings
from jetassay.audit.subject import Subject
from jetassay.embeddings.threads import one_thread_per_operator
from jetassay.errors import JetAssayError


def audit(subject: Subject) -> Findings:
    """The checks that `subject.choice` names, in the order of the catalogue; taken from the cache where they are kept.

    Raises `StoreError` where findings cannot be kept.
    """
    kept = recall(subject)
    if kept is not None:
        return kept
    names = subject.choice.checks
    rows: list[Finding] = []
    with one_thread_per_operator(), subject.reporter.bar(f"audit of {subject.name}", len(names), unit="checks") as bar:
        for name in names:
            rows += run_check(name, subject)
            bar.advance()
    findings = Findings(tuple(_told_once(rows)))
    keep(subject, findings)
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
    """The rows of one check; where it stops with a `JetAssayError`, that as its one failure."""
    try:
        return tuple(CHECKS[name].load()(subject))
    except JetAssayError as error:
        return (Finding(check=name, status="fail", figure=STOPPED, meaning=str(error)),)
