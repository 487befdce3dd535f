"""A card that maps the columns of one's own file: what it can say, and what it cannot."""

import h5py
import numpy as np
import pytest
from published_layouts import RealJets, write_energyflow, write_top_hdf5

from jetassay.errors import ConfigError, DataError, LeakageError
from jetassay.jets.catalogue import dataset_cards, find_schema, open_card, read_dataset_card
from jetassay.jets.digests import content_facts
from jetassay.jets.inspection import inspect_file
from jetassay.jets.reading import read_chunks
from jetassay.jets.schema import SCHEMAS
from jetassay.jets.suggesting import suggest_card

CARD = """
name = "mine"
title = "Mine"
labels = ["QCD", "top"]
truth = ["parton_*"]
[[layouts]]
title = "as given"
formats = ["npz", "hdf5"]
{padding}
{more}
[layouts.columns]
{columns}
[layouts.labels]
{labels}
"""
P4 = 'part_px = "x[0]"\npart_py = "x[1]"\npart_pz = "x[2]"\npart_energy = "x[3]"'
POLAR = 'part_pt = "polar[0]"\npart_eta = "polar[1]"\npart_phi = "polar[2]"\npart_mass = "polar[3]"'
LABELS = 'column = "kind"\nvalues = { QCD = 3, top = 7 }'


@pytest.fixture
def card(tmp_path):
    """A schema from the text of a card."""

    def make(columns=P4, labels=LABELS, more="", padding='padding = "zero"'):
        path = tmp_path / "mine.toml"
        path.write_text(CARD.format(columns=columns, labels=labels, more=more, padding=padding))
        return read_dataset_card(path).make_schema()

    return make


@pytest.fixture
def arrays():
    """Forty jets with up to twelve of sixteen places used, with and without masses."""
    rng = np.random.default_rng(4)
    used = np.arange(16) < rng.integers(1, 13, 40)[:, None]
    pt = np.sort(rng.exponential(20, used.shape) + 1)[:, ::-1] * used
    eta, phi = rng.normal(-0.4, 0.8, used.shape) * used, rng.uniform(-3, 3, used.shape) * used
    mass = rng.choice([0.0, 0.13957, 0.938272], used.shape) * used
    energy = np.sqrt((pt * np.cosh(eta)) ** 2 + mass**2) * used
    cartesian = [pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), energy]
    return {
        "x": np.stack(cartesian, axis=2), "polar": np.stack([pt, eta, phi, mass], axis=2), "used": used,
        "kind": np.where(np.arange(40) % 3 == 0, 7, 3), "parton_pt": rng.normal(size=40), "parton_is": used * 1.0,
        "jet": np.stack([np.arange(40.0), np.arange(40) % 2, 1 - np.arange(40) % 2], axis=1),
    }  # fmt: skip


@pytest.fixture
def npz(tmp_path, arrays):
    def write(**changes):
        np.savez(tmp_path / "jets.npz", **{**arrays, **changes})
        return tmp_path / "jets.npz"

    return write


def read(path, schema, **options):
    (chunk,) = read_chunks(path, schema=schema, **options)
    return chunk


def test_jets_are_the_same_from_cartesian_and_from_polar_columns(card, npz):
    path = npz()
    one, other = read(path, card()), read(path, card(POLAR))
    assert list(one.jets.columns) == list(other.jets.columns)
    for name, values in {**one.jets.constituents, **one.jets.columns}.items():
        got = {**other.jets.constituents, **other.jets.columns}[name]
        np.testing.assert_allclose(got, values, rtol=2e-5, atol=2e-5, err_msg=name)


def test_deta_is_mirrored_for_jets_at_negative_eta_and_dphi_is_wrapped(card, npz, arrays):
    jets = read(npz(), card()).jets
    eta, phi = (np.repeat(jets.columns[name], jets.multiplicities) for name in ("jet_eta", "jet_phi"))
    used = arrays["used"]
    expected = (arrays["polar"][..., 1][used] - eta) * np.where(eta < 0, -1, 1)
    np.testing.assert_allclose(jets.constituents["part_deta"], expected, atol=1e-5)
    turns = (arrays["polar"][..., 2][used] - phi - jets.constituents["part_dphi"]) / (2 * np.pi)
    np.testing.assert_allclose(turns, np.round(turns), atol=1e-5)
    assert np.abs(jets.constituents["part_dphi"]).max() <= np.pi


