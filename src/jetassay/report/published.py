"""Numbers that others have published, as data: each with its definition, its sample and where it was read.

`published_numbers.csv` has one number a line; `published_sources.toml` says where the numbers of a source stand, and
what they are. Nothing is in it that was not read in its source, or where somebody quotes it.
"""

import csv
import math
from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from jetassay.errors import ConfigError
from jetassay.metrics.intervals import Interval, clopper_pearson
from jetassay.records import Record, parse_record, read_toml

NUMBERS = Path(__file__).parent / "published_numbers.csv"
SOURCES = Path(__file__).parent / "published_sources.toml"
LEVEL = 0.68

How = Literal[
    "own outputs",
    "fine-tuned",
    "partial fine-tuning",
    "linear probe",
    "MLP head",
    "class-attention head",
    "kNN",
    "ridge probe",
]
Metric = Literal[
    "accuracy", "macro_ovo_auc", "macro_ovr_auc", "auc", "rejection", "log_loss", "ece", "r2",
]  # fmt: skip


def _words(value: object) -> object:
    return tuple(value.split()) if isinstance(value, str) else value


class Number(Record):
    """One published number.

    source:      key of a `Source`; model: as its authors call it; cards: backbones here that have its weights
    dataset:     name of a dataset card
    how:         "own outputs" of a network trained on this dataset from scratch; "fine-tuned" where it was trained on
                 something else before; the others leave the backbone frozen, all or in part, and say what stands on it
    n_train:     jets of all classes that it was trained, fine-tuned or probed on
    signal, background: as in the result frame; "rest", all other classes; for `r2`, `signal` is the quantity
    working_point: signal efficiency of a rejection
    value, spread: with the digits that were published; spread is what stands behind their +-
    n_test, n_background: test jets of all classes, and of the background
    """

    source: str
    model: str
    cards: Annotated[tuple[str, ...], BeforeValidator(_words)] = ()
    dataset: str
    how: How
    n_train: int | None = Field(default=None, gt=0)
    metric: Metric
    signal: str | None = None
    background: str | None = None
    working_point: float | None = Field(default=None, gt=0, lt=1)
    value: Decimal = Field(ge=0)
    spread: Decimal | None = Field(default=None, gt=0)
    n_test: int | None = Field(default=None, gt=0)
    n_background: int | None = Field(default=None, gt=0)
    note: str = ""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        paired = self.metric in ("auc", "rejection")
        if paired != (self.background is not None) or (self.signal is None and (paired or self.metric == "r2")):
            raise ValueError(f"{self.metric}: an AUC or a rejection has a signal and a background, no other metric has")
        if (self.metric == "rejection") != (self.working_point is not None):
            raise ValueError(f"{self.metric}: a rejection has a working point, and nothing else has")
        if (self.value < 1) == (self.metric == "rejection"):
            raise ValueError(f"{self.metric} of {self.value}: a rejection is at least 1, all others are below 1")
        return self

    @property
    def unit(self) -> float:
        """One unit of the last digit that was published."""
        exponent = self.value.as_tuple().exponent
        assert isinstance(exponent, int)  # a field of finite decimals
        return float(10.0**exponent)

    @property
    def survivors(self) -> int | None:
        """Background jets behind a rejection, n_background / value to the next whole number; None where not known.

        It is a count where `survivors_exact`, else good to the published digits.
        """
        if self.metric != "rejection" or self.n_background is None:
            return None
        return round(self.n_background / float(self.value))

    @property
    def survivors_exact(self) -> bool:
        """Whether one whole number alone gives the published digits."""
        if self.survivors is None or self.n_background is None:
            return False
        fewest = math.ceil(self.n_background / (float(self.value) + self.unit / 2))
        return fewest == math.floor(self.n_background / (float(self.value) - self.unit / 2))

    @property
    def interval(self) -> Interval | None:
        """Of a rejection whose survivors are known: the inverse of Clopper-Pearson (1934) on them, coverage 68 %."""
        if not self.survivors or self.n_background is None:
            return None
        efficiency = clopper_pearson(self.survivors, self.n_background, level=LEVEL)
        assert efficiency.high is not None
        return Interval(1 / efficiency.high, 1 / efficiency.low, LEVEL, "clopper-pearson")


class Source(Record):
    """Where numbers stand (citation), how they were read (verified), and how they are defined."""

    citation: str
    verified: Literal["primary", "secondary"]
    definitions: str

    @property
    def reading(self) -> str:
        """How it was verified, in words."""
        return "read in the source" if self.verified == "primary" else "read where others quote it"


class Sources(Record):
    """The file of sources. unseen_files: dataset -> patterns of file names that no published training has seen."""

    sources: dict[str, Source]
    unseen_files: dict[str, tuple[str, ...]]


@cache
def sources() -> Sources:
    """Every source. Raises `ConfigError` naming the file and every wrong key."""
    return parse_record(read_toml(SOURCES), Sources, path=SOURCES)


@cache
def published() -> tuple[Number, ...]:
    """Every published number, in the order of the file. Raises `ConfigError` naming file, line and what is wrong."""
    with NUMBERS.open(encoding="utf-8", newline="") as file:
        rows: list[dict[str, Any]] = list(csv.DictReader(file))
    numbers = []
    for line, row in enumerate(rows, start=2):
        given = {name: value for name, value in row.items() if value != ""}
        number = parse_record(given, Number, path=Path(f"{NUMBERS}:{line}"))
        if number.source not in sources().sources:
            raise ConfigError(f"{NUMBERS}:{line}: source '{number.source}' is not in {SOURCES.name}")
        numbers.append(number)
    return tuple(numbers)


def of_card(name: str) -> Sequence[Number]:
    """What was published of the weights of one backbone."""
    return [number for number in published() if name in number.cards]
