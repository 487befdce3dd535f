"""Faults of every kind against a small suite, each followed by the same command again.

    python tests/crash [--short] [--only WORD] [--seed N] [--jobs N] [--keep]

Prints a table, writes reports/crash/faults.json, and ends with `faults N, survived N, jets lost N, results changed N`.
Exit code 0 only if every fault was survived with nothing lost and nothing changed.
"""

import argparse
import json
import os
import platform
import re
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path

from faults import KINDS, Kind, can_mount
from trials import Ground, Outcome, attempt, prepare_ground

from jetassay.places import workspace


def main() -> int:
    """Do what was asked; gives the exit code."""
    options = _options()
    began, root = time.monotonic(), Path(tempfile.mkdtemp(prefix="jetassay-crash-")).resolve()
    print(f"undisturbed runs first, in {root}", flush=True)
    chosen = [kind for kind in KINDS if re.search(options.only, kind.name) and _count(kind, options)]
    left_out = [kind.name for kind in chosen if kind.root and not can_mount()]
    chosen = [kind for kind in chosen if kind.name not in left_out]
    ground = prepare_ground(root, {kind.way for kind in chosen})
    print(f"{time.monotonic() - began:.0f} s; now the faults, {options.jobs} at a time", flush=True)
    outcomes = _all(ground, chosen, options)
    if not any(_is_bad(each) for each in outcomes) and not options.keep:
        shutil.rmtree(root, ignore_errors=True)
    _show(chosen, outcomes)
    for name in left_out:
        print(f"not done, since only root can mount: {name}")
    path = _save(outcomes, options, seconds=time.monotonic() - began)
    print(f"{path}, {time.monotonic() - began:.0f} s")
    survived, lost = sum(each.survived for each in outcomes), sum(each.lost for each in outcomes)
    changed = sum(bool(each.changed) for each in outcomes)
    print(f"faults {len(outcomes)}, survived {survived}, jets lost {lost}, results changed {changed}")
    return int(any(_is_bad(each) for each in outcomes))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python tests/crash", description="Faults against a small suite.")
    parser.add_argument("--short", action="store_true", help="a few of the kinds, in less than a minute")
    parser.add_argument("--only", default="", help="kinds whose name this pattern finds")
    parser.add_argument("--count", type=int, help="so many of each kind")
    parser.add_argument("--seed", type=int, default=1, help="other moments")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="trials side by side")
    parser.add_argument("--keep", action="store_true", help="keep the folders of all trials")
    return parser.parse_args()


def _all(ground: Ground, kinds: list[Kind], options: argparse.Namespace) -> list[Outcome]:
    with ThreadPoolExecutor(options.jobs) as pool:
        futures = [
            pool.submit(attempt, ground, kind.name, kind.fault, way=kind.way, seed=1000 * options.seed + number)
            for kind in kinds
            for number in range(_count(kind, options))
        ]
        outcomes = []
        for future in as_completed(futures):
            outcomes.append(future.result())
            each = outcomes[-1]
            told = "; ".join([*each.problems, *each.changed, *([f"{each.lost} jets lost"] if each.lost else [])])
            where = f"{each.kind}, {each.seed}{f', at {each.stage}' if each.stage else ''}"
            print(f"{len(outcomes)}/{len(futures)} {where}: {told or 'survived'}, {each.seconds:.0f} s", flush=True)
        return outcomes


def _count(kind: Kind, options: argparse.Namespace) -> int:
    return int(options.count or (kind.short if options.short else kind.long))


def _is_bad(outcome: Outcome) -> bool:
    return bool(outcome.problems or outcome.changed or outcome.lost)


def _show(kinds: list[Kind], outcomes: list[Outcome]) -> None:
    heads = (("count", 7), ("survived", 10), ("lost jets", 11), ("changed", 9), ("repeated units", 16))
    heads += (("by both", 9), ("s each", 8))
    print(f"\n{'fault':36}" + "".join(f"{head:>{width}}" for head, width in heads))
    for kind in kinds:
        own = [each for each in outcomes if each.kind == kind.name]
        if own:
            print(
                f"{kind.name:36}{len(own):7}{sum(each.survived for each in own):10}{sum(each.lost for each in own):11}"
                f"{sum(bool(each.changed) for each in own):9}{sum(each.repeated for each in own):16}"
                f"{sum(each.in_flight for each in own):9}"
                f"{sum(each.seconds for each in own) / len(own):8.1f}"
            )


def _save(outcomes: list[Outcome], options: argparse.Namespace, *, seconds: float) -> Path:
    path = workspace() / "reports" / "crash" / "faults.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {"seed": options.seed, "short": options.short, "seconds": round(seconds, 1), "system": platform.platform()}
    faults = [{**asdict(each), "survived": each.survived} for each in outcomes]
    path.write_text(json.dumps({**about, "cores": os.cpu_count(), "faults": faults}, indent=1) + "\n")
    return path


if __name__ == "__main__":
    sys.exit(main())