@pytest.mark.parametrize(("units", "factor"), [("MeV", 1000), ("TeV", 0.001)])
def test_energies_are_brought_to_gev(card, npz, arrays, units, factor):
    one, other = read(npz(), card()), read(npz(x=arrays["x"] * factor), card(more=f'units = "{units}"'))
    for name in ("part_px", "part_energy"):
        np.testing.assert_allclose(other.jets.constituents[name], one.jets.constituents[name], rtol=1e-6)
    for name in ("jet_pt", "jet_energy", "jet_eta", "jet_nparticles"):
        np.testing.assert_allclose(other.jets.columns[name], one.jets.columns[name], rtol=1e-6)


def test_used_places_can_be_told_by_a_mask_too(card, npz, arrays):
    fewer = arrays["used"] & (np.arange(16) < 5)
    path = npz(used=fewer)
    jets = read(path, card(more='mask = "used"', padding="")).jets
    np.testing.assert_array_equal(jets.multiplicities, fewer.sum(axis=1))
    np.testing.assert_allclose(jets.constituents["part_px"], arrays["x"][..., 0][fewer], rtol=1e-6)


def test_labels_are_numbers_of_any_value_or_one_hot_columns_by_name(card, npz, arrays):
    expected = np.where(arrays["kind"] == 7, 1, 0)
    np.testing.assert_array_equal(read(npz(), card()).truth.labels, expected)
    one_hot = 'columns = { top = "jet[1]", QCD = "jet[2]" }'
    chunk = read(npz(), card(labels=one_hot))
    assert chunk.truth.names == ("QCD", "top")
    np.testing.assert_array_equal(chunk.truth.labels, np.arange(40) % 2)


def test_a_label_that_the_card_does_not_know_is_an_error_or_dropped(card, npz, arrays):
    kinds = arrays["kind"].copy()
    kinds[5] = 4
    path = npz(kind=kinds)
    with pytest.raises(DataError, match=r"branch jet_label, entry 5: .*label_out_of_range"):
        read(path, card())
    assert dict(read(path, card(), on_invalid="drop").dropped) == {"label_out_of_range": 1}


@pytest.mark.parametrize(
    ("place", "value", "rule"),
    [((3, 0, 0), np.nan, "non_finite"), ((3, 0, 3), -2.0, "non_positive_energy"), ((3,), 0.0, "no_constituents")],
)
def test_an_unusable_jet_of_a_mapped_file_is_named_or_dropped(card, npz, arrays, place, value, rule):
    broken = arrays["x"].copy()
    broken[place] = value
    path = npz(x=broken)
    with pytest.raises(DataError, match=rf"{path}, branch .*, entry 3: .*{rule}"):
        read(path, card())
    chunk = read(path, card(), on_invalid="drop")
    assert dict(chunk.dropped) == {rule: 1}
    np.testing.assert_array_equal(chunk.origin.entries, np.delete(np.arange(40), 3))


@pytest.mark.parametrize(
    "column",
    ['jet_pt = "kind"', 'jet_pt = "parton_pt"', 'part_charge = "parton_is"', 'jet_tau1 = "some_label"',
     'jet_tau1 = "jet[is_signal]"', 'jet_tau1 = "genjet_pt"', 'jet_tau1 = "truthE"', 'jet_tau1 = "is_top"'],
)  # fmt: skip
def test_truth_cannot_be_mapped_to_an_observed_column(card, column):
    with pytest.raises(LeakageError, match="never be an input"):
        card(f"{P4}\n{column}")


