"""Everything that the numbers depend on."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from jetassay.report.content import Content, Section, Table


def section(content: Content) -> Section:
    """Data, weights, code, machine and settings, one line each."""
    facts = flat(content.provenance)
    values = pd.DataFrame({"value": [str(value) for value in facts.values()]}, index=list(facts))
    return Section("Provenance", (Table(values, "what", kind="text"),))


def flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dots between the keys."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        found.update(flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value})
    return found
