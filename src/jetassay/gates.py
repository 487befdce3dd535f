"""Speed against weaver-core's, measured side by side, and whether it is what `benchmarks/gates.toml` asks for."""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from pydantic import Field

from jetassay.errors import ConfigError, DataError, JetAssayError
from jetassay.progress import Reporter
from jetassay.records import Record, parse_record, read_toml
from jetassay.throughput import (
    aligned,
    benchmark_files,
    benchmarks_folder,
    describe_machine,
    new_path,
    run_measuring,
    warn_if_busy,
)


class Gates(Record):
    """fails_below: the fraction of a gate under which it is missed; at_least: network -> ratio -> its gate."""

    fails_below: float = Field(gt=0, le=1)
    at_least: dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One quantity of one network, or of reading: speeds of ours and of a peer in `unit`, a number a round.

    load: load average of the machine at the end of each round
    """

    network: str
    quantity: str
    unit: str
    ours: tuple[float, ...]
    peer: tuple[float, ...]
    load: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Of the medians over rounds."""
        return median(self.ours) / median(self.peer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A comparison and its gate; without one, None, it is only shown."""

    comparison: Comparison
    gate: float | None
    fails_below: float

    @property
    def missed(self) -> bool:
        """Whether the ratio is under so much of the gate that it fails."""
        return self.gate is not None and self.comparison.ratio < self.fails_below * self.gate

    @property
    def word(self) -> str:
        """`met`, `near` (under the gate, and not missed), `missed`, or a dash without a gate."""
        if self.gate is None:
            return "-"
        return "missed" if self.missed else "met" if self.comparison.ratio >= self.gate else "near"


def run_side_by_side(*, reporter: Reporter) -> tuple[str, tuple[Verdict, ...]]:
    """Measure ours beside weaver-core's, save and track it, and give one table and what is in it.

    Raises `ConfigError` without weaver-core or without a checkout, `JetAssayError` where embeddings differ.
    """
    from jetassay.tracking.lifecycle import stoppable
    from jetassay.tracking.throughput import record_throughput

    folder = benchmarks_folder()
    if find_spec("weaver") is None:
        raise ConfigError("nothing to compare with: weaver-core is not installed here: pip install 'jetassay[test]'")
    gates, path = read_gates(folder / "gates.toml"), new_path("side-by-side")
    with stoppable():
        benchmark_files(reporter=reporter)
        warn_if_busy(reporter)
        run_measuring(
            [sys.executable, "-m", "benchmarks.side_by_side", str(path)], path, reporter, folder=folder.parent
        )
        session, comparisons = read_comparisons(path)
        verdicts = judge(comparisons, gates)
        recorded = record_throughput(path, reporter=reporter)
    where = {"json": str(path), "tracking": recorded.store, "side by side": recorded.compare}
    text = f"{render_verdicts(verdicts)}\n{describe_machine(session)}\n\n{aligned(list(where.items()))}"
    return text, verdicts


def enforce(verdicts: Sequence[Verdict]) -> None:
    """Raise `JetAssayError` where a gate is missed, naming each that is."""
    missed = [each for each in verdicts if each.missed]
    if missed:
        which = "\n".join(
            f"  {each.comparison.network} {each.comparison.quantity}: {each.comparison.ratio:.2f}, gate {each.gate:.2f}"
            for each in missed
        )
        raise JetAssayError(
            f"{len(missed)} of {sum(each.gate is not None for each in verdicts)} gates missed by more than "
            f"{1 - missed[0].fails_below:.0%}; on a machine with other work, measure again when it is idle\n{which}"
        )


def read_gates(path: Path) -> Gates:
    """The gates in `path`. Raises `ConfigError` where it is something else, or a gate is not a positive number."""
    gates = parse_record(read_toml(path), Gates, path=path)
    each = [(f"{network} {name}", gate) for network, found in gates.at_least.items() for name, gate in found.items()]
    wrong = [name for name, gate in each if not (gate > 0 and math.isfinite(gate))]
    if wrong:
        raise ConfigError(f"{path}: at_least: a gate is a positive number, which {', '.join(wrong)} is not")
    return gates


def read_comparisons(path: Path) -> tuple[dict[str, Any], tuple[Comparison, ...]]:
    """The session in a JSON file of `benchmarks/side_by_side.py`, and what it compared.

    Raises `DataError` where it is something else, or a speed is not a positive number.
    """
    try:
        session: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found = tuple(_comparison(each) for each in session["quantities"])
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}; nothing was measured, or nothing saved") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not written by `make throughput-gates` ({error!r}); run that again") from error
    for each in found:
        speeds = (*each.ours, *each.peer)
        if not each.ours or len(each.ours) != len(each.peer) or not all(0 < speed < math.inf for speed in speeds):
            raise DataError(f"{path}: {each.network} {each.quantity}: speeds must be positive numbers, one a round")
    return session, found


def _comparison(table: Mapping[str, Any]) -> Comparison:
    ours, peer, load = (tuple(float(number) for number in table[name]) for name in ("ours", "peer", "load"))
    network, quantity, unit = (str(table[name]) for name in ("network", "quantity", "unit"))
    return Comparison(network=network, quantity=quantity, unit=unit, ours=ours, peer=peer, load=load)


def judge(comparisons: Sequence[Comparison], gates: Gates) -> tuple[Verdict, ...]:
    """Each comparison with its gate.

    Raises `ConfigError` where a gate is of something without a measurement: what nobody measures must not pass for met.
    """
    measured = {(each.network, each.quantity) for each in comparisons}
    wanted = [(network, quantity) for network, gated in gates.at_least.items() for quantity in gated]
    missing = [f"{network} {quantity}" for network, quantity in wanted if (network, quantity) not in measured]
    if missing:
        raise ConfigError(f"gates.toml has gates of what was not measured: {', '.join(missing)}")
    return tuple(
        Verdict(
            comparison=each,
            gate=gates.at_least.get(each.network, {}).get(each.quantity),
            fails_below=gates.fails_below,
        )
        for each in comparisons
    )


def render_verdicts(verdicts: Sequence[Verdict]) -> str:
    """One table: a row for each comparison, and what its columns mean."""
    heads = ("", "quantity", "unit", "ours", "peer", "ratio", "gate", "verdict", "rounds", "load")
    rows = []
    for each in verdicts:
        pair = each.comparison
        rows.append(
            (
                pair.network,
                pair.quantity,
                pair.unit,
                *(f"{median(speeds):.1f}" for speeds in (pair.ours, pair.peer)),
                f"{pair.ratio:.2f}",
                "-" if each.gate is None else f"{each.gate:.2f}",
                each.word,
                str(len(pair.ours)),
                f"{median(pair.load):.1f}" if pair.load else "?",
            )
        )
    return (
        f"{aligned([heads, *rows], right=(3, 4, 5, 6, 8, 9))}\n"
        "Medians over interleaved rounds; operations of real constituents and pairs alone. By the CPU time of one "
        "thread, reading by that of the process, and by wall time where the row says so."
    )
