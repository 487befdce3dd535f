"""The command line. Commands import what they need when they run, so that `--help` answers at once."""

import functools
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ParamSpec

import typer

from jetassay.errors import JetAssayError
from jetassay.progress import Reporter

P = ParamSpec("P")

app = typer.Typer(
    name="jetassay",
    help="How good is a jet-tagging backbone? Embed the same jets with each, probe, compare, track.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only warnings, errors and the answer.")]
Device = Annotated[str, typer.Option(help="Where networks run: cpu, cuda, cuda:1 and so on.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite what is there.")]


TrustCode = Annotated[
    bool, typer.Option("--trust-code", help="Run Python files that cards bring along: others' code, your rights.")
]


class Format(StrEnum):
    """How `results` prints."""

    TABLE = "table"
    CSV = "csv"
    PARQUET = "parquet"
    JSON = "json"


class Listing(StrEnum):
    """What `list` lists."""

    BACKBONES = "backbones"
    DATASETS = "datasets"
    TASKS = "tasks"
    SUITES = "suites"
    FEATURES = "features"


class Target(StrEnum):
    """What `convert` writes."""

    ROOT = "root"
    PARQUET = "parquet"
    HDF5 = "hdf5"


class Mode(StrEnum):
    """How the simulated detector treats tracks."""

    DELPHES = "delphes"
    IDEAL = "ideal"


def command(example: str, *, name: str | None = None) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Register a command with an example in its help; its errors are printed without a traceback.

    Exit codes: 0 done, 1 an error that the message explains, 2 wrong usage, 130 stopped with Ctrl-C.
    """

    def register(function: Callable[P, None]) -> Callable[P, None]:
        @functools.wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                function(*args, **kwargs)
            except JetAssayError as error:
                print(f"error: {error}", file=sys.stderr)
                raise typer.Exit(130 if isinstance(error.__cause__, KeyboardInterrupt) else 1) from error
            except KeyboardInterrupt as error:
                print(
                    "stopped; what was finished is kept, and the same command goes on from there",
                    file=sys.stderr,
                )
                raise typer.Exit(130) from error

        return app.command(name, epilog=f"Example: {example}")(guarded)

    return register


@command("jetassay run default")
def run(
    suite: Annotated[str, typer.Argument(help="A suite's name, or the path of a suite's TOML file.")] = "default",
    dataset: Annotated[str | None, typer.Option(help="Take this dataset instead of the suite's.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder with the files of a real dataset.")] = None,
    limit: Annotated[int | None, typer.Option(help="At most this many entries of each file.", min=1)] = None,
    device: Device = "cpu",
    trust_code: TrustCode = False,
    quiet: Quiet = False,
) -> None:
    """Run a suite: jets, embeddings, scores, tracking and report. A second run computes no embedding again."""
    from jetassay.backbones.trust import trusting
    from jetassay.run import run_suite
    from jetassay.suite import find_suite

    chosen = find_suite(suite)
    chosen = chosen.on(dataset=dataset, folder=data, limit=limit)
    with trusting(trust_code):
        result = run_suite(chosen, device=device, reporter=Reporter(quiet=quiet))
    print(result.summary(width=_width()))
    if result.problems:
        raise typer.Exit(1)


@command("jetassay list backbones", name="list")
def list_(what: Annotated[Listing, typer.Argument(help="What to list.")]) -> None:
    """List what there is. What cannot be loaded is shown as broken, with its reason."""
    from jetassay.listing import listing

    print(listing(what.value))


@command("jetassay fetch sophon")
def fetch(
    name: Annotated[str, typer.Argument(help="A backbone with official weights, or a published dataset.")],
    source: Annotated[
        str | None, typer.Option("--from", help="Folder or address to take the files from instead of the publisher.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for the files; by default where backbones and suites look.")
    ] = None,
    files: Annotated[
        str | None, typer.Option(help="Names of a dataset's files, with * and {0..9}, commas between them.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be fetched, and where to.")] = False,
    quiet: Quiet = False,
) -> None:
    """Fetch official weights or a published dataset. Resumed, verified, unpacked; run it again to go on."""
    from jetassay.fetching.fetch import carry_out, plan_fetch
    from jetassay.fetching.plan import describe

    plan = plan_fetch(name, source=source, output=output, pattern=files)
    print(describe(plan) if dry_run else carry_out(plan, reporter=Reporter(quiet=quiet)))


@command("jetassay doctor")
def doctor() -> None:
    """Check the environment, backbones and datasets. Says what is ready; exit code 1 if `run default` cannot."""
    from jetassay.doctor import examine

    found = examine()
    print(found.table(width=_width()))
    if found.problems:
        raise typer.Exit(1)


@command("jetassay card part-mini --output part-mini.html")
def card(
    name: Annotated[str, typer.Argument(help="A backbone's name; see `jetassay list backbones`.")],
    output: Annotated[Path | None, typer.Option(help="Write a .md or .html file instead of printing.")] = None,
    force: Force = False,
) -> None:
    """Show a backbone's card as a page. Origin, inputs, training, numbers published and measured, limits."""
    from jetassay.backbones.catalogue import backbone_cards
    from jetassay.report.card_page import card_page

    print(card_page(backbone_cards()[name], output=output, force=force))


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
    print("\n".join(str(path) for path in written))


