"""Results of several people and machines as one: what is comparable together, and what is not, with the reason."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from jetassay.report.result_files import ResultFile, single_backbones
from jetassay.report.tables import DISCRIMINATION
from jetassay.tasks.score import COLUMNS

KEY = ("task", "metric", "signal", "background", "working_point", "bin", "along")
"""What a score is of, but for its backbone; `along` is the number of training jets of a learning curve."""

_CURVES = "few-shot"
_INNER = ("layers",)
_OF_PAIRS = "similarity"
_RTOL = 1e-6
"""Up to here two values of one backbone are the same: another processor rounds otherwise in the last bits."""

_STAGES: tuple[tuple[tuple[str, ...], str, str], ...] = (
    ((), "dataset", "dataset"),
    ((), "data_digest", "data digest"),
    ((), "split_seed", "split"),
    (("task",), "task_version", "task version"),
    (("task",), "machine", "machine"),
    (KEY, "n_signal", "test jets of the signal"),
    (KEY, "n_background", "test jets of the background"),
    (KEY, "jets_trained", "training jets"),
)
"""In this order: among which scores a fact must agree, its column, and how a reason calls it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """One leaderboard.

    frame:     comparable scores, one for each backbone and key, backbones by falling mean AUC of the probe
    pairs:     scores of two of these backbones that one file holds, as the frame names them
    backbones: index `backbone` as the frame names it; card, weights, role, files (all that have its scores)
    sources:   the same files as labels, the oldest first
    left_out:  columns file, what, reason
    """

    frame: pd.DataFrame
    pairs: pd.DataFrame
    backbones: pd.DataFrame
    sources: Mapping[str, tuple[str, ...]]
    left_out: pd.DataFrame


def merge(files: Mapping[str, ResultFile], *, reference: str | None = None) -> Merged:
    """All scores that can stand in one ranking.

    files:     label -> results; labels are unique and name files for people
    reference: the label of the file whose jets, splits and versions the others must share; else those of most files,
               and among equally many of the newest
    """
    rows = pd.concat([_rows(label, each) for label, each in files.items()], ignore_index=True)
    rows["reason"] = ""
    doubles = rows.duplicated(["source", "backbone", *KEY], keep=False)
    rows.loc[doubles, "reason"] = "several scores of one name: which one counts is not said"
    age = sorted(files, key=lambda label: (str(files[label].provenance.get("created")), label))
    order = {label: place for place, label in enumerate(age)}
    if reference is not None:
        order[reference] = len(order)
    for by, column, words in _STAGES:
        _bar(rows, list(by), column, words=words, order=order, reference=reference)
    fit = rows[rows["reason"] == ""]
    frame, backbones, sources = _named(fit, files, age)
    left_out = [*_barred(rows), *_silent(files), *_gaps(frame, backbones)]
    return Merged(
        frame=_ranked(frame),
        pairs=_pairs(files, backbones, sources),
        backbones=backbones,
        sources=sources,
        left_out=pd.DataFrame(left_out, columns=["file", "what", "reason"]),
    )


def _rows(label: str, file: ResultFile) -> pd.DataFrame:
    """The scores of single backbones over all draws, with what they must agree in."""
    frame = file.frame[single_backbones(file.frame)]
    frame = frame[~frame["task"].isin(_INNER)]
    along = frame["task"] == _CURVES
    about = {name: file.provenance.get(name) for name in ("machine", "threads")}
    machine, threads = (each if isinstance(each, Mapping) else {} for each in about.values())
    where = f"{machine.get('cpu')}, {threads.get('used')} threads"
    return frame.assign(
        source=label,
        along=frame["n_train"].where(along),
        jets_trained=frame["n_train"].mask(along),
        machine=pd.Series(where, index=frame.index, dtype="string").where(frame["task"] == "throughput"),
    )


def _bar(
    rows: pd.DataFrame, by: list[str], column: str, *, words: str, order: Mapping[str, int], reference: str | None
) -> None:
    """Among rows without a reason so far, give one to those whose `column` is not what most files have."""
    open_rows = rows[rows["reason"] == ""]
    groups = open_rows.groupby(by, dropna=False, sort=False) if by else [((), open_rows)]
    for _, group in groups:
        values = group[column].astype(object).where(group[column].notna(), None)
        if values.nunique(dropna=False) < 2:
            continue
        votes: dict[Any, set[str]] = {}
        for value, source in zip(values, group["source"], strict=True):
            votes.setdefault(value, set()).add(source)
        chosen = max(votes, key=lambda value: _weight(value, votes[value], order, reference=reference))
        other = values.map(lambda value, chosen=chosen: value != chosen)
        rows.loc[group.index[other], "reason"] = [
            f"{words}: {_short(value)}, the others' is {_short(chosen)}" for value in values[other]
        ]


def _weight(
    value: Any, sources: set[str], order: Mapping[str, int], *, reference: str | None
) -> tuple[bool, bool, int, int]:
    """What is not said sets no standard for what is."""
    return reference in sources, value is not None, len(sources), max(order[source] for source in sources)


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text[:12] if len(text) >= 40 and text.isalnum() else text


