"""All checks of an audit, one after the other; one that cannot be made is a failure of its own, and stops no other."""

from jetassay.audit.catalogue import CHECKS
from jetassay.audit.finding import Finding, Findings
from jetassay.audit.subject import Subject
from jetassay.errors import JetAssayError


def audit(subject: Subject) -> Findings:
    """Run the checks that `subject.choice` names, in the order of the catalogue."""
    names = subject.choice.checks
    rows: list[Finding] = []
    with subject.reporter.bar(f"audit of {subject.name}", len(names), unit="checks") as bar:
        for name in names:
            rows += run_check(name, subject)
            bar.advance()
    return Findings(tuple(rows))


def run_check(name: str, subject: Subject) -> tuple[Finding, ...]:
    """The rows of one check; where it stops with a `JetAssayError`, that as its one failure."""
    try:
        return tuple(CHECKS[name].load()(subject))
    except JetAssayError as error:
        return (Finding(check=name, status="fail", figure="stopped", meaning=str(error)),)
