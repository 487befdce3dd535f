"""Where the time goes: the stages of embedding a file, and the operators of a forward pass.

`python -m benchmarks.anatomy FILE.json`. Stages by CPU time, each alone on the same jets, on one thread; operators by
torch's own profiler, which counts what each takes by itself. ParT has random weights; the MLP is the one that ships.
"""

import os
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch
from benchmarks import loading
from benchmarks.networks import embed_pool
from benchmarks.rounds import ROUNDS, number, program
from benchmarks.scaling import SMALL, networks

from jetassay.backbones.catalogue import backbone_cards
from jetassay.backbones.loading import load_backbone
from jetassay.embeddings.batching import Batching
from jetassay.embeddings.extraction import embed_unit
from jetassay.embeddings.store import EmbeddingStore
from jetassay.embeddings.threads import one_thread_per_operator
from jetassay.embeddings.units import Reading, embedding_recipe, plan
from jetassay.features.cutting import between, sort_by_length, split_sorted
from jetassay.features.inputs import compute_inputs
from jetassay.jets.dataset import open_dataset
from jetassay.progress import Reporter

REPEATS = 3  # of the simulated jets in the file
LARGEST = 12  # operators that are named; the others are summed
PROFILED = 256


def timed(run, rounds=ROUNDS):
    """Median CPU seconds of the process, and what `run` gives."""
    spent = []
    for _ in range(rounds):
        began = time.process_time()
        found = run()
        spent.append(time.process_time() - began)
    return median(spent), found


def unit_of(path, backbone):
    """All of a file as one unit."""
    dataset = open_dataset("jets", [path], schema="jetclass", selection=(), reporter=Reporter(quiet=True))
    recipe = embedding_recipe(backbone, feature_set=backbone.feature_set, batching=Batching())
    reading = Reading(schema=dataset.schema, selection=(), labelled=False)
    return plan(dataset.files, reading=reading, recipe=recipe, entries_per_unit=1 << 30)[0]


def stages(name, backbone, folder, *, rounds=ROUNDS):
    """Microseconds a jet of every stage, and its share."""
    unit, features = unit_of(folder / "QCD_000.root", backbone), backbone.feature_set
    most = backbone.card.max_constituents
    chunks_s, chunks = timed(
        lambda: list(unit.read(needs=features.needs, entries_per_chunk=1 << 30, max_constituents=most)), rounds
    )
    features_s, inputs = timed(lambda: compute_inputs(features, chunks[0].jets), rounds)

    def cut():
        ordered, _ = sort_by_length(inputs)
        ranges = split_sorted(ordered, token_budget=Batching().token_budget)
        return [between(ordered, *each) for each in ranges]

    cut_s, batches = timed(cut, rounds)
    forward_s, _ = timed(lambda: [backbone.embed(batch) for batch in batches], rounds)
    shard = embed_unit(backbone, unit, threads=1)
    store_s, _ = timed(lambda: EmbeddingStore(folder / "store").write(unit, shard), rounds)
    spent = {"reading": chunks_s, "features": features_s, "sorting and cutting": cut_s,
             "forward pass": forward_s, "writing the store": store_s}  # fmt: skip
    total, jets = sum(spent.values()), len(inputs)
    for stage, seconds in spent.items():
        yield number(f"Stages of embedding with {name}", stage, 1e6 * seconds / jets, "µs a jet")
        yield number(f"Shares of embedding with {name}", stage, 100 * seconds / total, "%")


@contextmanager
def without_chatter():
    """The profiler's library writes lines of its own to standard error, which no setting turns off."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def operators(title, run):
    """Shares of the processor's time by operator, of one call."""
    run()
    with without_chatter(), torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        run()
    spent = {each.key.removeprefix("aten::"): each.self_cpu_time_total for each in profiler.key_averages()}
    total = sum(spent.values())
    largest = sorted(spent, key=spent.get, reverse=True)[:LARGEST]
    rest = total - sum(spent[name] for name in largest)
    for name, time_us in [*((name, spent[name]) for name in largest), ("all others", rest)]:
        yield number(f"Operators of {title}", name, 100 * time_us / total, "%")


def main():
    _, ours, weaver = networks()
    with TemporaryDirectory() as temporary, one_thread_per_operator():
        folder = Path(temporary)
        loading.write_jets(folder / "QCD_000.root", repeats=REPEATS)
        yield {"numbers": stages(SMALL, load_backbone(backbone_cards()[SMALL]), folder)}
        yield {"numbers": stages("ParT", ours, folder, rounds=1)}
        chunk = next(unit_of(folder / "QCD_000.root", ours).read(
            needs=ours.feature_set.needs, entries_per_chunk=PROFILED, max_constituents=128))  # fmt: skip
        jets = compute_inputs(ours.feature_set, chunk.jets)
        ready = weaver.ready(jets)
        yield {"numbers": operators("ParT, packed", lambda: embed_pool(ours, jets))}
        yield {"numbers": operators("ParT, weaver-padded-256", lambda: weaver.run([ready]))}


if __name__ == "__main__":
    program(main)
