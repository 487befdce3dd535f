"""What can be computed from observed columns: a table of names, what each is made of, and how.

A quantity is a function of columns and other quantities, named by their names; so what it needs is known without
running it, and nothing else is within its reach. Everything here is float32 and follows weaver's order of operations,
so that inputs agree to the last bits with those that published networks were trained on.
"""

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]

REFERENCE_PT = 500.0
"""GeV; Sophon sees every jet rescaled to this pT (JetClassII_full.yaml)."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """`function` of the columns and quantities named in `of`, in that order, element by element.

    A jet-level input of a constituent-level quantity is repeated for each constituent.

    version: raised whenever the values change, so that stored embeddings are not mistaken for new ones; a quantity
             that is a formula has the formula here
    ragged:  the function takes its inputs unrepeated, and `offsets`, int64 (J + 1,), as well
    per_jet: one value for each jet, even where constituents go into it: a sum over them, say
    """

    name: str
    of: tuple[str, ...]
    function: Callable[..., NDArray[Any]]
    version: int | str = 1
    ragged: bool = False
    per_jet: bool = False


def _log_ratio(part: Values, whole: Values) -> Values:
    logarithm: Values = np.log(part / whole)
    return logarithm


def _at_reference_pt(component: Values, jet_pt: Values) -> Values:
    scaled: Values = component / jet_pt * np.float32(REFERENCE_PT)
    return scaled


def _subjettiness_ratio(finer: Values, coarser: Values) -> Values:
    """tau_N / tau_(N-1) of arXiv:1011.2268, dimensionless; 0 where both vanish: nothing is left to resolve."""
    ratio: Values = np.divide(finer, coarser, out=np.zeros_like(finer), where=(finer != 0) | (coarser != 0))
    return ratio


QUANTITIES = MappingProxyType(
    {
        each.name: each
        for each in (
            # Constituents, as in JetClass_full.yaml of particle_transformer; pt and energy in GeV.
            Quantity("pt", ("part_px", "part_py"), np.hypot),
            Quantity("log_pt", ("pt",), np.log),
            Quantity("log_energy", ("part_energy",), np.log),
            Quantity("log_pt_rel", ("pt", "jet_pt"), _log_ratio),
            Quantity("log_energy_rel", ("part_energy", "jet_energy"), _log_ratio),
            Quantity("delta_r", ("part_deta", "part_dphi"), np.hypot),
            Quantity("tanh_d0", ("part_d0val",), np.tanh),
            Quantity("tanh_dz", ("part_dzval",), np.tanh),
            # Constituents of a jet rescaled to 500 GeV, as in JetClassII_full.yaml of sophon.
            Quantity("px_scaled", ("part_px", "jet_pt"), _at_reference_pt),
            Quantity("py_scaled", ("part_py", "jet_pt"), _at_reference_pt),
            Quantity("pz_scaled", ("part_pz", "jet_pt"), _at_reference_pt),
            Quantity("energy_scaled", ("part_energy", "jet_pt"), _at_reference_pt),
            Quantity("pt_scaled", ("px_scaled", "py_scaled"), np.hypot),
            Quantity("log_pt_scaled", ("pt_scaled",), np.log),
            Quantity("log_energy_scaled", ("energy_scaled",), np.log),
            # Jets.
            Quantity("tau21", ("jet_tau2", "jet_tau1"), _subjettiness_ratio),
            Quantity("tau32", ("jet_tau3", "jet_tau2"), _subjettiness_ratio),
            Quantity("tau43", ("jet_tau4", "jet_tau3"), _subjettiness_ratio),
        )
    }
)


def parts_of(name: str, table: Mapping[str, Quantity] = QUANTITIES) -> tuple[str, ...]:
    """`name` and every quantity and column that it is computed from, each once."""
    return _reached(name, table, into_jets=True)


def columns_of(name: str, table: Mapping[str, Quantity] = QUANTITIES) -> tuple[str, ...]:
    """The columns that `name`, a quantity or itself a column, is computed from in the end, each once."""
    return tuple(part for part in parts_of(name, table) if part not in table)


def is_per_constituent(name: str, constituents: Container[str], table: Mapping[str, Quantity] = QUANTITIES) -> bool:
    """Whether `name` has a value for each constituent, given the columns that do."""
    parts = _reached(name, table, into_jets=False)
    return any(part in constituents for part in parts if part not in table)


def _reached(name: str, table: Mapping[str, Quantity], *, into_jets: bool) -> tuple[str, ...]:
    found: dict[str, None] = {}
    waiting = [name]
    while waiting:
        part = waiting.pop()
        if part not in found:
            found[part] = None
            quantity = table.get(part)
            if quantity is not None and (into_jets or not quantity.per_jet):
                waiting.extend(reversed(quantity.of))
    return tuple(found)
