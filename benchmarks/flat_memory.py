"""Resident memory of a whole suite by its number of jets, stage by stage: it should not grow.

    python -m benchmarks.flat_memory FILE.json [--cards mlp part-mini] [--jets 100000 1000000] [--every-task]

Each card runs at each number of jets in a process of its own, from files to the report, at default settings: extraction
by the card and by `jet-observables` beside it, probes, zero-shot, similarity, shuffled labels, comparison, page; with
`--every-task` through all other tasks too. A card whose weights are not here has random ones. Files are links
(`linked_files`), so the audit is off: it would find the jets of one split in the others. Its hash of every jet is the
last stage. Jets are split 2 : 1 : 2. Printed are the highest VmRSS of each stage, and of it RssAnon, what the process
made itself, and RssFile, pages of libraries and of files without a name that hold embeddings, which the system may take
back at any time.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.linked_files import link_files
from benchmarks.resident import Watch
from benchmarks.rounds import curve, number, save

from jetassay.embeddings.threads import usable_cores
from jetassay.errors import JetAssayError
from jetassay.jets.classes import CLASS_NAMES

CARDS = ("mlp",)
JETS = (100_000, 1_000_000)
BESIDE = "jet-observables"
ENTRIES = 2000  # of a file, where there are jets enough for five files of each class
FLAT = 1.10  # of the peak among the fewest jets
LIMIT_MIB = 2e9 / (1 << 20)
TASKS = ("probe", "zero_shot", "similarity", "shuffled_labels", "comparison")
MORE_TASKS = {
    name: {}
    for name in (
        "stability", "bins", "sculpting", "calibration", "content", "robustness", "knn", "mlp_probe", "multiclass",
        "similarity_families", "map", "throughput",
    )
} | {"few_shot": {"heads": ("linear", "knn", "mlp")}}  # fmt: skip


def suite_of(card, folder, files, *, every_task):
    """Card and floor through every stage."""
    from jetassay.suite import Suite

    test = files * 2 // 5
    tasks = {name: {} for name in TASKS} | (MORE_TASKS if every_task else {})
    return Suite.model_validate(
        {
            "name": "flat-memory",
            "title": "Memory by number of jets",
            "backbones": (card, BESIDE),
            "dataset": {"card": "jetclass", "folder": folder},
            "split": {"train": test, "validation": files - 2 * test, "test": test},
            "audit": False,
            **tasks,
        }
    )


def hash_jets(suite):
    """What the audit does with every jet."""
    from jetassay.audit.fingerprints import fingerprint_files
    from jetassay.audit.hygiene import find_doubles
    from jetassay.embeddings.units import Reading
    from jetassay.progress import Reporter
    from jetassay.steps import find_jets, split_jets

    dataset = find_jets(suite.dataset, reporter=Reporter(quiet=True))
    reading = Reading(schema=dataset.schema, selection=dataset.selection, on_invalid=suite.dataset.on_invalid)
    find_doubles(
        {name: fingerprint_files(files, reading=reading) for name, files in split_jets(suite, dataset).items()}
    )


def child(card, folder, files, *, every_task):
    """Run, and print the highest memory of each stage, MiB, and the seconds of each."""
    from benchmarks.cards import card_here

    from jetassay import run, scoring
    from jetassay.backbones import catalogue
    from jetassay.bookkeeping import Clock
    from jetassay.progress import Reporter

    watch, clocks = Watch(), []

    class Stages(Clock):
        """The suite's own clock, which tells the watch what stage it is."""

        def __call__(self, stage):
            clocks[:] = [self]
            watch.stage = stage
            return super().__call__(stage)

    def attempt(name, *jets, **options):
        watch.stage = f"scores: {name}"
        return attempt_task(name, *jets, **options)

    run.Clock = Stages
    catalogue.find_card = lambda _, name: card_here(name)
    attempt_task, scoring.attempt = scoring.attempt, attempt
    run.require_plausible = lambda _: None  # few jets over and over are in every split
    began = time.perf_counter()
    with watch.watching():
        suite = suite_of(card, folder, files, every_task=every_task)
        run.run_suite(suite, reporter=Reporter(quiet=True))
        watch.stage = "hash of every jet"
        hash_jets(suite)
    found = {"stages": watch.highest, "peak": watch.peak(), "anon": watch.peak("RssAnon"), "seconds": clocks[0].spent_s}
    print(json.dumps({**found, "wall_s": time.perf_counter() - began}))


