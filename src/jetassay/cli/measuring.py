"""Commands along the path: jets, embeddings, scores, runs, report."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from jetassay.cli.app import Device, Force, Quiet, Scheduler, TrustCode, Workers, answer, command, width
from jetassay.errors import ConfigError
from jetassay.progress import Reporter


class Format(StrEnum):
    """How `results` prints."""

    TABLE = "table"
    CSV = "csv"
    PARQUET = "parquet"
    JSON = "json"


class Printed(StrEnum):
    """How `reference` prints."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


class Listing(StrEnum):
    """What `list` lists."""

    BACKBONES = "backbones"
    DATASETS = "datasets"
    TASKS = "tasks"
    SUITES = "suites"
    FEATURES = "features"
    CHECKS = "checks"


class Mode(StrEnum):
    """How the simulated detector treats tracks."""

    DELPHES = "delphes"
    IDEAL = "ideal"


@command("jetassay run default")
def run(
    suite: Annotated[str, typer.Argument(help="A suite's name, or the path of a suite's TOML file.")] = "default",
    dataset: Annotated[str | None, typer.Option(help="Take this dataset instead of the suite's.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder with the files of a real dataset.")] = None,
    limit: Annotated[int | None, typer.Option(help="At most this many entries of each file.", min=1)] = None,
    seed: Annotated[
        int | None, typer.Option(help="Draw the split with this seed; kept as SUITE-seed-N.", min=0)
    ] = None,
    device: Device = "cpu",
    scheduler: Scheduler = "local",
    workers: Workers = None,
    trust_code: TrustCode = False,
    quiet: Quiet = False,
) -> None:
    """Run a suite: jets, embeddings, scores, tracking and report. A second run computes no embedding again."""
    from jetassay.backbones.trust import trusting
    from jetassay.embeddings.scheduling.clusters import PROCESSES, own_device, scheduled
    from jetassay.run import run_suite
    from jetassay.suite import find_suite

    chosen = find_suite(suite).on(dataset=dataset, folder=data, limit=limit, seed=seed)
    reporter = Reporter(quiet=quiet)
    count = chosen.threads if workers is None and scheduler == PROCESSES else workers
    with trusting(trust_code), scheduled(scheduler, workers=count, device=device, reporter=reporter):
        result = run_suite(chosen, device=own_device(scheduler, device), reporter=reporter)
    answer(result.summary(width=width()))
    if result.problems:
        raise typer.Exit(1)


@command("jetassay list backbones", name="list")
def list_(what: Annotated[Listing, typer.Argument(help="What to list.")]) -> None:
    """List what there is. What cannot be loaded is shown as broken, with its reason."""
    from jetassay.listing import listing

    answer(listing(what.value, width=width() if sys.stdout.isatty() else None))


@command("jetassay simulate --classes Hbb,QCD --jets 2000 --seed 7 --output jets/")
def simulate(
    jets: Annotated[int, typer.Option(help="Jets of each class.")],
    output: Annotated[Path, typer.Option(help="Folder for CLASS_000.root and so on.")],
    classes: Annotated[str, typer.Option(help="Class names with commas between them, or `all`.")] = "all",
    seed: Annotated[int, typer.Option(help="The same seed gives the same jets; weights that ship saw those of 1.")] = 7,
    mode: Annotated[
        Mode, typer.Option(help="The JetClass detector card as it behaves, or ideal tracking.")
    ] = Mode.DELPHES,
    files: Annotated[int, typer.Option(help="Files of each class.")] = 1,
    workers: Annotated[int | None, typer.Option(help="Processes; one for each core if not given.")] = None,
    quiet: Quiet = False,
    force: Force = False,
) -> None:
    """Simulate jets in the JetClass schema. By Pythia 8, a parametric detector and FastJet."""
    from jetassay.jets.classes import CLASS_NAMES
    from jetassay.simulation.recipe import Recipe
    from jetassay.simulation.sample import simulate as run_simulation

    chosen = CLASS_NAMES if classes == "all" else tuple(name.strip() for name in classes.split(","))
    recipe = Recipe(classes=chosen, jets=jets, files=files, seed=seed, mode=mode.value)
    written = run_simulation(recipe, output=output, workers=workers, reporter=Reporter(quiet=quiet), force=force)
    answer("\n".join(str(path) for path in written))


