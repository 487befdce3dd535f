"""Commands of the tracking store: register a backbone there, send what waits."""

import sys
from typing import Annotated

import typer

from jetassay.cli.app import Quiet, TrustCode, answer, command
from jetassay.progress import Reporter


@command("jetassay register part-mini")
def register(
    card: Annotated[str, typer.Argument(help="A backbone's name, also NAME@LAYER.")],
    name: Annotated[str | None, typer.Option(help="Its name in the registry; the card's if not given.")] = None,
    schema: Annotated[str, typer.Option(help="The dataset whose columns jets will be given in.")] = "jetclass",
    trust_code: TrustCode = False,
    quiet: Quiet = False,
) -> None:
    """Put a backbone into MLflow's model registry. Card and safetensors, no pickle; takes raw constituent columns."""
    from jetassay.backbones.catalogue import backbone_cards, find_card
    from jetassay.backbones.loading import load_backbone
    from jetassay.backbones.trust import trusting
    from jetassay.tracking.registering import register as run_registration

    with trusting(trust_code):
        backbone = load_backbone(find_card(backbone_cards(), card))
    found = run_registration(backbone, name=name, schema=schema, reporter=Reporter(quiet=quiet))
    answer(f"{found.uri} {'registered' if found.is_new else 'is registered already'} in {found.store}")


@command("jetassay sync")
def sync(quiet: Quiet = False) -> None:
    """Send results to MLflow that could not be tracked. They wait in the workspace; nothing is sent twice."""
    from jetassay.bookkeeping import sync as run_sync

    problems = run_sync(reporter=Reporter(quiet=quiet))
    for each in problems:
        answer(f"error: {each}", file=sys.stderr)
    if problems:
        raise typer.Exit(1)