@command("jetassay inspect HToBB_120.root")
def inspect(
    file: Annotated[Path, typer.Argument(help="A file of jets.")],
    schema: Annotated[
        str | None, typer.Option(help="A dataset's name or card.toml; the one that fits best if not given.")
    ] = None,
    suggest_card: Annotated[
        bool, typer.Option("--suggest-card", help="Print a dataset card guessed from the columns, to be edited.")
    ] = False,
) -> None:
    """Show a file's schema, counts, ranges and problems. Exit code 1 if there is a problem."""
    from jetassay.jets.catalogue import find_schema
    from jetassay.jets.inspection import inspect_file, render
    from jetassay.jets.suggesting import suggest_card as suggest

    if suggest_card:
        print(suggest(file), end="")
        return
    found = inspect_file(file, schema=find_schema(schema) if schema else None)
    print(render(found))
    if found.problems:
        raise typer.Exit(1)


@command("jetassay convert HToBB_120.root --to parquet --output converted/")
def convert(
    files: Annotated[list[Path], typer.Argument(help="Files of jets.")],
    to: Annotated[Target, typer.Option(help="The new format.")],
    output: Annotated[Path, typer.Option(help="Folder for the new files; they keep their names.")],
    schema: Annotated[str | None, typer.Option(help="What the files hold, if not what it looks like.")] = None,
    quiet: Quiet = False,
    force: Force = False,
) -> None:
    """Write files of jets in another format. Every jet of them; prints jets in and jets out."""
    from jetassay.jets.catalogue import find_schema
    from jetassay.jets.converting import convert_files

    known = find_schema(schema) if schema else None
    reporter = Reporter(quiet=quiet)
    for done in convert_files(files, schema=known, to=to.value, output=output, force=force, reporter=reporter):
        print(done)


