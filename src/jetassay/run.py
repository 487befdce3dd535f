"""The path on one screen: files, jets, inputs, embeddings, scores, runs, report. The steps stand in `steps.py`."""

from dataclasses import dataclass, field
from pathlib import Path

from jetassay.audit.suspicion import require_plausible
from jetassay.auditing import audit_all, outcome_of, require_no_leak
from jetassay.begun import note_begun
from jetassay.bookkeeping import Clock, Identity, count_jets, provenance_of, track, warn_of_seen_jets
from jetassay.errors import ConfigError
from jetassay.layering import embed_layers, layered
from jetassay.places import workspace
from jetassay.progress import Reporter
from jetassay.report.results import Results
from jetassay.scoring import results_of, score_all
from jetassay.showing import show_jets
from jetassay.steps import embed_all, embed_usable, find_jets, load_backbones, measure_throughput, split_jets
from jetassay.suite import Suite
from jetassay.tasks.further import require_tasks
from jetassay.tasks.score import Outcome
from jetassay.varying import embed_variations
from jetassay.whole_files import temporary_files_in


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteOutcome:
    """What a suite gave: results on disk, where they are tracked, and what could not be scored.

    links: name -> where to look (page, tracking store, leaderboard); problems: what is missing, one sentence each;
    undefined: what no score exists of, and why, which is no failure
    """

    results: Results
    links: dict[str, str]
    problems: tuple[str, ...] = field(default_factory=tuple)
    undefined: tuple[str, ...] = field(default_factory=tuple)

    def summary(self, *, width: int) -> str:
        """The table, what is missing, and where to look."""
        missing = "".join(f"\nnot defined: {each}" for each in self.undefined)
        missing += "".join(f"\nmissing: {each}" for each in self.problems)
        space = max(len(name) for name in self.links)
        where = "\n".join(f"{name.ljust(space)}  {place}" for name, place in self.links.items())
        by_server = self.links.get("tracking", "").startswith("http")
        served = any("//127.0.0.1" in place for place in self.links.values()) and not by_server
        hint = "\nThe pages at 127.0.0.1 open while `jetassay ui` runs." if served else ""
        return f"{self.results.table(width=width)}\n{missing}\n{where}{hint}"


def run_suite(suite: Suite, *, device: str = "cpu", reporter: Reporter) -> SuiteOutcome:
    """Run every stage of a suite; what was computed before is taken from the store.

    device: where networks run, as torch names it; embeddings in the store are taken wherever they were computed

    Scores are on disk before they are tracked or drawn. Raises `JetAssayError` naming what is missing, before the
    first long step where it can be known by then.
    """
    from jetassay.tracking.runs import open_suite_run
    from jetassay.tracking.stopping import stoppable

    clock = Clock()
    require_tasks(suite.chosen)
    with stoppable(lambda: clock.kept(suite.name)), temporary_files_in(workspace()):
        with clock("backbones"):
            backbones = load_backbones(suite, device=device, reporter=reporter)
            layered(suite, backbones)
        with clock("jets"):
            dataset = find_jets(suite.dataset, set_aside=True, reporter=reporter)
            splits = split_jets(suite, dataset)
            warn_of_seen_jets(backbones, dataset, reporter=reporter)
        identity = Identity.of(suite, dataset, backbones)
        with open_suite_run(suite=suite.name, suite_id=identity.suite_id, reporter=reporter) as opened:
            with clock("embeddings"):
                begun = note_begun(suite, dataset, splits)
                usable = embed_usable(suite, backbones, dataset, splits, reporter=reporter)
                embedded, dataset, splits = usable.embedded, usable.dataset, usable.splits
                begun = note_begun(suite, dataset, splits)
                identity = Identity.of(suite, dataset, backbones)
                layers, without_layers = embed_layers(suite, backbones, dataset, splits, reporter=reporter)
                sound = {name: backbones[name] for name in embedded}
                layers = {name: each for name, each in layers.items() if name in sound}
            with clock("jets seen otherwise"):
                varied = embed_variations(suite, sound, embedded, dataset, splits, reporter=reporter)
            with clock("scores"):
                scored = score_all(suite, embedded, splits, varied=varied, layers=layers, reporter=reporter)
                scored.take(Outcome((), problems=without_layers), task="layers")
                scored.problems = usable.problems + scored.problems
            with clock("audit"):
                audited = audit_all(suite, sound, dataset=dataset, splits=splits, embedded=embedded, reporter=reporter)
                for name, findings in audited.items():
                    scored.take(outcome_of(findings), task="audit", backbone=name)
            with clock("jets to look at"):
                show_jets(suite, scored, embedded, dataset, splits, reporter=reporter)
            with clock("throughput"):
                scored.scores += measure_throughput(suite, sound, dataset, splits, reporter=reporter)
            results = results_of(
                suite,
                scored,
                frame=scored.frame(suite, dataset, backbones),
                counts=count_jets(embedded, splits),
                provenance=provenance_of(suite, dataset, sound, embedded, clock=clock, device=device),
            )
            results.save()
            begun.unlink(missing_ok=True)
            with clock("report"):
                page = results.draw(reporter=reporter)
                reporter.line(f"report: {page.path}")
            require_no_leak(audited)
            require_plausible(scored.scores)
            with clock("tracking"):
                links, results, untracked = track(opened, results, sound, embedded, identity, reporter=reporter)
                page = results.draw()  # now that each number has its run; figures are those from above
    reporter.line(clock.text())
    links = {"report": str(page.path), "scores": str(results.folder / "scores.csv"), **links}
    return SuiteOutcome(
        results=results, links=links, problems=scored.problems + page.gaps + untracked, undefined=scored.undefined
    )


def export_embeddings(suite: Suite, backbone: str, *, output: Path, force: bool, reporter: Reporter) -> int:
    """Write the stored embeddings of one backbone of a suite as CSV; gives the number of jets."""
    from jetassay.embeddings.export import check_export, export_csv

    check_export(output, force=force)
    if backbone not in suite.backbones:
        raise ConfigError(f"suite '{suite.name}' has no backbone '{backbone}'; it has {', '.join(suite.backbones)}")
    one = suite.model_copy(update={"backbones": (backbone,)})
    backbones = load_backbones(one, device="cpu", reporter=reporter)
    dataset = find_jets(one.dataset, reporter=reporter)
    embedded = embed_all(one, backbones, dataset, split_jets(one, dataset), reporter=reporter)
    return export_csv([embedded[backbone]], output=output, force=force)
