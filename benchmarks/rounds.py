"""Ways to do the same work, timed in interleaved rounds; and what was measured, as JSON.

What a program of this folder saves is one object, all parts of which but the first three may be missing:

    datetime, machine_info, commit_info   as pytest-benchmark has them
    benchmarks   in the form of pytest-benchmark, with `extra_info` as `jetassay.throughput` describes it
    quantities   comparisons with a peer: network, quantity, unit, and a number a round: ours, peer, load
    curves       figure, series, x, y (what the axes are), points [[x, y], ...]
    numbers      group, name, value, unit: one number each, shown as tables
"""

import json
import os
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import numpy as np
import torch

from jetassay.embeddings.threads import one_thread_per_operator, usable_cores
from jetassay.errors import JetAssayError
from jetassay.tracking.provenance import git_facts, machine_facts
from jetassay.whole_files import whole_file

ROUNDS = 3
UNITS = {"GFLOP/s": 1e9, "kjets/s": 1e3, "jets/s": 1.0}


@dataclass(frozen=True)
class Way:
    """One thing to time: `run` does `work` nominal operations, or so many jets.

    warm_up:          done once before; `run` where there is none
    operator_threads: on how many threads an operator of torch may split itself
    """

    run: object
    work: float
    warm_up: object = None
    operator_threads: int = 1


def measure(ways, rounds=ROUNDS):
    """name -> work a second by each clock, and the load: one number a round each.

    cpu: time of the calling thread, which alone works but in ways of several; process: CPU time of all threads
    """
    clocks = {"cpu": time.thread_time, "wall": time.perf_counter, "process": time.process_time}
    found = defaultdict(lambda: defaultdict(list))
    with one_thread_per_operator(), torch.inference_mode():
        for way in ways.values():
            torch.set_num_threads(way.operator_threads)
            (way.warm_up or way.run)()
        for number in range(rounds):
            for name, way in ways.items():
                torch.set_num_threads(way.operator_threads)
                before = {clock: read() for clock, read in clocks.items()}
                way.run()
                for clock, read in clocks.items():
                    found[name][clock].append(way.work / (read() - before[clock]))
                found[name]["load"].append(os.getloadavg()[0])
            print(f"round {number + 1} of {rounds}, load average {os.getloadavg()[0]:.1f}", flush=True)
    return found


def quantity(network, name, own, other, *, clock, unit):
    """One comparison in the form of `jetassay.measurements.Comparison`."""
    ours, peer = ([speed / UNITS[unit] for speed in each[clock]] for each in (own, other))
    return {"network": network, "quantity": name, "unit": unit, "ours": ours, "peer": peer, "load": own["load"]}


def benchmark(name, seconds, **about):
    """In the form of pytest-benchmark: seconds a jet, one number a round; quantities have it beside a peer."""
    low, high = np.percentile(seconds, [25, 75])
    stats = {"median": median(seconds), "min": min(seconds), "iqr": high - low, "rounds": len(seconds)}
    return {
        "name": name,
        "extra_info": {**about, "beside_peer": True, "jets_per_s": 1 / median(seconds)},
        "stats": stats,
    }


def curve(figure, series, *, x, y, points):
    """One line of a figure."""
    return {"figure": figure, "series": series, "x": x, "y": y, "points": [[float(a), float(b)] for a, b in points]}


def number(group, name, value, unit):
    """One cell of the table `group`."""
    return {"group": group, "name": name, "value": float(value), "unit": unit}


def save(path, *, load_before, **parts):
    """Write what was measured, with the facts of the machine; whole or not at all."""
    facts = git_facts()
    session = {
        "datetime": datetime.now(UTC).isoformat(),
        "machine_info": {
            "cpu": {"brand_raw": machine_facts()["cpu"]},
            "usable_cores": usable_cores(),
            "torch": str(torch.__version__),
            "load_before": load_before,
            "load_after": os.getloadavg()[0],
        },
        "commit_info": {"id": facts["commit"], "dirty": facts["dirty"], "note": facts["note"]},
        **parts,
    }
    with whole_file(path) as partial:
        partial.write_text(json.dumps(session, indent=1), encoding="utf-8")


def program(main):
    """Run `main()` as `python -m benchmarks.NAME FILE.json`: errors in one line, and what was measured is kept.

    main: yields what it has measured, a part at a time: dictionaries of lists, by the names above. All there are so far
    are saved after each, so that what fails or is stopped later costs nothing that was measured before.
    """
    path, load_before, found = Path(sys.argv[1]), os.getloadavg()[0], {"benchmarks": []}
    try:
        for part in main():
            for name, each in part.items():
                found[name] = [*found.get(name, ()), *each]
            save(path, load_before=load_before, **found)
    except JetAssayError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(f"stopped; {f'what was finished is in {path}' if path.exists() else 'nothing was finished'}")
