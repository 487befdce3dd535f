"""npz and HDF5 files of arrays, written again from the columns that readers make of them; see `jets.arrays`."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetassay.jets.sources import RawChunk, file_format


def write_arrays(path: Path, raw: RawChunk, *, like: Path, tree: str, names: Iterable[str]) -> None:
    """Write the columns `raw` as arrays into a file of the format of `like`: the columns `a[...]` become one array `a`.

    tree:  group of `like` in which the arrays are, where there is one
    names: arrays of `like` that hold names of columns; copied
    """
    arrays = arrays_of(raw)
    if file_format(like) == "npz":
        with np.load(like, allow_pickle=False) as source:
            arrays |= {name: source[name] for name in names if name in source}
        np.savez(path, **arrays)  # type: ignore[arg-type]  # the stubs take the arrays for its one option
        return
    import h5py

    with h5py.File(like, "r") as source, h5py.File(path, "w") as copy:
        base = source[tree] if tree and tree in source else source
        for name, values in arrays.items():
            copy.create_dataset(name, data=values)
        for name in names:
            if name in base:
                copy.create_dataset(name, data=base[name][()])


def arrays_of(raw: RawChunk) -> dict[str, NDArray[Any]]:
    """Arrays by name: (J,), (J, K) or (J, C, K). A list that also comes in its K columns is made of these."""
    parts: dict[str, list[NDArray[Any]]] = {}
    tables = {name: ragged.content.reshape(len(raw), -1) for name, ragged in raw.lists.items()}
    for name, values in {**tables, **raw.numbers}.items():
        array, bracket, _ = name.partition("[")
        if bracket:
            parts.setdefault(array, []).append(values)
    whole = {name: values for name, values in {**tables, **raw.numbers}.items() if "[" not in name}
    return {**whole, **{name: np.stack(columns, axis=-1) for name, columns in parts.items()}}
