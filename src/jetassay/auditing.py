"""Every backbone of a suite under audit, on the suite's own jets; and what a leak does to a suite."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from jetassay.audit.archive import STOPPED
from jetassay.audit.audit import audit
from jetassay.audit.catalogue import CHECKS
from jetassay.audit.finding import Findings
from jetassay.audit.subject import Subject
from jetassay.audit.subsample import AuditedJets, Files
from jetassay.errors import ConfigError, LeakageError
from jetassay.jets.dataset import Dataset
from jetassay.progress import Reporter
from jetassay.scoring import sample_of
from jetassay.steps import embed_all, find_jets, load_backbones, split_jets
from jetassay.suite import Suite
from jetassay.tasks.samples import Splits
from jetassay.tasks.score import Outcome

if TYPE_CHECKING:
    from jetassay.backbones.protocol import Backbone
    from jetassay.embeddings.embedded import Embedded

TABLE = "audit"
NUMBERS = "audit_numbers"
PROTOCOL = """audit: every backbone embeds a subsample of the test jets again, out of a file of another name with all \
truth shuffled, in other batches and with empty slots; see docs/audit.md for what each check proves and what not"""


def audit_all(
    suite: Suite,
    backbones: "Mapping[str, Backbone]",
    *,
    dataset: Dataset,
    splits: Files,
    embedded: "Mapping[str, Embedded] | None" = None,
    reporter: Reporter,
) -> dict[str, Findings]:
    """The findings on each backbone, from the cache where they are kept; none where the suite has no [audit].

    embedded: the embedded jets of each backbone; made where a check needs them if not given
    """
    if suite.audit is None:
        return {}

    def samples(name: str) -> Callable[[], Splits]:
        def made() -> Splits:
            some = embedded or embed_all(suite, {name: backbones[name]}, dataset, splits, reporter=reporter)
            return Splits(**{split: sample_of(some[name], files) for split, files in splits.items()})

        return made

    choice = suite.audit
    jets = AuditedJets(dataset, splits, jets=choice.jets, on_invalid=suite.dataset.on_invalid, seed=choice.seed)
    return {
        name: audit(
            Subject(
                backbone,
                jets=jets,
                choice=choice,
                samples=samples(name),
                reporter=reporter,
                threads=suite.threads,
            )
        )
        for name, backbone in backbones.items()
    }


def audit_one(suite: Suite, *, device: str, reporter: Reporter) -> Findings:
    """The findings on the one backbone of `suite`, from its jets on. Raises as `run_suite` does, but for tasks."""
    (name,) = suite.backbones
    if suite.audit is None:
        raise ConfigError(f"suite '{suite.name}' has no [audit]")
    backbones = load_backbones(suite, device=device, reporter=reporter)
    dataset = find_jets(suite.dataset, reporter=reporter)
    splits = split_jets(suite, dataset)
    return audit_all(suite, backbones, dataset=dataset, splits=splits, reporter=reporter)[name]


def outcome_of(findings: Findings) -> Outcome[None]:
    """The findings as what a task gives: the tables `audit` and `audit_numbers`, and each failure as a problem."""
    problems: dict[str, str] = {}
    for row in findings.failures:
        problems[row.check] = f"{problems[row.check]} {row.meaning}" if row.check in problems else row.meaning
    return Outcome(
        (), problems=problems, protocol=PROTOCOL, tables={TABLE: findings.frame(), NUMBERS: findings.numbers()}
    )


def require_no_leak(audited: Mapping[str, Findings]) -> None:
    """Raises `LeakageError` naming backbones and checks where truth may be an input, or jets were seen before.

    A check that could not be made has excluded nothing, so it stops a suite too, and is told as such.
    """
    rows = [(name, row) for name, each in audited.items() for row in each.failures if CHECKS[row.check].leak]
    if rows:
        untold = all(row.figure == STOPPED for _, row in rows)
        told = "\n".join(
            f"{name}, {row.check}{' (could not be made)' if row.figure == STOPPED else ''}: {row.meaning}"
            for name, row in rows
        )
        raise LeakageError(
            f"the audit {'could not exclude' if untold else 'found'} leaks; scores and report are written, but not "
            f"tracked:\n{told}"
        )
