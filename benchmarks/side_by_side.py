"""Our Particle Transformers and weaver-core's on the same jets, with the same weights, in one sitting.

`python -m benchmarks.side_by_side FILE.json`, which `make throughput-gates` does. Speeds are nominal operations by
time, so that each way of batching may be timed on as many jets as it needs; see `jetassay.backbones.part_flops`.

Before anything is timed, embeddings must agree. Rounds are interleaved: a disturbance of the machine hits all alike.
Ours begins at the flat inputs of jets in random order; weaver's batches are padded beforehand, at no cost to it.
"""

from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks import loading
from benchmarks.networks import ways_of
from benchmarks.rounds import Way, benchmark, measure, program, quantity
from benchmarks.training_step import measure_training, quantities_of_training

from jetassay.backbones.card import read_card
from jetassay.places import models_folder

NETWORKS = {"ParT": "part-full", "Sophon": "sophon"}
PEAKS = ("product", "linear")


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
        ("2 threads / weaver's 2 threads, wall", "packed-2-threads", "weaver-2-threads", "wall"),
        ("2 threads / weaver's 2 batches, wall", "packed-2-threads", "weaver-2-batches", "wall"),
        ("weaver's 2 threads / 1, wall", "weaver-2-threads", "weaver-padded-256", "wall"),
    ]  # fmt: skip
    for name, ours, peer, clock in comparisons:
        if (network, ours) in found:
            own, other = found[network, ours], found[network, peer]
            yield quantity(network, name, own, other, clock=clock, unit="GFLOP/s")


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
            several = "-2-" in way
            seconds = [jet[network] / speed for speed in speeds["wall" if several else "cpu"]]
            about = {
                "backbone": f"{NETWORKS[network]}-random-weights",
                "variant": way,
                "threads": 2 if several else 1,
                "dtype": "bfloat16" if "bf16" in way else "float32",
                "device": "cpu",
            }
            yield benchmark("side_by_side", seconds, **about)


def main():
    ways, jet = {}, {}
    for network, name in NETWORKS.items():
        own, jet[network] = ways_of(read_card(models_folder() / name / "card.toml"))
        ways |= {(network, way): each for way, each in own.items()}
    with TemporaryDirectory() as folder:
        found = measure(ways | reading_ways(Path(folder)))
    quantities = [each for network in NETWORKS for each in quantities_of(network, found)]
    yield {"benchmarks": benchmarks_of(found, jet), "quantities": [*quantities, *quantities_of_reading(found)]}
    yield {"quantities": quantities_of_training(measure_training())}


if __name__ == "__main__":
    program(main)
