"""What the store lacks of some units, and what was written since."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic

from jetassay.embeddings.claims import Claims
from jetassay.embeddings.store import DamagedShardError, EmbeddingStore, Shard
from jetassay.embeddings.units import R, Unit
from jetassay.progress import Reporter


class Filling(Generic[R]):
    """Units of one kind: what the store lacks of them, and what was written since.

    missing: what the store lacked at the start; later: those of them that another process is at, see `begin`
    """

    def __init__(self, label: str, units: Sequence[Unit[R]], store: EmbeddingStore, reporter: Reporter) -> None:
        self.label, self._store, self._reporter = label, store, reporter
        self._units: Sequence[Unit[R]] = units
        self._claims = Claims(store)
        self._damaged: set[Unit[R]] = set()
        self.missing: list[Unit[R]] = [unit for unit in units if not self._holds(unit)]
        self.later: dict[Unit[R], None] = {}
        self._there = len(units) - len(self.missing)
        self._entries, self._shards, self._seconds = 0, 0, 0.0

    @property
    def entries(self) -> int:
        """Entries of what is missing."""
        return sum(len(unit) for unit in self.missing)

    def begin(self, unit: Unit[R], *, advance: Callable[[int], None]) -> bool:
        """Whether one that was missing is to be computed now; asked just before, as others may fill the same store.

        What another process is at is put into `later`, to be asked for again when all others are written: it is there
        by then, or is computed here too, so that nobody waits for a process that hangs.

        advance: hears of its entries where the store has it by now
        """
        if not self._claims.take(unit) and unit not in self.later:
            self.later[unit] = None
            return False
        if not self._holds(unit):
            return True
        advance(len(unit))
        self.found(unit)
        return False

    def finished(self, unit: Unit[R], shard: Shard) -> None:
        """Write one shard."""
        self._store.write(unit, shard)
        self.written(unit, seconds=shard.facts["cost"]["seconds"])

    def written(self, unit: Unit[R], *, seconds: float) -> None:
        """Count one shard that is in the store by now, and took so long."""
        self._entries += len(unit)
        self._shards += 1
        self._seconds += seconds
        self._claims.drop(unit)

    def found(self, unit: Unit[R]) -> None:
        """Count one shard that somebody else has written meanwhile."""
        self._there += 1
        self._claims.drop(unit)

    @contextmanager
    def reported(self) -> Iterator[None]:
        """Says at the end what was computed, however it ends."""
        total = len(self._units)
        try:
            yield
        finally:
            self._claims.close()
            if self._there + self._shards < total:
                self._reporter.line(
                    f"{self.label}: stopped; {self._there + self._shards} of {total} shards are whole and kept"
                )
            else:
                computed = f"{self._entries} entries computed in {self._seconds:.1f} s, " if self._shards else ""
                self._reporter.line(f"{self.label}: {computed}{self._there} of {total} shards taken from the store")

    def _holds(self, unit: Unit[R]) -> bool:
        """By what the file says of itself; its values are read and checked when they are used."""
        try:
            return self._store.holds(unit)
        except DamagedShardError as error:
            if unit not in self._damaged:
                self._damaged.add(unit)
                self._reporter.warning(f"{error}; it is not used, but computed again")
            return False
