"""What reading, features, sorting and the store cost beside the forward pass, in one sitting.

`python -m benchmarks.data_path FILE.json`: for each card, on one and two threads, in one long file and in files of 600
jets, the same batches are run alone and at the end of the whole path, from a ROOT file to shards in a store. Rounds are
interleaved. What is printed: jets a second of the forward pass alone (wall), speed of the whole path as a share of it,
and CPU time of reading and of writing as shares of that of the forward pass. The shares are saved.
"""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.conftest import table_of
from benchmarks.rounds import number, program

from jetassay.backbones.catalogue import backbone_cards, find_card
from jetassay.backbones.loading import load_backbone
from jetassay.embeddings.batching import Batching
from jetassay.embeddings.extraction import embed_units
from jetassay.embeddings.store import EmbeddingStore
from jetassay.embeddings.threads import one_thread_per_operator, prompt_turns, usable_cores
from jetassay.embeddings.units import Reading, embedding_recipe, plan
from jetassay.features.cutting import batches_of
from jetassay.features.inputs import compute_inputs
from jetassay.jets.dataset import DataFile
from jetassay.jets.schema import SCHEMAS
from jetassay.progress import Reporter
from jetassay.simulation.writing import join, write
from jetassay.throughput import benchmark_files

CARDS = ("part-mini", "mlp")
REPEATS = 30  # of the simulated jets in the long file
ROUNDS = 3
FORWARD_S = 2.0  # of one pass over the jets of a card, at least where the long file is long enough


class Jets:
    """The units of one card in one layout of files, and the batches that they become."""

    def __init__(self, backbone, files):
        self.backbone, self.feature_set = backbone, backbone.feature_set
        batching = Batching()
        self.units = plan(
            files,
            reading=Reading(schema=SCHEMAS["jetclass"], selection=()),
            recipe=embedding_recipe(backbone, feature_set=self.feature_set, batching=batching),
            entries_per_unit=batching.entries_per_unit,
        )
        self.entries = sum(len(unit) for unit in self.units)
        self.batches = [batch for unit in self.units for batch in self._batches(unit, batching)]

    def _batches(self, unit, batching):
        needs, most = self.feature_set.needs, self.backbone.card.max_constituents
        for chunk in unit.read(needs=needs, entries_per_chunk=batching.entries_per_pool, max_constituents=most):
            inputs = compute_inputs(self.feature_set, chunk.jets)
            for jets in batches_of(inputs, token_budget=batching.token_budget):
                yield inputs.take(jets)

    def forward(self, threads):
        """Wall time of the forward passes alone."""
        began = time.perf_counter()
        with ThreadPoolExecutor(threads) as workers:
            list(workers.map(self.backbone.embed, self.batches))
        return time.perf_counter() - began

    def whole(self, threads, folder):
        """Wall time from files to shards, and CPU time of forward pass, reading and writing."""
        store, spent = EmbeddingStore(folder), {"forward": 0.0, "reading": 0.0, "writing": 0.0}

        def finished(unit, shard):
            before = time.thread_time()
            store.write(unit, shard)
            spent["writing"] += time.thread_time() - before
            spent["forward"] += shard.facts["cost"]["forward_cpu_s"]
            spent["reading"] += shard.facts["cost"]["reading_cpu_s"]

        began = time.perf_counter()
        embed_units(self.backbone, self.units, threads=threads, finished=finished)
        return time.perf_counter() - began, spent


def measure(name, layout, jets):
    """Print one line for each number of threads, and give its numbers."""
    with one_thread_per_operator(), prompt_turns(), TemporaryDirectory() as folder:
        for threads in range(1, min(usable_cores(), 2) + 1):
            alone, paths = [], []
            for turn in range(ROUNDS):
                alone.append(jets.forward(threads))
                paths.append(jets.whole(threads, Path(folder) / f"{threads}-{turn}"))
            share = {
                what: median(spent[what] / spent["forward"] for _, spent in paths) for what in ("reading", "writing")
            }
            of_forward = median(one / other for one, (other, _) in zip(alone, paths, strict=True))
            print(
                f"{name:12} {layout:5} {threads} threads: {jets.entries:6} jets, forward alone "
                f"{jets.entries / median(alone):8.0f} jets/s, whole path {of_forward:6.1%} of it; CPU of reading "
                f"{share['reading']:.1%}, of writing {share['writing']:.1%} of the forward pass; "
                f"load {os.getloadavg()[0]:.1f}",
                flush=True,
            )
            way = f"{name}, {layout} files, {threads} threads"
            yield number("Whole path as a share of the forward pass alone", way, 100 * of_forward, "%")
            for what, found in share.items():
                yield number(f"CPU time of {what} as a share of the forward pass", way, 100 * found, "%")


def data_files(folder, entries):
    """layout -> files of at least `entries` jets, or the whole of the long file."""
    paths = benchmark_files(reporter=Reporter(quiet=True))
    tables = [table_of(each) for each in paths]
    each = sum(len(table) for table in tables)
    count = min(-(-entries // each), REPEATS)
    found = {"long": [], "short": []}
    for layout, repeats, files in (("long", count, 1), ("short", 1, count)):
        path = folder / f"{layout}_{repeats}.root"
        if not path.exists():
            write(path, join(tables * repeats), facts={})
        found[layout] = [DataFile(path, "mixed", repeats * each, f"{layout}{number:059d}") for number in range(files)]
    return found


def entries_of(backbone, folder):
    """How many jets take some `FORWARD_S`, by the short file."""
    jets = Jets(backbone, data_files(folder, 1)["short"])
    with one_thread_per_operator():
        jets.forward(1)
        return int(FORWARD_S * jets.entries / jets.forward(1))


def main():
    known = backbone_cards()
    with TemporaryDirectory() as folder:
        for name in CARDS:
            backbone = load_backbone(find_card(known, name))
            for layout, files in data_files(Path(folder), entries_of(backbone, Path(folder))).items():
                yield {"numbers": measure(name, layout, Jets(backbone, files))}


if __name__ == "__main__":
    program(main)
