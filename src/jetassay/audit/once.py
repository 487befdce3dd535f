"""What depends on the jets alone is found once, and told for every backbone of an audit."""

from collections.abc import Callable, Iterable
from functools import wraps
from weakref import WeakKeyDictionary

from jetassay.audit.finding import Finding
from jetassay.audit.subject import Subject
from jetassay.audit.subsample import AuditedJets


def once_for_all_backbones(check: Callable[[Subject], Iterable[Finding]]) -> Callable[[Subject], tuple[Finding, ...]]:
    """The check with its rows kept for as long as the `AuditedJets` that the subjects of an audit share."""
    kept: WeakKeyDictionary[AuditedJets, tuple[Finding, ...]] = WeakKeyDictionary()

    @wraps(check)
    def of(subject: Subject) -> tuple[Finding, ...]:
        if subject.jets not in kept:
            kept[subject.jets] = tuple(check(subject))
        return kept[subject.jets]

    return of
