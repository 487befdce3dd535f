"""How cost goes with the size of batches, the constituents of a jet, the threads, and the number of jets.

`python -m benchmarks.scaling FILE.json`. Batches, constituents and threads with ParT (random weights, packed); the
number of jets with the MLP that ships, through the whole path from files to the store, on one file over and over: with
a large network a million jets would take an hour, and the path around it is the same.
"""

import os
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch
from benchmarks import loading
from benchmarks.networks import Weaver, copy_of, flops, moved, pool_of
from benchmarks.rounds import Way, curve, measure, number, program

from jetassay.backbones.card import read_card
from jetassay.backbones.catalogue import backbone_cards
from jetassay.backbones.loading import TorchBackbone, build_module, load_backbone
from jetassay.embeddings.batching import Batching
from jetassay.embeddings.extraction import embed_units
from jetassay.embeddings.speed import measure_speed
from jetassay.embeddings.store import EmbeddingStore
from jetassay.embeddings.threads import usable_cores
from jetassay.embeddings.units import Reading, embedding_recipe, plan
from jetassay.features.batch import InputBatch
from jetassay.features.cutting import between, sort_by_length, split_sorted
from jetassay.jets.dataset import open_dataset
from jetassay.places import models_folder
from jetassay.progress import Reporter

POOL = 384
BUDGETS = (256, 768, 1536, 3072, 6144, 12288)
CONSTITUENTS = (1, 8, 16, 32, 64, 96, 128)
ROWS = 2048  # constituents in a round of equal jets
NUMBERS = (10_000, 100_000, 1_000_000)
SMALL = "mlp"
FLAT = 1.2  # how much dearer a jet may be among the most jets than among the fewest
MIB = 1024 if sys.platform.startswith("linux") else 1 << 20  # ru_maxrss in KiB, but in bytes elsewhere


def networks():
    """ParT of random weights, packed, and weaver's with the same."""
    card = read_card(models_folder() / "part-full" / "card.toml")
    state = moved(build_module(card)).state_dict()
    ours = TorchBackbone(card, copy_of(card, state), device=torch.device("cpu"), dtype="float32")
    return card, ours, Weaver(card.parameters, state)


def budget_ways(ours, pool):
    """The pool in batches of at most so many constituents each."""
    ordered, _ = sort_by_length(pool)

    def run(ranges):
        for each in ranges:
            ours.embed(between(ordered, *each))

    for budget in BUDGETS:
        ranges = split_sorted(ordered, token_budget=budget)
        yield ("budget", budget), Way(lambda ranges=ranges: run(ranges), len(pool))


def equal_jets(pool, constituents):
    """Jets of so many constituents: those of the pool one after the other, cut where one is full."""
    jets = max(1, ROWS // constituents)
    rows = np.arange(jets * constituents) % len(pool.features)
    offsets = np.arange(jets + 1) * constituents
    return InputBatch(pool.features[rows], pool.p4[rows], offsets, np.zeros((jets, 0), np.float32))


def multiplicity_ways(card, ours, weaver, pool):
    """Jets that all have so many constituents: ours, and weaver's in one batch, where nothing is padded either."""
    for constituents in CONSTITUENTS:
        jets = equal_jets(pool, constituents)
        ready, work = weaver.ready(jets), flops(card, jets)
        yield ("packed", constituents), Way(lambda jets=jets: ours.embed(jets), work)
        yield ("weaver", constituents), Way(lambda ready=ready: weaver.run([ready]), work)


def by_number_of_jets(folder):
    """(jets, CPU seconds a jet, wall seconds a jet, memory high-water in MiB) of the whole path, jets rising."""
    loading.write_jets(folder / "QCD_000.root")  # any class: only its columns are read
    dataset = open_dataset(
        "jets", [folder / "QCD_000.root"], schema="jetclass", selection=(), reporter=Reporter(quiet=True)
    )
    (file,), backbone = dataset.files, load_backbone(backbone_cards()[SMALL])
    store = EmbeddingStore(folder / "store")
    (unit,) = plan(
        dataset.files,
        reading=Reading(schema=dataset.schema, selection=(), labelled=False),
        recipe=embedding_recipe(backbone, feature_set=backbone.feature_set, batching=Batching()),
        entries_per_unit=file.entries,
    )
    for warming, jets in ((True, 1), *((False, jets) for jets in NUMBERS)):
        # Of files that differ in name only: a range that comes twice would be read once.
        units = [replace(unit, file=replace(file, digest=f"{k:064d}")) for k in range(-(-jets // file.entries))]
        done, cpu, wall = sum(len(unit) for unit in units), time.process_time(), time.perf_counter()
        embed_units(backbone, units, finished=store.write)
        seconds = time.process_time() - cpu, time.perf_counter() - wall
        if warming:
            continue
        high_water = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB
        print(f"{done} jets: {1e6 * seconds[0] / done:.1f} us a jet, {high_water:.0f} MiB", flush=True)
        yield done, seconds[0] / done, seconds[1] / done, high_water


def curves_by_jets(steps):
    """How cost and memory go with the number of jets, and whether cost is flat."""
    axis = "jets, from files to the store"
    curves = [
        curve("jets", f"{SMALL}, CPU time", x=axis, y="µs a jet", points=[(n, 1e6 * s) for n, s, _, _ in steps]),
        curve("jets", f"{SMALL}, wall time", x=axis, y="µs a jet", points=[(n, 1e6 * s) for n, _, s, _ in steps]),
        curve("memory by jets", SMALL, x=axis, y="high-water, MiB", points=[(n, m) for n, _, _, m in steps]),
    ]
    ratio = steps[-1][1] / steps[0][1]
    name = f"cost of a jet, {steps[-1][0]:,} to {steps[0][0]:,} jets"
    return {"curves": curves, "numbers": [number("Number of jets", name, ratio, f"ratio (flat: at most {FLAT})")]}


def main():
    with TemporaryDirectory() as folder:  # first, while memory is small
        yield curves_by_jets(list(by_number_of_jets(Path(folder))))
    card, ours, weaver = networks()
    pool = between(pool_of(ours.feature_set), 0, POOL)
    found = measure(dict(budget_ways(ours, pool)) | dict(multiplicity_ways(card, ours, weaver, pool)))
    speeds = {way: median(each["cpu"]) for way, each in found.items()}
    axis = "constituents of every jet"
    yield {"curves": [
        curve("batch", "ParT packed", x="constituents in a batch (budget)", y="jets per CPU second",
              points=[(n, speeds["budget", n]) for n in BUDGETS]),
        *(curve("multiplicity", f"ParT {way}", x=axis, y="nominal GFLOP/s",
                points=[(n, speeds[way, n] / 1e9) for n in CONSTITUENTS]) for way in ("packed", "weaver")),
    ]}  # fmt: skip
    threads = sorted({1, 2, usable_cores()} & set(range(1, usable_cores() + 1)))
    by_threads = {n: measure_speed({"ParT": (ours, pool)}, rounds=3, threads=n)["ParT"].jets_per_s for n in threads}
    wall = "jets per second of wall time"
    yield {"curves": [curve("threads", "ParT packed", x="threads", y=wall, points=by_threads.items())]}
    print(f"load average {os.getloadavg()[0]:.1f}", flush=True)


if __name__ == "__main__":
    program(main)
