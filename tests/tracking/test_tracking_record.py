import pandas as pd
import pytest
from tracking_samples import frame_of, pair_scores, probe_scores

from jetassay.errors import TrackingError
from jetassay.tasks.score import Score
from jetassay.tracking.record import BackboneRecord, result_digest


def test_the_digest_does_not_depend_on_the_order_of_rows_nor_on_the_run_they_are_in():
    frame = frame_of(*probe_scores("mlp"))
    again = frame.iloc[::-1].assign(run_id="0123")
    assert result_digest(frame, {}) == result_digest(again, {})


def test_the_digest_survives_the_way_over_the_disk(tmp_path):
    frame = frame_of(*probe_scores("mlp", auc=1 / 3), *pair_scores("mlp", "part-mini"))
    frame.to_parquet(tmp_path / "scores.parquet", index=False)
    assert result_digest(pd.read_parquet(tmp_path / "scores.parquet"), {}) == result_digest(frame, {})


def test_the_digest_does_not_depend_on_a_new_measurement_of_speed():
    def with_speed(value):
        return frame_of(
            *probe_scores("mlp"), Score(task="throughput", task_version=1, metric="jets_per_s", value=value)
        )

    assert result_digest(with_speed(1000.0), {}) == result_digest(with_speed(900.0), {})


@pytest.mark.parametrize(("auc", "facts"), [(0.9500001, {}), (0.95, {"weights": "other"})])
def test_the_digest_depends_on_every_score_and_fact(auc, facts):
    assert result_digest(frame_of(*probe_scores("mlp")), {}) != result_digest(
        frame_of(*probe_scores("mlp", auc=auc)), facts
    )


def test_rows_go_to_the_run_of_their_seed_and_those_without_seed_to_every_run(make_record):
    record = make_record(seeds=(0, 1))
    assert record.seeds("part-mini") == (0, 1)
    assert set(record.rows("part-mini", 1)["seed"]) == {1}
    assert set(record.rows("mlp", 0)["task"]) == {"probe", "throughput"}


def test_a_backbone_whose_scores_have_no_seed_has_one_run(make_record):
    speed = Score(task="throughput", task_version=1, metric="jets_per_s", value=1.0, backbone="mlp")
    record = make_record(frame=frame_of(speed))
    assert record.seeds("mlp") == (None,)
    assert len(record.rows("mlp", None)) == 1


def test_pairs_belong_to_the_suite(make_record):
    assert set(make_record().shared_rows()["task"]) == {"similarity"}


def test_scores_of_an_unknown_backbone_are_refused(make_record):
    with pytest.raises(TrackingError, match="scores of ghost, but no record"):
        make_record(frame=frame_of(*pair_scores("mlp", "ghost")))


def test_a_frame_without_its_columns_is_refused(make_record):
    with pytest.raises(TrackingError, match="lacks low, high"):
        make_record(frame=frame_of(*probe_scores("mlp")).drop(columns=["low", "high"]))


@pytest.mark.parametrize("name", ["", "a b", "x'; DROP", "../up"])
def test_names_that_could_not_be_searched_for_are_refused(make_record, name):
    with pytest.raises(TrackingError, match="letters, digits"):
        make_record(suite_id=name)
    with pytest.raises(TrackingError, match="letters, digits"):
        make_record(backbones=(BackboneRecord(name=name),))


def test_a_lost_artifact_is_named_before_anything_is_recorded(make_record, tmp_path):
    with pytest.raises(TrackingError, match=r"gone: .*lost\.png"):
        make_record(artifacts=(tmp_path / "lost.png",))
