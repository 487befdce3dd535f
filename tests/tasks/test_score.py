import math

import pytest

from jetassay.errors import JetAssayError
from jetassay.tasks.score import COLUMNS, Context, Score, result_frame

CONTEXT = Context(
    suite="default", dataset="made-up", data_digest="d" * 64, split_seed=1, weights_sha256=None, dtype="float32"
)


@pytest.mark.parametrize("field", ["value", "low", "high"])
@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_a_score_is_never_infinite_and_never_nan(field, number):
    with pytest.raises(JetAssayError, match=f"rejection of 'x' on Hbb: {field} is"):
        Score(
            task="probe",
            task_version=1,
            metric="rejection",
            **{"value": 1.0, field: number},
            backbone="x",
            signal="Hbb",
        )


def test_the_frame_has_every_column_in_order_and_keeps_empty_cells_empty():
    score = Score(task="probe", task_version=1, metric="rejection", value=None, low=3.0, n_survivors=0)
    frame = result_frame([(CONTEXT, score)])
    assert tuple(frame.columns) == COLUMNS
    assert frame["n_survivors"].tolist() == [0]
    assert frame["low"].tolist() == [3.0]
    assert frame[["value", "high", "weights_sha256", "draw"]].isna().all(axis=None)


def test_a_frame_without_scores_has_the_same_columns_and_types():
    full = result_frame([(CONTEXT, Score(task="probe", task_version=1, metric="auc", value=0.5))])
    assert result_frame([]).dtypes.equals(full.dtypes)