def test_truth_cannot_be_reached_by_its_number_either(card, tmp_path, arrays):
    path = tmp_path / "jets.h5"
    with h5py.File(path, "w") as file:
        for name in ("x", "jet", "kind"):
            file[name] = arrays[name]
        file["names"] = np.array(["pt", "parton_top", "is_qcd"], dtype="S10")
    more = 'feature_names = { jet = "names" }'
    with pytest.raises(LeakageError, match=r"maps jet_tau1 to jet\[parton_top\], which is truth"):
        read(path, card(f'{P4}\njet_tau1 = "jet[1]"', more=more))
    labels = 'columns = { top = "jet[is_qcd]", QCD = "kind" }'
    with pytest.raises(LeakageError, match=r"maps jet_tau1 to jet\[is_qcd\]"):
        read(path, card(f'{P4}\njet_tau1 = "jet[2]"', labels=labels, more=more))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"columns": 'part_px = "x[0]"'}, "constituents need part_px, part_py, part_pz, or part_pt"),
        ({"columns": 'part_px = "a"\npart_py = "b"\npart_pz = "c"'}, "need part_energy or part_mass"),
        ({"columns": f'{P4}\npart_colour = "c"'}, "part_colour: no observed column"),
        ({"more": 'mask = "used"'}, "either `padding` or `mask`"),
        ({"more": 'mass = "pdg"'}, "needs part_pid"),
        ({"more": "codes = [22]"}, "belong together"),
        ({"labels": 'column = "kind"\nvalues = { QCD = 3, top = 3 }'}, "two labels cannot share 3"),
        ({"labels": 'column = "kind"\nvalues = { QCD = 3 }'}, "must be the same names"),
        ({"labels": 'column = "kind"'}, "give either `column` with `values`"),
        ({"more": 'colour = "red"'}, "layouts.0.colour"),
    ],
)
def test_a_card_with_a_gap_is_an_error_that_names_it(card, change, message):
    with pytest.raises(ConfigError, match=message):
        card(**change)


def test_a_file_that_lacks_a_column_of_the_card_is_told_which_and_what_it_has(card, npz):
    schema = card(f'{P4}\njet_sdmass = "groomed"')
    with pytest.raises(DataError, match=r"layout 'as given' .* no groomed \(one number per jet\); it has x\[0\]"):
        read(npz(), schema)


def test_a_file_of_another_format_is_told_which_are_known(tmp_path, make_sample, root_file):
    with pytest.raises(DataError, match="kind root, but dataset 'jetssl' is known as hdf5"):
        read(root_file(make_sample()), SCHEMAS["jetssl"])


def test_an_unknown_particle_number_is_named(real, tmp_path):
    jets = RealJets.read(real("quarkgluon_dev.npz"), 20)
    path = write_energyflow(tmp_path / "QG_jets.npz", jets)
    arrays = dict(np.load(path))
    arrays["X"][4, 0, 3] = 17
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=r"column X\[3\]: 17 is no PDG number"):
        read(path, SCHEMAS["quarkgluon"])


def test_a_gap_in_a_series_of_columns_is_named(real, tmp_path):
    import pandas as pd

    path = write_top_hdf5(tmp_path / "train.h5", RealJets.read(real("toplandscape_dev.npz"), 20))
    pd.read_hdf(path, key="table").drop(columns="PX_7").to_hdf(tmp_path / "gap.h5", key="table", format="table")
    with pytest.raises(DataError, match=r"the series PX_\{\} has no PX_7"):
        read(tmp_path / "gap.h5", SCHEMAS["toplandscape"])


def test_the_digest_follows_the_jets_and_the_card_and_not_the_compression(card, npz, arrays, tmp_path):
    schema = card()
    digest = content_facts(npz(), schema).digest
    np.savez_compressed(tmp_path / "again.npz", **arrays)
    assert content_facts(tmp_path / "again.npz", schema).digest == digest
    changed = arrays["x"].copy()
    changed[0, 0] *= 1.01
    assert content_facts(npz(x=changed), schema).digest != digest
    assert card(labels='column = "kind"\nvalues = { QCD = 7, top = 3 }').digest() != schema.digest()


