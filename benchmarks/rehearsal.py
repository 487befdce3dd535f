"""Five million jets on one machine: throughput and memory of extraction for as long as one likes to look.

    python -m benchmarks.rehearsal FILE.json --minutes 30 [--card mlp] [--jets 5000000] [--folder DIR]

The dataset has the shape of JetClass's validation set: ten classes, files of 100,000 jets. One file of each class is
written and the others are links to it (`linked_files`). First the table of jets of one unit is made and timed, as every
unit's is once; then units go through extraction into a store on disk, at default settings on all cores, until the time
is up. Where all jets are done before, they are embedded again into a new store, and the old one is removed. The time
for all jets is that of the rate of the last three quarters of the time. Memory is that of the second half beside the
first.
"""

import argparse
import itertools
import os
import shutil
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from benchmarks.linked_files import link_files, size_of
from benchmarks.resident import resident
from benchmarks.rounds import curve, number, save

from jetassay.backbones.catalogue import backbone_cards, find_card
from jetassay.backbones.loading import load_backbone
from jetassay.embeddings.batching import Batching
from jetassay.embeddings.datasets import default_store, fill_tables
from jetassay.embeddings.extraction import embed_units
from jetassay.embeddings.store import EmbeddingStore
from jetassay.embeddings.threads import usable_cores
from jetassay.embeddings.units import Reading, TableRecipe, embedding_recipe, plan
from jetassay.errors import JetAssayError
from jetassay.jets.classes import CLASS_NAMES
from jetassay.jets.dataset import open_dataset
from jetassay.progress import Reporter, time_text

ENTRIES = 100_000  # of a file of JetClass
SAMPLES = 120  # of the whole time
WARM = 0.25  # of the time that does not count for the rate


class TimeIsUp(Exception):  # noqa: N818  nothing is wrong
    """As long as was asked for."""


class Log:
    """Jets in the store, seconds since the beginning, and resident MiB, sampled as batches and units are done."""

    def __init__(self, minutes):
        self.store, self._limit = None, 60 * minutes
        self._began, self._embedded, self.stored, self.size = time.perf_counter(), 0, 0, 0
        self.samples = []
        self.sample()

    def sample(self):
        """Note where we are."""
        spent = time.perf_counter() - self._began
        self.samples.append((spent, self._embedded, resident()["VmRSS"], os.getloadavg()[0]))
        return spent

    def advance(self, jets):
        """Jets were embedded."""
        self._embedded += jets
        spent = time.perf_counter() - self._began
        if spent - self.samples[-1][0] > self._limit / SAMPLES:
            self.sample()
        if spent > self._limit:
            raise TimeIsUp

    def finished(self, unit, shard):
        """A unit is whole."""
        self.store.write(unit, shard)
        self.stored += len(shard)
        self.size += self.store.path(unit).stat().st_size


def extract(backbone, dataset, log, folder):
    """Embed until the time is up, all jets again where they are done before; gives the wall seconds that it took."""
    batching = Batching()
    units = plan(
        dataset.files,
        reading=Reading(schema=dataset.schema, selection=dataset.selection),
        recipe=embedding_recipe(backbone, feature_set=backbone.feature_set, batching=batching),
        entries_per_unit=batching.entries_per_unit,
    )
    try:
        for number in itertools.count(1):
            log.store = EmbeddingStore(folder / f"store-{number}")
            embed_units(backbone, units, finished=log.finished, advance=log.advance)
            print(f"all jets done, {number} times", flush=True)
            shutil.rmtree(log.store.root)
    except TimeIsUp:
        print("the time is up", flush=True)
    return log.sample()


def table_cost(dataset, entries):
    """Wall seconds a jet of the table of jets, from one unit."""
    reading = Reading(schema=dataset.schema, selection=dataset.selection)
    units = plan(dataset.files[:1], reading=reading, recipe=TableRecipe(), entries_per_unit=entries)[:1]
    began = time.perf_counter()
    fill_tables(units, store=default_store(), reporter=Reporter(quiet=True))
    return (time.perf_counter() - began) / sum(map(len, units))


def rehearse(chosen, folder):
    """Build, extract, and give curves and numbers."""
    links = max(1, chosen.jets // (len(CLASS_NAMES) * chosen.entries))
    paths = link_files(folder / "jets", cache=folder / "cache", links=links, entries=chosen.entries)
    os.environ["JETASSAY_CACHE"] = str(folder / "cache")
    dataset = open_dataset("rehearsal", paths, schema="jetclass", reporter=Reporter(quiet=True))
    read = size_of(folder / "jets") / (len(CLASS_NAMES) * chosen.entries)
    print(f"{dataset.entries:,} jets in {len(paths)} files, {read:.0f} bytes a jet", flush=True)
    backbone, tables_s = load_backbone(find_card(backbone_cards(), chosen.card)), table_cost(dataset, 25_000)
    log = Log(chosen.minutes)
    spent = extract(backbone, dataset, log, folder)
    seconds, jets, memory, load = (np.array(column) for column in zip(*log.samples, strict=True))
    late, half = seconds >= WARM * spent, seconds >= spent / 2
    rate = float(np.polyfit(seconds[late], jets[late], 1)[0])
    grown = float(memory[half].max() / memory[(seconds > 0.05 * spent) & ~half].max())
    whole_s = dataset.entries * (1 / rate + tables_s)
    stored = log.size / max(log.stored, 1)
    print(f"{jets[-1]:,.0f} jets in {spent:.0f} s: {rate:,.0f} jets a second, load average {load.mean():.1f}")
    print(f"memory: highest {memory.max():.0f} MiB, second half {grown:.3f} times the first")
    print(
        f"all {dataset.entries:,} jets: {time_text(whole_s)}, tables of jets included; {stored:.0f} bytes a jet stored"
    )
    label = f"{chosen.card}, {usable_cores()} cores"
    curves = [
        curve("rehearsal", label, x="seconds", y="jets", points=zip(seconds, jets, strict=True)),
        curve("memory of a rehearsal", label, x="jets", y="resident, MiB", points=zip(jets, memory, strict=True)),
    ]
    facts = {
        "jets embedded": (jets[-1], "jets"),
        "time": (spent, "s"),
        "rate of the last three quarters": (rate, "jets/s"),
        "memory, highest": (memory.max(), "MiB"),
        "memory, second half to first": (grown, "ratio"),
        "table of jets": (1e6 * tables_s, "µs a jet"),
        "read": (read, "bytes a jet"),
        "stored": (stored, "bytes a jet"),
        f"all {dataset.entries:,} jets, extrapolated": (whole_s / 3600, "hours"),
    }
    return curves, [number("Rehearsal", f"{label}: {name}", *each) for name, each in facts.items()]


def main():
    """Rehearse in a temporary folder, or below one that is given, and save."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("path", type=Path, metavar="FILE.json")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--card", default="mlp")
    parser.add_argument("--jets", type=int, default=5_000_000)
    parser.add_argument("--entries", type=int, default=ENTRIES, help="of a file")
    parser.add_argument(
        "--folder", type=Path, help="where the temporary folder goes; it takes a gigabyte and the store"
    )
    chosen, load = parser.parse_args(), os.getloadavg()[0]
    with TemporaryDirectory(prefix="jetassay-rehearsal-", dir=chosen.folder) as folder:
        curves, numbers = rehearse(chosen, Path(folder))
    save(chosen.path, load_before=load, benchmarks=[], curves=curves, numbers=numbers)


if __name__ == "__main__":
    try:
        main()
    except JetAssayError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("stopped; nothing was saved")
