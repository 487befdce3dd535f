"""Files that `make throughput` writes: what is read from them, what is refused, and many as one."""

import json

import pytest

from jetassay.errors import DataError
from jetassay.measurements import comparisons_of, curves_of, merge, numbers_of, read_session


def measured(**changes):
    table = {
        "network": "ParT",
        "quantity": "fp32 / weaver",
        "unit": "GFLOP/s",
        "ours": [4.0],
        "peer": [1.0],
        "load": [0.5],
        **changes,
    }
    return {"quantities": [table], "benchmarks": []}


def written(tmp_path, content):
    path = tmp_path / "other.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize(
    "content",
    [
        "",
        "not json",
        [],
        {},
        {"benchmarks": [{"name": "test_it", "extra_info": {}, "stats": {"median": 1, "iqr": 0}}]},
        {"benchmarks": [], "quantities": [{}]},
        {"benchmarks": [], "quantities": 3},
        {"benchmarks": [], "curves": [{"figure": "a"}]},
        {"benchmarks": [], "numbers": [{"group": "a", "name": "b", "unit": "c", "value": "large"}]},
        measured(ours=["fast"]),
    ],
)
def test_a_file_of_something_else_is_refused_by_name(tmp_path, content):
    with pytest.raises(DataError, match=r"other\.json: not written by `make throughput`"):
        read_session(written(tmp_path, content))


@pytest.mark.parametrize("ours", [[], [0.0], [float("nan")], [float("inf")], [1.0, 1.0]])
def test_speeds_that_are_no_speeds_are_refused(tmp_path, ours):
    expected = r"other\.json: ParT fp32 / weaver: speeds must be positive numbers, one a round"
    with pytest.raises(DataError, match=expected):
        read_session(written(tmp_path, measured(ours=ours)))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.json: cannot be read: No such file"):
        read_session(tmp_path / "none.json")


def test_what_has_comparisons_alone_is_read_and_joined(tmp_path):
    part = measured()
    del part["benchmarks"]
    session = read_session(written(tmp_path, part))
    assert merge([measured(), session])["quantities"] == part["quantities"] * 2


def test_ratios_curves_and_numbers_are_read_from_where_they_stand(tmp_path):
    curve = {"figure": "batch", "series": "ParT", "x": "jets", "y": "jets/s", "points": [[16, 2], [1, 1]]}
    number = {"group": "Memory", "name": "packed", "value": 512, "unit": "MiB"}
    session = read_session(written(tmp_path, {**measured(), "curves": [curve], "numbers": [number]}))
    assert [(each.name, each.ratio) for each in comparisons_of(session)] == [("ParT fp32 / weaver", 4.0)]
    assert [each.points for each in curves_of(session)] == [((1.0, 1.0), (16.0, 2.0))]
    assert [(each.value, each.unit) for each in numbers_of(session)] == [(512.0, "MiB")]


def test_several_files_are_one_from_the_load_before_the_first_to_the_load_after_the_last():
    one = {
        "datetime": "then",
        "machine_info": {"load_before": 0.1, "load_after": 1.0},
        **measured(),
        "failed": {"a": "b"},
    }
    other = {"datetime": "later", "machine_info": {"load_before": 1.0, "load_after": 2.0}, **measured(), "skipped": {}}
    both = merge([one, other])
    assert both["datetime"] == "then"
    assert both["machine_info"] == {"load_before": 0.1, "load_after": 2.0}
    assert len(both["quantities"]) == 2
    assert both["failed"] == {"a": "b"}
    assert one["machine_info"]["load_after"] == 1.0
