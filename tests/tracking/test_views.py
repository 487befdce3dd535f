import base64
import json
import zlib

import pytest

from jetassay.errors import TrackingError
from jetassay.tracking.views import (
    compare_link,
    decode_view,
    encode_view,
    leaderboard_link,
    leaderboard_state,
    run_link,
)


def state(**changed):
    asked = {"columns": ["mean/auc", "auc/Hbb_vs_QCD"], "order_by": "mean/auc", "where": "tags.suite = 'ünï'"}
    return leaderboard_state(**(asked | {"grouped": True} | changed))


def test_a_view_is_read_back_as_it_was_written():
    assert decode_view(encode_view("ünï", state())) == ("ünï", state())


def test_a_view_has_the_form_that_mlflows_pages_read():
    view = json.loads(encode_view("trial", state()))
    assert set(view) == {"name", "createdAt", "updatedAt", "state"}
    assert isinstance(view["createdAt"], int)
    head, _, packed = view["state"].partition(";")
    assert head == "deflate"
    assert json.loads(zlib.decompress(base64.b64decode(packed))) == state()


@pytest.mark.parametrize(
    "value", ["", "{nonsense", "[]", "{}", '{"name": "x", "state": "deflate;AAAA"}', '{"name": "x", "state": 3}']
)
def test_a_view_that_is_none_is_named_so(value):
    with pytest.raises(TrackingError, match="run its suite again"):
        decode_view(value)


def test_a_view_groups_seeds_of_a_backbone_and_names_its_columns():
    assert state()["groupBy"] == {
        "aggregateFunction": "average",
        "groupByKeys": [{"mode": "tag", "groupByData": "backbone"}],
    }
    assert state()["selectedColumns"] == ["metrics.`mean/auc`", "metrics.`auc/Hbb_vs_QCD`"]
    assert state()["columnOrder"] == state()["selectedColumns"]
    assert state(grouped=False)["groupBy"] is None


def test_without_a_mean_the_newest_run_comes_first():
    assert state(columns=[], order_by=None)["orderByKey"] == "attributes.start_time"


def test_a_view_of_many_columns_fits_into_a_tag():
    columns = [f"rejection/Class{number}_vs_QCD_at_0.995" for number in range(400)]
    assert len(encode_view("many", state(columns=columns))) < 20000


def test_links_are_whole_or_relative():
    relative = leaderboard_link("3", key="jetassay-default", base="")
    assert relative == "#/experiments/3/runs?workflowType=machine_learning&viewStateShareKey=jetassay-default"
    assert leaderboard_link("3", key="jetassay-default") == f"http://127.0.0.1:5000/{relative}"
    assert leaderboard_link("3", key="k", base="https://host/mlflow/").startswith("https://host/mlflow/#/experiments/3")
    assert (
        compare_link("3", ["a", "b"], base="")
        == "#/compare-runs?runs=%5B%22a%22%2C%20%22b%22%5D&experiments=%5B%223%22%5D"
    )
    assert run_link("3", "a", base="") == "#/experiments/3/runs/a"
