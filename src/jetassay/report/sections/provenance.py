"""Everything that the numbers depend on."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from jetassay.report.content import Content, Section, Table
from jetassay.report.sections.missing import MISSING, UNDEFINED

_DEPENDS = {
    "run_id": "run in MLflow (- until it is tracked)",
    "weights_sha256": "weights, sha256",
    "data_digest": "digest of the data",
    "split_seed": "seed of the split",
    "dtype": "computed in",
}


def section(content: Content) -> Section:
    """What the numbers of each backbone depend on; then data, weights, code, machine and settings, one line each."""
    facts = flat({name: value for name, value in content.provenance.items() if name not in (MISSING, UNDEFINED)})
    values = pd.DataFrame({"value": [str(value) for value in facts.values()]}, index=list(facts))
    facts_table = Table(values, "what", title="All facts", kind="text", folded=True)
    if not content.anchors:
        return Section("Provenance", (facts_table,))
    cells = run_cells(content.frame).reindex(content.backbones).fillna("-")
    title = "Which run the numbers of a backbone are of, and what they depend on"
    runs = Table(cells, "backbone", title=title, kind="text", anchors=content.anchors)
    return Section("Provenance", (runs, facts_table))


def run_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """Text cells, backbones down; several values where its scores have several. Scores of pairs are the suite's."""
    own = frame[frame["backbone_b"].isna()]
    columns = {name: own.groupby("backbone", sort=False)[name].agg(_values) for name in _DEPENDS}
    return pd.DataFrame(columns).rename(columns=_DEPENDS)


def _values(column: pd.Series) -> str:
    return ", ".join(str(each) for each in column.dropna().unique()) or "-"


def flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dots between the keys."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        found.update(flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value})
    return found
