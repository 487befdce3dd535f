"""Commands that look after the cache: what a suite will take of it, whether it is whole, what nobody needs."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from jetassay.cli.app import Quiet, TrustCode, answer, command, width
from jetassay.progress import Reporter

Keep = Annotated[
    list[str] | None, typer.Option(help="A suite, by name or TOML file, that shall lose nothing; as often as needed.")
]
Forget = Annotated[list[str] | None, typer.Option(help="A suite whose results here do not count; as often as needed.")]


class PlanFormat(StrEnum):
    """How `plan` prints."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


@command("jetassay plan full")
def plan(
    suite: Annotated[str, typer.Argument(help="A suite's name, or the path of a suite's TOML file.")] = "default",
    format: Annotated[PlanFormat, typer.Option(help="csv and json name every unit.")] = PlanFormat.TABLE,  # noqa: A002 - the option's name
    dataset: Annotated[str | None, typer.Option(help="Take this dataset instead of the suite's.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder with the files of a real dataset.")] = None,
    limit: Annotated[int | None, typer.Option(help="At most this many entries of each file.", min=1)] = None,
    workers: Annotated[
        int | None, typer.Option(help="Also the time on so many worker processes (see `run --scheduler`).", min=1)
    ] = None,
    trust_code: TrustCode = False,
    quiet: Quiet = False,
) -> None:
    """Show what a suite will compute and what is there. Counts, bytes, an estimate of time and disk; runs nothing."""
    from jetassay.backbones.trust import trusting
    from jetassay.inventory.costs import look_up_all
    from jetassay.inventory.kept import last_taken
    from jetassay.inventory.planning import plan_suite
    from jetassay.inventory.rendering import render_plan
    from jetassay.suite import find_suite

    chosen = find_suite(suite).on(dataset=dataset, folder=data, limit=limit)
    with trusting(trust_code):
        reporter = Reporter(quiet=quiet)
        planned = plan_suite(chosen, set_aside=True, taken=last_taken(chosen), reporter=reporter)
    answer(render_plan(planned, look_up_all(planned), format=format.value, width=width(), workers=workers))


@command("jetassay verify")
def verify(trust_code: TrustCode = False, quiet: Quiet = False) -> None:
    """Check every shard and audit in the cache. Says which results used a damaged one; exit code 1 if there is one."""
    from jetassay.backbones.trust import trusting
    from jetassay.inventory.verifying import verify as run_verification

    with trusting(trust_code):
        found = run_verification(reporter=Reporter(quiet=quiet))
    answer(found.text())
    if found.damaged:
        raise typer.Exit(1)


@command("jetassay gc --keep suites/default.toml --delete")
def gc(
    delete: Annotated[bool, typer.Option("--delete", help="Remove what is shown.")] = False,
    keep: Keep = None,
    forget: Forget = None,
    min_age: Annotated[float, typer.Option(help="Hours since a file was written before it can go.", min=0)] = 24.0,
    everything: Annotated[bool, typer.Option("--everything", help="Remove even where no run is kept at all.")] = False,
    trust_code: TrustCode = False,
    quiet: Quiet = False,
) -> None:
    """Show what of the cache no kept run needs. A run is kept while its results are in the workspace."""
    from jetassay.backbones.trust import trusting
    from jetassay.errors import ConfigError
    from jetassay.inventory.collecting import remove, sort_cache
    from jetassay.places import workspace
    from jetassay.suite import find_suite

    suites = [find_suite(name) for name in keep or ()]
    with trusting(trust_code):
        found = sort_cache(keep=suites, forget=forget or (), min_age_h=min_age, reporter=Reporter(quiet=quiet))
    if delete:
        if not found.kept_for and not everything:
            raise ConfigError(
                f"no results in {workspace()} count and there is no --keep, so all would go; "
                "is that the right workspace? Set JETASSAY_WORKSPACE, or say --everything"
            )
        remove(found.waste)
    answer(found.text(deleted=delete))
