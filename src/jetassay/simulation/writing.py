"""Jets as columns, and columns as ROOT files in the JetClass schema.

uproot cannot write the `std::vector` branches of the published files; the arrays here share one counter branch,
`npart`. Names and types are those of the published files otherwise.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot

from jetassay.errors import SimulationError
from jetassay.root_files import open_root
from jetassay.simulation.generator import IntArray
from jetassay.simulation.recipe import file_name
from jetassay.whole_files import whole_file

TREE = "tree"
PART_PREFIX = "part_"
AUX_PREFIX = "aux_genpart_"
_NEEDED = ("digest", "counts", "name", "file")
_RECORD = "jetassay_shard"
"""Beside the tree: a string with what the file holds, as JSON."""

CONTENT = "content"
"""Fact of a file: the digest of its jets when they were written."""

Columns = Mapping[str, np.ndarray[Any, Any]]


@dataclass(frozen=True, slots=True)
class JetTable:
    """J jets as named columns.

    jets: name to (J,)
    ragged: prefix (`part_`) to counts (J,) and its columns, name without prefix to (N,)
    """

    jets: Columns
    ragged: Mapping[str, tuple[IntArray, Columns]]

    def __len__(self) -> int:
        return len(next(iter(self.jets.values())))

    def head(self, count: int) -> "JetTable":
        """The first jets."""
        ragged = {
            prefix: (sizes[:count], {name: column[: sizes[:count].sum()] for name, column in columns.items()})
            for prefix, (sizes, columns) in self.ragged.items()
        }
        return JetTable({name: column[:count] for name, column in self.jets.items()}, ragged)


def join(tables: Sequence[JetTable]) -> JetTable:
    """Tables of the same columns, one after the other."""
    jets = {name: np.concatenate([table.jets[name] for table in tables]) for name in tables[0].jets}
    ragged = {
        prefix: (
            np.concatenate([table.ragged[prefix][0] for table in tables]),
            {name: np.concatenate([table.ragged[prefix][1][name] for table in tables]) for name in columns},
        )
        for prefix, (_, columns) in tables[0].ragged.items()
    }
    return JetTable(jets, ragged)


def write(path: Path, table: JetTable, *, facts: Mapping[str, Any]) -> None:
    """Write the whole file or nothing."""
    content: dict[str, Any] = {
        prefix.rstrip("_"): ak.unflatten(ak.zip(dict(columns)), sizes)
        for prefix, (sizes, columns) in table.ragged.items()
    }
    content.update(table.jets)
    types = {name: value.type if isinstance(value, ak.Array) else value.dtype for name, value in content.items()}
    with (
        whole_file(path) as partial,
        uproot.recreate(partial, compression=uproot.ZSTD(5)) as file,
    ):
        file.mktree(
            TREE, types, counter_name=lambda name: f"n{name}", field_name=lambda outer, inner: f"{outer}_{inner}"
        )
        file[TREE].extend(content)
        file[_RECORD] = json.dumps({**facts, CONTENT: _digest(_branches(table))}, sort_keys=True)


def read_facts(path: Path, *, needed: Iterable[str] = _NEEDED) -> dict[str, Any]:
    """What `write` noted beside the tree.

    Raises `SimulationError` for a file it did not write, that is damaged, where one of `needed` is not noted, or that
    the system cannot read; its cause is the `OSError` then.
    """
    try:
        with open_root(path) as file:
            found = json.loads(str(file[_RECORD]))
            facts: dict[str, Any] = {**found, **{key: found[key] for key in needed}}
    except Exception as error:  # uproot raises whatever its parser meets in broken bytes
        raise SimulationError(f"{path} is not a file of simulated jets ({_named(error)})") from error
    return facts


def check_content(path: Path, facts: Mapping[str, Any]) -> None:
    """Read all jets and hold them against `facts`, and those against the file's name.

    Files of earlier versions tell no digest of their content, and pass. Raises `SimulationError` where jets are not
    those that were written, or those of another file of the recipe.
    """
    if file_name(facts["name"], facts["file"]) != path.name:
        raise SimulationError(f"{path}: holds the jets of {file_name(facts['name'], facts['file'])}")
    if facts.get(CONTENT) is None:
        return
    try:
        found = content_digest(path)
    except Exception as error:  # likewise
        raise SimulationError(f"{path}: its jets cannot be read ({_named(error)})") from error
    if found != facts[CONTENT]:
        raise SimulationError(f"{path}: does not hold the jets that were written")


def _named(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__


def content_digest(path: Path) -> str:
    """sha256 over names, types and values of all branches.

    Two files of the same recipe have the same digest, though their bytes differ: a ROOT file holds the time of its
    writing and a random identifier.
    """
    with open_root(path) as file:
        tree = file[TREE]
        return _digest(
            (name, ak.to_numpy(ak.flatten(tree[name].array(library="ak"), axis=None))) for name in sorted(tree.keys())
        )


def _branches(table: JetTable) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """As a reader finds them: flat, by name, with the counters that uproot adds."""
    found = dict(table.jets)
    for prefix, (sizes, columns) in table.ragged.items():
        found |= {f"{prefix}{name}": column for name, column in columns.items()}
        found[f"n{prefix.rstrip('_')}"] = sizes.astype(np.int32)
    return iter(sorted(found.items()))


def _digest(branches: Iterable[tuple[str, np.ndarray[Any, Any]]]) -> str:
    digest = hashlib.sha256()
    for name, flat in branches:
        digest.update(f"{name}:{flat.dtype.str}:{len(flat)}\n".encode())
        digest.update(np.ascontiguousarray(flat).tobytes())
    return digest.hexdigest()
