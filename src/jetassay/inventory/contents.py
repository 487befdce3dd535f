"""What lies in the cache. Links are never followed: what they lead to is not ours."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from jetassay.whole_files import is_partial

_SHARD = re.compile(r"[0-9a-f]{64}\.parquet")
_AUDIT = re.compile(r"[0-9a-f]{32}\.json")


def files_below(folder: Path) -> Iterator[Path]:
    """Every plain file in and below `folder`, in order; nothing where there is no such folder."""
    for place, folders, names in os.walk(folder, followlinks=False):
        folders.sort()
        yield from (path for name in sorted(names) if not (path := Path(place, name)).is_symlink() and path.is_file())


def shards(root: Path) -> Iterator[Path]:
    """Files of a store that have the name of a shard and lie where a shard of that name lies."""
    return (path for path in files_below(root) if is_shard(path, root))


def is_shard(path: Path, root: Path) -> bool:
    """Whether `path` is where a store at `root` keeps a shard."""
    return bool(_SHARD.fullmatch(path.name)) and path.parent == root / path.name[:2]


def audits(root: Path) -> Iterator[Path]:
    """Files that have the name of a kept audit."""
    return (path for path in files_below(root) if is_audit(path, root))


def is_audit(path: Path, root: Path) -> bool:
    """Whether `path` is where a kept audit lies."""
    return bool(_AUDIT.fullmatch(path.name)) and path.parent == root


def simulated(root: Path) -> Iterator[Path]:
    """Files that look like simulated jets, in the folders of recipes."""
    return (path for path in files_below(root) if path.suffix == ".root" and not is_partial(path))


def partials(cache: Path) -> Iterator[Path]:
    """Partial forms of files anywhere in the cache: of a process that writes them now, or that was killed."""
    return (path for path in files_below(cache) if is_partial(path))


def foreign(store: Path, archive: Path) -> Iterator[Path]:
    """Files among shards and audits that are neither; links too, and folders that have the name of one."""
    for root, known in ((store, is_shard), (archive, is_audit)):
        for place, folders, names in os.walk(root, followlinks=False):
            inside = [Path(place, name) for name in sorted(folders)]
            barred = [path for path in inside if path.is_symlink() or known(path, root)]
            folders[:] = [path.name for path in inside if path not in barred]
            files = (Path(place, name) for name in names)
            yield from sorted(
                [*barred, *(each for each in files if each.is_symlink() or not (known(each, root) or is_partial(each)))]
            )
