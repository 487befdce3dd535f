"""What `jetassay compare A B ...` prints: each result against the first, and what was not the same."""

import json
from collections.abc import Sequence
from dataclasses import replace
from string import ascii_uppercase
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd

from jetassay.errors import ConfigError
from jetassay.report.differences import (
    CHANGED,
    INDEPENDENT,
    LIMIT,
    MEANING,
    METHOD,
    MOVED,
    NOT_COMPARABLE,
    SAME,
    VERDICTS,
    WITHIN,
    differences,
    ranked,
    unexplained,
)
from jetassay.report.stored import Stored, read_stored
from jetassay.report.tables import aligned, auc_cell, rejection_cell
from jetassay.report.unlike import short, unlike

_SHOWN = (MOVED, CHANGED, LIMIT)
"""Verdicts whose scores a terminal shows one by one, unless all are asked for."""

_ROWS = 40
_SCHEMA = 2


def render_comparison(
    sources: Sequence[str],
    *,
    tasks: Sequence[str] = (),
    metrics: Sequence[str] = (),
    format: str,  # noqa: A002 - the option's name
    whole: bool = False,
    width: int,
) -> str:
    """Every result against the first one, as text, CSV or JSON.

    sources: at least two of what `read_stored` takes; tasks, metrics: only these, where some are named
    whole: show every score that is not the same, however small its change
    Raises `ConfigError` for fewer than two sources, more than letters, or a task or metric that none of them has.
    """
    if not 2 <= len(sources) <= len(ascii_uppercase):
        raise ConfigError(f"compare: needs 2 to {len(ascii_uppercase)} results, got {len(sources)}")
    results = [_only(read_stored(each), tasks, metrics) for each in sources]
    if all(not len(each.frame) for each in results):
        asked = ", ".join([*tasks, *metrics])
        raise ConfigError(f"compare: no score of {asked} in any of them; `jetassay list tasks` shows what there is")
    letters = ascii_uppercase[: len(results)]
    facts = unlike(results, letters)
    pairs = [
        _labelled(differences(results[0], other), letters[0], letter)
        for letter, other in zip(letters[1:], results[1:], strict=True)
    ]
    if format == "csv":
        return pd.concat([ranked(each) for each in pairs]).to_csv(index=False).rstrip("\n")
    if format == "json":
        return _json(results, facts, pairs)
    return _text(results, facts, pairs, whole=whole, width=width)


