"""Whether speeds beside a peer's are what `benchmarks/gates.toml` asks for."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from pydantic import Field

from jetassay.errors import ConfigError, JetAssayError
from jetassay.measurements import Comparison, aligned
from jetassay.records import Record, parse_record, read_toml


class Gates(Record):
    """What speeds must be.

    fails_below:  the fraction of a gate under which it is missed
    slower_below: the fraction of its speed in the baseline under which something has become slower
    at_least:     network -> ratio -> its gate
    """

    fails_below: float = Field(gt=0, le=1)
    slower_below: float = Field(gt=0, le=1)
    at_least: dict[str, dict[str, float]]


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


@dataclass(frozen=True, slots=True)
class Judgement:
    """Every comparison with its gate, and the names of gates of what was not measured."""

    verdicts: tuple[Verdict, ...]
    unmeasured: tuple[str, ...] = ()

    @property
    def missing(self) -> str:
        """One sentence that names the gates without a measurement; empty where there are none."""
        if not self.unmeasured:
            return ""
        return f"Gates of what was not measured (those of two threads need two cores): {'; '.join(self.unmeasured)}."


def enforce(judgement: Judgement) -> None:
    """Raise `JetAssayError` where a gate is missed or nothing of it was measured, naming each."""
    missed = [each for each in judgement.verdicts if each.missed]
    total = sum(each.gate is not None for each in judgement.verdicts) + len(judgement.unmeasured)
    found = []
    if missed:
        within = f"{len(missed)} of {total} gates missed by more than {1 - missed[0].fails_below:.0%}"
        found += [
            f"{within}; on a machine with other work, measure again when it is idle",
            *(f"  {each.comparison.name}: {each.comparison.ratio:.2f}, gate {each.gate:.2f}" for each in missed),
        ]
    if judgement.unmeasured:  # what nobody measures must not pass for met
        found += [
            f"{len(judgement.unmeasured)} of {total} gates could not be measured (those of two threads need two cores)",
            *(f"  {name}" for name in judgement.unmeasured),
        ]
    if found:
        raise JetAssayError("\n".join(found))


def read_gates(path: Path) -> Gates:
    """The gates in `path`. Raises `ConfigError` where it is something else, or a gate is not a positive number."""
    gates = parse_record(read_toml(path), Gates, path=path)
    each = [(f"{network} {name}", gate) for network, found in gates.at_least.items() for name, gate in found.items()]
    wrong = [name for name, gate in each if not (gate > 0 and math.isfinite(gate))]
    if wrong:
        raise ConfigError(f"{path}: at_least: a gate is a positive number, which {', '.join(wrong)} is not")
    return gates


def judge(comparisons: Sequence[Comparison], gates: Gates) -> Judgement:
    """Each comparison with its gate, and the gates that are of none of them."""
    measured = {(each.network, each.quantity) for each in comparisons}
    wanted = [(network, quantity) for network, gated in gates.at_least.items() for quantity in gated]
    verdicts = tuple(
        Verdict(
            comparison=each,
            gate=gates.at_least.get(each.network, {}).get(each.quantity),
            fails_below=gates.fails_below,
        )
        for each in comparisons
    )
    return Judgement(verdicts, tuple(" ".join(each) for each in wanted if each not in measured))


HEADS = ("", "quantity", "unit", "ours", "peer", "ratio", "gate", "verdict", "rounds", "load")
MEANING = (
    "Medians over interleaved rounds; operations of real constituents and pairs alone. By the CPU time of one "
    "thread, reading by that of the process, and by wall time where the row says so."
)


def verdict_rows(verdicts: Sequence[Verdict]) -> list[tuple[str, ...]]:
    """A row of cells for each comparison, under `HEADS`."""
    return [
        (
            each.comparison.network,
            each.comparison.quantity,
            each.comparison.unit,
            *(f"{median(speeds):.1f}" for speeds in (each.comparison.ours, each.comparison.peer)),
            f"{each.comparison.ratio:.2f}",
            "-" if each.gate is None else f"{each.gate:.2f}",
            each.word,
            str(len(each.comparison.ours)),
            f"{median(each.comparison.load):.1f}" if each.comparison.load else "?",
        )
        for each in verdicts
    ]


def render_judgement(judgement: Judgement) -> str:
    """One table: a row for each comparison, and what its columns mean; and the gates without a measurement."""
    if not judgement.verdicts:
        return judgement.missing
    table = aligned([HEADS, *verdict_rows(judgement.verdicts)], right=(3, 4, 5, 6, 8, 9))
    return "\n".join(part for part in (table, MEANING, judgement.missing) if part)