@command("jetassay embed part-mini Hbb_000.root --output hbb.parquet --scores")
def embed(
    card: Annotated[str, typer.Argument(help="A backbone's name, or NAME@LAYER for an inner layer.")],
    files: Annotated[list[Path], typer.Argument(help="Files of jets.")],
    output: Annotated[Path, typer.Option(help="Parquet file, or CSV by its ending; one row a jet.")],
    weights: Annotated[Path | None, typer.Option(help="The weights' file; its hash must be the card's.")] = None,
    schema: Annotated[str, typer.Option(help="A dataset's name or card.toml: what the files hold.")] = "jetclass",
    device: Device = "cpu",
    scheduler: Scheduler = "local",
    workers: Workers = None,
    scores: Annotated[bool, typer.Option("--scores", help="Also the class probabilities, as score_NAME.")] = False,
    trust_code: TrustCode = False,
    quiet: Quiet = False,
    force: Force = False,
) -> None:
    """Embed files of jets with one backbone. Columns: source_file, entry_index, emb_0 and so on."""
    from jetassay.backbones.catalogue import backbone_cards, find_card
    from jetassay.backbones.loading import load_backbone
    from jetassay.backbones.trust import trusting
    from jetassay.embeddings.files import embed_files
    from jetassay.embeddings.scheduling.clusters import own_device, scheduled
    from jetassay.jets.catalogue import find_schema

    own, reporter = own_device(scheduler, device), Reporter(quiet=quiet)
    with (
        trusting(trust_code),
        scheduled(scheduler, workers=workers, device=device, weights=weights, reporter=reporter),
    ):
        rows = embed_files(
            load_backbone(find_card(backbone_cards(), card), weights=weights, device=own),
            files,
            schema=find_schema(schema),
            output=output,
            scores=scores,
            reporter=reporter,
            force=force,
        )
    answer(f"{output}: {rows} jets")


@command("jetassay results default --format csv > scores.csv")
def results(
    suite: Annotated[str, typer.Argument(help="A suite that was run.")] = "default",
    format: Annotated[Format, typer.Option(help="parquet goes to --output.")] = Format.TABLE,  # noqa: A002 - the option's name
    output: Annotated[Path | None, typer.Option(help="Write here instead of printing.")] = None,
    slim: Annotated[bool, typer.Option("--slim", help="json of what a leaderboard of many needs, to keep.")] = False,
) -> None:
    """Print the scores of the last run of a suite."""
    from jetassay.report.results import render_results

    text = render_results(suite, format=format.value, output=output, width=width(), slim=slim)
    answer(text)


@command("jetassay reference --dataset jetclass --metric rejection")
def reference(
    dataset: Annotated[str | None, typer.Option(help="Only numbers on this dataset.")] = None,
    metric: Annotated[str | None, typer.Option(help="Only this metric: rejection, auc, accuracy and so on.")] = None,
    format: Annotated[Printed, typer.Option(help="csv and json hold every fact.")] = Printed.TABLE,  # noqa: A002 - the option's name
) -> None:
    """Print published numbers. With survivors and intervals where they can be counted, and where they were read."""
    from jetassay.report.reference import render_reference

    answer(render_reference(dataset=dataset, metric=metric, format=format.value, width=width()))


