"""One chunk of a file in a layout: places that hold no constituent left out, units, and what can be derived."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetassay.errors import DataError
from jetassay.jets.containers import IntArray
from jetassay.jets.identities import FLAGS, Identities
from jetassay.jets.kinematics import Momenta, from_direction, from_rapidity, mirror, wrapped
from jetassay.jets.mapping import SCALED, UNITS, Layout
from jetassay.jets.sources import Ragged

_EMPTY_BY = ("part_energy", "part_pt", "part_px")
"""A padded place is one without energy, or without pT, whichever the layout gives first."""


class Unpadding:
    """Leaves out the places of lists that hold no constituent."""

    def __init__(self, layout: Layout, path: Path) -> None:
        self._layout, self._path = layout, path

    def apply(self, lists: Mapping[str, Ragged], mask: Ragged | None) -> dict[str, Ragged]:
        """The lists without them. A column whose lists have other lengths than the rest stays as it is."""
        if mask is None and self._layout.padding == "none":
            return dict(lists)
        reference = next(lists[name] for name in _EMPTY_BY if name in lists)
        used = (mask or reference).content != 0
        offsets = (mask or reference).offsets
        counts = np.concatenate([np.zeros(1, np.int64), np.cumsum(used, dtype=np.int64)])[offsets]
        return {
            name: Ragged(counts, each.content[used]) if np.array_equal(each.offsets, offsets) else each
            for name, each in lists.items()
        }


class MappedJets:
    """J jets of one chunk; every observed column of the layout, computed when asked for.

    lists, numbers: the columns that the layout names, as they stand in the file, unpadded
    """

    def __init__(
        self, layout: Layout, path: Path, lists: Mapping[str, Ragged], numbers: Mapping[str, NDArray[Any]]
    ) -> None:
        self._layout, self._path = layout, path
        self._lists, self._numbers = lists, numbers

    def list(self, name: str) -> Ragged:
        """One constituent column."""
        given = self._lists.get(name)
        if given is not None and not np.array_equal(given.offsets, self._offsets):
            return given  # the reader names the jets whose lists disagree
        return Ragged(self._offsets, self._part(name))

    def number(self, name: str) -> NDArray[Any]:
        """One jet column."""
        if name in self._numbers:
            return self._scaled(name, self._numbers[name])
        if name == "jet_nparticles":
            return np.diff(self._offsets)
        values: NDArray[Any] = getattr(self._sum, name.removeprefix("jet_"))
        return values

    @property
    def _offsets(self) -> IntArray:
        return self._lists["part_px" if "part_px" in self._lists else "part_pt"].offsets

    def _scaled(self, name: str, values: NDArray[Any]) -> NDArray[Any]:
        """In float64 where the value goes into a sum or a product, in GeV."""
        scale = UNITS[self._layout.units] if name in SCALED else 1.0
        return values if scale == 1 else values.astype(np.float64) * scale

    def _given(self, name: str) -> NDArray[Any] | None:
        """A column of the file, float64 (N,); NaN in jets whose list is of another length than that of momenta."""
        ragged = self._lists.get(name)
        if ragged is None:
            return None
        values = self._scaled(name, ragged.content).astype(np.float64)
        if np.array_equal(ragged.offsets, self._offsets):
            return values
        counts = np.diff(self._offsets)
        agree = np.repeat(np.diff(ragged.offsets) == counts, counts)
        aligned = np.full(len(agree), np.nan)
        aligned[agree] = values[np.repeat(np.diff(ragged.offsets) == counts, np.diff(ragged.offsets))]
        return aligned

    def _needed(self, name: str) -> NDArray[Any]:
        values = self._given(name)
        if values is None:
            raise AssertionError(f"{name} is checked when the layout is made")
        return values

    def _part(self, name: str) -> NDArray[Any]:
        if name == "part_deta":
            return self._deta
        if name in self._lists:
            return self._scaled(name, self._lists[name].content)
        if name == "part_charge":
            return np.where(self._unidentified, np.nan, self._identities.charges)
        if name in FLAGS:
            return np.where(self._unidentified, np.nan, self._identities.flag(name))
        if name == "part_dphi":
            return wrapped(self._momenta.phi - self._of_jet("jet_phi"))
        values: NDArray[Any] = getattr(self._momenta, name.removeprefix("part_"))
        return values

    @cached_property
    def _momenta(self) -> Momenta:
        energy = self._given("part_energy")
        if "part_px" in self._lists:
            px, py, pz = (self._needed(f"part_{axis}") for axis in ("px", "py", "pz"))
            if energy is None:
                energy = np.sqrt(px**2 + py**2 + pz**2 + np.square(self._mass))
            return Momenta(px, py, pz, energy)
        pt, phi = self._needed("part_pt"), self._given("part_phi")
        if phi is None:
            phi = self._of_jet("jet_phi") + self._needed("part_dphi")
        with np.errstate(over="ignore", invalid="ignore"):  # the reader names what is not finite
            if "part_rapidity" in self._lists:
                return from_rapidity(pt, self._needed("part_rapidity"), phi, mass=self._mass)
            eta = self._given("part_eta")
            if eta is None:
                eta = self._of_jet("jet_eta") + self._deta * mirror(self._of_jet("jet_eta"))
            return from_direction(pt, eta, phi, mass=0.0 if energy is not None else self._mass, energy=energy)

    @cached_property
    def _mass(self) -> NDArray[Any] | float:
        given = self._given("part_mass")
        if given is not None:
            return given
        return self._identities.masses if self._layout.mass == "pdg" else 0.0

    @cached_property
    def _deta(self) -> NDArray[Any]:
        """Mirrored for jets at negative eta."""
        given = self._given("part_deta")
        if given is None:
            with np.errstate(invalid="ignore"):
                eta = self._of_jet("jet_eta")
                return np.asarray((self._momenta.eta - eta) * mirror(eta))
        return given if self._layout.mirrored else np.asarray(given * mirror(self._of_jet("jet_eta")))

    @cached_property
    def _identities(self) -> Identities:
        column = self._identity_column
        numbers = np.where(self._unidentified, 0 if column == "part_code" else 22, self._needed(column))
        if column == "part_code":
            codes = np.array(self._layout.codes)
            wrong = ~((numbers >= 0) & (numbers < len(codes)) & (numbers == np.floor(numbers)))
            if wrong.any():
                raise DataError(
                    f"{self._path}, column {self._layout.columns[column]}: {numbers[np.flatnonzero(wrong)[0]]:g} is "
                    f"none of the codes 0 to {len(codes) - 1} of the layout"
                )
            numbers = codes[numbers.astype(np.int64)]
        return Identities.of(numbers, path=self._path, column=self._layout.columns[column])

    @property
    def _identity_column(self) -> str:
        return "part_pid" if "part_pid" in self._lists else "part_code"

    @cached_property
    def _unidentified(self) -> NDArray[np.bool_]:
        """Constituents without a number: the reader drops their jets or names them."""
        return np.asarray(np.isnan(self._needed(self._identity_column)))

    @cached_property
    def _sum(self) -> Momenta:
        return self._momenta.per_jet(self._offsets)

    def _of_jet(self, name: str) -> NDArray[Any]:
        """A jet column for each constituent, float64 (N,)."""
        values: NDArray[Any] = np.repeat(np.asarray(self.number(name), dtype=np.float64), np.diff(self._offsets))
        return values
