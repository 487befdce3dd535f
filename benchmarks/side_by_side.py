"""Our Particle Transformers and weaver-core's on the same jets, with the same weights, in one sitting.

`python -m benchmarks.side_by_side FILE.json`, which `make throughput-gates` does. Speeds are nominal operations by
time, so that each way of batching may be timed on as many jets as it needs; see `jetassay.backbones.part_flops`.

Before anything is timed, embeddings must agree. Rounds are interleaved: a disturbance of the machine hits all alike.
Ours begins at the flat inputs of jets in random order; weaver's batches are padded beforehand, at no cost to it.
"""

import json
import os
import sys
import time
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch
from benchmarks import loading
from benchmarks.networks import Way, ways_of

from jetassay.backbones.card import read_card
from jetassay.embeddings.threads import one_thread_per_operator, usable_cores
from jetassay.errors import JetAssayError
from jetassay.places import models_folder
from jetassay.tracking.provenance import git_facts, machine_facts

NETWORKS = {"ParT": "part-full", "Sophon": "sophon"}
ROUNDS = 3
PEAKS = ("product", "linear")
UNITS = {"GFLOP/s": 1e9, "kjets/s": 1e3}


def measure(ways, rounds=ROUNDS):
    """(network, way) -> work a second by each clock, and the load: one number a round each.

    cpu: time of the calling thread, which alone works but in ways of two threads; process: CPU time of all threads
    """
    clocks = {"cpu": time.thread_time, "wall": time.perf_counter, "process": time.process_time}
    found = defaultdict(lambda: defaultdict(list))
    with one_thread_per_operator(), torch.inference_mode():
        for way in ways.values():
            (way.warm_up or way.run)()
        for number in range(rounds):
            for name, way in ways.items():
                before = {clock: read() for clock, read in clocks.items()}
                way.run()
                for clock, read in clocks.items():
                    found[name][clock].append(way.work / (read() - before[clock]))
                found[name]["load"].append(os.getloadavg()[0])
            print(f"round {number + 1} of {rounds}, load average {os.getloadavg()[0]:.1f}", flush=True)
    return found


def quantities_of(network, found):
    """What is compared for a network; the names are those of gates.toml."""
    best = max(PEAKS, key=lambda name: median(found[network, name]["cpu"]))
    comparisons = [
        *((f"fp32 / weaver-{batching}", "packed", f"weaver-{batching}", "cpu") for batching in
          ("padded-256", "one-by-one", "sorted-16")),
        ("bf16 / weaver-padded-256", "packed-bf16", "weaver-padded-256", "cpu"),
        ("fp32 / peak", "packed", best, "cpu"),
        ("weaver-padded-256 / peak", "weaver-padded-256", best, "cpu"),
        ("weaver-sorted-16 / peak", "weaver-sorted-16", best, "cpu"),
        ("fp32 / weaver-padded-256, wall", "packed", "weaver-padded-256", "wall"),
        ("2 threads / 1, wall", "packed-2-threads", "packed", "wall"),
    ]  # fmt: skip
    for name, ours, peer, clock in comparisons:
        if (network, ours) in found:
            own, other = found[network, ours], found[network, peer]
            yield quantity(network, name, own, other, clock=clock, unit="GFLOP/s")


def quantity(network, name, own, other, *, clock, unit):
    """One comparison in the form of `jetassay.gates.read_comparisons`."""
    ours, peer = ([speed / UNITS[unit] for speed in each[clock]] for each in (own, other))
    return {"network": network, "quantity": name, "unit": unit, "ours": ours, "peer": peer, "load": own["load"]}


def reading_ways(folder):
    """From a file to inputs: ours, and weaver's loader after two configurations."""
    path = folder / "jets.root"
    jets = loading.write_jets(path)
    for each in (loading.PUBLISHED, loading.LEAN):
        loading.check_equal(path, each)
    return {
        ("reading", "ours"): Way(lambda: loading.load_with_us(path), jets),
        ("reading", "weaver-loader"): Way(lambda: loading.load_with_weaver(path, loading.PUBLISHED), jets),
        ("reading", "weaver-loader-lean"): Way(lambda: loading.load_with_weaver(path, loading.LEAN), jets),
    }


def quantities_of_reading(found):
    """What is compared of reading, by CPU time of the process: libraries decompress on threads of their own."""
    for peer in ("weaver-loader", "weaver-loader-lean"):
        own, other = found["reading", "ours"], found["reading", peer]
        yield quantity("reading", f"inputs / {peer}", own, other, clock="process", unit="kjets/s")


def benchmarks_of(found, jet):
    """In the form of pytest-benchmark, for tracking: jets a second of jets with the work of the average one."""
    for (network, way), speeds in found.items():
        if network in jet and way not in PEAKS:
            seconds = [jet[network] / speed for speed in speeds["wall" if "threads" in way else "cpu"]]
            low, high = np.percentile(seconds, [25, 75])
            about = {
                "backbone": f"{NETWORKS[network]}-random-weights",
                "variant": way,
                "jets_per_s": 1 / median(seconds),
                "threads": 2 if "threads" in way else 1,
                "dtype": "bfloat16" if "bf16" in way else "float32",
                "device": "cpu",
            }
            yield {"name": "side_by_side", "extra_info": about, "stats": {"median": median(seconds), "iqr": high - low}}


def main(path):
    before, ways, jet = os.getloadavg()[0], {}, {}
    for network, name in NETWORKS.items():
        own, jet[network] = ways_of(read_card(models_folder() / name / "card.toml"))
        ways |= {(network, way): each for way, each in own.items()}
    with TemporaryDirectory() as folder:
        found, facts = measure(ways | reading_ways(Path(folder))), git_facts()
    session = {
        "datetime": datetime.now(UTC).isoformat(),
        "machine_info": {
            "cpu": {"brand_raw": machine_facts()["cpu"]},
            "usable_cores": usable_cores(),
            "torch": str(torch.__version__),
            "load_before": before,
            "load_after": os.getloadavg()[0],
        },
        "commit_info": {"id": facts["commit"], "dirty": facts["dirty"], "note": facts["note"]},
        "benchmarks": list(benchmarks_of(found, jet)),
        "quantities": [
            *(each for network in NETWORKS for each in quantities_of(network, found)),
            *quantities_of_reading(found),
        ],
    }
    path.write_text(json.dumps(session, indent=1), encoding="utf-8")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except JetAssayError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("stopped; nothing was saved")
