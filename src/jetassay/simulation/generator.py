"""Events of Pythia as flat numpy arrays."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pythia8mc

from jetassay.errors import SimulationError
from jetassay.simulation.processes import BEAM_SETTINGS, Process
from jetassay.simulation.veto import ProcessVeto

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]

_PROTON = 2212


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


@functools.cache
def _blank_pythia() -> Any:
    """Holds settings and particle data as they come; reading them anew for each shard takes as long as ten events."""
    return pythia8mc.Pythia("", False)


@functools.cache
def _proton_densities() -> tuple[Any, Any]:
    """Pythia's own choice for both beams, read once. They remember the last point asked for and nothing else."""
    return tuple(_blank_pythia().getPDFPtr(_PROTON, 1, beam, True) for beam in "AB")


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
        blank = _blank_pythia()
        self._pythia = pythia8mc.Pythia(blank.settings, blank.particleData, False)
        self._source = source
        self._read((*BEAM_SETTINGS, "Random:setSeed = on", f"Random:seed = {seed}", *process.settings))
        self._read(self._alternating[0])
        if self._veto is not None and not self._pythia.setUserHooksPtr(self._veto):
            raise SimulationError("Pythia does not take the veto. Is pythia8mc 8.317.2 installed?")
        if source is not None and not self._pythia.setLHAupPtr(source):
            raise SimulationError("Pythia does not take the hard processes. Is pythia8mc 8.317.2 installed?")
        if not self._pythia.setPDFPtr(*_proton_densities()):
            raise SimulationError("Pythia does not take the parton densities. Is pythia8mc 8.317.2 installed?")
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
    """The buffers that the bindings filled, as they are: operations of awkward would cost more than they do here."""
    lists = batch.layout.content("prt")
    offsets = np.asarray(lists.offsets.data, dtype=np.int64)
    particles = lists.content
    momentum, vertex = particles.content("p"), particles.content("vProd")

    def whole(name: str) -> IntArray:
        return np.asarray(particles.content(name).data, dtype=np.int64)

    status = whole("status")
    final = np.nonzero(status > 0)[0]
    displaced = vertex.index.data[final]  # negative where the particle comes from the origin

    def position(name: str) -> FloatArray:
        somewhere: FloatArray = vertex.content.content(name).data[np.maximum(displaced, 0)]
        return np.where(displaced < 0, 0.0, somewhere)

    return EventRecord(
        offsets=offsets,
        event=np.repeat(np.arange(len(offsets) - 1), np.diff(offsets)),
        pdg_id=whole("id"),
        status=status,
        daughter_first=whole("daughter1"),
        daughter_last=whole("daughter2"),
        px=momentum.content("px").data,
        py=momentum.content("py").data,
        pz=momentum.content("pz").data,
        energy=momentum.content("e").data,
        mass=particles.content("m").data,
        final=final,
        x=position("px"),
        y=position("py"),
        z=position("pz"),
    )
