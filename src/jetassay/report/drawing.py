"""What `jetassay report` draws: a suite's page from its folder, or a leaderboard from a folder of result files."""

from dataclasses import replace
from pathlib import Path

from jetassay.backbones.catalogue import backbone_cards
from jetassay.errors import ConfigError
from jetassay.progress import Reporter
from jetassay.report.board import draw_board
from jetassay.report.results import Results, load_folder, load_results


def draw_report(what: str, *, output: Path | None, reference: Path | None, reporter: Reporter) -> Path:
    """The page of `what`; a folder that exists wins over a suite of that name.

    output:    folder for the page of a folder; reference: of a folder of result files, which of them sets the standard

    Raises `ConfigError` where there is nothing to draw from; `JetAssayError`, once the page is written, naming what of
    it could not be drawn.
    """
    folder = Path(what)
    if not folder.is_dir():
        if output is not None or reference is not None:
            raise ConfigError(f"--output and --reference go with a folder; there is no folder {what}")
        return draw_suite(what, reporter=reporter)
    if (folder / "scores.parquet").exists():
        if reference is not None:
            raise ConfigError(f"{folder}: one suite's own folder; --reference goes with a folder of result files")
        try:
            return load_folder(folder).draw(output or folder).whole()
        except FileNotFoundError as error:
            raise ConfigError(f"{error.filename}: is missing, so the results cannot be read; copy it too") from error
    board = draw_board(folder, output=output, reference=reference)
    for line in board.left_out:
        reporter.warning(f"left out: {line}")
    return board.page


def draw_suite(suite: str, *, reporter: Reporter) -> Path:
    """The page of a suite of this workspace; backbones whose card is no longer there stand apart, with a warning."""
    results = load_results(suite)
    gone = vanished_cards(results)
    for name, why in gone.items():
        reporter.warning(f"{name}: {why}")
    return replace(results, unranked=gone).draw().whole()


def vanished_cards(results: Results) -> dict[str, str]:
    """Backbones with scores that nobody here can embed again, and why."""
    known = set(backbone_cards())
    return {
        name: f"there is no card '{name.partition('@')[0]}' any more; its scores are kept, and it is not ranked"
        for name in dict.fromkeys(results.frame["backbone"].dropna())
        if name and name.partition("@")[0] not in known
    }
