"""Seconds until MLflow's pages show what the project's links open, on a store of `benchmarks.tracking_queries`.

    python -m benchmarks.tracking_queries --store /tmp/thousand --runs 1000
    python tests/browser/page_times.py /tmp/thousand/mlflow.db

Each page is opened four times in one headless Chromium; the first, which also fetches MLflow's scripts, is told apart.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from devtools import CHROMIUM, INSTALL, Browser
from served import served

from jetassay.progress import Reporter
from jetassay.tracking.engine import open_tracking
from jetassay.tracking.views import VIEW_TAG, compare_link, encode_view, leaderboard_link, leaderboard_state, run_link

ROUNDS = 3
PATIENCE_S = 60
EVERY = "tags.kind = 'backbone' AND attributes.status = 'FINISHED'"


def main():
    """Open, wait, print."""
    if CHROMIUM is None:
        sys.exit(INSTALL)
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{Path(sys.argv[1]).resolve()}"
    tracking = open_tracking(reporter=Reporter(quiet=True))
    with served() as base, tempfile.TemporaryDirectory() as profile:
        browser = Browser(CHROMIUM, profile)
        try:
            print(f"load {os.getloadavg()[0]:.1f}", flush=True)
            print(f"{'':58}  first s  then s (median of {ROUNDS})")
            for name, (link, words) in pages(tracking, base).items():
                first, *others = [seconds(browser, link, words) for _ in range(ROUNDS + 1)]
                print(f"{name:58}  {first:7.1f}  {statistics.median(others):6.1f}", flush=True)
            print(f"load {os.getloadavg()[0]:.1f}")
        finally:
            browser.close()


def pages(tracking, base):
    """Link, and words that stand on the page once it is there, by name."""
    client, experiment = tracking.client, tracking.experiment_id
    runs = [run.info.run_id for run in tracking.find("tags.suite_id = 'many-0000' AND tags.kind = 'backbone'")]
    columns = ["mean/auc", "mean/rejection", "auc/Hbb_vs_QCD", "auc/Tbl_vs_QCD"]
    for key, grouped in (("every", False), ("grouped", True)):
        state = leaderboard_state(columns=columns, order_by="mean/auc", where=EVERY, grouped=grouped)
        client.set_experiment_tag(experiment, VIEW_TAG + key, encode_view(key, state))
    return {
        "saved leaderboard of one suite, 10 runs": (
            leaderboard_link(experiment, key="jetassay-many", base=base), ("backbone-9", "auc")
        ),
        "list of all runs, sorted by mean AUC, the first 100": (
            leaderboard_link(experiment, key="every", base=base), ("backbone-9", "auc")
        ),
        "the same, averaged by backbone": (
            leaderboard_link(experiment, key="grouped", base=base), ("backbone-9", "auc")
        ),
        f"{len(runs)} runs side by side": (compare_link(experiment, runs, base=base), ("backbone-9", "auc/Hbb_vs_QCD")),
        "one run": (run_link(experiment, runs[-1], base=base), ("mean/auc", "auc/Hbb_vs_QCD")),
    }  # fmt: skip


def seconds(browser, link, words):
    """From asking for the page until all words are there."""
    browser.open("about:blank")
    began = time.perf_counter()
    browser.call("Page.navigate", url=link)
    condition = f"{json.dumps(words)}.every(word => document.body?.innerText.includes(word))"
    end = began + PATIENCE_S
    while not browser.js(condition):
        assert time.perf_counter() < end, (link, browser.js("document.body.innerText"))
        time.sleep(0.05)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
