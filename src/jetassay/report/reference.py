"""Published numbers, printed: `jetassay reference`. Text, CSV or JSON."""

import json
import textwrap
from collections.abc import Sequence
from typing import Any

import pandas as pd

from jetassay.errors import ConfigError
from jetassay.report.published import Number, published, sources
from jetassay.report.tables import aligned

_METRICS = {
    "macro_ovo_auc": "macro one-vs-one AUC",
    "macro_ovr_auc": "macro one-vs-rest AUC",
    "auc": "AUC",
    "log_loss": "log-loss",
    "ece": "calibration error",
    "r2": "R2 of",
}

_COUNTS = ("n_train", "n_test", "n_background", "survivors")

_INTERVALS = (
    "The 68 % intervals are computed here: the inverse of Clopper-Pearson on the surviving background jets, as many as "
    "those of the test sample divided by the rejection; 'about' where other counts give the same digits."
)


def quantity(number: Number) -> str:
    """What the number is a number of: `rejection Hbb 50%`, `AUC quark against gluon`, `accuracy`."""
    name = _METRICS.get(number.metric, number.metric)
    if number.working_point is not None:
        return f"{name} {number.signal} {100 * number.working_point:g}%"
    against = f" against {number.background}" if number.background else ""
    return f"{name} {number.signal}{against}" if number.signal else name


def value_text(number: Number) -> str:
    """The value with the digits and the spread that were published."""
    return f"{number.value} ± {number.spread}" if number.spread is not None else str(number.value)


def interval_text(number: Number) -> str:
    """`9873 to 11471`: the computed 68 % interval where the survivors are known."""
    interval = number.interval
    if interval is None or interval.high is None:
        return ""
    style = ".4g" if number.value < 1000 else ".0f"
    return f"{interval.low:{style}} to {interval.high:{style}}"


def survivors_text(number: Number) -> str:
    """`188 of 2,000,000`; with `about` where the published digits leave room for other counts."""
    if number.survivors is None:
        return ""
    about = "" if number.survivors_exact else "about "
    return f"{about}{number.survivors:,} of {number.n_background:,}"


def chosen(*, dataset: str | None = None, metric: str | None = None) -> list[Number]:
    """The published numbers of a dataset and of a metric. Raises `ConfigError` where there are none, naming others."""
    numbers = published()
    for name, wanted in (("dataset", dataset), ("metric", metric)):
        known = dict.fromkeys(getattr(number, name) for number in numbers)
        if wanted is not None and wanted not in known:
            raise ConfigError(f"no published number has the {name} '{wanted}'; there are: {', '.join(known)}")
    found = [each for each in numbers if dataset in (None, each.dataset) and metric in (None, each.metric)]
    if not found:
        known = dict.fromkeys(number.metric for number in numbers if number.dataset == dataset)
        raise ConfigError(f"no published {metric} on {dataset}; there are: {', '.join(known)}")
    return found


def render_reference(*, dataset: str | None, metric: str | None, format: str, width: int) -> str:  # noqa: A002 - the option's name
    """The chosen numbers as text. Raises `ConfigError` where there are none."""
    numbers = chosen(dataset=dataset, metric=metric)
    if format == "csv":
        table = pd.DataFrame([record(number) for number in numbers]).astype(dict.fromkeys(_COUNTS, "Int64"))
        return table.to_csv(index=False).rstrip("\n")
    if format == "json":
        return json.dumps({"schema": 1, "published": [record(number) for number in numbers]}, indent=1)
    keys = list(dict.fromkeys(number.source for number in numbers))
    groups: dict[tuple[str, str], list[Number]] = {}
    for number in numbers:
        groups.setdefault((number.dataset, number.how), []).append(number)
    blocks = [f"{', '.join(key)}\n{aligned(cells(rows, keys=keys), width=width)}" for key, rows in groups.items()]
    if any(number.interval for number in numbers):
        blocks.append(textwrap.fill(_INTERVALS, width))
    notes = (f"[{k + 1}] {source_text(key)}" for k, key in enumerate(keys))
    return "\n\n".join([*blocks, *(textwrap.fill(note, width, subsequent_indent="    ") for note in notes)])


def cells(numbers: Sequence[Number], *, keys: Sequence[str]) -> pd.DataFrame:
    """One line a number: models down; `keys` are the sources, which are named by their place in it."""
    rows = {
        "training jets": [f"{number.n_train:,}" if number.n_train else "" for number in numbers],
        "quantity": [quantity(number) for number in numbers],
        "value": [value_text(number) for number in numbers],
        "68 % interval": [interval_text(number) for number in numbers],
        "survivors": [survivors_text(number) for number in numbers],
        "test jets": [f"{number.n_test:,}" if number.n_test else "" for number in numbers],
        "source": [f"[{keys.index(number.source) + 1}]" for number in numbers],
        "remark": [number.note for number in numbers],
    }
    table = pd.DataFrame(rows, index=[number.model for number in numbers])
    return table.loc[:, [bool(table[column].any()) for column in table]]


def record(number: Number) -> dict[str, Any]:
    """The number as flat facts, with what is computed of it and where it was read."""
    source, interval = sources().sources[number.source], number.interval
    facts = number.model_dump(mode="json", exclude={"cards", "source", "value", "spread"})
    computed = {
        "value": float(number.value),
        "spread": None if number.spread is None else float(number.spread),
        "survivors": number.survivors,
        "survivors_exact": number.survivors_exact if number.survivors is not None else None,
        "low": None if interval is None else interval.low,
        "high": None if interval is None else interval.high,
        "level": None if interval is None else interval.level,
        "interval": None if interval is None else interval.method,
        "cards": " ".join(number.cards),
    }
    read = {"source": source.citation, "verified": source.verified, "definitions": " ".join(source.definitions.split())}
    return facts | computed | read


def source_text(key: str) -> str:
    """Where numbers of a source were read, and what they are."""
    source = sources().sources[key]
    return f"{source.citation} ({source.reading}). {' '.join(source.definitions.split())}"
