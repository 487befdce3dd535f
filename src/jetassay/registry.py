"""One registry for backbones, datasets, tasks and feature sets: strict, lazy, and open to plug-ins."""

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from jetassay.errors import DuplicateNameError, JetAssayError, PluginError, UnknownNameError

T = TypeVar("T")

_GROUPS = "jetassay."
"""What the names of all entry-point groups of plug-ins start with."""


@dataclass(frozen=True, slots=True)
class Broken:
    """An entry that exists but cannot be loaded: shown in listings, raised when asked for."""

    reason: str


class Registry(Mapping[str, T], Generic[T]):
    """Names to things of one kind. Values are made when asked for, once.

    kind:  what one entry is called in messages
    of:    the type of an entry, which a plug-in must give
    group: entry-point group through which third-party packages add entries, `jetassay.KINDs` unless given

    Adding a name twice raises `DuplicateNameError`. Looking up an unknown name raises `UnknownNameError` with
    the nearest match. A plug-in never takes a name that is there already: its entry is then called
    `NAME (DISTRIBUTION)` and is broken; where two plug-ins bring the same name, that name is broken.
    """

    def __init__(self, kind: str, *, of: type[T], group: str | None = None) -> None:
        self.kind = kind
        self.of = of
        self.group = group or f"{_GROUPS}{kind}s"
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
            near = difflib.get_close_matches(name, self._makers, n=1)
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
                said = f"{self._origins[name]}: {type(error).__name__}: {error}"
                found[name] = Broken(str(error) if isinstance(error, PluginError) else said)
        return found

    def _scan_plugins(self) -> None:
        if self._plugins_scanned:
            return
        self._plugins_scanned = True
        points: dict[str, list[EntryPoint]] = {}
        for point in sorted(entry_points(group=self.group), key=_distribution):
            points.setdefault(point.name, []).append(point)
        for name, given in points.items():
            owners = [_distribution(point) for point in given]
            if name in self._makers:
                for owner in owners:
                    self._add_double(f"{name} ({owner})", name, self._origins[name], owner)
            elif len(given) > 1:
                self._add_double(name, name, *owners)
            else:
                self.add(name, partial(self._load, given[0]), origin=owners[0])

    def _add_double(self, shown: str, name: str, first: str, *others: str) -> None:
        def refuse() -> T:
            raise DuplicateNameError(
                f"{self.kind} '{name}' is registered twice: by {first} and by {' and by '.join(others)}. "
                "Rename or uninstall one of them."
            )

        self.add(shown, refuse, origin=others[-1])

    def _load(self, point: EntryPoint) -> T:
        """What a plug-in gives: an entry, or a function without arguments that makes one."""
        where = f"plug-in {_distribution(point)}, {self.group}: {point.name} = {point.value}"
        try:
            given = point.load()
            value = given if isinstance(given, self.of) else given()
        except (Exception, SystemExit) as error:  # a plug-in may fail in any way and must not stop the others
            raise PluginError(f"{where}: {type(error).__name__}: {error}") from error
        if not isinstance(value, self.of):
            raise PluginError(f"{where}: gives a {type(value).__name__} instead of a {self.of.__name__}")
        if getattr(value, "name", point.name) != point.name:
            raise PluginError(f"{where}: gives the {self.kind} '{value.name}'; call the entry point so too")  # type: ignore[attr-defined]
        return value


def plugin_packages() -> frozenset[str]:
    """Packages of installed plug-ins: those in which the entry points of our groups lie. Imports none of them."""
    groups = [group for group in entry_points().groups if group.startswith(_GROUPS)]
    points = [point for group in groups for point in entry_points(group=group)]
    return frozenset(point.value.partition(":")[0].partition(".")[0].strip() for point in points)


def _distribution(point: EntryPoint) -> str:
    """Name and version of the distribution that an entry point belongs to."""
    if point.dist is None:
        return "an unnamed distribution"
    return f"{point.dist.name} {point.dist.version}"
