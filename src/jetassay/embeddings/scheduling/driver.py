"""The units that the store lacks, handed to the workers of a cluster; tries, failures and progress are kept here.

A range of entries that fails, whether its jets cannot be read or its workers die, is tried once more at the end, alone.
Where it fails again its file is set aside and named, and everything else is complete.
"""

import queue
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from jetassay.backbones.protocol import Backbone
from jetassay.backbones.trust import trusted_files
from jetassay.backbones.weights import weights_path
from jetassay.embeddings.aside import FilesAside, named
from jetassay.embeddings.filling import Filling
from jetassay.embeddings.scheduling.clusters import Cluster, lost
from jetassay.embeddings.scheduling.worker import Job, Outcome, Source, compute, versions
from jetassay.embeddings.stored import StoredEmbedding
from jetassay.embeddings.units import Unit
from jetassay.errors import ClusterError, JetAssayError, NotFiniteError
from jetassay.progress import Bar

_AHEAD = 3  # ranges under way for each thread, so that no worker waits for the driver
_TICK_S = 1.0
_TABLE = -1


@dataclass(frozen=True, slots=True)
class _Place:
    """A unit, where it is counted, and what its backbone is made of; `number` is that of its embedding."""

    filling: Filling[Any]
    unit: Unit[Any]
    source: Source | None = None
    number: int = _TABLE


def fill_by_workers(
    embeddings: Sequence[StoredEmbedding], *, cluster: Cluster, aside_before: int = 0
) -> list[NotFiniteError | None]:
    """As `datasets.fill`, by the workers of `cluster`; tables of jets too.

    Raises `SetAsideError` at the end for files that cannot be used, and `ClusterError` where the workers cannot give
    the driver's bits or the scheduler is gone.
    """
    store, reporter = embeddings[0].store, embeddings[0].reporter
    tables: Filling[Any] = Filling(
        "table of jets",
        tuple(dict.fromkeys(unit for each in embeddings for unit in each.tables)),
        store,
        reporter,
    )
    fillings: list[Filling[Any]] = [
        Filling(each.backbone.card.reference, each.units, store, reporter) for each in embeddings
    ]
    places = [_Place(tables, unit) for unit in tables.missing]
    for number, (each, filling) in enumerate(zip(embeddings, fillings, strict=True)):
        source = _source(each.backbone, cluster)
        places += [_Place(filling, unit, source, number) for unit in filling.missing]
    client = cluster.client() if places else None
    with ExitStack() as stack:
        for filling in reversed([tables, *fillings] if tables.missing else fillings):
            stack.enter_context(filling.reported())
        if not places:
            return [None] * len(embeddings)
        lacking = [filling for filling in fillings if filling.missing] or [tables]
        label = lacking[0].label if len(lacking) == 1 else f"{len(lacking)} backbones"
        bar = stack.enter_context(reporter.bar(label, sum(len(place.unit) for place in places)))
        work = _Distribution(cluster, client, store.root.absolute(), bar, FilesAside(reporter, before=aside_before))
        work.run(_by_range(places))
    work.aside.close()
    return [work.failed[number][1] if number in work.failed else None for number in range(len(embeddings))]


def _source(backbone: Backbone, cluster: Cluster) -> Source:
    card, weights = backbone.card, cluster.weights
    if weights is None and card.weights is not None and card.weights.urls:
        weights = weights_path(card)
    weights = None if weights is None else weights.absolute()
    return Source(card=card, dtype=backbone.dtype, device=cluster.device, weights=weights)


def _by_range(places: Sequence[_Place]) -> list[list[_Place]]:
    """What is made of the same entries, together: the jets are read once."""
    found: dict[object, list[_Place]] = {}
    for place in places:
        found.setdefault((place.unit.file, place.unit.start, place.unit.stop), []).append(place)
    return list(found.values())


