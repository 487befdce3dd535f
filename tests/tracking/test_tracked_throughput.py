import json

import pytest

from jetassay.errors import DataError, TrackingError
from jetassay.tracking.throughput import PEERS, peer_metrics, record_throughput, throughput_metrics


def bench(name, median, **extra):
    return {"name": name, "extra_info": extra, "stats": {"median": median}}


@pytest.fixture
def session(tmp_path):
    """A file as pytest-benchmark writes it; keywords replace parts of it."""

    def write(**changed):
        content = {
            "machine_info": {"cpu": {"brand_raw": "A processor"}},
            "commit_info": {"id": "c" * 40, "dirty": False},
            "benchmarks": [
                bench("test_embed[mlp-64]", 0.01, backbone="mlp", batch_size=64, jets_per_s=6400.0),
                bench("test_embed[mlp-256]", 0.02, backbone="mlp", batch_size=256, jets=256),
                bench("test_embed[part-mini-64]", 0.1, backbone="part-mini", batch_size=64, jets=64),
                bench("test_reading", 0.5, jets=1000),
                bench("test_cka", 0.25),
            ],
        }
        path = tmp_path / "bench.json"
        path.write_text(json.dumps(content | changed))
        return path

    return write


def test_each_backbone_is_a_run_and_the_stages_are_one(session, tracking, reporter):
    recorded = record_throughput(session(), reporter=reporter)
    assert set(recorded.runs) == {"mlp", "part-mini", "stages"}
    assert recorded.written == 3
    found = tracking.find("tags.kind = 'throughput' AND attributes.status = 'FINISHED'")
    assert {run.info.run_id for run in found} == set(recorded.runs.values())


def test_jets_per_second_are_metrics_by_batch_size_and_a_curve(session, tracking, reporter):
    run_id = record_throughput(session(), reporter=reporter).runs["mlp"]
    metrics = tracking.client.get_run(run_id).data.metrics
    assert metrics["throughput/jets_per_s_b0064"] == 6400
    assert metrics["throughput/jets_per_s_b0256"] == pytest.approx(12800)
    assert metrics["throughput/jets_per_s_best"] == pytest.approx(12800)
    curve = tracking.client.get_metric_history(run_id, "throughput/jets_per_s_vs_batch")
    assert {point.step: point.value for point in curve} == {64: 6400, 256: pytest.approx(12800)}


def test_stages_have_rates_where_they_have_jets_and_times_where_not(session, tracking, reporter):
    run_id = record_throughput(session(), reporter=reporter).runs["stages"]
    assert tracking.client.get_run(run_id).data.metrics == {
        "throughput/reading_jets_per_s": 2000,
        "time_s/cka_median": 0.25,
    }


def test_the_runs_carry_the_commit_and_processor_of_the_measurement_and_its_file(session, tracking, reporter):
    run_id = record_throughput(session(), reporter=reporter).runs["mlp"]
    tags = tracking.client.get_run(run_id).data.tags
    assert (tags["git.commit"], tags["git.dirty"], tags["machine.cpu"]) == ("c" * 40, "false", "A processor")
    assert "version.torch" in tags
    assert [each.path for each in tracking.client.list_artifacts(run_id)] == ["bench.json"]


def test_the_same_file_is_tracked_once(session, tracking, reporter):
    first = record_throughput(session(), reporter=reporter)
    again = record_throughput(session(), reporter=reporter)
    assert (again.runs, again.written) == (first.runs, 0)


def test_a_variant_tells_apart_what_else_differs():
    one = bench("test_embed[a]", 0.1, backbone="mlp", batch_size=64, jets=64)
    other = bench("test_embed[b]", 0.2, backbone="mlp", batch_size=64, jets=64, variant="float64")
    names = {metric.key for metric in throughput_metrics([one, other])}
    assert {"throughput/jets_per_s_b0064", "throughput/jets_per_s_float64_b0064"} <= names
    with pytest.raises(TrackingError, match=r"bench\.json.*extra_info\['variant'\]"):
        throughput_metrics([one, one], where="bench.json, mlp")


BESIDE = {
    "quantities": [
        {"network": "ParT", "quantity": "2 threads / 1, wall", "unit": "GFLOP/s", "ours": [2, 4, 9], "peer": [2, 2, 1]}
    ],
    "curves": [{"figure": "by batch", "series": "ParT", "x": "jets", "y": "jets/s", "points": [[1, 10.0], [16, 20.0]]}],
    "numbers": [{"group": "Memory", "name": "ParT packed", "value": 512.0, "unit": "MiB"}],
}


def test_ratios_curves_and_numbers_are_a_run_of_their_own_with_the_page(session, tracking, reporter, tmp_path):
    page = tmp_path / "throughput.html"
    page.write_text("<p>a page</p>")
    recorded = record_throughput(session(**BESIDE), attached=[page], reporter=reporter)
    run_id = recorded.runs[PEERS]
    assert tracking.client.get_run(run_id).data.metrics == {
        "ratio_ParT/2_threads_over_1_wall": 2.0,
        "Memory/ParT_packed": 512.0,
        "curve_by_batch/ParT": 20.0,
    }
    history = tracking.client.get_metric_history(run_id, "curve_by_batch/ParT")
    assert {point.step: point.value for point in history} == {1: 10.0, 16: 20.0}
    assert {each.path for each in tracking.client.list_artifacts(run_id)} == {"bench.json", "throughput.html"}
    assert [each.path for each in tracking.client.list_artifacts(recorded.runs["mlp"])] == ["bench.json"]


def test_two_numbers_of_one_name_are_refused():
    with pytest.raises(TrackingError, match="two numbers would be tracked as 'Memory/ParT_packed'"):
        peer_metrics({"numbers": BESIDE["numbers"] * 2})


@pytest.mark.parametrize(
    "text", ["", "not json", "[]", '{"benchmarks": [{"name": "x"}]}', '{"benchmarks": 3}', '{"scores": []}']
)
def test_another_file_is_refused(tmp_path, reporter, text):
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"other\.json: not a pytest-benchmark JSON file"):
        record_throughput(path, reporter=reporter)


def test_a_missing_file_is_named(tmp_path, reporter):
    with pytest.raises(DataError, match=r"none\.json: cannot be read"):
        record_throughput(tmp_path / "none.json", reporter=reporter)