def _named(
    fit: pd.DataFrame, files: Mapping[str, ResultFile], age: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, tuple[str, ...]]]:
    """Scores with one name for each backbone that is another: same card and weights and values are the same one."""
    parts, about, labels = [], [], {}
    for card, own in fit.groupby("backbone", sort=False):
        found: list[tuple[pd.DataFrame, list[str]]] = []
        for label in [each for each in age if each in set(own["source"])]:
            rows = own[own["source"] == label]
            for place, (known, sources) in enumerate(found):
                if _is_same(known, rows):
                    found[place] = (_union(known, rows), [*sources, label])
                    break
            else:
                found.append((rows, [label]))
        for rows, sources in found:
            first = files[sources[0]]
            seen = " (seen in training)" if card in (first.provenance.get("seen_in_training") or {}) else ""
            name = f"{card}{seen}" if len(found) == 1 else f"{card}{seen} ({sources[0]})"
            parts.append(rows.assign(backbone=name))
            weights = rows["weights_sha256"].iloc[0]
            role = (first.provenance.get("roles") or {}).get(card, "backbone")
            facts = {"card": card, "weights": "none" if pd.isna(weights) else weights, "role": role}
            about.append({"backbone": name, **facts, "files": ", ".join(sources)})
            labels[name] = tuple(sources)
    columns = ["backbone", "card", "weights", "role", "files"]
    frame = pd.concat(parts) if parts else fit
    return frame, pd.DataFrame(about, columns=columns).set_index("backbone"), labels


def _pairs(
    files: Mapping[str, ResultFile], backbones: pd.DataFrame, sources: Mapping[str, tuple[str, ...]]
) -> pd.DataFrame:
    """Similarities of two backbones that are in one file, each once, of the version that most of them have."""
    found = []
    for label, file in files.items():
        names = {backbones.loc[name, "card"]: name for name, own in sources.items() if label in own}
        rows = file.frame[(file.frame["task"] == _OF_PAIRS) & file.frame["backbone_b"].notna()]
        rows = rows.assign(**{side: rows[side].map(names) for side in ("backbone", "backbone_b")})
        found.append(rows.dropna(subset=["backbone", "backbone_b"]))
    every = pd.concat(found, ignore_index=True)
    every = every[every["task_version"].isin(every["task_version"].mode()[:1])]
    order = [tuple(sorted(pair)) for pair in zip(every["backbone"], every["backbone_b"], strict=True)]
    doubles = every.assign(order=pd.Series(order, index=every.index, dtype=object))
    return every[~doubles.duplicated(["order", "metric", "bin", "signal"])]


def _is_same(known: pd.DataFrame, rows: pd.DataFrame) -> bool:
    """Same weights, and no value that both have differs; speeds apart, which no two executions share."""
    weights = [set(each["weights_sha256"].fillna("none")) for each in (known, rows)]
    if weights[0] != weights[1]:
        return False
    columns = [*KEY, "value"]
    both = known[columns].merge(rows[columns], on=list(KEY), suffixes=("_a", "_b"))
    both = both[both["task"] != "throughput"]
    a, b = (both[f"value_{side}"].to_numpy(np.float64, na_value=np.nan) for side in "ab")
    return bool(np.isclose(a, b, rtol=_RTOL, atol=0, equal_nan=True).all())


def _union(known: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([known, rows]).drop_duplicates(list(KEY), keep="first")


def _ranked(frame: pd.DataFrame) -> pd.DataFrame:
    """Backbones by falling mean AUC over the signals that all of them have; those without one come last."""
    auc = frame[(frame["task"] == "probe") & (frame["metric"] == "auc") & frame["bin"].isna()]
    table = auc.pivot_table(index="backbone", columns="signal", values="value", aggfunc="first").dropna(axis="columns")
    means = table.astype(float).mean(axis="columns")
    order = sorted(dict.fromkeys(frame["backbone"]), key=lambda name: (-means.get(name, -1.0), name))
    place = {name: rank for rank, name in enumerate(order)}
    sorted_rows = frame.sort_values("backbone", key=lambda names: names.map(place), kind="stable")
    return sorted_rows[list(COLUMNS)].reset_index(drop=True)


def _barred(rows: pd.DataFrame) -> Iterator[dict[str, str]]:
    """One line for each file and reason; what: everything, or the tasks."""
    for (source, reason), group in rows[rows["reason"] != ""].groupby(["source", "reason"], sort=False):
        tasks = list(dict.fromkeys(group["task"]))
        whole = len(group) == int((rows["source"] == source).sum())
        names = ", ".join(dict.fromkeys(group["backbone"]))
        what = "everything" if whole else f"{', '.join(tasks)} of {names}"
        yield {"file": str(source), "what": what, "reason": str(reason)}


def _silent(files: Mapping[str, ResultFile]) -> Iterator[dict[str, str]]:
    """Backbones that a file names and has no score of, and what it says itself that it lacks."""
    for label, file in files.items():
        scored = set(file.frame["backbone"].dropna()) | set(file.frame["backbone_b"].dropna())
        for name in file.provenance.get("roles") or {}:
            if name not in scored:
                yield {"file": label, "what": name, "reason": "the file names it and has no score of it"}
        for sentence in file.provenance.get("missing") or ():
            yield {"file": label, "what": "missing", "reason": str(sentence)}


def _gaps(frame: pd.DataFrame, backbones: pd.DataFrame) -> Iterator[dict[str, str]]:
    """Cells of the leaderboards that stay empty."""
    auc = frame[(frame["metric"] == "auc") & frame["task"].isin(list(DISCRIMINATION)) & frame["signal"].notna()]
    files = backbones["files"].to_dict()
    for task, rows in auc.groupby("task", sort=False):
        signals = list(dict.fromkeys(rows["signal"]))
        for name, own in rows.groupby("backbone", sort=False):
            absent = [each for each in signals if each not in set(own["signal"])]
            if absent:
                what = f"{name}: {task} of {', '.join(absent)}"
                reason = "no such score that fits the others is in its files"
                yield {"file": files[name], "what": what, "reason": reason}
