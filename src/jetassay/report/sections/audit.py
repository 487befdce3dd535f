"""The audit: one row a check, one column a backbone; failures first, in full."""

import pandas as pd

from jetassay.audit.catalogue import CHECKS
from jetassay.report.content import FAIL, PASS, Block, Content, Section, Table, Text

NAME = "audit"
"""The table that holds it: columns backbone, check, status, figure, meaning."""

_MARKS = {"fail": FAIL, "note": "!", "not run": "–", "pass": PASS}  # the worst first
_WORDS = {"fail": "failed", "note": "worth a note", "not run": "not run", "pass": "passed"}


def section(content: Content) -> Section | None:
    """Every failure in full, the matrix of checks and backbones, and all findings in words."""
    table = content.tables.get(NAME)
    if table is None or not len(table):
        return None
    failures = table[table["status"] == "fail"]
    blocks: list[Block] = [Text(audit_line(table), "failure" if len(failures) else "plain")]
    blocks += [Text(_in_full(row), "failure") for _, row in _merged(failures).iterrows()]
    blocks += [
        Table(_matrix(table), "check", kind="marks"),
        Text(f"{PASS} passed, {FAIL} failed, ! not wrong, but worth knowing, – not run.", "note"),
        Table(_meanings(table), "check", title="What a pass means", kind="text", folded=True),
        Table(_in_words(table), "check", title="Every finding in words", kind="text", folded=True),
    ]
    return Section("Audit", tuple(blocks), ("audit",))


def audit_line(table: pd.DataFrame) -> str:
    """One line for a terminal: how many checks of how many backbones passed, and those that failed by name."""
    worst = _worst(table)
    counts = worst.value_counts()
    wrong = worst[worst == "fail"].reset_index()
    failed = [f"{backbone}: {check}" for check, backbone in zip(wrong["check"], wrong["backbone"], strict=True)]
    others = "".join(f", {counts[status]} {_WORDS[status]}" for status in ("note", "not run") if status in counts)
    backbones = table["backbone"].nunique()
    who = f"{backbones} backbone{'s' if backbones > 1 else ''}"
    passed = f"audit: {who}, {counts.get('pass', 0)} checks passed{others}"
    return f"{passed}; FAILED: {'; '.join(failed)}" if failed else passed


def _worst(table: pd.DataFrame) -> pd.Series:
    """The worst status of each check and backbone, in the order they first appear; a check may have several rows."""
    rank = table["status"].map({status: k for k, status in enumerate(_MARKS)})
    keys = [table["check"], table["backbone"]]
    return rank.groupby(keys, sort=False).min().map(dict(enumerate(_MARKS)))


def _matrix(table: pd.DataFrame) -> pd.DataFrame:
    """Cells `✓ figure`, checks down and backbones across."""
    worst = _worst(table).rename("worst").reset_index()
    chosen = table.merge(worst, on=["check", "backbone"]).query("status == worst")
    figures = chosen.groupby(["check", "backbone"], sort=False)["figure"].agg(_joined)
    cells = worst.set_index(["check", "backbone"])["worst"].map(_MARKS) + figures
    checks, backbones = (list(dict.fromkeys(table[name])) for name in ("check", "backbone"))
    return cells.unstack(fill_value="").reindex(index=checks, columns=backbones)


def _meanings(table: pd.DataFrame) -> pd.DataFrame:
    """What each check proves, as its catalogue says."""
    checks = list(dict.fromkeys(table["check"]))
    return pd.DataFrame({"a pass means": [CHECKS[name].proves if name in CHECKS else "" for name in checks]}, checks)


def _joined(figures: pd.Series) -> str:
    found = "; ".join(dict.fromkeys(each for each in figures if each))
    return f" {found}" if found else ""


def _merged(table: pd.DataFrame) -> pd.DataFrame:
    """Findings of equal words once, with all their backbones."""
    columns = ["check", "status", "figure", "meaning"]
    return table.groupby(columns, sort=False)["backbone"].agg(", ".join).reset_index()


def _in_words(table: pd.DataFrame) -> pd.DataFrame:
    merged = _merged(table)
    merged["result"] = merged["status"].map(_MARKS) + " " + merged["status"].map(_WORDS)
    shown = merged.set_index("check")[["result", "backbone", "figure", "meaning"]]
    return shown.rename(columns={"meaning": "what it means"})


def _in_full(finding: pd.Series) -> str:
    figure = f"{finding['figure']}. " if finding["figure"] else ""
    return f"{finding['check']}, {finding['backbone']}: {figure}{finding['meaning']}"
