"""How well two worker processes embed beside one: the same units, in turns, on a Dask cluster of this machine.

    python -m benchmarks.worker_scaling FILE [FILE ...] [--card part-full] [--jets 300] [--rounds 3] [--workers 2]

FILE: jets in the JetClass schema. Workers are started and warmed up before anything is timed, and nothing is read
back: what is compared is reading, features, forward passes and the writing of shards, with Dask and the command that
hands out the work on the same cores. Efficiency of W workers is the time of one divided by W times theirs: 1 where
nothing is lost. By CPU, time is that of the worker who used most of it: so other work on the machine weighs little, but
waiting is not seen. A card whose weights are not here is taken with random ones. Prints one line of JSON.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil
from benchmarks.cards import card_here

from jetassay.backbones.loading import load_backbone
from jetassay.embeddings.datasets import plan_embedding
from jetassay.embeddings.scheduling.clusters import PROCESSES, Cluster
from jetassay.embeddings.scheduling.driver import fill_by_workers
from jetassay.embeddings.store import EmbeddingStore
from jetassay.jets.dataset import open_dataset
from jetassay.progress import Reporter

_QUIET = Reporter(quiet=True)
_WARM = 2  # jets of each file


def main() -> None:
    """Measure, and print."""
    options = _options()
    backbone = load_backbone(card_here(options.card))
    dataset = open_dataset("jets", options.files, schema="jetclass", reporter=_QUIET).limited(options.jets)
    times: dict[int, list[float]] = {1: [], options.workers: []}
    busiest: dict[int, list[float]] = {1: [], options.workers: []}
    crew = _Crew(PROCESSES, workers=options.workers, device="cpu", weights=None, reporter=_QUIET)
    try:
        crew.client().wait_for_workers(options.workers)
        _embed(backbone, dataset.limited(_WARM), crew)  # imports, and the weights
        workers = [psutil.Process(pid) for pid in crew.client().run(os.getpid).values()]
        for turn in range(options.rounds):
            for count in sorted(times, reverse=bool(turn % 2)):
                crew.take(count)
                before = [_cpu(each) for each in workers]
                times[count].append(_embed(backbone, dataset, crew))
                busiest[count].append(max(_cpu(each) - one for each, one in zip(workers, before, strict=True)))
                took = f"{times[count][-1]:.2f} s, the busiest {busiest[count][-1]:.2f} s of CPU"
                print(f"{count} workers: {took}", file=sys.stderr, flush=True)
    finally:
        crew.close()
    _show(options, backbone, dataset.entries, times, busiest)


def _cpu(process) -> float:
    spent = process.cpu_times()
    return spent.user + spent.system


class _Crew(Cluster):
    """Some of the workers get all of the work, and the others wait."""

    def take(self, count: int) -> None:
        client = super().client()
        self._taken = list(client.scheduler_info(n_workers=-1)["workers"])[:count]

    def client(self):
        client = super().client()
        taken = getattr(self, "_taken", None)
        return client if taken is None else _Client(client, taken)


class _Client:
    """A Dask client that submits to some workers alone."""

    def __init__(self, client, workers) -> None:
        self._client, self._workers = client, workers

    def submit(self, *arguments, **options):
        return self._client.submit(*arguments, workers=self._workers, **options)

    def __getattr__(self, name):
        return getattr(self._client, name)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.worker_scaling")
    parser.add_argument("files", type=Path, nargs="+", help="jets in the JetClass schema, a unit each")
    parser.add_argument("--card", default="part-full", help="the backbone")
    parser.add_argument("--jets", type=int, default=300, help="jets of each file")
    parser.add_argument("--rounds", type=int, default=3, help="turns that are timed")
    parser.add_argument("--workers", type=int, default=2, help="as many as cores")
    return parser.parse_args()


def _embed(backbone, dataset, crew) -> float:
    """Wall seconds from nothing to all shards, in a store of its own."""
    with tempfile.TemporaryDirectory() as folder:
        store = EmbeddingStore(Path(folder))
        plan = plan_embedding(backbone, dataset, store=store, reporter=_QUIET)
        began = time.perf_counter()
        fill_by_workers([plan], cluster=crew)
        return time.perf_counter() - began


def _efficiency(times, workers) -> float:
    return round(statistics.median(times[1]) / (workers * statistics.median(times[workers])), 3)


def _show(options, backbone, jets, times, busiest) -> None:
    found = {
        "card": backbone.card.name,
        "jets": jets,
        "workers": options.workers,
        "jets_per_s": {count: round(jets / statistics.median(spent)) for count, spent in times.items()},
        "wall_s": {count: [round(each, 2) for each in spent] for count, spent in times.items()},
        "busiest_cpu_s": {count: [round(each, 2) for each in spent] for count, spent in busiest.items()},
        "efficiency": _efficiency(times, options.workers),
        "efficiency_by_cpu": _efficiency(busiest, options.workers),
        "machine": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load": [round(value, 1) for value in os.getloadavg()],
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