def _labelled(rows: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """With the letters of both results in front."""
    rows = rows.copy()
    rows.insert(0, "first", first)
    rows.insert(1, "second", second)
    return rows


def _only(result: Stored, tasks: Sequence[str], metrics: Sequence[str]) -> Stored:
    frame = result.frame
    for column, names in (("task", tasks), ("metric", metrics)):
        frame = frame[frame[column].isin(list(names))] if names else frame
    return replace(result, frame=frame)


def _json(results: Sequence[Stored], facts: pd.DataFrame, pairs: Sequence[pd.DataFrame]) -> str:
    rows = json.loads(pd.concat([ranked(each) for each in pairs]).to_json(orient="records", double_precision=15))
    whole = {
        "schema": _SCHEMA,
        "method": METHOD,
        "results": {letter: _about(each) for letter, each in zip(ascii_uppercase, results, strict=False)},
        "not_the_same": facts.to_dict(orient="records"),
        "scores": rows,
    }
    return json.dumps(whole, indent=1)


def _about(result: Stored) -> dict[str, Any]:
    names = ", ".join(dict.fromkeys(result.frame["suite"].dropna()))
    return {"source": result.source, "suite": names, "run at": result.provenance.get("created")}


def _text(
    results: Sequence[Stored], facts: pd.DataFrame, pairs: Sequence[pd.DataFrame], *, whole: bool, width: int
) -> str:
    about = pd.DataFrame([_about(each) for each in results], index=list(ascii_uppercase[: len(results)]))
    parts = [aligned(about.map(short), width=width)]
    cells = facts.set_index("what").map(short)
    parts.append(f"Not the same\n{aligned(cells, width=width)}" if len(cells) else "Not the same: nothing")
    for rows in pairs:
        parts += _pair_text(rows, whole=whole, width=width)
    return "\n\n".join([*parts, fill(METHOD, width)])


def _pair_text(rows: pd.DataFrame, *, whole: bool, width: int) -> list[str]:
    first, second = rows["first"].iloc[0], rows["second"].iloc[0]
    here = f"{second} against {first}"
    apart = {f"only in the {name}": f"only in {letter}" for name, letter in (("first", first), ("second", second))}
    rows = rows.assign(verdict=rows["verdict"].replace(apart))
    counts = rows.groupby(["task", "verdict"], sort=False).size().unstack(fill_value=0)
    counts = counts[[name for name in (*VERDICTS, *apart.values()) if name in counts]]
    parts = [f"{here}: scores of each task\n{aligned(counts.astype(str), width=width)}"]
    barred = rows[rows["verdict"] == NOT_COMPARABLE]
    if len(barred):
        reasons = barred.groupby("task", sort=False)["reason"].value_counts().reset_index(name="scores")
        lines = [f"  {row.task} ({row.scores}): {row.reason}" for row in reasons.itertuples()]
        parts.append("\n".join([f"Not comparable ({first}, {second}), so not ranked", *lines]))
    parts += _unpaired(rows)
    if count := unexplained(rows):
        parts.append(
            f"{count} scores of {second} are others than those of {first} with the same jets and the same weights: "
            "that is code, versions or settings, not chance."
        )
    if not rows["verdict"].isin([MOVED, CHANGED, LIMIT, WITHIN, SAME]).any():
        parts.append(f"{here}: no score of both is comparable")
    elif not (rows["verdict"] == MOVED).any():
        parts.append(f"{here}: nothing moved beyond its uncertainty")
    for verdict in (*_SHOWN, WITHIN) if whole else _SHOWN:
        parts += _listed(ranked(rows[rows["verdict"] == verdict]), verdict, whole=whole, width=width)
    return parts


def _unpaired(rows: pd.DataFrame) -> list[str]:
    """Which changes have independent errors, and why; nothing where all are paired."""
    changed = rows[rows["verdict"].isin([MOVED, WITHIN]) & (rows["errors"] == INDEPENDENT)]
    if not len(changed):
        return []
    reasons = changed.groupby("task", sort=False)["unpaired"].value_counts().reset_index(name="scores")
    lines = [f"  {row.task} ({row.scores}): {row.unpaired}" for row in reasons.itertuples()]
    first, second = rows["first"].iloc[0], rows["second"].iloc[0]
    return [
        "\n".join([f"Changes with independent errors, not paired ({first} is the first, {second} the second)", *lines])
    ]


def _listed(rows: pd.DataFrame, verdict: str, *, whole: bool, width: int) -> list[str]:
    """The scores of one verdict, the most certain change first; nothing where there are none."""
    if not len(rows):
        return []
    first, second = rows["first"].iloc[0], rows["second"].iloc[0]
    end = len(rows) if whole else _ROWS
    more = f"\n{len(rows) - end} more: --all, or --format csv" if len(rows) > end else ""
    table = aligned(_cells(rows.iloc[:end], first, second), width=width)
    return [f"{second} against {first}: {verdict} ({MEANING[verdict]})\n{table}{more}"]


def _cells(rows: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """Text cells, a score a row: both numbers with their intervals, the change, its z, the p-value, the errors."""
    table = {
        first: [_number(row, "a") for _, row in rows.iterrows()],
        second: [_number(row, "b") for _, row in rows.iterrows()],
        "change": [_change(row) for _, row in rows.iterrows()],
        "z": ["-" if pd.isna(z) else f"{z:+.1f}" for z in rows["z"]],
        "p (Holm)": ["-" if pd.isna(p) else f"{p:.2g}" for p in rows["p_holm"]],
        "errors": ["-" if pd.isna(how) else how for how in rows["errors"]],
    }
    return pd.DataFrame(table, index=[_name(row) for _, row in rows.iterrows()])


def _number(row: pd.Series, side: str) -> str:
    facts = pd.Series({name: row[f"{name}_{side}"] for name in ("value", "low", "high")})
    if row["scale"] == "ratio":
        return rejection_cell(facts)
    return auc_cell(facts)


def _change(row: pd.Series) -> str:
    if pd.isna(row["change"]):
        return "-"
    middle, low, high = (float(row[name]) for name in ("change", "change_low", "change_high"))
    if row["scale"] == "ratio":
        texts = [f"{each:.3g}" for each in (middle, low, high)]
        start = "x "
    else:
        decimals = 4 if np.isnan(high - low) or high - low < 0.02 else 3
        texts, start = [f"{each:+.{decimals}f}" for each in (middle, low, high)], ""
    known = [text if np.isfinite(each) else "?" for text, each in zip(texts, (middle, low, high), strict=True)]
    return f"{start}{known[0]}" + ("" if known[1:] == ["?", "?"] else f" ({known[1]} to {known[2]})")


def _name(row: pd.Series) -> str:
    point = "" if pd.isna(row["working_point"]) else f" at {100 * float(row['working_point']):g}%"
    parts = [row["task"], f"{row['metric']}{point}", row["backbone"], row["backbone_b"], row["signal"], row["bin"]]
    words = [str(each) for each in parts if not pd.isna(each) and each != ""]
    extra = [f"{row[name]} {what}" for name, what in (("n_train", "jets"), ("draw", "th draw")) if _given(row, name)]
    return " ".join(words + extra)


def _given(row: pd.Series, name: str) -> bool:
    return row["task"] == "few-shot" and not pd.isna(row[name])
