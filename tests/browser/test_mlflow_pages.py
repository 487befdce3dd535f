"""MLflow's own pages on our store: the links that a suite prints open a comparison that names what was measured."""

import json

import pytest
from served import served

from jetassay.progress import Reporter
from jetassay.tasks.score import Context, Score, result_frame
from jetassay.tracking.record import BackboneRecord, SuiteRecord
from jetassay.tracking.runs import record_suite

pytestmark = pytest.mark.browser
BACKBONES = ("part-mini", "mlp")


def made_up_suite(*, shift=0.0, suite="trial", suite_id="trial-0001", **series):
    context = Context(
        suite=suite, dataset="sim", data_digest="d" * 64, split_seed=1, weights_sha256=None, dtype="float32"
    )
    probe = {"task": "probe", "task_version": 1, "metric": "auc", "background": "QCD", "level": 0.68}
    scores = [
        Score(
            **probe,
            backbone=name,
            signal=signal,
            value=value + shift,
            low=value - 0.01,
            high=value + 0.05,
            interval="delong",
        )
        for name, value in zip(BACKBONES, (0.9625, 0.8125), strict=True)
        for signal in ("Hbb", "Tbl")
    ]
    return SuiteRecord(
        suite=suite,
        suite_id=suite_id,
        frame=result_frame((context, each) for each in scores),
        provenance={"git": {"commit": "c" * 40, "dirty": False}},
        backbones=tuple(BackboneRecord(name=name) for name in BACKBONES),
        artifacts=(),
        description="| backbone | AUC |\n|---|---|\n| part-mini | 0.9625 |",
        **series,
    )


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """What was tracked, and the address of `mlflow ui` on it."""
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JETASSAY_WORKSPACE", str(folder))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        series = {"series": "trial", "series_id": "trial-any"}
        found = record_suite(made_up_suite(**series), reporter=Reporter(quiet=True))
        other = {"suite": "trial-seed-2", "suite_id": "trial-0002"}
        record_suite(made_up_suite(shift=0.021, **other, **series), reporter=Reporter(quiet=True))
        with served() as address:
            yield found, address


def at(link, address):
    return address + link[link.index("/#") :]


def shows(*words):
    return f"{json.dumps(words)}.every(word => document.body.innerText.includes(word))"


def test_the_comparison_shows_both_backbones_and_every_metric_by_name(recorded, browser):
    found, address = recorded
    browser.open(at(found.compare, address))
    browser.wait_for(shows(*BACKBONES, "auc/Hbb", "auc/Tbl", "0.963", "0.813"), seconds=60)
    asked = [each for each in browser.requests() if not each.startswith((address, "blob:"))]
    assert asked == []


def test_the_leaderboard_opens_with_its_columns_and_the_average_over_splits(recorded, browser):
    found, address = recorded
    browser.open(at(found.leaderboard, address), width=1600)
    browser.wait_for(shows(*BACKBONES, "auc", "0.973", "0.823"), seconds=60)  # between 0.9625 and 0.9835, and so on
