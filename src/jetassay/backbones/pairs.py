"""What a Particle Transformer knows of two constituents: four observables, and the attention bias made of them."""

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

_TINY = 1e-8
_TINIER = 1e-20
_TABLE = 128  # constituents that the table of pairs is of; for longer jets the next power of two


def pair_features(one: Tensor, other: Tensor) -> Tensor:
    """The logarithms of kT, z, D and m^2 of P pairs, (4, P), in the type of the input; momenta in GeV.

    one, other: (7, P), columns of `kinematics`

    kT = min(pT) D, z = min(pT) / (pT + pT'), D the distance in rapidity and azimuth, m the mass of the pair;
    each is at least 1e-8 before its logarithm (arXiv:2202.03772, equation 3).

    The order of operations is weaver's, and must be: m^2 of nearly massless pairs is rounding noise in float32,
    and a network that learned from one rounding gives other embeddings for another.
    """
    px, py, pz, energy, pt, rapidity, phi = one.unbind()
    px2, py2, pz2, energy2, pt2, rapidity2, phi2 = other.unbind()
    dphi = (phi - phi2 + math.pi) % (2 * math.pi) - math.pi
    distance = ((rapidity - rapidity2) ** 2 + dphi**2).sqrt()
    softer = torch.minimum(pt, pt2)
    fraction = softer / (pt + pt2).clamp(min=_TINY)
    momentum2 = ((px + px2).square() + (py + py2).square()) + (pz + pz2).square()
    mass2 = (energy + energy2).square() - momentum2
    return torch.stack((softer * distance, fraction, distance, mass2)).clamp_(min=_TINY).log_()


def kinematics(p4: Tensor) -> Tensor:
    """(..., 4) px, py, pz, E in GeV to (7, ...): these, pT, rapidity and azimuth in [-pi, pi].

    Finite for every four-vector, a vanishing one and one along the beam included.
    """
    px, py, pz, energy = p4.unbind(-1)
    pt = (px.square() + py.square()).sqrt()
    ratio = 1 + (2 * pz) / (energy - pz).clamp(min=_TINIER)
    rapidity = 0.5 * ratio.clamp(min=_TINIER).log()
    return torch.stack((px, py, pz, energy, pt, rapidity, torch.atan2(py, px)))


def lower_triangle(n: int, keys: int, *, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """The members of the P pairs of n constituents, each with itself included, and where to find them, all int64.

    members: (P,) and (P,), the first not before the second; found: (n * keys,), row by row the pair that constituent
    and key are, and any pair for keys beyond n. Made from one table, which is kept: 256 KiB up to 128 constituents.
    """
    pairs = n * (n + 1) // 2
    one, other, found = _largest_triangle(max(_TABLE, 1 << (keys - 1).bit_length()), device)
    return one[:pairs], other[:pairs], found[:n, :keys].clamp(max=pairs - 1).flatten()


@lru_cache(maxsize=4)
def _largest_triangle(n: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Row by row, so that it begins with that of every smaller number; found (n, n). 16 n^2 bytes."""
    one, other = torch.tril_indices(n, n, device=device)
    found = torch.zeros((n, n), dtype=torch.int64, device=device)
    found[one, other] = found[other, one] = torch.arange(len(one), device=device)
    return one.contiguous(), other.contiguous(), found


class PairEmbed(nn.Module):
    """Pair features to a bias on the attention logits: one map per head, shared by all layers.

    dims: widths of the net; the last is the number of heads. Its layers are convolutions of length one in the
    checkpoints; here they act on rows, one per pair of real constituents, which is the same and faster.
    """

    def __init__(self, dims: Sequence[int], *, last_activation: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.BatchNorm1d(4)]
        for before, after in pairwise((4, *dims)):
            layers += [nn.Conv1d(before, after, 1), nn.BatchNorm1d(after), nn.GELU()]
        self.embed = nn.Sequential(*(layers if last_activation else layers[:-1]))

    def forward(self, p4: Tensor, mask: Tensor) -> Tensor:
        """Bias (J, H, C, C), symmetric, zero wherever a slot is padded; p4 (J, C, 4), mask bool (J, C)."""
        jet, one, other = (mask[:, :, None] & mask[:, None, :]).tril().nonzero(as_tuple=True)
        slots = mask.shape[1]
        with torch.no_grad():
            known = kinematics(p4).flatten(1)
            x = pair_features(known[:, jet * slots + one], known[:, jet * slots + other]).T
        for layer in self.embed:
            x = _on_rows(layer, x) if isinstance(layer, nn.Conv1d) else layer(x)
        bias = x.new_zeros(*mask.shape, slots, x.shape[-1])
        bias = bias.index_put((jet, one, other), x).index_put((jet, other, one), x)
        return bias.permute(0, 3, 1, 2).contiguous()


def _on_rows(layer: nn.Conv1d, x: Tensor) -> Tensor:
    """A convolution of length one on rows: (P, before) to (P, after)."""
    return functional.linear(x, layer.weight.squeeze(-1), layer.bias)
