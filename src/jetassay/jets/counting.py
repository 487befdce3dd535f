"""How many jets of each label there are, and whether they are enough."""

from collections.abc import Sequence
from contextlib import closing

import numpy as np

from jetassay.errors import ConfigError, DataError
from jetassay.jets.dataset import DataFile, Dataset
from jetassay.jets.mapped import open_jets
from jetassay.jets.schema import Schema
from jetassay.jets.sources import require_branches
from jetassay.jets.validity import sound_labels


def count_labels(files: Sequence[DataFile], schema: Schema) -> dict[str, int]:
    """Jets of each label before any rule, in the order of the schema; only label branches are read.

    Jets whose labels are not sound are not counted.
    """
    counts = np.zeros(len(schema.label_names), dtype=np.int64)
    for file in files:
        with closing(open_jets(file.path, schema)) as source:
            require_branches(source, numbers=schema.labels, lists=())
            for chunk in source.chunks(schema.labels, start=0, stop=source.n_entries, step=1 << 16):
                labels = sound_labels(chunk.numbers, schema)
                counts += np.bincount(labels, minlength=len(counts))
    return dict(zip(schema.label_names, counts.tolist(), strict=True))


def require_jets(
    dataset: Dataset, *, classes: Sequence[str], minimum: int, files: Sequence[DataFile] | None = None
) -> dict[str, int]:
    """Jets of each label in `files` (all of the dataset by default), before any rule.

    A file whose labels cannot be read counts for nothing; whoever reads its jets is told of it then. Raises
    `DataError` naming each of `classes` with fewer than `minimum` jets.
    """
    unknown = sorted(set(classes) - set(dataset.schema.label_names))
    if unknown:
        raise ConfigError(f"{dataset.name}: schema '{dataset.schema.name}' has no label {', '.join(unknown)}")
    counts, unreadable = dict.fromkeys(dataset.schema.label_names, 0), []
    for file in dataset.files if files is None else files:
        try:
            found = count_labels([file], dataset.schema)
        except DataError as error:
            unreadable.append(str(error))
            continue
        counts = {name: counts[name] + found[name] for name in counts}
    short = [f"{name} has {counts[name]}" for name in classes if counts[name] < minimum]
    if short:
        lost = "\n".join([". Not counted, for they cannot be read:", *unreadable]) if unreadable else ""
        raise DataError(
            f"{dataset.name}: too few jets of a class: {', '.join(short)}, but at least {minimum} are needed; "
            f"add files of it or take it out of the suite{lost}"
        )
    return counts
