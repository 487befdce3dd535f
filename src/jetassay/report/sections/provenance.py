"""Everything that the numbers depend on."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from jetassay.report.content import Content, Section, Table
from jetassay.report.sections.missing import MISSING, UNDEFINED


def section(content: Content) -> Section:
    """Data, weights, code, machine and settings, one line each."""
    facts = flat({name: value for name, value in content.provenance.items() if name not in (MISSING, UNDEFINED)})
    values = pd.DataFrame({"value": [str(value) for value in facts.values()]}, index=list(facts))
    return Section("Provenance", (Table(values, "what", title="All facts", kind="text", folded=True),))


def flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dots between the keys."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        found.update(flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value})
    return found
