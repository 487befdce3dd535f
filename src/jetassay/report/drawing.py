"""What `jetassay report` draws: a suite's page from its folder, or a leaderboard from a folder of result files."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from jetassay.errors import ConfigError
from jetassay.progress import Reporter
from jetassay.report.board import draw_board
from jetassay.report.paper import PAPER, write_paper
from jetassay.report.paper_styles import PLAIN, paper_style
from jetassay.report.results import Results, load_folder, load_results, vanished_cards


def draw_report(
    what: str,
    *,
    output: Path | None,
    reference: Path | None,
    paper: bool = False,
    style: str | None = None,
    reporter: Reporter,
) -> Path:
    """The page of `what`; a folder that exists wins over a suite of that name.

    output:    folder for the page of a folder; reference: of a folder of result files, which of them sets the standard
    paper:     of one suite, every figure and table for a paper too, in the folder `paper` beside its page
    style:     of the figures for a paper, one of `paper_styles.STYLES`; the page has always our own

    Raises `ConfigError` where there is nothing to draw from, or the style cannot be had; `JetAssayError`, once the page
    is written, naming what of it could not be drawn.
    """
    if style is not None and not paper:
        raise ConfigError(f"--style {style} is for the figures of --paper; give both, or neither")
    look = paper_style(PLAIN if style is None else style) if paper else None
    folder = Path(what)
    if not folder.is_dir():
        if output is not None or reference is not None:
            raise ConfigError(f"--output and --reference go with a folder; there is no folder {what}")
        if folder.name != what and folder.suffix != ".toml":
            raise ConfigError(f"{what}: there is no such folder; give one, or the name of a suite that was run")
        return draw_suite(what, paper=look, reporter=reporter)
    if (folder / "scores.parquet").exists():
        if reference is not None:
            raise ConfigError(f"{folder}: one suite's own folder; --reference goes with a folder of result files")
        try:
            results, into = load_folder(folder), output or folder
            return _drawn(results, into, paper=look, reporter=reporter)
        except FileNotFoundError as error:
            raise ConfigError(f"{error.filename}: is missing, so the results cannot be read; copy it too") from error
    if paper:
        raise ConfigError(f"{folder}: --paper goes with the results of one suite")
    board = draw_board(folder, output=output, reference=reference, reporter=reporter)
    for line in board.left_out:
        reporter.warning(f"left out: {line}")
    return board.page


def draw_suite(suite: str, *, paper: Mapping[str, Any] | None = None, reporter: Reporter) -> Path:
    """The page of a suite of this workspace; backbones whose card is no longer there stand apart, with a warning.

    paper: the style of figures for a paper, as `paper_style` gives it, where these are wanted
    """
    results = load_results(suite)
    gone = vanished_cards(results)
    for name, why in gone.items():
        reporter.warning(f"{name}: {why}")
    return _drawn(replace(results, unranked=gone), results.folder, paper=paper, reporter=reporter)


def _drawn(results: Results, folder: Path, *, paper: Mapping[str, Any] | None, reporter: Reporter) -> Path:
    page = results.draw(folder, reporter=reporter)
    if paper is not None:
        gaps = write_paper(results.content, folder / PAPER, style=paper)
        page = replace(page, gaps=tuple(dict.fromkeys([*page.gaps, *gaps])))
        reporter.line(f"for a paper: {folder / PAPER}")
    return page.whole()
