"""A result frame with every kind of cell: two backbones, two signals, limits, pairs, throughput."""

import pandas as pd
import pytest

from jetassay.progress import Reporter
from jetassay.tasks.score import Context, Score, result_frame

PROBE = {"task": "probe", "task_version": 1, "background": "QCD"}


@pytest.fixture
def frame():
    context = Context(
        suite="mine", dataset="sim", data_digest="d", split_seed=1, weights_sha256=None, dtype="float32", run_id=None
    )
    scores = []
    for name, shift in (("alpha", 0.0), ("beta-long-name", 0.01)):
        scores += [
            Score(
                **PROBE,
                metric="auc",
                value=0.95 + shift,
                low=0.947 + shift,
                high=0.953 + shift,
                backbone=name,
                signal="Hbb",
            ),
            Score(**PROBE, metric="auc", value=0.99 + shift / 2, low=0.9896, high=0.9904, backbone=name, signal="Tbl"),
            Score(
                **PROBE,
                metric="rejection_over_cuts",
                value=123.4,
                low=111.2,
                high=138.0,
                backbone=name,
                signal="Hbb",
                working_point=0.5,
            ),
            Score(
                **PROBE,
                metric="rejection_over_cuts",
                value=20.0,
                low=19.0,
                high=21.0,
                backbone=name,
                signal="Hbb",
                working_point=0.3,
            ),
            Score(
                **PROBE,
                metric="rejection_over_cuts",
                value=None,
                low=210.0,
                backbone=name,
                signal="Tbl",
                working_point=0.995,
            ),
            Score(
                task="throughput",
                task_version=1,
                metric="jets_per_s",
                value=512.0,
                low=500.0,
                high=530.0,
                backbone=name,
            ),
        ]
    scores += [
        Score(
            task="similarity",
            task_version=1,
            metric="cka",
            value=value,
            backbone="alpha",
            backbone_b="beta-long-name",
            bin=where,
        )
        for where, value in (("all", 0.5), ("QCD", -0.01))
    ]
    zero_shot = {"task": "zero-shot", "task_version": 1, "backbone": "alpha"}
    scores += [
        Score(**zero_shot, metric="auc", value=0.97, low=0.968, high=0.972, signal="Hbb", background="QCD"),
        Score(
            **zero_shot, metric="rejection_over_cuts", value=77.0, low=70.0, high=85.0, signal="Hbb", working_point=0.5
        ),
        Score(**zero_shot, metric="accuracy", value=0.772, low=0.768, high=0.776),
        Score(**zero_shot, metric="log_loss", value=0.642, low=0.632, high=0.652),
    ]
    return result_frame((context, score) for score in scores)


@pytest.fixture
def counts():
    """Jets of one split."""
    return pd.DataFrame({"Hbb": [10]}, index=pd.Index(["test"], name="split"))


@pytest.fixture
def reporter():
    """Says nothing but warnings."""
    return Reporter(quiet=True)
