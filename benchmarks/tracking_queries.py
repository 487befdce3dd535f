"""How MLflow's store answers what the project asks of it, at a thousand runs: seconds of every query.

    python -m benchmarks.tracking_queries --store /tmp/thousand --runs 1000

Records a made-up suite in an SQLite store, as `jetassay run` would (ten backbones, nine signals, 150 metrics a run,
tables, logged models), and copies its rows under other ids until there are as many runs of backbones: writing a
thousand one by one takes minutes and shows nothing more. Then each query is timed: wall and CPU time, the median of
rounds. A store that was filled already is taken as it is.
"""

import argparse
import os
import sqlite3
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from jetassay.jets.classes import BACKGROUND, JET_CLASSES
from jetassay.progress import Reporter
from jetassay.tasks.score import Context, Score, result_frame
from jetassay.tracking.record import BackboneRecord, SuiteRecord

BACKBONES = 10
ROUNDS = 5
LEADERBOARD = 100
"""Runs that MLflow's own page asks for at once."""


def made_up(number: int) -> SuiteRecord:
    """The record of a suite of ten backbones; another number, another suite with other values."""
    names = [f"backbone-{k}" for k in range(BACKBONES)]
    scores = [score for k, name in enumerate(names) for score in probe(name, 0.9 + k / 200 + number / 1e5)]
    context = Context(
        suite="many", dataset="made-up", data_digest="d" * 64, split_seed=1, weights_sha256="w" * 64, dtype="float32"
    )
    return SuiteRecord(
        suite="many",
        suite_id=f"many-{number:04d}",
        frame=result_frame((context, score) for score in scores),
        provenance={"git": {"commit": "c" * 40, "dirty": False}, "versions": {"torch": "2"}, "machine": {"cpu": "x"}},
        backbones=tuple(BackboneRecord(name=name, weights_sha256="w" * 64) for name in names),
        description="| backbone | AUC |",
    )


def probe(name: str, auc: float) -> list[Score]:
    """AUC, and rejection at three working points, of every signal."""
    found = []
    for signal in (each for each in JET_CLASSES.values() if each.name != BACKGROUND):
        facts = {"task": "probe", "task_version": 1, "backbone": name, "signal": signal.name, "background": BACKGROUND}
        facts |= {"n_signal": 1000, "n_background": 1000, "level": 0.68, "interval": "bootstrap", "seed": 0}
        found.append(Score(**facts, metric="auc", value=auc, low=auc - 0.01, high=auc + 0.01))
        for point in sorted({0.3, 0.5, signal.working_point}):
            number = 30 / (point * (1 - auc))
            cut = {"metric": "rejection", "working_point": point, "n_survivors": 20}
            found.append(Score(**facts, **cut, value=number, low=0.8 * number, high=1.3 * number))
    return found


def fill(database: Path, runs: int) -> float | None:
    """A store with at least `runs` runs of backbones; gives the CPU seconds of recording one, None if none was new."""
    from jetassay.tracking.runs import record_suite

    cpu = time.process_time()
    recorded = record_suite(made_up(0), reporter=Reporter(quiet=True))
    each_s = (time.process_time() - cpu) / recorded.written if recorded.written else None
    with sqlite3.connect(database) as connection:
        (there,) = connection.execute("SELECT count(*) FROM tags WHERE key = 'kind' AND value = 'backbone'").fetchone()
        for number in range(there // BACKBONES, -(-runs // BACKBONES)):
            copy_rows(connection, f"{number:04x}", f"many-{number:04d}")
    connection.close()
    return each_s


def copy_rows(connection: sqlite3.Connection, start: str, suite_id: str) -> None:
    """The first suite again: ids that begin with `start`, another `suite_id` and series; metrics move a little."""
    new_id = f"'{start}' || substr({{}}, 5)"
    first = "IN (SELECT run_uuid FROM tags WHERE key = 'suite_id' AND value = 'many-0000')"
    other = {
        "tags.value": f"CASE WHEN key IN ('suite_id', 'series') THEN '{suite_id}' ELSE value END",
        "latest_metrics.value": f"value + {int(start, 16) / 1e5}",
        "inputs.destination_id": new_id.format("destination_id"),
    }
    tables = dict.fromkeys(("inputs", "metrics", "latest_metrics", "params", "runs", "tags"), "run_uuid")
    for table, name in {**tables, "inputs": "destination_id"}.items():
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        ids = {each: new_id.format(each) for each in ("run_uuid", "input_uuid") if each in columns}
        values = [other.get(f"{table}.{each}", ids.get(each, each)) for each in columns]
        connection.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} FROM {table} WHERE {name} {first}"
        )


