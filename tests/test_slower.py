"""What counts as slower than a baseline, on made-up numbers: nothing here takes time."""

import json

import pytest
from typer.testing import CliRunner

from jetassay.baselines import compare_runs, keep_baseline
from jetassay.cli import app
from jetassay.errors import ConfigError, DataError, JetAssayError
from jetassay.slower import changes_between, enforce_speed, render_changes

LIMIT = 0.8


def session(*, rate=100.0, fastest=None, ours=40.0, peer=10.0, peak=200.0, memory=500.0, cpu="A processor", **more):
    """One benchmark, one ratio to a peer, the peak, and one number of memory."""
    stats = {"median": 1 / rate, "min": 1 / (fastest or rate), "iqr": 0.0}
    return {
        "machine_info": {"cpu": {"brand_raw": cpu}, "usable_cores": 2},
        "benchmarks": [{"name": "bench_reading", "extra_info": {"jets_per_s": rate}, "stats": stats}],
        "quantities": [
            quantity("fp32 / weaver", ours, peer),
            quantity("fp32 / peak", ours * peak / 200, peak),
            quantity("weaver / peak", peer, peak),
        ],
        "numbers": [{"group": "Memory", "name": "packed", "value": memory, "unit": "MiB"}],
        **more,
    }


def quantity(name, ours, peer):
    return {"network": "ParT", "quantity": name, "unit": "GFLOP/s", "ours": [ours], "peer": [peer], "load": [0.1]}


def change(name, before, after):
    return next(each for each in changes_between(before, after).changes if each.name == name)


def worse(before, after):
    return {each.name for each in changes_between(before, after).changes if each.worse_than(LIMIT)}


def test_the_same_run_twice_has_changed_nothing():
    changes = changes_between(session(), session())
    assert {each.ratio for each in changes.changes} == {1.0}
    enforce_speed(changes, limit=LIMIT)


@pytest.mark.parametrize(("rate", "expected"), [(79.0, {"bench_reading"}), (81.0, set()), (200.0, set())])
def test_a_speed_below_the_limit_is_worse(rate, expected):
    assert worse(session(), session(rate=rate)) == expected


def test_one_slow_round_or_two_do_not_count_while_the_fastest_is_as_fast():
    assert worse(session(), session(rate=50.0, fastest=99.0)) == set()
    assert worse(session(), session(rate=50.0, fastest=70.0)) == {"bench_reading"}


def test_speeds_are_in_units_of_the_peak_of_their_own_run():
    half = session(rate=50.0, peak=100.0)
    assert change("bench_reading", session(), half).ratio == pytest.approx(1.0)
    assert worse(session(), half) == set()


def test_a_ratio_to_a_peer_is_compared_as_it_is():
    assert change("ParT fp32 / weaver", session(), session(ours=20.0)).ratio == pytest.approx(0.5)
    assert worse(session(), session(ours=20.0)) == {"ParT fp32 / weaver", "ParT fp32 / peak"}


def test_what_a_peer_reaches_is_not_ours():
    assert "ParT weaver / peak" not in {each.name for each in changes_between(session(), session(peer=1.0)).changes}


def test_more_memory_is_worse_and_less_is_not():
    assert worse(session(), session(memory=700.0)) == {"Memory: packed"}
    assert worse(session(), session(memory=100.0)) == set()


def test_on_another_processor_only_ratios_to_a_peer_are_judged():
    other = session(rate=10.0, ours=20.0, memory=5000.0, cpu="Another")
    assert worse(session(), other) == {"ParT fp32 / weaver", "ParT fp32 / peak"}
    text = render_changes(changes_between(session(), other), session(), other, limit=LIMIT)
    assert "Not the same processor: only ratios to a peer are judged." in text


def test_without_a_peak_speeds_are_compared_as_they_are_and_the_text_says_so():
    plain = session(quantities=[])
    changes = changes_between(plain, session(rate=50.0))
    assert next(each for each in changes.changes if each.name == "bench_reading").ratio == pytest.approx(0.5)
    assert "one run has no peak" in render_changes(changes, plain, session(), limit=LIMIT)


