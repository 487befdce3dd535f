"""How the jets of a unit are cut into batches: by length, under a budget, and by nothing else."""

from dataclasses import dataclass

from jetassay.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Batching:
    """Sizes that can change the last bits of an embedding, and so belong to its key.

    entries_per_unit: entries of one file that become one shard
    entries_per_pool: entries that are read, held in memory and sorted by multiplicity together
    token_budget:     at most so many constituents in a batch, with every jet counted as its longest; a jet that is
                      longer than the budget is a batch of its own
    """

    entries_per_unit: int = 25_000
    entries_per_pool: int = 5_000
    token_budget: int = 3_072

    def __post_init__(self) -> None:
        for name in ("entries_per_unit", "entries_per_pool", "token_budget"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")
