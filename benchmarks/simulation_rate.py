"""Simulated jets per CPU second, class by class, and beside another checkout whether the jets are the same.

    python benchmarks/simulation_rate.py                            # all ten classes
    python benchmarks/simulation_rate.py Hbb Zqq --jets 500 --beside ../other-checkout

Each side is a process of its own that has made a few jets before anything is timed; both make each class in turn,
one after the other. Timed is the CPU of one file from its seed to its last byte, starting Pythia included.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from jetassay.jets.classes import CLASS_NAMES

HERE = Path(__file__).resolve().parents[1]
SEED = 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("classes", nargs="*", metavar="CLASS", help="all ten if none is named")
    parser.add_argument("--jets", type=int, default=250, help="of each class, in one file")
    parser.add_argument("--beside", type=Path, metavar="CHECKOUT", help="another checkout of jetassay")
    chosen = parser.parse_args()
    classes = chosen.classes or CLASS_NAMES
    if unknown := [name for name in classes if name not in CLASS_NAMES]:
        parser.error(f"there is no class '{unknown[0]}'. Known: {', '.join(CLASS_NAMES)}.")
    if chosen.jets < 1:
        parser.error("give at least one jet of each class.")
    checkouts = [HERE, *([chosen.beside.resolve()] if chosen.beside else [])]
    for checkout in checkouts:
        if not (checkout / "src" / "jetassay" / "simulation").is_dir():
            parser.error(f"{checkout} is not a checkout of jetassay with a simulation.")
    print(
        f"{platform.processor() or platform.machine()}, load {os.getloadavg()[0]:.1f}, {chosen.jets} jets of each class"
    )
    with tempfile.TemporaryDirectory(prefix="jetassay-rate-") as folder:
        sides = [start(checkout, Path(folder) / f"{number}.root") for number, checkout in enumerate(checkouts)]
        try:
            spent = [0.0] * len(sides)
            for name in classes:
                made = [make(side, name, chosen.jets) for side in sides]
                spent = [total + each["cpu_s"] for total, each in zip(spent, made, strict=True)]
                same = ", the same jets" if made[0]["content"] == made[-1]["content"] else ", OTHER JETS"
                say(name, chosen.jets, [each["cpu_s"] for each in made], same)
            say("all", chosen.jets * len(classes), spent)
        finally:
            for side in sides:
                side.kill()
                side.wait()


def say(name, jets, seconds, more=""):
    rates = [jets / each for each in seconds]
    beside = f"   beside {rates[1]:6.1f}   ratio {rates[0] / rates[1]:.3f}{more}" if len(rates) > 1 else ""
    print(f"{name:5s} {rates[0]:6.1f} jets per CPU second{beside}", flush=True)


def start(checkout, output):
    """A process that imports the jetassay of that checkout."""
    side = subprocess.Popen(
        [sys.executable, __file__, "serve", str(output)],
        env={**os.environ, "PYTHONPATH": str(checkout / "src"), "OPENBLAS_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    make(side, "Zqq", 5)
    return side


def make(side, name, jets):
    print(json.dumps([name, jets]), file=side.stdin, flush=True)
    answer = side.stdout.readline()
    if not answer:
        sys.exit(f"{name}: the process that makes the jets died; what it said stands above.")
    return json.loads(answer)


def serve(output):
    from jetassay.simulation.shards import Task, make_shard
    from jetassay.simulation.writing import content_digest

    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # where FastJet prints its banner
    common = {"kind": "jetclass", "file": 0, "seed": SEED, "mode": "delphes", "path": output, "digest": ""}
    for line in sys.stdin:
        name, jets = json.loads(line)
        began = time.process_time()
        make_shard(Task(**common, name=name, jets=jets), advance=int)
        spent = time.process_time() - began
        print(json.dumps({"cpu_s": spent, "content": content_digest(Path(output))}), file=answers)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2])
    else:
        main()
