"""Numbers of the JetClass detector card that are too many for code.

`detector_tables.json` holds the resolutions of impact parameters (3 |eta| by 34 pT bins) and the cells of both
calorimeters as in delphes_card.tcl of github.com/jet-universe/jetclass_generation (MIT licence).
"""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

import numpy as np

from jetassay.simulation.generator import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class ImpactParameterTable:
    """eta: lower |eta| edges and the upper end; pt: lower edges, GeV; error: (eta, pt), mm."""

    eta: FloatArray
    pt: FloatArray
    error: FloatArray


@dataclass(frozen=True, slots=True)
class CellTable:
    """eta: edges; phi_cells: how many cells share the ring below each edge."""

    eta: FloatArray
    phi_cells: IntArray


@dataclass(frozen=True, slots=True)
class DetectorTables:
    """impact_parameters: by "d0" and "dz"; calorimeters: by "ecal" and "hcal"."""

    impact_parameters: Mapping[str, ImpactParameterTable]
    calorimeters: Mapping[str, CellTable]


@functools.cache
def detector_tables() -> DetectorTables:
    """The tables, read once."""
    text = resources.files("jetassay.simulation").joinpath("detector_tables.json").read_text(encoding="utf-8")
    content = json.loads(text)
    return DetectorTables(
        impact_parameters={
            name: ImpactParameterTable(*(np.array(content[name][key], dtype=float) for key in ("eta", "pt", "val")))
            for name in ("d0", "dz")
        },
        calorimeters={
            name: CellTable(np.array(content[name]["eta"]), np.array(content[name]["nphi"], dtype=np.int64))
            for name in ("ecal", "hcal")
        },
    )
