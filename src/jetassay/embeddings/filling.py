"""What the store lacks of some units, and what was written since."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Generic

from jetassay.embeddings.store import DamagedShardError, EmbeddingStore, Shard
from jetassay.embeddings.units import R, Unit
from jetassay.progress import Reporter


class Filling(Generic[R]):
    """Units of one kind: what the store lacks of them, and what was written since."""

    def __init__(self, label: str, units: Sequence[Unit[R]], store: EmbeddingStore, reporter: Reporter) -> None:
        self.label, self._store, self._reporter = label, store, reporter
        self._units: Sequence[Unit[R]] = units
        self.missing: list[Unit[R]] = [unit for unit in units if not self._holds(unit)]
        self._entries, self._shards, self._seconds = 0, 0, 0.0

    @property
    def entries(self) -> int:
        """Entries of what is missing."""
        return sum(len(unit) for unit in self.missing)

    def finished(self, unit: Unit[R], shard: Shard) -> None:
        """Write one shard."""
        self._store.write(unit, shard)
        self.written(unit, seconds=shard.facts["cost"]["seconds"])

    def written(self, unit: Unit[R], *, seconds: float) -> None:
        """Count one shard that is in the store by now, and took so long."""
        self._entries += len(unit)
        self._shards += 1
        self._seconds += seconds

    @contextmanager
    def reported(self) -> Iterator[None]:
        """Says at the end what was computed, however it ends."""
        there, total = len(self._units) - len(self.missing), len(self._units)
        try:
            yield
        finally:
            if self._shards < len(self.missing):
                self._reporter.line(
                    f"{self.label}: stopped; {there + self._shards} of {total} shards are whole and kept"
                )
            else:
                computed = f"{self._entries} entries computed in {self._seconds:.1f} s, " if self.missing else ""
                self._reporter.line(f"{self.label}: {computed}{there} of {total} shards taken from the store")

    def _holds(self, unit: Unit[R]) -> bool:
        """By what the file says of itself; its values are read and checked when they are used."""
        try:
            return self._store.holds(unit)
        except DamagedShardError as error:
            self._reporter.warning(f"{error}; it is not used, but computed again")
            return False
