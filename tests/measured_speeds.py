"""Made-up measurements of `make throughput`."""

from jetassay.gates import read_gates
from jetassay.places import project_root


def benchmark_of(name, rate, **about):
    return {"name": name, "extra_info": {"jets_per_s": rate, **about}, "stats": {"median": 2.0, "iqr": 0.2}}


def forward(backbone, rate, **about):
    return benchmark_of("bench_forward", rate, backbone=backbone, threads=1, dtype="float32", device="cpu", **about)


SESSION = {
    "machine_info": {
        "cpu": {"brand_raw": "Some Processor"},
        "usable_cores": 2,
        "load_before": 0.25,
        "load_after": 1.5,
        "torch": "2.13.0",
    },
    "commit_info": {"id": "0123456789abcdef", "dirty": True},
    "datetime": "2026-01-02T03:04:05.678",
    "benchmarks": [
        forward("part-mini", 1234.5, batch_size=256),
        forward("part-mini", 86.42, batch_size=16),
        forward("part-mini", 2000.0, variant="sorted"),
        forward("part-mini", 400.0, batch_size=256, variant="weaver"),
        forward("mlp", 98765.0, batch_size=16),
        benchmark_of("bench_reading", 30000.0, jets=6000, note="a ROOT file"),
    ],
    "skipped": {"sophon": "weights missing"},
    "failed": {},
}


def beside_peer(network, quantity, ours=4.0):
    return {"network": network, "quantity": quantity, "unit": "GFLOP/s", "ours": [ours], "peer": [1.0], "load": [0.5]}


SIDE_BY_SIDE = {
    "benchmarks": [],
    "quantities": [
        beside_peer(network, quantity)
        for network, gated in read_gates(project_root() / "benchmarks" / "gates.toml").at_least.items()
        for quantity in gated
    ],
}
OTHER = {
    "benchmarks": [],
    "curves": [{"figure": "batch", "series": "ParT", "x": "jets", "y": "jets/s", "points": [[16, 2.0], [1, 1.0]]}],
    "numbers": [{"group": "Stages", "name": "reading", "value": 3.5, "unit": "%"}],
}
