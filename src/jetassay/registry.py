"""One registry for backbones, datasets, tasks and feature sets: strict, lazy, and open to plug-ins."""

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from jetassay.errors import DuplicateNameError, JetAssayError, UnknownNameError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Broken:
    """An entry that exists but cannot be loaded: shown in listings, raised when asked for."""

    reason: str


class Registry(Mapping[str, T], Generic[T]):
    """Names to things of one kind. Values are made when asked for, once.

    Adding a name twice raises `DuplicateNameError`. Looking up an unknown name raises `UnknownNameError` with
    the nearest match. Third-party packages add entries through the entry-point group `jetassay.KIND`.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._makers: dict[str, Callable[[], T]] = {}
        self._made: dict[str, T] = {}
        self._origins: dict[str, str] = {}
        self._plugins_scanned = False

    def add(self, name: str, maker: Callable[[], T], *, origin: str = "jetassay") -> None:
        """Bind `name` to `maker`, which is called at the first look-up."""
        if name in self._makers:
            raise DuplicateNameError(
                f"{self.kind} '{name}' is registered twice: by {self._origins[name]} and by {origin}. "
                "Rename one of them."
            )
        self._makers[name] = maker
        self._origins[name] = origin

    def __getitem__(self, name: str) -> T:
        self._scan_plugins()
        if name not in self._makers:
            near = difflib.get_close_matches(name, self._makers, n=1, cutoff=0.4)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            known = ", ".join(sorted(self._makers)) or "none"
            raise UnknownNameError(f"There is no {self.kind} '{name}'.{hint} Known: {known}.")
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        self._scan_plugins()
        return name in self._makers

    def __iter__(self) -> Iterator[str]:
        self._scan_plugins()
        return iter(self._makers)

    def __len__(self) -> int:
        self._scan_plugins()
        return len(self._makers)

    def origin(self, name: str) -> str:
        """Who registered `name`: a file or a distribution."""
        return self._origins[name]

    def survey(self) -> dict[str, T | Broken]:
        """Every entry, loaded; what does not load appears as `Broken` with its reason instead of vanishing."""
        found: dict[str, T | Broken] = {}
        for name in self:
            try:
                found[name] = self[name]
            except (JetAssayError, ImportError, AttributeError, TypeError, ValueError) as error:
                found[name] = Broken(f"{self._origins[name]}: {type(error).__name__}: {error}")
        return found

    def _scan_plugins(self) -> None:
        if self._plugins_scanned:
            return
        self._plugins_scanned = True
        for point in entry_points(group=f"jetassay.{self.kind}s"):
            distribution = point.dist.name if point.dist else "an unnamed distribution"
            self.add(point.name, point.load, origin=distribution)
