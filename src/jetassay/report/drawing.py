"""What `jetassay report` draws: a suite's page from its folder, or a leaderboard from a folder of result files."""

from dataclasses import replace
from pathlib import Path

from jetassay.errors import ConfigError
from jetassay.progress import Reporter
from jetassay.report.board import draw_board
from jetassay.report.paper import PAPER, write_paper
from jetassay.report.results import Results, load_folder, load_results, vanished_cards


def draw_report(
    what: str, *, output: Path | None, reference: Path | None, paper: bool = False, reporter: Reporter
) -> Path:
    """The page of `what`; a folder that exists wins over a suite of that name.

    output:    folder for the page of a folder; reference: of a folder of result files, which of them sets the standard
    paper:     of one suite, every figure and table for a paper too, in the folder `paper` beside its page

    Raises `ConfigError` where there is nothing to draw from; `JetAssayError`, once the page is written, naming what of
    it could not be drawn.
    """
    folder = Path(what)
    if not folder.is_dir():
        if output is not None or reference is not None:
            raise ConfigError(f"--output and --reference go with a folder; there is no folder {what}")
        if folder.name != what and folder.suffix != ".toml":
            raise ConfigError(f"{what}: there is no such folder; give one, or the name of a suite that was run")
        return draw_suite(what, paper=paper, reporter=reporter)
    if (folder / "scores.parquet").exists():
        if reference is not None:
            raise ConfigError(f"{folder}: one suite's own folder; --reference goes with a folder of result files")
        try:
            results, into = load_folder(folder), output or folder
            return _drawn(results, into, paper=paper, reporter=reporter)
        except FileNotFoundError as error:
            raise ConfigError(f"{error.filename}: is missing, so the results cannot be read; copy it too") from error
    if paper:
        raise ConfigError(f"{folder}: --paper goes with the results of one suite")
    board = draw_board(folder, output=output, reference=reference, reporter=reporter)
    for line in board.left_out:
        reporter.warning(f"left out: {line}")
    return board.page


def draw_suite(suite: str, *, paper: bool = False, reporter: Reporter) -> Path:
    """The page of a suite of this workspace; backbones whose card is no longer there stand apart, with a warning."""
    results = load_results(suite)
    gone = vanished_cards(results)
    for name, why in gone.items():
        reporter.warning(f"{name}: {why}")
    return _drawn(replace(results, unranked=gone), results.folder, paper=paper, reporter=reporter)


def _drawn(results: Results, folder: Path, *, paper: bool, reporter: Reporter) -> Path:
    page = results.draw(folder, reporter=reporter)
    if paper:
        gaps = write_paper(results.content, folder / PAPER)
        page = replace(page, gaps=tuple(dict.fromkeys([*page.gaps, *gaps])))
        reporter.line(f"for a paper: {folder / PAPER}")
    return page.whole()
