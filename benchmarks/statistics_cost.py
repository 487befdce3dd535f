"""What the statistics of a suite cost beside embedding its jets: CPU seconds of every task and check, cold.

    python benchmarks/statistics_cost.py default full --jets 100000

The jets are the simulated ones of the suite `default`, as often as it takes to have so many, each copy turned about the
beam by an angle of its own: distinct jets for every hash, the same physics. Cache, tracking and reports are temporary,
so nothing is taken from an earlier run and nothing is left. CPU seconds are of the whole process, all threads; they
are the same on a busy machine but for what shared caches cost, so measure on an idle one.
"""

import argparse
import os
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from conftest import table_of
from jetassay import run, scoring
from jetassay.audit import audit, forward
from jetassay.embeddings.threads import usable_cores
from jetassay.jets.classes import CLASS_NAMES
from jetassay.jets.kinematics import wrapped
from jetassay.progress import Reporter
from jetassay.simulation.writing import PART_PREFIX, JetTable, write
from jetassay.steps import find_jets
from jetassay.suite import DatasetChoice, SplitChoice, find_suite

LIMIT = 0.20
"""Probes, similarity and audit together may cost this share of embedding."""
LIMITED = (
    "task: probe",
    "task: zero-shot",
    "task: similarity",
    "scores: handing over",
    "audit, its re-embedding apart",
)


class Measured(Exception):  # noqa: N818  nothing is wrong
    """All that is measured has been done: a suite goes on with report and tracking."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("suites", nargs="+", metavar="SUITE")
    parser.add_argument("--jets", type=int, default=100_000, help="of all classes together")
    chosen = parser.parse_args()
    dataset = find_jets(find_suite("default").dataset, reporter=Reporter())
    with tempfile.TemporaryDirectory(prefix="jetassay-cost-") as folder:
        files_per_class, jets = copy_jets(dataset, chosen.jets, Path(folder) / "jets")
        for name in chosen.suites:
            for place in ("cache", "workspace"):
                os.environ[f"JETASSAY_{place.upper()}"] = str(Path(folder) / name / place)
            suite = on_copies(find_suite(name), Path(folder) / "jets", files_per_class)
            with measured() as spent, suppress(Measured):
                run.run_suite(suite, reporter=Reporter())
            print(report(name, jets, len(suite.backbones), spent))


def copy_jets(dataset, jets, folder):
    """Write `jets` distinct jets of all classes; gives the number of files of each class, and of jets."""
    folder.mkdir()
    copies = -(-jets // dataset.entries)
    each = -(-jets // (copies * len(dataset.files)))
    for copy in range(copies):
        for number, file in enumerate(dataset.files):
            place = copy * len(dataset.files) + number
            turned = turn(table_of(file.path).head(each), 2 * np.pi * copy / copies)
            write(folder / f"{file.group}_{place:04d}.root", turned, facts={})
    files = copies * len(dataset.files)
    return files // len(CLASS_NAMES), files * each


def turn(table, angle):
    """The jets turned about the beam."""
    counts, parts = table.ragged[PART_PREFIX]
    px, py = parts["px"].astype(np.float64), parts["py"].astype(np.float64)
    moved = {"px": px * np.cos(angle) - py * np.sin(angle), "py": px * np.sin(angle) + py * np.cos(angle)}
    parts = parts | {name: values.astype(np.float32) for name, values in moved.items()}
    phi = wrapped(table.jets["jet_phi"].astype(np.float64) + angle).astype(np.float32)
    return JetTable({**table.jets, "jet_phi": phi}, {PART_PREFIX: (counts, parts)})


def on_copies(suite, folder, files):
    """The suite on the copies: 2/5 of the files to train, 1/5 to validate, 2/5 to test."""
    test = files * 2 // 5
    changes = {
        "dataset": DatasetChoice(card="jetclass", folder=folder, on_invalid=suite.dataset.on_invalid),
        "split": SplitChoice(seed=suite.split.seed, train=test, validation=files - 2 * test, test=test),
        "throughput": None,
    }
    return suite.model_copy(update=changes)


@contextmanager
def measured():
    """CPU seconds by what they were spent on, while the functions that spend them are replaced by timed ones."""
    spent = defaultdict(float)
    names = {
        run.embed_all: "embed",
        run.embed_layers: "embed",
        run.embed_variations: "again: test jets seen otherwise",
        run.score_all: "scores",
        run.audit_all: "audit",
        forward.embed_inputs: "again: audit",
    }
    replaced = {function: timed(function, spent, lambda *_, label=label: label) for function, label in names.items()}
    replaced[scoring.attempt] = timed(scoring.attempt, spent, lambda task, *_: f"task: {task}")
    replaced[run.measure_throughput] = stop
    replaced[audit.run_check] = timed(audit.run_check, spent, lambda check, *_: f"check: {check}")
    swapped = [
        (module, name, value)
        for module in list(sys.modules.values())
        if getattr(module, "__name__", "").startswith("jetassay")
        for name, value in vars(module).items()
        if callable(value) and getattr(value, "__hash__", None) and value in replaced
    ]
    try:
        for module, name, value in swapped:
            setattr(module, name, replaced[value])
        yield spent
    finally:
        for module, name, value in swapped:
            setattr(module, name, value)


def stop(*_, **__):
    raise Measured


def timed(function, spent, label):
    def call(*args, **kwargs):
        began = time.process_time()
        try:
            return function(*args, **kwargs)
        finally:
            spent[label(*args)] += time.process_time() - began

    return call


def report(name, jets, backbones, spent):
    """A table of CPU seconds, and of what they are of embedding."""
    tasks = {label: seconds for label, seconds in spent.items() if label.startswith("task: ")}
    rows = {
        **dict(sorted(tasks.items(), key=lambda each: -each[1])),
        "scores: handing over": spent["scores"] - sum(tasks.values()),
        "audit, its re-embedding apart": spent["audit"] - spent["again: audit"],
    }
    limited = sum(rows[label] for label in LIMITED if label in rows)
    rows |= {"probes, similarity and audit together": limited, "all statistics together": sum(rows.values())}
    rows |= {f"apart, {label}": seconds for label, seconds in spent.items() if label.startswith("again: ")}
    rows |= {
        f"of the audit, {label}": seconds
        for label, seconds in sorted(spent.items(), key=lambda each: -each[1])
        if label.startswith("check: ") and seconds > 0.005 * spent["embed"]
    }
    share = limited / spent["embed"]
    rate = backbones * jets / spent["embed"]
    verdict = "within" if share <= LIMIT else "ABOVE"
    lines = [
        "",
        f"{name}: {jets:,} jets, {backbones} backbones, {usable_cores()} cores, load {os.getloadavg()[0]:.1f}",
        f"{'embedding':<46}{spent['embed']:>9.1f} CPU s   100.0 %   {rate:,.0f} jets per CPU s",
        *(
            f"{label:<46}{seconds:>9.1f} CPU s{100 * seconds / spent['embed']:>8.1f} %"
            for label, seconds in rows.items()
        ),
        f"probes, similarity and audit: {100 * share:.1f} % of embedding, {verdict} the limit of {100 * LIMIT:g} %",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