def test_every_shipped_card_with_layouts_has_a_schema_of_its_name():
    cards = [card for card in dataset_cards().values() if card.layouts]
    assert {card.name for card in cards} >= {"toplandscape", "quarkgluon", "hls4ml", "jetssl"}
    assert all(SCHEMAS[card.name].digest() == card.make_schema().digest() for card in cards)


def test_the_schemas_of_jetclass_have_not_moved():
    assert SCHEMAS["jetclass"].digest().startswith("6e187420f5b810b7")
    assert SCHEMAS["jetclass2"].digest().startswith("8bd5dd927b0c7b6a")


def test_a_suggested_card_reads_the_file_that_it_was_guessed_from(make_sample, root_file, tmp_path, cache):
    sample = make_sample()
    path = root_file(sample, "mine.root")
    card = tmp_path / "mine.toml"
    card.write_text(suggest_card(path))
    one, other = read(path, SCHEMAS["jetclass"]), read(path, find_schema(str(card)))
    assert [one.truth.names[label] for label in one.truth.labels] == [other.truth.names[k] for k in other.truth.labels]
    assert one.jets.constituents.keys() == other.jets.constituents.keys()
    for name, values in one.jets.constituents.items():
        np.testing.assert_array_equal(values, other.jets.constituents[name], err_msg=name)
    assert "aux_genpart_pt" in card.read_text().split("truth = ")[1].split("]")[0]
    assert open_card(read_dataset_card(card), folder=tmp_path).entries == len(sample)


def test_a_suggested_card_of_a_table_or_of_named_columns_needs_the_names_of_labels_alone(real, tmp_path):
    path = write_top_hdf5(tmp_path / "train.h5", RealJets.read(real("toplandscape_dev.npz"), 50))
    text = suggest_card(path)
    assert 'part_px = "PX_{}"' in text
    assert 'column = "is_signal_new"' in text
    assert '"truthE"' in text.split("truth = ")[1].split("]")[0]
    card = tmp_path / "train.toml"
    card.write_text(text.replace("class_0", "QCD").replace("class_1", "Tbqq"))
    found = inspect_file(path, schema=find_schema(str(card)))
    assert (found.schema, found.problems, found.warnings) == ("train", [], ())


def test_a_suggested_card_says_what_it_could_not_find_and_what_else_there_is(npz):
    text = suggest_card(npz())
    assert "# four-vectors were not found" in text
    assert '# ? = "x[0]" to "x[3]"' in text
    assert "# no label was found" in text


def test_a_suggested_card_finds_branches_of_other_names_and_units(real, tmp_path):
    import awkward as ak
    import uproot

    jets = RealJets.read(real("toplandscape_dev.npz"), 60)
    lists = {"pt": jets.pt * 1000, "eta": jets.eta, "phi": jets.phi, "mass": jets.pt * 0}
    arrays = {f"PFCand_{name}": ak.unflatten(values[jets.used], jets.counts) for name, values in lists.items()}
    arrays |= {"FatJet_msoftdrop": jets.jet_mass * 1000, "is_top": jets.labels.astype(np.int32)}
    with uproot.recreate(tmp_path / "ours.root") as file:
        file.mktree("Events", {name: getattr(values, "dtype", None) or values.type for name, values in arrays.items()})
        file["Events"].extend(arrays)
    card = tmp_path / "ours.toml"
    card.write_text(suggest_card(tmp_path / "ours.root").replace("class_0", "QCD").replace("class_1", "Tbqq"))
    chunk = read(tmp_path / "ours.root", find_schema(str(card)))
    np.testing.assert_array_equal(chunk.truth.labels, jets.labels)
    np.testing.assert_allclose(chunk.jets.columns["jet_sdmass"], jets.jet_mass, rtol=1e-5)
    np.testing.assert_allclose(chunk.jets.constituents["part_px"], jets.p4[:, 0][jets.used], rtol=1e-4, atol=1e-3)
