from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jetassay.errors import ConfigError, DataError, UnknownNameError
from jetassay.features.inputs import compute_inputs
from jetassay.features.sets import FEATURE_SETS
from jetassay.jets.containers import Chunk, Jets, Origin, Truth
from jetassay.jets.identities import FLAGS
from jetassay.jets.kinematics import from_direction, mirror
from jetassay.jets.ordering import by_falling_pt
from jetassay.jets.perturbations import PERTURBATIONS, parse_perturbation, perturb, perturb_chunk
from jetassay.jets.reading import read_chunks
from jetassay.jets.schema import SCHEMAS

FILE = "0" * 64
CORE = ("part_px", "part_py", "part_pz", "part_energy")


def make_jets(jets=40, seed=0, most=30):
    """Jets whose columns follow from their constituents, as in JetClass."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, most + 1, jets)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    jet = np.repeat(np.arange(jets), counts)
    eta, phi = rng.uniform(-2, 2, jets), rng.uniform(-np.pi, np.pi, jets)
    pt = rng.exponential(20, len(jet)) + 0.5
    pt = pt[np.lexsort((-pt, jet))]
    eta_of, phi_of = eta[jet] + rng.normal(0, 0.2, len(jet)), phi[jet] + rng.normal(0, 0.2, len(jet))
    charged = rng.random(len(jet)) < 0.6
    p4 = from_direction(pt, eta_of, phi_of, mass=np.where(charged, 0.14, 0.0), energy=None)
    total = p4.per_jet(offsets)
    kind = np.where(charged, rng.choice([0, 3, 4], len(jet), p=[0.9, 0.05, 0.05]), rng.choice([1, 2], len(jet)))
    parts = {
        **dict(zip(CORE, (p4.px, p4.py, p4.pz, p4.energy), strict=True)),
        "part_deta": (eta_of - total.eta[jet]) * mirror(total.eta)[jet],
        "part_dphi": (phi_of - total.phi[jet] + np.pi) % (2 * np.pi) - np.pi,
        "part_charge": np.where(charged, rng.choice([-1, 1], len(jet)), 0),
        **{name: kind == number for number, name in enumerate(FLAGS)},
        **{
            f"part_{name}": np.where(charged, rng.exponential(0.1, len(jet)), 0)
            for name in ("d0val", "d0err", "dzval", "dzerr")
        },
    }
    columns = {
        "jet_pt": total.pt,
        "jet_eta": total.eta,
        "jet_phi": total.phi,
        "jet_energy": total.energy,
        "jet_mass": total.mass,
        "jet_nparticles": counts,
        "jet_sdmass": total.mass * 0.9,
        **{f"jet_tau{axes}": rng.random(jets) / axes for axes in (1, 2, 3, 4)},
    }
    return Jets(
        {name: values.astype(np.float32) for name, values in parts.items()},
        offsets,
        {name: values.astype(np.float32) for name, values in columns.items()},
    )


def perturbed(jets, text, *, seed=0, entries=None, file=FILE):
    entries = np.arange(len(jets)) if entries is None else entries
    return perturb(jets, parse_perturbation(text, seed=seed), file=file, entries=entries)


def equal(first, second):
    return (
        np.array_equal(first.offsets, second.offsets)
        and all(np.array_equal(first.constituents[name], second.constituents[name]) for name in first.constituents)
        and all(np.array_equal(first.columns[name], second.columns[name]) for name in first.columns)
    )


RANDOM = ["drop=0.3", "smear=0.2"]
ALL = [*RANDOM, "scale=0.03", "without=displacement", "without=identity", "without=charge"]


@pytest.mark.parametrize("text", ["drop=0", "smear=0", "scale=0"])
def test_a_perturbation_of_no_strength_changes_no_bit(text):
    jets = make_jets()
    assert equal(perturbed(jets, text), jets)


def test_jets_that_lost_nothing_stay_to_the_bit_beside_others_that_did():
    jets = make_jets()
    fewer = perturbed(jets, "drop=0.05")
    untouched = np.flatnonzero(fewer.multiplicities == jets.multiplicities)
    assert 0 < len(untouched) < len(jets)
    assert equal(fewer.take(untouched), jets.take(untouched))


@given(st.integers(0, 1000), st.floats(0, 0.999))
def test_every_jet_keeps_at_least_one_constituent(seed, probability):
    jets = make_jets(seed=seed, jets=8, most=4)
    counts = perturbed(jets, f"drop={probability}", seed=seed).multiplicities
    assert (counts >= 1).all()
    assert (counts <= jets.multiplicities).all()


def test_as_many_constituents_are_lost_as_was_said():
    jets = make_jets(jets=2000)
    lost = 1 - perturbed(jets, "drop=0.2").offsets[-1] / jets.offsets[-1]
    assert lost == pytest.approx(0.2, abs=5 * np.sqrt(0.16 / jets.offsets[-1]))


def test_what_is_lost_at_a_small_probability_is_lost_at_a_larger_one():
    jets = make_jets()
    some, fewer = (set(perturbed(jets, f"drop={p}").constituents["part_d0err"].tolist()) for p in (0.1, 0.4))
    assert fewer < some


def test_smeared_energies_have_mean_one_and_the_width_that_was_said():
    jets = make_jets(jets=3000, most=1)
    ratio = perturbed(jets, "smear=0.3").constituents["part_energy"] / jets.constituents["part_energy"]
    assert ratio.min() > 0
    assert ratio.mean() == pytest.approx(1, abs=5 * 0.3 / np.sqrt(3000))
    assert ratio.std() == pytest.approx(0.3, rel=0.1)


@pytest.mark.parametrize("text", ALL)
def test_order_and_batches_do_not_matter(text):
    jets, entries = make_jets(), np.arange(40) * 3 + 7
    whole = perturbed(jets, text, entries=entries)
    for rows in (np.random.default_rng(1).permutation(40), np.arange(11), np.array([39])):
        assert equal(perturbed(jets.take(rows), text, entries=entries[rows]), whole.take(rows))


@pytest.mark.parametrize("text", RANDOM)
def test_seed_and_file_give_other_random_numbers(text):
    jets = make_jets()
    assert equal(perturbed(jets, text), perturbed(jets, text))
    assert not equal(perturbed(jets, text), perturbed(jets, text, seed=1))
    assert not equal(perturbed(jets, text), perturbed(jets, text, file="1" * 64))


@pytest.mark.parametrize("text", [*RANDOM, "scale=0.1"])
def test_momenta_columns_and_axis_stay_consistent(text):
    after = perturbed(make_jets(), text)
    px, py, pz, energy = (after.constituents[name].astype(np.float64) for name in CORE)
    assert (energy > 0).all()
    assert (energy - np.sqrt(px**2 + py**2 + pz**2) > -1e-6 * energy).all()
    total = [np.add.reduceat(values, after.offsets[:-1]) for values in (px, py, pz, energy)]
    pt = np.hypot(total[0], total[1])
    eta, phi = np.arcsinh(total[2] / pt), np.arctan2(total[1], total[0])
    mass = np.sqrt(np.maximum(total[3] ** 2 - pt**2 - total[2] ** 2, 0))
    assert after.columns["jet_pt"] == pytest.approx(pt, rel=1e-5)
    assert after.columns["jet_energy"] == pytest.approx(total[3], rel=1e-5)
    assert after.columns["jet_eta"] == pytest.approx(eta, abs=1e-5)
    assert np.cos(after.columns["jet_phi"] - phi) == pytest.approx(1, abs=1e-9)
    several = after.multiplicities > 1  # one constituent's mass is rounding noise of float32
    assert after.columns["jet_mass"][several] == pytest.approx(mass[several], rel=2e-3)
    assert after.columns["jet_nparticles"] == pytest.approx(after.multiplicities)
    jet = np.repeat(np.arange(len(after)), after.multiplicities)
    deta = (np.arcsinh(pz / np.hypot(px, py)) - eta[jet]) * np.where(eta < 0, -1, 1)[jet]
    assert after.constituents["part_deta"] == pytest.approx(deta, abs=1e-5)
    assert np.cos(after.constituents["part_dphi"] - np.arctan2(py, px) + phi[jet]) == pytest.approx(1, abs=1e-9)
    assert by_falling_pt(after.constituents["part_px"], after.constituents["part_py"], after.offsets) is None


@pytest.mark.parametrize("text", ["drop=0.3", "smear=0.3", "scale=0.1"])
@pytest.mark.parametrize(
    ("name", "schema"), [("jetclass2_dev.parquet", "jetclass2"), ("jetclass_mixed_dev.root", "jetclass")]
)
def test_real_jets_stay_as_consistent_as_they_were(real, name, schema, text):
    (chunk,) = read_chunks(real(name), schema=SCHEMAS[schema], max_constituents=1000)
    after = perturbed(chunk.jets, text, entries=chunk.origin.entries)
    px, py, pz = (after.constituents[axis].astype(np.float64) for axis in CORE[:3])
    total = [np.add.reduceat(values, after.offsets[:-1]) for values in (px, py)]
    assert after.columns["jet_pt"] == pytest.approx(np.hypot(*total), rel=1e-6)
    eta = np.repeat(after.columns["jet_eta"], after.multiplicities)
    deta = (np.arcsinh(pz / np.hypot(px, py)) - eta) * np.where(eta < 0, -1, 1)
    assert after.constituents["part_deta"] == pytest.approx(deta, abs=1e-6)


def test_a_shifted_scale_moves_masses_as_it_should_and_no_angle():
    jets = make_jets()
    after = perturbed(jets, "scale=0.03")
    for name in ("jet_pt", "jet_energy", "jet_sdmass"):
        assert after.columns[name] == pytest.approx(1.03 * jets.columns[name], rel=1e-6)
    assert after.columns["jet_tau1"] is jets.columns["jet_tau1"] or np.array_equal(
        after.columns["jet_tau1"], jets.columns["jet_tau1"]
    )
    assert after.constituents["part_deta"] == pytest.approx(jets.constituents["part_deta"], abs=1e-6)


def test_what_needs_clustering_stays_as_it_is():
    jets = make_jets()
    after = perturbed(jets, "drop=0.3")
    for name in ("jet_sdmass", "jet_tau1", "jet_tau4"):
        assert np.array_equal(after.columns[name], jets.columns[name])


def test_without_identity_leptons_are_charged_hadrons_and_photons_neutral_ones():
    jets = make_jets()
    after = perturbed(jets, "without=identity").constituents
    assert np.array_equal(after["part_isChargedHadron"], jets.constituents["part_charge"] != 0)
    assert np.array_equal(after["part_isNeutralHadron"], jets.constituents["part_charge"] == 0)
    assert not any(after[name].any() for name in ("part_isPhoton", "part_isElectron", "part_isMuon"))


def test_a_feature_set_without_displacement_does_not_notice_that_it_is_gone():
    jets = make_jets()
    after = perturbed(jets, "without=displacement")
    for name in ("part-kin", "part-kinpid", "jet-observables"):
        before, later = (compute_inputs(FEATURE_SETS[name], each) for each in (jets, after))
        for part in ("features", "p4", "jet_features"):
            assert np.array_equal(getattr(before, part), getattr(later, part))
        assert not parse_perturbation("without=displacement").touches(FEATURE_SETS[name].needs)
    full = FEATURE_SETS["part-full"]
    assert parse_perturbation("without=displacement").touches(full.needs)
    assert not np.array_equal(compute_inputs(full, jets).features, compute_inputs(full, after).features)


def test_jets_are_perturbed_with_all_constituents_and_then_cut():
    jets, entries = make_jets(most=30), np.arange(40)
    truth = Truth(np.zeros(40, np.int64), ("QCD",), {})
    chunk = Chunk(jets, truth, Origin("f", entries), 40, {}, 0, 0)
    drop = parse_perturbation("drop=0.3")
    cut = perturb_chunk(chunk, drop, file=FILE, max_constituents=10)
    whole = perturb(jets, drop, file=FILE, entries=entries)
    assert np.array_equal(cut.jets.multiplicities, np.minimum(whole.multiplicities, 10))
    assert cut.jets.columns["jet_pt"] is whole.columns["jet_pt"] or np.array_equal(
        cut.jets.columns["jet_pt"], whole.columns["jet_pt"]
    )
    assert cut.truncated_jets == (whole.multiplicities > 10).sum()
    assert cut.truncated_constituents == whole.offsets[-1] - cut.jets.offsets[-1]
    assert perturb_chunk(chunk, drop, file=FILE, max_constituents=128).truncated_jets == 0


def test_columns_that_a_perturbation_needs_are_read_with_those_of_the_backbone():
    assert parse_perturbation("drop=0.1").needs(("part_deta",)) == ("part_deta", "jet_eta")
    assert parse_perturbation("drop=0.1").needs(("part_px",)) == ("part_px",)
    assert set(parse_perturbation("without=identity").needs(("part_isMuon",))) == set(FLAGS)
    assert parse_perturbation("without=charge").needs(("part_deta",)) == ("part_deta",)


def test_jets_that_lack_such_a_column_are_refused():
    jets = make_jets()
    bare = Jets(jets.constituents, jets.offsets, {})
    with pytest.raises(DataError, match="jets without jet_eta cannot be perturbed"):
        perturbed(bare, "drop=0.1")
    some = Jets({name: jets.constituents[name] for name in (*CORE, "part_isMuon")}, jets.offsets, {})
    with pytest.raises(DataError, match="jets without part_isChargedHadron"):
        perturbed(some, "without=identity")


@pytest.mark.parametrize("text", ALL)
def test_no_jets_stay_no_jets(text):
    assert len(perturbed(make_jets().take(np.empty(0, np.int64)), text)) == 0


@pytest.mark.parametrize("text", ALL)
def test_a_perturbation_is_written_as_it_is_read(text):
    parsed = parse_perturbation(text, seed=3)
    assert str(parsed) == text
    assert parse_perturbation(str(parsed), seed=3) == parsed
    assert replace(parsed, seed=0) != parsed
    assert parsed.version == PERTURBATIONS[parsed.name].version


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("drop", "write NAME=VALUE"),
        ("drop=1", r"lies in \[0, 1\), not 1"),
        ("drop=-0.1", "lies in"),
        ("smear=nan", "lies in"),
        ("smear=much", "could not convert"),
        ("without=everything", "there is no group 'everything'; known: displacement, charge, identity"),
    ],
)
def test_a_value_without_sense_is_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_perturbation(text)


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'smear'"):
        parse_perturbation("smearing=0.1")
