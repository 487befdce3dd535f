"""What a suite, or a command, may ask of the audit."""

from typing import Literal

from pydantic import Field, field_validator

from jetassay.audit.catalogue import CHECKS
from jetassay.records import Record
from jetassay.tasks.choices import Seed

Depth = Literal["cheap", "full"]


class AuditChoice(Record):
    """How thoroughly every backbone is audited.

    jets:         size of the subsample that is embedded again, over one file of each group
    permutations: shuffled labels to draw
    twins:        untrained copies of the architecture to draw
    depth:        "cheap", the checks that cost little; "full", all of them; or names of checks
    """

    jets: int = Field(default=1000, ge=50)
    permutations: int = Field(default=50, ge=50)
    twins: int = Field(default=3, gt=0)
    seed: Seed = 0
    depth: Depth | tuple[str, ...] = "cheap"

    @field_validator("depth")
    @classmethod
    def _known_checks(cls, depth: Depth | tuple[str, ...]) -> Depth | tuple[str, ...]:
        unknown = [] if isinstance(depth, str) else [name for name in depth if name not in CHECKS]
        if unknown:
            raise ValueError(f"there is no check {', '.join(unknown)}; known: {', '.join(CHECKS)}")
        return depth

    @property
    def checks(self) -> tuple[str, ...]:
        """Names of the checks to run, in the order of the catalogue."""
        if isinstance(self.depth, tuple):
            return tuple(name for name in CHECKS if name in self.depth)
        return tuple(name for name, check in CHECKS.items() if self.depth == "full" or check.depth == "cheap")
