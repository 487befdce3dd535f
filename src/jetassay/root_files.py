"""ROOT files opened so that a damaged one does no harm to those after it."""

from pathlib import Path
from typing import Any

import uproot

_OWN = {each: dict(each.known_versions) for each in uproot.classes.values() if hasattr(each, "known_versions")}
"""uproot's classes of ROOT's, by version, as uproot has them."""


def open_root(path: Path, **options: Any) -> Any:
    """`uproot.open`, with uproot's own classes in force.

    Where damaged bytes ask for a version of a class that there is none of, uproot makes a class of what else the file
    holds and keeps it, in place of its own, for every file that the process reads from then on.
    """
    for each, versions in _OWN.items():
        each.known_versions.update(versions)
    return uproot.open(path, **options)