def test_what_stands_beside_a_peer_is_not_counted_twice():
    beside = session()
    beside["benchmarks"][0]["extra_info"]["beside_peer"] = True
    assert changes_between(session(), beside).gone == ("bench_reading",)


def test_the_error_names_everything_that_became_worse():
    changes = changes_between(session(), session(rate=50.0, memory=1000.0))
    with pytest.raises(JetAssayError, match=r"2 of 4 below 0\.8 of the baseline\n.*bench_reading: 0\.50") as caught:
        enforce_speed(changes, limit=LIMIT)
    assert "Memory: packed: 0.50" in str(caught.value)


def test_the_table_shows_what_moved_with_its_verdict_and_counts_the_rest():
    before, after = session(), session(rate=50.0, memory=400.0)
    lines = render_changes(changes_between(before, after), before, after, limit=LIMIT).splitlines()
    assert lines[0].split() == ["kind", "baseline", "now", "ratio", "fastest", "verdict"]
    assert lines[1].split() == ["bench_reading", "speed", "100", "50", "0.50", "0.50", "worse"]
    assert lines[2].split() == ["Memory:", "packed", "memory", "500", "400", "1.25", "1.25", "near"]
    assert lines[4].startswith("2 others within 5%")


def test_runs_with_nothing_in_common_are_no_comparison():
    with pytest.raises(DataError, match="nothing in common"):
        changes_between(session(), session(quantities=[], benchmarks=[], numbers=[]))


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """A workspace with two runs, the second half as fast."""
    monkeypatch.setenv("JETASSAY_WORKSPACE", str(tmp_path))
    for name, rate in {"2026-01-01": 100.0, "2026-01-02": 50.0}.items():
        folder = tmp_path / "reports" / "throughput" / name
        folder.mkdir(parents=True)
        (folder / "throughput.json").write_text(json.dumps(session(rate=rate)))
    return tmp_path / "reports" / "throughput"


def test_the_newest_run_is_compared_with_the_kept_baseline(workspace):
    assert keep_baseline(workspace / "2026-01-01" / "throughput.json") == workspace / "baseline.json"
    text, changes, limit = compare_runs()
    assert limit == LIMIT
    assert "bench_reading  speed" in text
    with pytest.raises(JetAssayError, match=r"bench_reading: 0\.50 of the baseline"):
        enforce_speed(changes, limit=limit)


def test_the_newest_run_is_kept_where_none_is_named(workspace):
    keep_baseline()
    _, changes, limit = compare_runs()
    enforce_speed(changes, limit=limit)


def test_without_a_baseline_the_error_says_how_to_keep_one(workspace):
    with pytest.raises(ConfigError, match="jetassay throughput --keep"):
        compare_runs()


def test_without_a_run_the_error_says_how_to_make_one(tmp_path, monkeypatch):
    monkeypatch.setenv("JETASSAY_WORKSPACE", str(tmp_path))
    with pytest.raises(DataError, match="no run of `make throughput` is here"):
        keep_baseline()


def test_the_command_keeps_compares_and_exits_with_one_where_something_is_slower(workspace):
    first, second = (workspace / name / "throughput.json" for name in ("2026-01-01", "2026-01-02"))
    assert call("--keep").output.strip() == str(workspace / "baseline.json")
    assert call("--compare").exit_code == 0
    slower = call("--compare", "--baseline", str(first))
    assert slower.exit_code == 1
    assert "bench_reading: 0.50 of the baseline" in slower.output
    assert call("--compare", "--baseline", str(second.with_name("none.json"))).exit_code == 1


@pytest.mark.parametrize("words", [("--keep", "--compare"), ("--gates", "--keep"), ("--baseline", "some.json")])
def test_options_that_exclude_each_other_are_refused_before_anything_is_measured(workspace, words):
    refused = call(*words)
    assert refused.exit_code == 1
    assert "choose one of --gates, --keep and --compare" in refused.output


def call(*words):
    return CliRunner().invoke(app, ["throughput", *words], catch_exceptions=False)
