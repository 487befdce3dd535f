"""One self-contained HTML page of a suite: its sections, without a network."""

import base64
import html
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from jetassay.errors import JetAssayError
from jetassay.masking import mask
from jetassay.progress import Reporter
from jetassay.report.content import FAIL, Block, Content, Figure, Fold, Pointed, Row, Section, Table, Text
from jetassay.report.gaps import Gap, Page, draw_all
from jetassay.report.pictures import DPI, Picture
from jetassay.report.sections import sections
from jetassay.report.sections.definitions import anchor_of
from jetassay.report.sections.provenance import flat
from jetassay.whole_files import whole_file

_CSS_DPI = 96
_STYLE, _TABLES, _POINTER, _FILTER = (
    Path(__file__).with_name(name).read_text(encoding="utf-8")
    for name in ("page.css", "page.js", "pointer.js", "dark.svg")
)
_SCRIPT = f"{_TABLES}\n{_POINTER}"
"""Both stand inside the page, and their hashes in its policy: nothing else runs, and nothing is requested."""


def write_page(content: Content, *, title: str, folder: Path, reporter: Reporter | None = None) -> Page:
    """Draw every figure into `folder`/figures and write `folder`/report.html, each whole or not at all.

    A section or figure that fails is named on the page and in what is given back; nothing else is lost by it. Figures
    of an earlier page that this one has not are removed. Raises `JetAssayError` where two sections or two figures have
    one name.
    """
    lead = _headline(content.provenance)
    about = {"title": title, "lead": lead, "protocol": content.protocol}
    return write_sections(sections(content), **about, folder=folder, reporter=reporter)


def write_sections(
    shown: Sequence[Section], *, title: str, lead: str, protocol: str, folder: Path, reporter: Reporter | None = None
) -> Page:
    """The same for sections that are chosen already; lead: a line below the title."""
    _require_unique([each.title for each in shown], "section")
    figures = [each for part in shown for each in part.figures]
    _require_unique([each.name for each in figures], "figure")
    drawn = draw_all(figures, folder / "figures", reporter=reporter)
    text = document(shown, title=title, lead=lead, figures=drawn, protocol=protocol)
    with whole_file(folder / "report.html") as path:
        path.write_text(text, encoding="utf-8")
    gaps = [each.gap for each in shown if each.gap] + [str(each) for each in drawn.values() if isinstance(each, Gap)]
    return Page(folder / "report.html", tuple(gaps))


def document(
    shown: Sequence[Section],
    *,
    title: str,
    lead: str,
    figures: Mapping[str, Picture | Gap] | None = None,
    protocol: str = "",
) -> str:
    """The whole page as text: title, a line below it, contents, sections. figures: name -> PNG, or why not."""
    parts = [
        f"<h1>{_shown(title)}</h1><p class=note>{_shown(lead)}</p>",
        _contents(shown),
        *(_section(each, figures or {}, protocol) for each in shown),
    ]
    return (
        f"<!doctype html><html lang=en><head><meta charset=utf-8>"
        f'<meta http-equiv=Content-Security-Policy content="{_policy()}"><title>{_shown(title)}</title>'
        f'<meta name=viewport content="width=device-width"><link rel=icon href="data:,">'
        f"<style>{_STYLE}</style><script>{_SCRIPT}</script></head><body>{_FILTER}{''.join(parts)}</body></html>"
    )


def _shown(text: str) -> str:
    """Text as the page shows it."""
    return html.escape(mask(text))


def _policy() -> str:
    """What a browser may do with the page: show pictures that are in it, apply its own style, run its own script."""
    style, script = (base64.b64encode(sha256(each.encode()).digest()).decode() for each in (_STYLE, _SCRIPT))
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{style}'; script-src 'sha256-{script}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _require_unique(names: Sequence[str], what: str) -> None:
    doubles = [name for name, count in Counter(names).items() if count > 1]
    if doubles:
        raise JetAssayError(f"report: two {what}s are called {', '.join(doubles)}; a name stands for one on a page")


