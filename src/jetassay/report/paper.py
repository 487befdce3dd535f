"""Figures and tables of a report for a paper: PDF and PNG of every figure, CSV and LaTeX rows of every table."""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from jetassay.report.content import Block, Content, Figure, Fold, Section, Table
from jetassay.report.gaps import Gap, attempted
from jetassay.report.paper_styles import finish
from jetassay.report.pictures import own_style
from jetassay.report.sections import sections
from jetassay.whole_files import whole_file

PAPER = "paper"
"""The folder, beside a suite's page; it is made on demand, so what lies there may be of an earlier run."""

DPI = 300
_TEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$",
    "✓": r"$\checkmark$", "✗": r"$\times$", "−": "$-$", "²": "$^2$", "ε": r"$\varepsilon$",
}  # fmt: skip
_ERRORS = re.compile(r"([\d.]+) \+([\d.]+)-([\d.]+)")
_LONGEST = 80


def write_paper(content: Content, folder: Path, *, style: Mapping[str, Any] | None = None) -> tuple[str, ...]:
    """Write FIGURE.pdf, FIGURE.png, TABLE.csv and TABLE.tex of every section into `folder`; other such files there go.

    style: as `paper_style` gives it; our own where it sets nothing

    Fonts in PDFs are embedded, as TrueType unless the style says otherwise. Gives what could not be drawn, one sentence
    each. Raises `StoreError` where the folder cannot be written.
    """
    style = style or {}
    shown = sections(content)
    gaps = [each.gap for each in shown if each.gap]
    written: set[Path] = set()
    for figure in (each for part in shown for each in part.figures):
        made = attempted(partial(_drawn, figure, style), f"figure {figure.name}")
        if isinstance(made, Gap):
            gaps.append(str(made))
            continue
        written |= {_write(folder / f"{figure.name}.{ending}", data) for ending, data in made.items()}
    for name, table in named_tables(shown):
        written |= {
            _write(folder / f"{name}.csv", csv_text(table).encode()),
            _write(folder / f"{name}.tex", latex_rows(table).encode()),
        }
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.suffix in (".pdf", ".png", ".csv", ".tex") and path not in written:
            path.unlink()
    return tuple(gaps)


def named_tables(shown: Sequence[Section]) -> Iterator[tuple[str, Table]]:
    """Every table with the name of its file, from section and title; a number where two would be called the same."""
    counts: dict[str, int] = {}
    for part in shown:
        for table in _tables(part.blocks):
            name = re.sub(r"[^a-z0-9]+", "-", f"{part.title} {table.title}".lower()).strip("-")[:_LONGEST].strip("-")
            counts[name] = counts.get(name, 0) + 1
            yield (name if counts[name] == 1 else f"{name}-{counts[name]}"), table


def csv_text(table: Table) -> str:
    """The cells as they are printed, with a last column `group` where rows stand under headings."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    last = ["group"] if table.groups else []
    writer.writerow([table.corner, *table.cells.columns, *last])
    for name, row in zip(table.cells.index, table.cells.to_numpy(), strict=True):
        writer.writerow([name, *row, *([table.groups.get(name, "")] if last else [])])
    return text.getvalue()


def latex_rows(table: Table) -> str:
    r"""Heading, `\midrule` and rows for a tabular of booktabs, a line for each group; as the page's LaTeX button."""
    lines = [_line([table.corner, *map(str, table.cells.columns)]), "\\midrule\n"]
    above = ""
    for name, row in zip(table.cells.index, table.cells.to_numpy(), strict=True):
        group = table.groups.get(name, "")
        if group != above:
            lines.append(f"\\multicolumn{{{1 + len(row)}}}{{l}}{{\\emph{{{latex_cell(group)}}}}} \\\\\n")
            above = group
        lines.append(_line([str(name), *map(str, row)]))
    return "".join(lines)


def latex_cell(text: str) -> str:
    """One cell: `12 +3-2` with its errors above and below, the rest escaped."""
    if text == "-":
        return "--"
    errors = _ERRORS.fullmatch(text)
    if errors:
        return f"${errors[1]}^{{+{errors[2]}}}_{{-{errors[3]}}}$"
    return re.sub(r"[\\~^<>✓✗−²ε&%$#_{}]", lambda found: _TEX.get(found[0], f"\\{found[0]}"), text)


def _line(cells: Sequence[str]) -> str:
    return " & ".join(map(latex_cell, cells)) + " \\\\\n"


def _tables(blocks: Sequence[Block]) -> Iterator[Table]:
    for block in blocks:
        if isinstance(block, Table):
            yield block
        elif isinstance(block, Fold):
            yield from _tables(block.blocks)


def _drawn(figure: Figure, style: Mapping[str, Any]) -> dict[str, bytes]:
    """The figure as PDF and PNG, by ending, and forget it."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    files: dict[str, bytes] = {}
    parameters: Any = {"pdf.fonttype": 42, **style}
    with own_style(), mpl.rc_context(parameters):
        drawing = figure.draw()
        if style:
            finish(drawing)
        for ending in ("pdf", "png"):
            drawn = io.BytesIO()
            drawing.savefig(drawn, format=ending, dpi=DPI, bbox_inches="tight")
            files[ending] = drawn.getvalue()
        plt.close(drawing)
    return files


def _write(path: Path, data: bytes) -> Path:
    with whole_file(path) as partial:
        partial.write_bytes(data)
    return path
