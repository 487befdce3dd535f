"""The groomed mass against FastJet's own grooming."""

import awkward as ak
import fastjet
import numpy as np
import pytest

from jetassay.simulation.soft_drop import soft_drop_mass


def cluster(multiplicities, seed):
    """Jets of particles with falling momenta, spread over one unit of eta and phi."""
    rng = np.random.default_rng(seed)
    count = sum(multiplicities)
    pt, mass = np.exp(rng.normal(0.5, 1.5, count)), rng.choice([0.0, 0.13957], count)
    eta, phi = rng.normal(0.7, 0.3, count), rng.normal(3.0, 0.3, count)
    momenta = {"px": pt * np.cos(phi), "py": pt * np.sin(phi), "pz": pt * np.sinh(eta)}
    momenta["E"] = np.sqrt((pt * np.cosh(eta)) ** 2 + mass**2)
    jets = ak.unflatten(ak.zip(momenta, with_name="Momentum4D"), multiplicities)
    return fastjet.ClusterSequence(jets, fastjet.JetDefinition(fastjet.cambridge_algorithm, 100.0))


@pytest.mark.parametrize("z_cut", [0.05, 0.1, 0.45])
def test_the_groomed_mass_is_that_of_fastjet_to_the_bit(z_cut):
    clustering = cluster([1, 2, 3, 1, 128, *range(4, 60)], seed=1)
    expected = clustering.exclusive_jets_softdrop_grooming(njets=1, beta=0.0, symmetry_cut=z_cut, R0=0.8)
    found = soft_drop_mass(clustering, z_cut=z_cut)
    np.testing.assert_array_equal(found, ak.to_numpy(expected.msoftdrop).reshape(-1))


def test_a_cut_that_nothing_passes_leaves_one_particle():
    # Neither parent of a sum can carry more than half of the scalar sum of pT and be the softer one.
    masses = soft_drop_mass(cluster([5, 50, 1], seed=2), z_cut=0.5)
    assert np.all((np.abs(masses) < 1e-3) | np.isclose(masses, 0.13957, atol=1e-3))


def test_without_a_cut_the_mass_is_that_of_the_whole_jet():
    clustering = cluster([7, 30], seed=3)
    whole = clustering.inclusive_jets(min_pt=0.0)
    square = whole.E**2 - whole.px**2 - whole.py**2 - whole.pz**2
    expected = np.sqrt(ak.to_numpy(ak.flatten(square)))
    np.testing.assert_allclose(soft_drop_mass(clustering, z_cut=0.0), expected, rtol=1e-9)
