"""The command that compares stored results."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from jetassay.cli.app import Force, answer, command, width


class ComparedFormat(StrEnum):
    """How `compare` prints."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


@command("jetassay compare before.json default --task probe")
def compare(
    results: Annotated[
        list[str], typer.Argument(help="Suites that were run, folders with scores.parquet, or files of results.")
    ],
    task: Annotated[list[str] | None, typer.Option(help="Only this task; may be given again.")] = None,
    metric: Annotated[list[str] | None, typer.Option(help="Only this metric; may be given again.")] = None,
    format: Annotated[ComparedFormat, typer.Option(help="csv and json hold every score.")] = ComparedFormat.TABLE,  # noqa: A002 - the option's name
    whole: Annotated[bool, typer.Option("--all", help="Also changes within their uncertainty.")] = False,
    output: Annotated[Path | None, typer.Option(help="Write here instead of printing.")] = None,
    force: Force = False,
) -> None:
    """Compare results with the first ones. What moved beyond its uncertainty, and what was not the same."""
    from jetassay.errors import ConfigError
    from jetassay.report.compare import render_comparison
    from jetassay.whole_files import whole_file

    if output is not None and output.exists() and not force:
        raise ConfigError(f"{output}: is there already; give --force to overwrite it")
    text = render_comparison(
        results, tasks=task or (), metrics=metric or (), format=format.value, whole=whole, width=width()
    )
    if output is None:
        answer(text)
        return
    with whole_file(output) as path:
        path.write_text(text + "\n", encoding="utf-8")
    answer(output)