@command("jetassay embed part-mini Hbb_000.root --output hbb.parquet --scores")
def embed(
    card: Annotated[str, typer.Argument(help="A backbone's name, or NAME@LAYER for an inner layer.")],
    files: Annotated[list[Path], typer.Argument(help="Files of jets.")],
    output: Annotated[Path, typer.Option(help="Parquet file, or CSV by its ending; one row a jet.")],
    weights: Annotated[Path | None, typer.Option(help="The weights' file; its hash must be the card's.")] = None,
    schema: Annotated[str, typer.Option(help="A dataset's name or card.toml: what the files hold.")] = "jetclass",
    device: Device = "cpu",
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
    from jetassay.jets.catalogue import find_schema

    with trusting(trust_code):
        backbone = load_backbone(find_card(backbone_cards(), card), weights=weights, device=device)
    rows = embed_files(
        backbone,
        files,
        schema=find_schema(schema),
        output=output,
        scores=scores,
        reporter=Reporter(quiet=quiet),
        force=force,
    )
    print(f"{output}: {rows} jets")


@command(
    "jetassay add-weaver my-part --network my_part.py --data-config my.yaml --checkpoint net_best.pt --trust-code",
    name="add-weaver",
)
def add_weaver(
    name: Annotated[str, typer.Argument(help="What the backbone shall be called.")],
    network: Annotated[str, typer.Option(help="weaver's network file; or ParticleTransformer, ParticleNet, PFN, PCNN")],
    data_config: Annotated[Path, typer.Option(help="weaver's data configuration, a YAML file.")],
    checkpoint: Annotated[Path, typer.Option(help="The network's weights: .pt or .safetensors.")],
    output: Annotated[Path | None, typer.Option(help="Folder of cards; else the first in JETASSAY_MODELS.")] = None,
    option: Annotated[list[str] | None, typer.Option(help="KEY=VALUE for the network, as often as needed.")] = None,
    embedding: Annotated[
        str | None, typer.Option(help="The linear layer whose input it is, or logits; the last one if not given.")
    ] = None,
    labels: Annotated[str | None, typer.Option(help="A label list's name, or class names with commas.")] = None,
    trained_on: Annotated[list[str] | None, typer.Option(help="A dataset that training has seen.")] = None,
    licence: Annotated[str, typer.Option(help="Under which the weights stand.")] = "not stated",
    trust_code: TrustCode = False,
    quiet: Quiet = False,
) -> None:
    """Make a backbone of a network trained with weaver. A folder with card, data configuration and weights."""
    from jetassay import adding
    from jetassay.backbones.trust import trusting

    model = adding.WeaverModel(
        name=name,
        network=network,
        data_config=data_config,
        checkpoint=checkpoint,
        options=adding.parse_options(option or ()),
        embedding=embedding,
        labels=adding.parse_labels(labels),
        trained_on=tuple(trained_on or ()),
        licence=licence,
    )
    with trusting(trust_code):
        folder = adding.add_weaver(model, output=output, reporter=Reporter(quiet=quiet))
    print(f"{folder / 'card.toml'}")
    print(f"it is found where JETASSAY_MODELS names {folder.parent.resolve()}")


@command("jetassay results default --format csv > scores.csv")
def results(
    suite: Annotated[str, typer.Argument(help="A suite that was run.")] = "default",
    format: Annotated[Format, typer.Option(help="parquet goes to --output.")] = Format.TABLE,  # noqa: A002 - the option's name
    output: Annotated[Path | None, typer.Option(help="Write here instead of printing.")] = None,
) -> None:
    """Print the scores of the last run of a suite."""
    from jetassay.report.results import render_results

    text = render_results(suite, format=format.value, output=output, width=_width())
    print(text)


@command("jetassay export default part-mini --output part_mini.csv")
def export(
    suite: Annotated[str, typer.Argument(help="A suite's name, or the path of a suite's TOML file.")],
    backbone: Annotated[str, typer.Argument(help="One of the suite's backbones.")],
    output: Annotated[Path, typer.Option(help="The CSV file to write.")],
    dataset: Annotated[str | None, typer.Option(help="The dataset given to `run`, if one was.")] = None,
    data: Annotated[Path | None, typer.Option(help="The folder given to `run`, if one was.")] = None,
    quiet: Quiet = False,
    force: Force = False,
) -> None:
    """Write a backbone's embeddings as CSV. One row a jet, with truth label and jet columns.

    What the store lacks is computed.
    """
    from jetassay.run import export_embeddings
    from jetassay.suite import find_suite

    chosen = find_suite(suite).on(dataset=dataset, folder=data)
    rows = export_embeddings(chosen, backbone, output=output, force=force, reporter=Reporter(quiet=quiet))
    print(f"{output}: {rows} jets")


@command("jetassay report default")
def report(suite: Annotated[str, typer.Argument(help="A suite that was run.")] = "default") -> None:
    """Draw a suite's report again from its stored scores."""
    from jetassay.report.results import redraw

    print(redraw(suite))


@command("jetassay ui --port 5000")
def ui(
    port: Annotated[int, typer.Option(help="Where the page is served, on this machine only.")] = 5000,
) -> None:
    """Open MLflow's interface on the tracked runs, light and local."""
    from jetassay.tracking.ui import serve

    serve(port=port)


@command("jetassay throughput")
def throughput(quiet: Quiet = False) -> None:
    """Measure jets per second with pytest-benchmark. Runs `benchmarks/`, saves the JSON and logs it to MLflow."""
    from jetassay.throughput import run_benchmarks

    print(run_benchmarks(reporter=Reporter(quiet=quiet)))


@command("jetassay train-mini mlp", name="train-mini")
def train_mini(
    names: Annotated[list[str] | None, typer.Argument(help="Which of the shipped backbones; all if not given.")] = None,
    quiet: Quiet = False,
) -> None:
    """Train the weights that ship. Simulates, trains, measures, writes weights and card."""
    from jetassay.training.mini import train_mini as run_training

    for path in run_training(names or None, reporter=Reporter(quiet=quiet)):
        print(path)


def _width() -> int:
    import shutil

    return max(shutil.get_terminal_size((120, 24)).columns, 40)


def main() -> None:
    """Entry point."""
    app()


if __name__ == "__main__":
    main()
