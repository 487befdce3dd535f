"""Memory high-water of embedding the same jets, each way in a process of its own.

`python -m benchmarks.memory FILE.json`. A process loads one network, notes what it holds, embeds the jets in its way,
and gives its high-water mark. Both sides have torch and the jets in memory before the mark is set.
"""

import json
import resource
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psutil
import torch
from benchmarks.architectures import both_of, ready, run_all
from benchmarks.networks import Weaver, copy_of, embed_pool, moved, pool_of
from benchmarks.rounds import number, program
from benchmarks.scaling import MIB

from jetassay.backbones.card import read_card
from jetassay.backbones.loading import TorchBackbone, build_module
from jetassay.embeddings.threads import one_thread_per_operator
from jetassay.errors import JetAssayError
from jetassay.features.batch import InputBatch
from jetassay.features.cutting import between
from jetassay.features.sets import FEATURE_SETS
from jetassay.places import models_folder

POOL = 512
PARTICLE_TRANSFORMERS = {"ParT": "part-full", "Sophon": "sophon"}
WAYS = (
    *((net, way) for net in PARTICLE_TRANSFORMERS for way in ("packed", "weaver-padded-256", "weaver-sorted-16")),
    ("ParticleNet", "sorted"),
    ("ParticleNet", "weaver-padded-256"),
    ("MLP", "sorted"),
)  # fmt: skip
_FIELDS = ("features", "p4", "offsets", "jet_features")


def runner(network, way, pool):
    """A function that embeds the pool, with all that it needs loaded."""
    if network in PARTICLE_TRANSFORMERS:
        card = read_card(models_folder() / PARTICLE_TRANSFORMERS[network] / "card.toml")
        state = moved(build_module(card)).state_dict()
        if way == "packed":
            ours = TorchBackbone(card, copy_of(card, state), device=torch.device("cpu"), dtype="float32")
            return lambda: embed_pool(ours, pool)
        weaver, size = Weaver(card.parameters, state), int(way.rpartition("-")[2])
        jets = pool.take(np.argsort(-pool.multiplicities, kind="stable")) if "sorted" in way else pool
        return lambda: [weaver.run([weaver.ready(between(jets, k, k + size))]) for k in range(0, len(jets), size)]
    ours, module = both_of(network)
    if way == "sorted":
        return lambda: embed_pool(ours, pool)
    return lambda: [run_all(module, [ready(network, between(pool, k, k + 256))]) for k in range(0, len(pool), 256)]


def child(network, way, jets):
    """Embed, and print what this process held before and its high-water mark, in MiB."""
    with np.load(jets, allow_pickle=False) as arrays:
        pool = InputBatch(*(arrays[name] for name in _FIELDS))
    run = runner(network, way, pool)
    before = psutil.Process().memory_info().rss / (1 << 20)
    with one_thread_per_operator():
        run()
    print(json.dumps([before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB]))


def measured(network, way, jets):
    """(before, high-water) of a process of its own."""
    command = [sys.executable, "-m", "benchmarks.memory", "--child", network, way, str(jets)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise JetAssayError(f"memory of {network} {way} could not be measured:\n{done.stderr.strip()[-2000:]}")
    before, high = json.loads(done.stdout.splitlines()[-1])
    print(f"{network} {way}: {high:.0f} MiB, {high - before:.0f} of them to embed", flush=True)
    return before, high


def main():
    with TemporaryDirectory() as folder:
        for name in ("part-full", "sophon"):
            pool = between(pool_of(FEATURE_SETS[name]), 0, POOL)
            np.savez(Path(folder) / f"{name}.npz", **{field: getattr(pool, field) for field in _FIELDS})
        for network, way in WAYS:
            jets = Path(folder) / f"{'sophon' if network == 'Sophon' else 'part-full'}.npz"
            before, high = measured(network, way, jets)
            name, grown = f"{network} {way}", high - before
            yield {
                "numbers": [
                    number("Memory high-water", name, high, "MiB"),
                    number("Memory to embed, beyond network and jets", name, grown, "MiB"),
                ]
            }


if __name__ == "__main__":
    if sys.argv[1] == "--child":
        child(*sys.argv[2:])
    else:
        program(main)
