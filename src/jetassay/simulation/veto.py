"""Skip the showers of events whose hard process cannot give a jet that is kept.

Nine tenths of the time goes into multi-parton interactions, showers and hadronisation. The cuts below are looser
than the selection of jets (pT above 500 GeV, |eta| < 2, decay products within 0.8), so that what showers add or
take away does not shape the sample; a test compares distributions with and without.
"""

import math
from typing import Any

import pythia8mc

from jetassay.simulation.processes import Process

_PT_MIN = 440.0
_ABS_ETA_MAX = 2.25
_DECAY_RADIUS_MAX = 0.95
_FIRST_OUTGOING = 5
"""Entries 0 to 4 of the process record are the system, the beams and the incoming partons."""
_BOSONS_THAT_DECAY_ON = (23, 24)
_NEUTRINOS = (12, 14, 16)


class ProcessVeto(pythia8mc.UserHooks):  # type: ignore[misc]  # the bindings carry no types
    """Called by Pythia between the hard process with its resonance decays and everything that follows.

    tried, kept: events seen and events let through so far.
    """

    def __init__(self, process: Process) -> None:
        super().__init__()
        self._ids = process.veto_ids
        self._needs_decays = process.veto_needs_decays
        self.tried = 0
        self.kept = 0

    def canVetoProcessLevel(self) -> bool:  # noqa: N802  # Pythia's name
        """Switch the hook on."""
        return True

    def doVetoProcessLevel(self, event: Any) -> bool:  # noqa: N802  # Pythia's name
        """Whether to drop the event."""
        self.tried += 1
        for index in range(_FIRST_OUTGOING, event.size()):
            if self._may_give_a_jet(event, event[index]):
                self.kept += 1
                return False
        return True

    def _may_give_a_jet(self, event: Any, particle: Any) -> bool:
        if particle.idAbs() not in self._ids or particle.pT() < _PT_MIN or abs(particle.eta()) > _ABS_ETA_MAX:
            return False
        return not self._needs_decays or particle.daughter1() == 0 or _is_collimated(event, particle)


def _is_collimated(event: Any, particle: Any) -> bool:
    """Whether every visible decay product lies within `_DECAY_RADIUS_MAX` of the particle's direction."""
    pending = list(range(particle.daughter1(), particle.daughter2() + 1))
    while pending:
        product = event[pending.pop()]
        kind = product.idAbs()
        if kind in _BOSONS_THAT_DECAY_ON:
            pending += range(product.daughter1(), product.daughter2() + 1)
        elif kind not in _NEUTRINOS:
            turn = abs(product.phi() - particle.phi())
            turn = min(turn, 2 * math.pi - turn)
            if math.hypot(product.eta() - particle.eta(), turn) > _DECAY_RADIUS_MAX:
                return False
    return True
