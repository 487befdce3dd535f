"""Jets per second of several backbones on the same jets in one sitting: interleaved rounds, median and spread."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median

from jetassay.backbones.protocol import Backbone
from jetassay.embeddings.batching import Batching
from jetassay.embeddings.threads import one_thread_per_operator, usable_cores
from jetassay.features.batch import InputBatch
from jetassay.features.cutting import between, sort_by_length, split_sorted


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Wall time of the forward passes over `jets` jets, one number a round, batches on `threads` threads."""

    jets: int
    threads: int
    rounds_s: tuple[float, ...]

    @property
    def jets_per_s(self) -> float:
        """Median over rounds."""
        return self.jets / median(self.rounds_s)

    @property
    def slowest(self) -> float:
        """Jets per second of the slowest round."""
        return self.jets / max(self.rounds_s)

    @property
    def fastest(self) -> float:
        """Jets per second of the fastest round."""
        return self.jets / min(self.rounds_s)


def measure_speed(
    entries: Mapping[str, tuple[Backbone, InputBatch]], *, rounds: int, threads: int | None = None
) -> dict[str, Speed]:
    """Time the forward pass of every backbone as extraction runs it: sorted by length, under the token budget.

    entries: name -> backbone and the inputs of the jets; inputs and batches are made beforehand and not timed

    Rounds are interleaved, so that a disturbance of the machine hits all backbones alike; one round before the first
    is not counted.
    """
    threads = threads or usable_cores()
    budget = Batching().token_budget
    work = {}
    for name, (backbone, inputs) in entries.items():
        ordered, _ = sort_by_length(inputs)
        work[name] = backbone, [between(ordered, *each) for each in split_sorted(ordered, token_budget=budget)]
    seconds: dict[str, list[float]] = {name: [] for name in work}
    with one_thread_per_operator(), ThreadPoolExecutor(threads, thread_name_prefix="speed") as workers:
        for _ in range(rounds + 1):
            for name, (backbone, batches) in work.items():
                began = time.perf_counter()
                list(workers.map(backbone.embed, batches))
                seconds[name].append(time.perf_counter() - began)
    return {
        name: Speed(jets=len(entries[name][1]), threads=threads, rounds_s=tuple(spent[1:]))
        for name, spent in seconds.items()
    }