@dataclass(slots=True)
class _Distribution:
    """Ranges on their way to workers and back.

    aside:    files that failed twice
    failed:   embeddings that give NaN or infinity, each with the first entry and what to say
    suspects: ranges that failed once, and why
    """

    cluster: Cluster
    client: Any
    store: Path
    bar: Bar
    aside: FilesAside
    failed: dict[int, tuple[tuple[str, int], NotFiniteError]] = field(default_factory=dict)
    suspects: list[tuple[list[_Place], str]] = field(default_factory=list)
    _under_way: dict[Any, list[_Place]] = field(default_factory=dict)
    _done: "queue.SimpleQueue[Any]" = field(default_factory=queue.SimpleQueue)

    def run(self, ranges: Sequence[list[_Place]]) -> None:
        """All of them; what failed is tried again, one after the other, so that it takes nothing else down."""
        from distributed import CancelledError

        try:
            self._drain(deque(ranges))
            others = [place for places in ranges for place in places if place.unit in place.filling.later]
            self._drain(deque(_by_range(others)))
            suspects, self.suspects = self.suspects, []
            for places, _ in suspects:
                if places[0].unit.file not in self.aside:
                    self._drain(deque([places]))
                    for again, why in self.suspects[:1]:
                        self.aside.put(again[0].unit.file, why)
                    self.suspects = []
        except (OSError, CancelledError) as error:  # it went while it was asked something
            raise lost(self.cluster.scheduler) from error
        finally:
            if self._under_way and self.client.status == "running":
                with suppress(Exception):  # the first error is on its way, and the client's end cancels as well
                    self.client.cancel(list(self._under_way))

    def _drain(self, pending: deque[list[_Place]]) -> None:
        while pending or self._under_way:
            most = _AHEAD * max(sum(self.client.nthreads().values()), 1)
            while pending and len(self._under_way) < most:
                self._submit(pending.popleft())
            if not self._under_way:
                continue
            self.cluster.keep()
            try:
                future = self._done.get(timeout=_TICK_S)
            except queue.Empty:
                continue
            places = self._under_way.pop(future)
            self._take(places, self._outcome(future))
            future.release()

    def _submit(self, places: list[_Place]) -> None:
        wanted = [
            place
            for place in places
            if place.number not in self.failed and place.filling.begin(place.unit, advance=self.bar.advance)
        ]
        if not wanted:
            return
        file = replace(wanted[0].unit.file, path=wanted[0].unit.file.path.absolute())
        job = Job(
            units=tuple(replace(place.unit, file=file) for place in wanted),
            sources=tuple(place.source for place in wanted),
            store=self.store,
            trusted=trusted_files(),
            versions=versions(),
        )
        future = self.client.submit(compute, job, key=f"embed-{uuid4().hex}", pure=False)
        self._under_way[future] = wanted
        future.add_done_callback(self._done.put)

    def _outcome(self, future: Any) -> Outcome:
        """What a worker says. Raises what stops everything."""
        from distributed import KilledWorker

        if future.status in ("cancelled", "lost"):
            raise lost(self.cluster.scheduler)
        error = future.exception()
        if error is None:
            found: Outcome = future.result()
            return found
        if isinstance(error, KilledWorker):
            return Outcome(unreadable="the processes that worked on it died")
        text = " ".join(str(error).split())
        if isinstance(error, ModuleNotFoundError) or "deserialization of the task graph" in text:
            raise ClusterError(
                f"--scheduler {self.cluster.scheduler}: workers or scheduler cannot import what they need ({text}). "
                "Give scheduler, workers and driver the same environment"
            ) from error
        if isinstance(error, JetAssayError):
            raise error
        return Outcome(unreadable=f"{type(error).__name__}: {error}")

    def _take(self, places: list[_Place], outcome: Outcome) -> None:
        for position, seconds in outcome.seconds.items():
            filling, unit = places[position].filling, places[position].unit
            if seconds is None:
                filling.found(unit)
            else:
                filling.written(unit, seconds=seconds)
            self.bar.advance(len(places[position].unit))
        for position, text in outcome.not_finite.items():
            place = places[position]
            entry = (place.unit.file.name, place.unit.start), NotFiniteError(text)
            self.failed[place.number] = min(self.failed.get(place.number, entry), entry, key=lambda each: each[0])
        if outcome.unreadable:
            left = [place for position, place in enumerate(places) if position not in outcome.seconds]
            self.suspects.append((left, outcome.unreadable))
            files = {suspect[0].unit.file for suspect, _ in self.suspects}
            self.aside.require_few(files, reason=named(places[0].unit.file, outcome.unreadable))