@command("jetassay export default part-mini --output part_mini.csv")
def export(
    suite: Annotated[str, typer.Argument(help="A suite's name, or the path of a suite's TOML file.")],
    backbone: Annotated[str, typer.Argument(help="One of the suite's backbones.")],
    output: Annotated[Path, typer.Option(help="The CSV file to write.")],
    dataset: Annotated[str | None, typer.Option(help="The dataset given to `run`, if one was.")] = None,
    data: Annotated[Path | None, typer.Option(help="The folder given to `run`, if one was.")] = None,
    trust_code: TrustCode = False,
    quiet: Quiet = False,
    force: Force = False,
) -> None:
    """Write a backbone's embeddings as CSV. One row a jet, with truth label and jet columns.

    What the store lacks is computed.
    """
    from jetassay.backbones.trust import trusting
    from jetassay.run import export_embeddings
    from jetassay.suite import find_suite

    chosen = find_suite(suite).on(dataset=dataset, folder=data)
    with trusting(trust_code):
        rows = export_embeddings(chosen, backbone, output=output, force=force, reporter=Reporter(quiet=quiet))
    answer(f"{output}: {rows} jets")


@command("jetassay report shared/")
def report(
    what: Annotated[
        str, typer.Argument(help="A suite that was run, its folder (also a copy), or a folder of result files.")
    ] = "default",
    output: Annotated[Path | None, typer.Option(help="Folder for the page of a folder, if not itself.")] = None,
    reference: Annotated[
        Path | None, typer.Option(help="The result file whose jets and versions the others must share.")
    ] = None,
    paper: Annotated[
        bool, typer.Option("--paper", help="Also every figure as PDF and PNG, and every table as CSV and LaTeX.")
    ] = False,
    style: Annotated[
        str | None, typer.Option(help="Of these figures: plain (our own), CMS, ATLAS, LHCb or ALICE.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Draw a report from what is stored. Of one suite, or a leaderboard of many people's result files."""
    from jetassay.report.drawing import draw_report

    reporter = Reporter(quiet=quiet)
    answer(draw_report(what, output=output, reference=reference, paper=paper, style=style, reporter=reporter))


@command("jetassay ui --port 5000")
def ui(
    port: Annotated[int, typer.Option(help="Where the page is served, on this machine only.")] = 5000,
) -> None:
    """Open MLflow's interface on the tracked runs, light and local."""
    from jetassay.tracking.ui import serve

    serve(port=port)


@command("jetassay throughput")
def throughput(
    gates: Annotated[
        bool, typer.Option("--gates", help="Only ParT and Sophon beside weaver-core; fail where a gate is missed.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Measure nothing: keep the last run as the baseline.")] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Measure nothing: the last run beside the baseline; fail where slower.")
    ] = False,
    baseline: Annotated[Path | None, typer.Option(help="With --compare: a run's throughput.json as baseline.")] = None,
    quiet: Quiet = False,
) -> None:
    """Measure speed and memory, beside weaver-core too. Writes JSON and a page, and logs to MLflow."""
    if gates + keep + compare > 1 or (baseline and not compare):
        raise ConfigError("choose one of --gates, --keep and --compare; --baseline goes with --compare")
    if keep:
        from jetassay.baselines import keep_baseline

        answer(keep_baseline())
    elif compare:
        from jetassay.baselines import compare_runs
        from jetassay.slower import enforce_speed

        text, changes, limit = compare_runs(baseline=baseline)
        answer(text)
        enforce_speed(changes, limit=limit)
    else:
        from jetassay.gates import enforce
        from jetassay.throughput import run_benchmarks

        text, judgement = run_benchmarks(reporter=Reporter(quiet=quiet), gates_only=gates)
        answer(text)
        if gates:
            enforce(judgement)


@command("jetassay train-mini mlp", name="train-mini")
def train_mini(
    names: Annotated[list[str] | None, typer.Argument(help="Which of the shipped backbones; all if not given.")] = None,
    quiet: Quiet = False,
) -> None:
    """Train the weights that ship. Simulates, trains, measures, writes weights and card."""
    from jetassay.training.mini import train_mini as run_training

    for path in run_training(names or None, reporter=Reporter(quiet=quiet)):
        answer(path)
