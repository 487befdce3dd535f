"""One self-contained HTML page of a suite: tables, figures, counts and provenance, without a network."""

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from jetassay.report.tables import (
    DISCRIMINATION,
    REJECTION,
    background_of,
    leaderboard_cells,
    multiclass_cells,
    throughput_cells,
)
from jetassay.whole_files import whole_file

_STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 74rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; } h2 { margin-top: 2.2rem; border-bottom: 1px solid #8886; }
.scroll { overflow-x: auto; }
.row { display: flex; flex-wrap: wrap; gap: 1rem; } .row p { flex: 1 1 24rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #8884; }
th:first-child, td:first-child, .facts th, .facts td { text-align: left; }
.facts td:last-child { white-space: normal; overflow-wrap: anywhere; }
img { max-width: 100%; background: white; border-radius: 4px; }
.note { color: #777; max-width: 60rem; }
"""


def write_page(
    frame: pd.DataFrame,
    *,
    title: str,
    provenance: Mapping[str, Any],
    counts: pd.DataFrame,
    figures: Sequence[Path],
    protocol: str,
    path: Path,
) -> Path:
    """Write the page to `path` whole or not at all and return `path`."""
    parts = [f"<h1>{html.escape(title)}</h1>", f"<p class=note>{html.escape(_headline(provenance))}</p>"]
    by_name = {each.stem: each for each in figures}
    for task, how in DISCRIMINATION.items():
        if task not in set(frame["task"]):
            continue
        parts += [
            f"<h2>Each signal against {html.escape(background_of(frame))}: AUC ({how})</h2>",
            _table(leaderboard_cells(frame, "auc", task=task), "backbone"),
        ]
        parts += [
            _image(by_name[f"{task}_auc"]),
            f"<h2>Background rejection at each class's working point ({how})</h2>",
        ]
        parts += [
            _table(leaderboard_cells(frame, REJECTION, task=task), "backbone"),
            _image(by_name[f"{task}_rejection"]),
        ]
        together = multiclass_cells(frame, task=task)
        parts += [f"<h2>All classes together ({how})</h2>", _table(together, "backbone")] if len(together) else []
    if protocol:
        parts += ["<h2>How the numbers are defined</h2>"]
        parts += [f"<p class=note>{html.escape(paragraph)}</p>" for paragraph in protocol.split("\n\n")]
    similar = [each for name, each in by_name.items() if name.startswith("cka_")]
    if similar:
        parts += ["<h2>Similarity of the embeddings</h2><div class=row>", *[_image(each) for each in similar], "</div>"]
    if "throughput" in by_name:
        parts += [
            "<h2>Throughput</h2>",
            _table(throughput_cells(frame), "backbone"),
            _image(by_name["throughput"]),
        ]
    parts += ["<h2>Jets</h2>", _table(counts, "split"), "<h2>Provenance</h2>", _provenance(provenance)]
    document = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(title)}</title>"
        f'<meta name=viewport content="width=device-width"><style>{_STYLE}</style><body>{"".join(parts)}</body></html>'
    )
    with whole_file(path) as partial:
        partial.write_text(document, encoding="utf-8")
    return path


def _headline(provenance: Mapping[str, Any]) -> str:
    flat = _flat(provenance)
    keys = {
        "data.dataset": "jets of",
        "created": "run at",
        "machine.cpu": "on",
        "machine.usable_cores": "cores:",
        "threads.used": "threads:",
        "git.commit": "commit",
    }
    return ", ".join(f"{text} {flat[key]}" for key, text in keys.items() if flat.get(key) is not None)


def _table(cells: pd.DataFrame, corner: str, *, kind: str = "scroll") -> str:
    head = "".join(f"<th>{html.escape(str(name))}</th>" for name in [corner, *cells.columns])
    rows = "".join(
        f"<tr><td>{html.escape(str(name))}</td>"
        + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row)
        + "</tr>"
        for name, row in zip(cells.index, cells.to_numpy(), strict=True)
    )
    return f"<div class={kind}><table><tr>{head}</tr>{rows}</table></div>"


def _image(path: Path) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    return f'<p><img alt="{html.escape(path.stem)}" src="data:image/png;base64,{data}"></p>'


def _provenance(provenance: Mapping[str, Any]) -> str:
    flat = _flat(provenance)
    values = pd.DataFrame({"value": [str(value) for value in flat.values()]}, index=list(flat))
    return _table(values, "what", kind="facts")


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dots between the keys."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value})
    return flat
