"""What went in, what came out, what was lost by which rule, and what it cost."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from jetassay.errors import DataError
from jetassay.jets.containers import Chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Entries in = jets out + jets dropped, always; raises `DataError` otherwise.

    dropped: rule -> number of jets that it removed
    truncated_jets, truncated_constituents: jets with more constituents than were kept, and what was cut in all
    """

    entries: int = 0
    jets: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    truncated_jets: int = 0
    truncated_constituents: int = 0

    def __post_init__(self) -> None:
        if self.entries != self.jets + sum(self.dropped.values()):
            raise DataError(
                f"{self.entries} entries, {self.jets} jets and {sum(self.dropped.values())} dropped jets do not add up"
            )

    @classmethod
    def of(cls, chunk: Chunk) -> Self:
        """What happened to the entries of one chunk."""
        return cls(
            entries=chunk.n_entries,
            jets=len(chunk.jets),
            dropped=dict(chunk.dropped),
            truncated_jets=chunk.truncated_jets,
            truncated_constituents=chunk.truncated_constituents,
        )

    @classmethod
    def total(cls, parts: Iterable[Self]) -> Self:
        """The sum, rule by rule."""
        parts = list(parts)
        rules = dict.fromkeys(rule for each in parts for rule in each.dropped)
        return cls(
            entries=sum(each.entries for each in parts),
            jets=sum(each.jets for each in parts),
            dropped={rule: sum(each.dropped.get(rule, 0) for each in parts) for rule in rules},
            truncated_jets=sum(each.truncated_jets for each in parts),
            truncated_constituents=sum(each.truncated_constituents for each in parts),
        )

    def facts(self) -> dict[str, Any]:
        """JSON values, to be kept beside a shard."""
        return {**asdict(self), "dropped": dict(self.dropped)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What it took to embed some jets, when they were embedded.

    seconds:        wall time, of which several backbones that are embedded together have a share each
    forward_cpu_s:  CPU seconds in the backbone's forward pass, over all threads
    reading_cpu_s:  CPU seconds to read, check and turn jets into inputs; an even share of what was read for several
    jets:           jets that were embedded
    """

    jets: int = 0
    seconds: float = 0.0
    forward_cpu_s: float = 0.0
    reading_cpu_s: float = 0.0

    @classmethod
    def total(cls, parts: Iterable[Self]) -> Self:
        """The sum."""
        parts = list(parts)
        return cls(**{each.name: sum(getattr(part, each.name) for part in parts) for each in fields(cls)})

    @property
    def jets_per_s(self) -> float | None:
        """Jets per second of wall time, reading and writing included; None where nothing was timed."""
        return self.jets / self.seconds if self.seconds > 0 else None
