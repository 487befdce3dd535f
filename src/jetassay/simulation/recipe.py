"""What is simulated: everything that the output depends on, checked, with its digest."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Literal, get_args

from jetassay.errors import ConfigError, SimulationError
from jetassay.jets.classes import CLASS_NAMES
from jetassay.places import cache_folder

SIMULATION_VERSION = 1
"""Rises whenever the same recipe may give other jets."""
JETCLASS2_NAMES = ("Res2P", "Res34P", "QCD")
"""Resonances with two prongs, with three or four, and the background, as published (arXiv:2405.12972)."""
_GENERATORS = ("pythia8mc", "fastjet")

Mode = Literal["delphes", "ideal"]
Kind = Literal["jetclass", "jetclass2"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything the output depends on. Raises `ConfigError` for values that make no sense.

    classes: names of `jets.classes`; for kind "jetclass2" any of Res2P, Res34P and QCD
    jets: of each class
    files: per class; the jets are spread evenly, a remainder over the first files
    seed: any integer from 0
    mode: "delphes" follows the JetClass detector card in all its effects, "ideal" keeps the tracker's resolution
    kind: which data set is imitated
    """

    classes: tuple[str, ...]
    jets: int
    files: int = 5
    seed: int
    mode: Mode = "delphes"
    kind: Kind = "jetclass"

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ConfigError(f"simulation: there is no kind '{self.kind}'. Known: {', '.join(get_args(Kind))}.")
        if self.mode not in get_args(Mode):
            raise ConfigError(f"simulation: there is no mode '{self.mode}'. Known: {', '.join(get_args(Mode))}.")
        known = CLASS_NAMES if self.kind == "jetclass" else JETCLASS2_NAMES
        unknown = [name for name in self.classes if name not in known]
        if unknown or not self.classes:
            what = f"there is no class '{unknown[0]}'" if unknown else "no class is named"
            raise ConfigError(f"simulation: {what} for kind '{self.kind}'. Known: {', '.join(known)}.")
        if len(set(self.classes)) < len(self.classes):
            raise ConfigError(f"simulation: a class is named twice in {', '.join(self.classes)}.")
        if self.files < 1 or self.jets < self.files:
            raise ConfigError(
                f"simulation: {self.jets} jets of each class in {self.files} files; give at least one file, and at "
                "least one jet for each file."
            )
        if self.seed < 0:
            raise ConfigError(f"simulation: the seed is {self.seed}; it must not be negative.")

    def digest(self) -> str:
        """sha256 over all fields, `SIMULATION_VERSION` and the versions of Pythia and FastJet, in hexadecimal.

        Raises `SimulationError` where those are not installed.
        """
        content = {
            **asdict(self),
            "simulation_version": SIMULATION_VERSION,
            "generators": generator_versions(),
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def shards(self) -> Iterator[tuple[str, int, int]]:
        """Class, number of the file and jets in it, in order."""
        for name in self.classes:
            for file in range(self.files):
                yield name, file, self.jets // self.files + (file < self.jets % self.files)


def file_name(name: str, file: int) -> str:
    """Such as Hbb_003.root."""
    return f"{name}_{file:03d}.root"


def default_output(recipe: Recipe) -> Path:
    """A folder of the cache that belongs to this recipe alone."""
    return cache_folder() / "simulated" / recipe.digest()[:16]


def generator_versions() -> dict[str, str]:
    """Name to version. Raises `SimulationError` where one is not installed."""
    missing = [name for name in _GENERATORS if util.find_spec(name) is None]
    if missing:
        raise SimulationError(
            f"Simulating jets needs {' and '.join(missing)}, not installed here. Install with: "
            "pip install 'jetassay[simulation]'"
        )
    return {name: metadata.version(name) for name in _GENERATORS}
