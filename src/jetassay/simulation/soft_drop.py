"""Soft drop (arXiv:1402.2657) with beta = 0, read off a clustering that is there already.

FastJet's bindings copy every constituent of the groomed jet several times over; that took a sixth of the time that is
not Pythia's. The mass alone needs nothing but the sums of momenta that the clustering has made on its way, so the
numbers are those of FastJet's own grooming to the bit.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from jetassay.simulation.generator import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class _Trees:
    """Histories of J clusterings of n particles each, as binary trees in postfix order: parents before their sum.

    momentum: (4, M) px, py, pz, E of each node; M is the sum of 2 n - 1
    left: (M,) position of one parent of a sum; the other stands right before the sum
    leaf: (M,) whether the node is a particle
    top: (J,) position of the sum of all particles
    """

    momentum: FloatArray
    left: IntArray
    leaf: BoolArray
    top: IntArray


def soft_drop_mass(clustering: Any, *, z_cut: float) -> FloatArray:
    """Groomed mass (J,) in GeV, negative for a negative square.

    clustering: of J jets' constituents, in FastJet's bindings, with Cambridge/Aachen and a radius so large that each
        gives one jet

    From the whole jet on, the softer of the two parents is dropped until min(pT1, pT2) / (pT1 + pT2) > z_cut; a jet
    where that never holds ends as one particle.
    """
    trees = _trees(clustering)
    px, py, pz, energy = trees.momentum
    square = px * px + py * py
    pt = np.sqrt(square)
    node = trees.top.copy()
    open_jets = np.nonzero(~trees.leaf[node])[0]
    while len(open_jets):
        sums = node[open_jets]
        first, second = trees.left[sums], sums - 1
        soft = ~(np.minimum(pt[first], pt[second]) / (pt[first] + pt[second]) > z_cut)
        harder = np.where(square[first] < square[second], second, first)
        open_jets, harder = open_jets[soft], harder[soft]
        node[open_jets] = harder
        open_jets = open_jets[~trees.leaf[harder]]
    mass_square = (energy[node] + pz[node]) * (energy[node] - pz[node]) - square[node]
    return np.asarray(np.copysign(np.sqrt(np.abs(mass_square)), mass_square))


def _trees(clustering: Any) -> _Trees:
    """FastJet's unique history order has parents before their sum, each subtree in one piece, and the beam last."""
    sums = clustering.jets().layout
    order = clustering.unique_history_order().layout
    sizes: IntArray = np.diff(sums.offsets.data).astype(np.int64)  # 2 n - 1
    jet = np.repeat(np.arange(len(sizes)), sizes)
    top = np.cumsum(sizes) - 1
    in_jet = np.asarray(order.content.data, dtype=np.int64)
    in_jet = np.delete(in_jet, top + np.arange(1, len(sizes) + 1))
    leaf = in_jet < ((sizes + 1) // 2)[jet]
    rows = in_jet + (top - sizes + 1)[jet]
    # Read as a stack, a particle adds one entry and a sum replaces two by one; the other parent is where the stack
    # was as high as after the sum for the last time. Each jet leaves one entry behind, so jets do not mix.
    height = np.cumsum(np.where(leaf, 1, -1))
    by_height = np.argsort(height, kind="stable")
    left = np.empty_like(rows)
    left[by_height[1:]] = by_height[:-1]
    momentum = np.stack([np.asarray(sums.content.content(name).data)[rows] for name in ("px", "py", "pz", "E")])
    return _Trees(momentum, left, leaf, top)