def queries() -> dict[str, Callable[[], object]]:
    """Everything that a suite, `jetassay ui` and MLflow's leaderboard ask of the store, by name."""
    from jetassay.tracking.engine import open_tracking
    from jetassay.tracking.lifecycle import sweep
    from jetassay.tracking.runs import record_suite
    from jetassay.tracking.views import VIEW_TAG

    reporter = Reporter(quiet=True)
    tracking = open_tracking(reporter=reporter)
    client, experiment = tracking.client, tracking.experiment_id
    suite_id, again = "many-0000", made_up(0)
    one = tracking.find(f"tags.suite_id = '{suite_id}'")[0].info.run_id
    board = f"tags.series = '{suite_id}' AND tags.kind = 'backbone' AND tags.current = 'true'"
    board += " AND attributes.status = 'FINISHED'"
    whole = "tags.kind = 'backbone' AND attributes.status = 'FINISHED'"
    by_auc = ["metrics.`mean/auc` DESC"]

    def search(where: str) -> object:
        return client.search_runs([experiment], filter_string=where, order_by=by_auc, max_results=LEADERBOARD)

    return {
        "open the store": lambda: open_tracking(reporter=reporter),
        "sweep runs of processes that are gone": lambda: sweep(tracking, reporter=reporter),
        "runs of one suite that are there already": lambda: tracking.find(f"tags.suite_id = '{suite_id}'"),
        "leaderboard of one suite, sorted": lambda: search(board),
        f"leaderboard of all suites, sorted, the first {LEADERBOARD}": lambda: search(whole),
        "every run of every suite": lambda: tracking.find(whole),
        "one run": lambda: client.get_run(one),
        "save a leaderboard view": lambda: client.set_experiment_tag(experiment, f"{VIEW_TAG}jetassay-many", "{}"),
        f"record a suite of {BACKBONES} again (nothing is new)": lambda: record_suite(again, reporter=reporter),
    }


def main() -> None:
    """Fill, time, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, required=True, help="folder for the store; kept")
    parser.add_argument("--runs", type=int, default=1000)
    asked = parser.parse_args()
    database = (asked.store / "mlflow.db").resolve()
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{database}"
    each_s = fill(database, asked.runs)
    with sqlite3.connect(database) as connection:
        (there,) = connection.execute("SELECT count(*) FROM runs").fetchone()
        (metrics,) = connection.execute("SELECT count(*) FROM latest_metrics").fetchone()
    connection.close()
    print(f"{there} runs with {metrics} metrics, {database.stat().st_size / 2**20:.0f} MiB")
    if each_s is not None:
        print(f"recording: {each_s:.2f} s CPU a run")
    print(f"load {os.getloadavg()[0]:.1f}")
    print(f"{'':58}  wall s   CPU s  (median of {ROUNDS})")
    for name, ask in queries().items():
        walls, cpus = [], []
        for _ in range(ROUNDS):
            wall, cpu = time.perf_counter(), time.process_time()
            ask()
            walls.append(time.perf_counter() - wall)
            cpus.append(time.process_time() - cpu)
        print(f"{name:58}  {statistics.median(walls):6.3f}  {statistics.median(cpus):6.3f}")


if __name__ == "__main__":
    main()