def _headline(provenance: Mapping[str, Any]) -> str:
    facts = flat(provenance)
    keys = {
        "data.dataset": "jets of",
        "created": "run at",
        "machine.cpu": "on",
        "machine.usable_cores": "cores:",
        "threads.used": "threads:",
        "git.commit": "commit",
    }
    return ", ".join(f"{text} {facts[key]}" for key, text in keys.items() if facts.get(key) is not None)


def _contents(shown: Sequence[Section]) -> str:
    items = "".join(f'<li><a href="#{_anchor(each.title)}">{_shown(each.title)}</a></li>' for each in shown)
    return f"<nav><ul>{items}</ul></nav>"


def _anchor(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _section(section: Section, drawn: Mapping[str, Picture | Gap], protocol: str) -> str:
    anchors = {words: anchor_of(words, protocol) for words in section.definitions}
    links = [f'<a href="#{anchor}">{_shown(words)}</a>' for words, anchor in anchors.items() if anchor]
    defined = f"<p class=note>Defined below: {', '.join(links)}.</p>" if links else ""
    body = "".join(_block(each, drawn) for each in section.blocks)
    return f'<section><h2 id="{_anchor(section.title)}">{_shown(section.title)}</h2>{defined}{body}</section>'


def _block(block: Block, drawn: Mapping[str, Picture | Gap]) -> str:
    if isinstance(block, Text):
        anchor = f" id={block.anchor}" if block.anchor else ""
        return f"<p class={block.kind}{anchor}>{_shown(block.text)}</p>"
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Fold):
        return _folded(block.title, "".join(_block(each, drawn) for each in block.blocks))
    if isinstance(block, Pointed):
        return f"<div id=jets hidden>{html.escape(block.jets)}</div>"
    if isinstance(block, Row):
        return f"<div class=row>{''.join(_figure(each, drawn[each.name]) for each in block.figures)}</div>"
    return _figure(block, drawn[block.name])


def _table(table: Table) -> str:
    head = "".join(f"<th scope=col>{_shown(str(name))}</th>" for name in [table.corner, *table.cells.columns])
    bodies, above = ["<tbody>"], ""
    for name, row in zip(table.cells.index, table.cells.to_numpy(), strict=True):
        group = table.groups.get(name, "")
        if group != above:  # a body for each group: sorting leaves rows under their heading
            opened = "" if len(bodies) == 1 else "</tbody><tbody>"
            bodies.append(f"{opened}<tr class=group><td colspan={1 + len(row)}>{_shown(group)}</td></tr>")
            above = group
        anchor = f" id={table.anchors[name]}" if name in table.anchors else ""
        first = _link(str(name), table.links[name]) if name in table.links else _cell(str(name))
        bodies.append(f"<tr{anchor}>{first}{''.join(_cell(str(cell)) for cell in row)}</tr>")
    caption = f"<caption>{_shown(table.title)}</caption>" if table.title and not table.folded else ""
    inside = f"{caption}<thead><tr>{head}</tr></thead>{''.join(bodies)}</tbody>"
    body = f'<div class="scroll {table.kind}"><table>{inside}</table></div>'
    return _folded(table.title, body) if table.folded else body


def _folded(title: str, body: str) -> str:
    return f"<details><summary>{_shown(title)}</summary>{body}</details>"


def _link(text: str, anchor: str) -> str:
    return f'<td><a href="#{anchor}">{_shown(text)}</a></td>'


def _cell(text: str) -> str:
    return f"<td class=failure>{_shown(text)}</td>" if text.startswith(FAIL) else f"<td>{_shown(text)}</td>"


def _figure(figure: Figure, drawn: Picture | Gap) -> str:
    if isinstance(drawn, Gap):
        return f"<p class=failure>{_shown(str(drawn))}</p>"
    data = base64.b64encode(drawn.png).decode()
    width = round(int.from_bytes(drawn.png[16:20], "big") * _CSS_DPI / DPI)  # a PNG's width stands in its header
    caption = f"<figcaption>{_shown(figure.caption)}</figcaption>" if figure.caption else ""
    alt = _shown(figure.caption or figure.name.replace("_", " "))
    points = f' data-points="{html.escape(drawn.points)}"' if drawn.points else ""
    scale = " class=scale" if drawn.scale else ""
    return (
        f'<figure><img alt="{alt}" width={width}{scale}{points} src="data:image/png;base64,{data}">{caption}</figure>'
    )
