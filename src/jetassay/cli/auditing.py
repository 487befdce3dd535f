"""The command that audits one backbone."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from jetassay.cli.app import Device, Quiet, TrustCode, answer, command, width
from jetassay.progress import Reporter


class AuditFormat(StrEnum):
    """How `audit` prints."""

    TABLE = "table"
    CSV = "csv"


class Depth(StrEnum):
    """Which checks run."""

    CHEAP = "cheap"
    FULL = "full"


@command("jetassay audit part-mini --dataset jetclass-sim")
def audit(
    card: Annotated[str, typer.Argument(help="A backbone's name, or NAME@LAYER for an inner layer.")],
    dataset: Annotated[str, typer.Option(help="A dataset's name, or the path of a card.toml.")] = "jetclass-sim",
    data: Annotated[Path | None, typer.Option(help="Folder with the files of a real dataset.")] = None,
    limit: Annotated[int | None, typer.Option(help="At most this many entries of each file.", min=1)] = None,
    depth: Annotated[Depth, typer.Option(help="The checks that cost little, or all of them.")] = Depth.CHEAP,
    jets: Annotated[int, typer.Option(help="Size of the subsample that is embedded again.", min=50)] = 4000,
    format: Annotated[AuditFormat, typer.Option(help="table or csv")] = AuditFormat.TABLE,  # noqa: A002 - the option's name
    device: Device = "cpu",
    trust_code: TrustCode = False,
    quiet: Quiet = False,
) -> None:
    """Check that a backbone sees no truth. On jets split as in the default suite; exit code 1 when a check fails."""
    from jetassay.auditing import audit_one
    from jetassay.backbones.trust import trusting
    from jetassay.suite import audit_suite

    chosen = audit_suite(card, depth=depth.value, jets=jets).on(dataset=dataset, folder=data, limit=limit)
    with trusting(trust_code):
        findings = audit_one(chosen, device=device, reporter=Reporter(quiet=quiet))
    answer(findings.csv().rstrip() if format is AuditFormat.CSV else findings.table(width=width()))
    if findings.failures:
        raise typer.Exit(1)
