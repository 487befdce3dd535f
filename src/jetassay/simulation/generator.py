"""Events of Pythia as flat numpy arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import awkward as ak
import numpy as np
import numpy.typing as npt
import pythia8mc

from jetassay.errors import SimulationError
from jetassay.simulation.processes import BEAM_SETTINGS, Process
from jetassay.simulation.veto import ProcessVeto

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class EventRecord:
    """Particles of E events laid end to end: P entries of Pythia's event record, all stages.

    offsets: (E + 1,); event e owns rows offsets[e]:offsets[e + 1], row 0 of each being the whole system
    event: (P,) number of the event
    pdg_id, status: (P,); status is positive for particles that leave the event
    daughter_first, daughter_last: (P,) as Pythia counts them, within the event, 0 for none
    px, py, pz, energy, mass: (P,) in GeV
    final: (S,) rows of the particles that leave the event
    x, y, z: (S,) where those were produced, in mm
    """

    offsets: IntArray
    event: IntArray
    pdg_id: IntArray
    status: IntArray
    daughter_first: IntArray
    daughter_last: IntArray
    px: FloatArray
    py: FloatArray
    pz: FloatArray
    energy: FloatArray
    mass: FloatArray
    final: IntArray
    x: FloatArray
    y: FloatArray
    z: FloatArray

    @property
    def events(self) -> int:
        """How many events."""
        return len(self.offsets) - 1

    def eta_phi(self, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        """Pseudorapidity and azimuth (in [-pi, pi]) of some rows."""
        pt = np.hypot(self.px[rows], self.py[rows])
        return np.arcsinh(self.pz[rows] / np.maximum(pt, 1e-9)), np.arctan2(self.py[rows], self.px[rows])


class Generator:
    """One Pythia, set up for one process and one seed.

    source: hard processes from outside, a `pythia8mc.LHAup`

    Raises `SimulationError` when Pythia refuses a setting or cannot start.
    """

    def __init__(self, process: Process, *, seed: int, veto: bool = True, source: Any = None) -> None:
        self._alternating = process.alternating
        self._batches = 0
        self._events = 0
        # The bindings keep neither hook nor source alive; without a reference Pythia would call freed memory.
        self._veto = ProcessVeto(process) if veto and process.veto_ids else None
        self._pythia = pythia8mc.Pythia("", False)
        self._source = source
        self._read((*BEAM_SETTINGS, "Random:setSeed = on", f"Random:seed = {seed}", *process.settings))
        self._read(self._alternating[0])
        if self._veto is not None and not self._pythia.setUserHooksPtr(self._veto):
            raise SimulationError("Pythia does not take the veto. Is pythia8mc 8.317.2 installed?")
        if source is not None and not self._pythia.setLHAupPtr(source):
            raise SimulationError("Pythia does not take the hard processes. Is pythia8mc 8.317.2 installed?")
        if not self._pythia.init():
            raise SimulationError(f"Pythia does not start with the settings {list(process.settings)}.")

    @property
    def tried(self) -> int:
        """Hard processes drawn so far, those that the veto dropped among them."""
        return self._veto.tried if self._veto is not None else self._events

    @property
    def events(self) -> int:
        """Whole events made so far."""
        return self._events

    def next_batch(self, events: int) -> EventRecord:
        """The next events; fewer than asked for where Pythia gave some up. Raises `SimulationError` for none."""
        self._read(self._alternating[self._batches % len(self._alternating)])
        self._batches += 1
        record = _flatten(self._pythia.nextBatch(events))
        if not record.events:
            raise SimulationError("Pythia gave up on a whole batch of events.")
        self._events += record.events
        return record

    def _read(self, settings: Sequence[str]) -> None:
        for setting in settings:
            if not self._pythia.readString(setting):
                raise SimulationError(f"Pythia does not know the setting '{setting}'.")


def _flatten(batch: Any) -> EventRecord:
    particles = batch.prt
    counts = ak.to_numpy(ak.num(particles.id))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def whole(column: Any) -> IntArray:
        return np.asarray(ak.to_numpy(ak.flatten(column)), dtype=np.int64)

    status = whole(particles.status)
    leaves = status > 0
    momentum = ak.flatten(particles.p)
    vertex = ak.flatten(particles.vProd)[leaves]

    def real(column: Any) -> FloatArray:
        return np.asarray(ak.to_numpy(ak.fill_none(column, 0.0)), dtype=np.float64)

    return EventRecord(
        offsets=offsets,
        event=np.repeat(np.arange(len(counts)), counts),
        pdg_id=whole(particles.id),
        status=status,
        daughter_first=whole(particles.daughter1),
        daughter_last=whole(particles.daughter2),
        px=real(momentum.px),
        py=real(momentum.py),
        pz=real(momentum.pz),
        energy=real(momentum.e),
        mass=real(ak.flatten(particles.m)),
        final=np.nonzero(leaves)[0],
        x=real(vertex.px),
        y=real(vertex.py),
        z=real(vertex.pz),
    )
