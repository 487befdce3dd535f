"""A run of `make throughput` as text: backbones by batch size, stages, what was not measured, and on which machine."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from jetassay.measurements import aligned, describe_machine


def render_session(session: Mapping[str, Any]) -> str:
    """A session as text: backbones by batch size, the stages, what was not measured, and on which machine."""
    own = [each for each in session["benchmarks"] if not each["extra_info"].get("beside_peer")]
    forward = [each for each in own if each["extra_info"].get("backbone")]
    stages = [each for each in own if not each["extra_info"].get("backbone")]
    blocks = []
    if forward:
        how = "; ".join(dict.fromkeys(_how(each["extra_info"]) for each in forward))
        blocks.append(f"jets/s by jets in a batch ({how})\n{_backbone_table(forward)}")
    if stages:
        rows = [(each["name"].removeprefix("bench_"), _rate(each), _amount(each["extra_info"])) for each in stages]
        blocks.append(f"jets/s of the stages alone\n{aligned(rows, right=(1,))}")
    if session.get("skipped"):
        blocks.append(f"not measured\n{aligned(list(session['skipped'].items()))}")
    blocks.append(f"Medians over rounds, ± half of the interquartile range.\n{describe_machine(session)}")
    return "\n\n".join(blocks)


def _backbone_table(benchmarks: Iterable[Mapping[str, Any]]) -> str:
    """One row a backbone, one column a batch size and variant."""
    cells: dict[str, dict[tuple[float, str], str]] = {}
    for each in benchmarks:
        about = each["extra_info"]
        column = float(about.get("batch_size") or math.inf), str(about.get("variant") or "")
        cells.setdefault(about["backbone"], {})[column] = _rate(each)
    columns = sorted({column for row in cells.values() for column in row})
    heads = [f"{'' if math.isinf(size) else int(size)} {variant}".strip() for size, variant in columns]
    rows = [(name, *(row.get(column, "-") for column in columns)) for name, row in cells.items()]
    return aligned([("", *heads), *rows], right=range(1, len(columns) + 1))


def _rate(benchmark: Mapping[str, Any]) -> str:
    """Such as `1,234 ±2%`: three digits at least, and how far the middle half of the rounds spreads."""
    rate, stats = float(benchmark["extra_info"]["jets_per_s"]), benchmark["stats"]
    digits = max(0, 2 - math.floor(math.log10(rate))) if rate > 0 else 0
    return f"{rate:,.{digits}f} ±{50 * float(stats['iqr']) / float(stats['median']):.0f}%"


def _how(about: Mapping[str, Any]) -> str:
    return f"{about.get('threads', '?')} thread, {about.get('dtype', '?')}, {about.get('device', '?')}"


def _amount(about: Mapping[str, Any]) -> str:
    words = [f"{about['jets']:,} jets" if "jets" in about else "", str(about.get("note", ""))]
    return ", ".join(word for word in words if word)