def measured(card, jets, *, every_task):
    """What a process of its own found, with cache, tracking and report in a temporary folder."""
    entries = max(1, min(ENTRIES, jets // len(CLASS_NAMES) // 5))
    files = jets // len(CLASS_NAMES) // entries
    with TemporaryDirectory(prefix="jetassay-flat-") as folder:
        link_files(Path(folder) / "jets", cache=Path(folder) / "cache", links=files, entries=entries)
        places = {f"JETASSAY_{name.upper()}": str(Path(folder) / name) for name in ("cache", "workspace")}
        command = [
            sys.executable,
            "-m",
            "benchmarks.flat_memory",
            "--child",
            card,
            str(Path(folder) / "jets"),
            str(files),
            *(["--every-task"] if every_task else []),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **places})
    if done.returncode:
        raise JetAssayError(f"{card} among {jets} jets could not be measured:\n{done.stderr.strip()[-3000:]}")
    return {"jets": entries * files * len(CLASS_NAMES), **json.loads(done.stdout.splitlines()[-1])}


def told(card, found):
    """A table of stages."""
    lines = [f"{card}, {found['jets']:,} jets, {found['wall_s']:.0f} s: peak {found['peak']:.0f} MiB"]
    lines += [
        f"  {stage:<22}{each['VmRSS']:>7.0f} MiB   own {each['RssAnon']:>6.0f}   files {each['RssFile']:>6.0f}"
        f"   {found['seconds'].get(stage, 0.0):>7.1f} s"
        for stage, each in found["stages"].items()
    ]
    return "\n".join(lines)


def main():
    """Every card at every number of jets; fails where memory is not flat."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("path", type=Path, metavar="FILE.json")
    parser.add_argument("--cards", nargs="+", default=CARDS)
    parser.add_argument("--jets", nargs="+", type=int, default=JETS)
    parser.add_argument("--every-task", action="store_true")
    chosen = parser.parse_args()
    before, curves, numbers, grown = os.getloadavg()[0], [], [], []
    for card in chosen.cards:
        runs = []
        for jets in sorted(chosen.jets):
            runs.append(measured(card, jets, every_task=chosen.every_task))
            print(told(card, runs[-1]), flush=True)
        axes = {"x": "jets, from files to the report", "y": "highest resident memory, MiB"}
        points = [(each["jets"], each["peak"]) for each in runs]
        curves.append(curve("memory of a suite by jets", card, **axes, points=points))
        ratio = runs[-1]["peak"] / runs[0]["peak"]
        within = ratio <= FLAT and runs[-1]["peak"] <= LIMIT_MIB
        print(f"{card}: {ratio:.2f} times the peak, {'flat' if within else 'NOT FLAT'}", flush=True)
        name = f"{card}, {runs[-1]['jets']:,} to {runs[0]['jets']:,} jets"
        numbers.append(number("Memory of a suite", name, ratio, f"ratio (flat: at most {FLAT})"))
        grown += [] if within else [card]
    save(chosen.path, load_before=before, benchmarks=[], curves=curves, numbers=numbers)
    print(f"{usable_cores()} cores, load average {os.getloadavg()[0]:.1f}")
    if grown:
        raise JetAssayError(f"more than {FLAT} times the memory, or above {LIMIT_MIB:.0f} MiB: {', '.join(grown)}")


if __name__ == "__main__":
    try:
        if sys.argv[1:2] == ["--child"]:
            child(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]), every_task="--every-task" in sys.argv)
        else:
            main()
    except JetAssayError as error:
        sys.exit(f"error: {error}")
