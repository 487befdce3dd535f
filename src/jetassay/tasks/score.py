"""One number with its interval, its counts, and what it is a score of; and the long frame of many."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields

import pandas as pd

SCHEMA_VERSION = 1
LEVEL = 0.68


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One row of the result frame. A column that a score does not use is None.

    value, low, high: the number and the central interval of coverage `level`; `interval` names its method.
        Where no background jet survives, a rejection has `value` None and `low` its lower limit; never infinity.
    n_signal, n_background: test jets of each class; n_survivors: background jets that pass the cut
    working_point: signal efficiency of a rejection
    draw, seed: which random draw and which probe seed
    """

    task: str
    task_version: int
    metric: str
    value: float | None
    low: float | None = None
    high: float | None = None
    level: float | None = None
    interval: str | None = None
    backbone: str = ""
    backbone_b: str | None = None
    layer: str | None = None
    signal: str | None = None
    background: str | None = None
    working_point: float | None = None
    bin: str | None = None
    n_train: int | None = None
    draw: int | None = None
    n_signal: int | None = None
    n_background: int | None = None
    n_survivors: int | None = None
    seed: int | None = None


COLUMNS: tuple[str, ...] = (
    "schema", "suite", "dataset", "data_digest", "split_seed", "backbone", "weights_sha256", "backbone_b", "layer",
    "dtype", "task", "task_version", "signal", "background", "metric", "working_point", "bin", "n_train", "draw",
    "value", "low", "high", "level", "interval", "n_signal", "n_background", "n_survivors", "seed", "run_id",
)  # fmt: skip

_INTEGERS = ("schema", "split_seed", "task_version", "n_train", "draw", "n_signal", "n_background", "n_survivors", "seed")
_FLOATS = ("working_point", "value", "low", "high", "level")


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What all scores of one backbone in one suite share."""

    suite: str
    dataset: str
    data_digest: str
    split_seed: int
    weights_sha256: str | None
    dtype: str
    run_id: str | None = None


def result_frame(scores: Iterable[tuple[Context, Score]]) -> pd.DataFrame:
    """The long frame, one score a row, with the columns of `COLUMNS` in order and fixed types."""
    rows = [{"schema": SCHEMA_VERSION, **asdict(context), **asdict(score)} for context, score in scores]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    types = {name: "Int64" for name in _INTEGERS} | {name: "Float64" for name in _FLOATS}
    return frame.astype(types | {name: "string" for name in COLUMNS if name not in types})


assert {each.name for each in fields(Score)} | {each.name for each in fields(Context)} | {"schema"} == set(COLUMNS)
