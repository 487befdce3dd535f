"""One number with its interval, its counts, and what it is a score of; and the long frame of many."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from types import MappingProxyType
from typing import Any, Generic, TypeVar

import pandas as pd

from jetassay.errors import JetAssayError
from jetassay.metrics.intervals import Interval

Detail_co = TypeVar("Detail_co", covariant=True)

SCHEMA_VERSION = 1
LEVEL = 0.68


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One row of the result frame. A column that a score does not use is None.

    value, low, high: the number and the central interval of coverage `level`; `interval` names its method.
        Where no background jet survives, a rejection has `value` None and `low` its lower limit; never infinity.
        A value that the sample cannot give at all is None with the interval "undefined"; the task's `Outcome` says why.
    n_signal, n_background: test jets of each class; for a metric without labels (similarity), jets that are not
        background and those that are, so that their sum is the number of jets
    n_survivors: background jets that pass the cut
    n_train: training jets, both classes together
    working_point: signal efficiency of a rejection
    draw: which random subset of the training jets
    seed: of everything random in making this number and its interval

    Raises `JetAssayError` for NaN or infinity, which no result store keeps.
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

    def __post_init__(self) -> None:
        for name in ("value", "low", "high"):
            number = getattr(self, name)
            if number is not None and not math.isfinite(number):
                raise JetAssayError(
                    f"{self.task} {self.metric} of '{self.backbone}' on {self.signal}: {name} is {number}; a score is "
                    "finite, or None with a limit or a reason"
                )


def bounds(interval: Interval | None) -> dict[str, Any]:
    """The fields of a `Score` that state its interval; none of them without one."""
    if interval is None:
        return {}
    return {"low": interval.low, "high": interval.high, "level": interval.level, "interval": interval.method}


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Detail_co]):
    """What a task gives: scores, what could not be scored, and what figures need.

    problems: name (a signal, a backbone) -> what is missing, in one sentence; nothing else is lost by it
    undefined: name -> why there is no such number, in one sentence; nothing is missing
    notes:    what has to stand beside these scores
    details:  by the same names, for tasks that go on from here
    protocol: how the scores are defined, to be shown beside them
    tables:   name -> curves and other long tables that figures are drawn from, kept beside the scores; for a task of
              one backbone without a column `backbone`, which is added
    jet_tables: name -> blocks of a table with a row for each test jet, gone through once; otherwise as `tables`
    """

    scores: tuple[Score, ...]
    problems: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    details: Mapping[str, Detail_co] = field(default_factory=lambda: MappingProxyType({}))
    undefined: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    notes: tuple[str, ...] = ()
    protocol: str = ""
    tables: Mapping[str, pd.DataFrame] = field(default_factory=lambda: MappingProxyType({}))
    jet_tables: Mapping[str, Iterable[pd.DataFrame]] = field(default_factory=lambda: MappingProxyType({}))


COLUMNS: tuple[str, ...] = (
    "schema", "suite", "dataset", "data_digest", "split_seed", "backbone", "weights_sha256", "backbone_b", "layer",
    "dtype", "task", "task_version", "signal", "background", "metric", "working_point", "bin", "n_train", "draw",
    "value", "low", "high", "level", "interval", "n_signal", "n_background", "n_survivors", "seed", "run_id",
)  # fmt: skip

_INTEGERS = (
    "schema",
    "split_seed",
    "task_version",
    "n_train",
    "draw",
    "n_signal",
    "n_background",
    "n_survivors",
    "seed",
)
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
    return typed(pd.DataFrame(rows, columns=list(COLUMNS)))


def typed(frame: pd.DataFrame) -> pd.DataFrame:
    """The same rows in the fixed types of the result frame; raises ValueError or TypeError for what does not fit."""
    types = dict.fromkeys(_INTEGERS, "Int64") | dict.fromkeys(_FLOATS, "Float64")
    return frame.astype(types | {name: "string" for name in COLUMNS if name not in types})


assert {each.name for each in fields(Score)} | {each.name for each in fields(Context)} | {"schema"} == set(COLUMNS)
