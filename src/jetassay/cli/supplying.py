"""Commands that bring backbones and jets in, and look at them: fetch, doctor, card, inspect, convert, add-weaver."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from jetassay.cli.app import Force, Quiet, TrustCode, answer, command, width
from jetassay.progress import Reporter


class Target(StrEnum):
    """What `convert` writes."""

    ROOT = "root"
    PARQUET = "parquet"
    HDF5 = "hdf5"


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
    answer(describe(plan) if dry_run else carry_out(plan, reporter=Reporter(quiet=quiet)))


@command("jetassay doctor")
def doctor() -> None:
    """Check the environment, backbones and datasets. Says what is ready; exit code 1 if `run default` cannot."""
    from jetassay.doctor import examine

    found = examine()
    answer(found.table(width=width()))
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

    answer(card_page(backbone_cards()[name], output=output, force=force))


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
        answer(suggest(file), end="")
        return
    found = inspect_file(file, schema=find_schema(schema) if schema else None)
    answer(render(found))
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
        answer(done)


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
    answer(f"{folder / 'card.toml'}")
    answer(f"it is found where JETASSAY_MODELS names {folder.parent.resolve()}")
