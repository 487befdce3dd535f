"""Other datasets of the field, written from real jets in their published layouts; see `published_layouts`."""

import numpy as np
import pytest
from published_layouts import (
    JETSSL_ORDER,
    RealJets,
    write_energyflow,
    write_hls4ml,
    write_jetssl,
    write_top_hdf5,
    write_weaver,
)

from jetassay.errors import DataError
from jetassay.features.inputs import compute_inputs
from jetassay.features.sets import FEATURE_SETS
from jetassay.jets.catalogue import dataset_cards, open_card
from jetassay.jets.classes import CLASS_NAMES
from jetassay.jets.counting import count_labels
from jetassay.jets.dataset import open_dataset, split_files
from jetassay.jets.inspection import inspect_file
from jetassay.jets.reading import read_chunks
from jetassay.jets.schema import SCHEMAS

JETS = 250
HLS4ML_OF = {"Wqq": "w", "Zqq": "z", "Tbqq": "t", "QCD": "g"}


@pytest.fixture
def tops(real):
    return RealJets.read(real("toplandscape_dev.npz"), JETS)


@pytest.fixture
def quarks_and_gluons(real):
    return RealJets.read(real("quarkgluon_dev.npz"), JETS)


@pytest.fixture
def mixed(real):
    return RealJets.read(real("jetclass_mixed_dev.npz"))


@pytest.fixture
def written(request, tmp_path, tops, quarks_and_gluons, mixed):
    """Path, real jets and expected label names of one dataset in one layout."""
    names = [CLASS_NAMES[label] for label in mixed.labels]
    flavours = [HLS4ML_OF.get(name, "q") for name in names]
    hls4ml = [dict(zip("gqwzt", ("gluon", "quark", "Wqq", "Zqq", "Tbqq"), strict=True))[each] for each in flavours]
    top_names = [("QCD", "Tbqq")[label] for label in tops.labels]
    quark_names = [("gluon", "quark")[label] for label in quarks_and_gluons.labels]
    makers = {
        "top-hdf5": lambda: (write_top_hdf5(tmp_path / "train.h5", tops), tops, top_names),
        "top-blosc": lambda: (
            write_top_hdf5(tmp_path / "train.h5", tops, complib="blosc", complevel=5), tops, top_names),
        "top-weaver": lambda: (write_weaver(tmp_path / "train.parquet", tops, identities=False), tops, top_names),
        "qg-npz": lambda: (write_energyflow(tmp_path / "QG_jets.npz", quarks_and_gluons), quarks_and_gluons,
                           quark_names),
        "qg-npz-stored": lambda: (write_energyflow(tmp_path / "QG_jets.npz", quarks_and_gluons, compressed=False),
                                  quarks_and_gluons, quark_names),
        "qg-weaver": lambda: (write_weaver(tmp_path / "qg.parquet", quarks_and_gluons, identities=True),
                              quarks_and_gluons, quark_names),
        "hls4ml": lambda: (write_hls4ml(tmp_path / "jetImage_7_150p_0_10000.h5", mixed, flavours), mixed, hls4ml),
        "jetssl": lambda: (write_jetssl(tmp_path / "train.h5", mixed, names), mixed, names),
    }  # fmt: skip
    layout, dataset = request.param
    return (*makers[layout](), SCHEMAS[dataset])


LAYOUTS = pytest.mark.parametrize(
    "written",
    [
        ("top-hdf5", "toplandscape"), ("top-blosc", "toplandscape"), ("top-weaver", "toplandscape"),
        ("qg-npz", "quarkgluon"), ("qg-npz-stored", "quarkgluon"), ("qg-weaver", "quarkgluon"),
        ("hls4ml", "hls4ml"), ("jetssl", "jetssl"),
    ],
    ids=lambda given: given[0],
    indirect=True,
)  # fmt: skip


@LAYOUTS
def test_real_jets_come_back_from_every_published_layout(written):
    path, jets, names, schema = written
    (chunk,) = read_chunks(path, schema=schema)
    assert [chunk.truth.names[label] for label in chunk.truth.labels] == names
    np.testing.assert_array_equal(chunk.jets.multiplicities, jets.counts)
    massless = schema.name in {"jetssl", "quarkgluon"}
    for place, name in enumerate(("part_px", "part_py", "part_pz")):
        np.testing.assert_allclose(chunk.jets.constituents[name], jets.p4[:, place][jets.used], rtol=2e-6, atol=2e-4)
    energy = jets.p4[:, 3] if schema.name != "jetssl" else np.sqrt((jets.p4[:, :3] ** 2).sum(axis=1))
    np.testing.assert_allclose(chunk.jets.constituents["part_energy"], energy[jets.used], rtol=2e-5, atol=1e-4)
    np.testing.assert_allclose(chunk.jets.constituents["part_deta"], jets.deta[jets.used], atol=2e-6)
    np.testing.assert_allclose(chunk.jets.constituents["part_dphi"], jets.dphi[jets.used], atol=2e-6)
    for name, values in zip(("jet_pt", "jet_eta", "jet_phi"), jets.jet_axis, strict=True):
        np.testing.assert_allclose(chunk.jets.columns[name], values, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(chunk.jets.columns["jet_nparticles"], jets.counts)
    if not massless:
        np.testing.assert_allclose(chunk.jets.columns["jet_mass"], jets.jet_mass, rtol=1e-6, atol=1e-3)


@LAYOUTS
def test_reading_in_ranges_gives_the_jets_of_reading_at_once(written):
    path, _, _, schema = written
    (whole,) = read_chunks(path, schema=schema)
    parts = list(read_chunks(path, schema=schema, start=7, stop=211, entries_per_chunk=50))
    assert [len(part.jets) for part in parts] == [50, 50, 50, 50, 4]
    expected = whole.jets.take(np.arange(7, 211))
    for name, values in expected.constituents.items():
        np.testing.assert_array_equal(np.concatenate([part.jets.constituents[name] for part in parts]), values)
    for name, values in expected.columns.items():
        np.testing.assert_array_equal(np.concatenate([part.jets.columns[name] for part in parts]), values)


@LAYOUTS
def test_inspect_recognises_the_dataset_and_finds_no_problem(written):
    path, jets, _, schema = written
    found = inspect_file(path)
    assert (found.schema, found.entries, found.problems, found.warnings) == (schema.name, len(jets), [], ())
    assert found.layout in [layout.title for layout in schema.layouts]


@pytest.mark.parametrize("pair", ["top", "quark"])
def test_the_published_form_and_the_weaver_form_of_a_dataset_hold_the_same_jets(
    pair, tops, quarks_and_gluons, tmp_path
):
    if pair == "top":
        schema, published = SCHEMAS["toplandscape"], write_top_hdf5(tmp_path / "a.h5", tops)
        weaver = write_weaver(tmp_path / "a.parquet", tops, identities=False)
    else:
        schema, published = SCHEMAS["quarkgluon"], write_energyflow(tmp_path / "a.npz", quarks_and_gluons)
        weaver = write_weaver(tmp_path / "a.parquet", quarks_and_gluons, identities=True)
    one, other = (next(read_chunks(path, schema=schema)) for path in (published, weaver))
    assert list(one.jets.constituents) == list(other.jets.constituents)
    np.testing.assert_array_equal(one.truth.labels, other.truth.labels)
    for name, values in one.jets.constituents.items():
        np.testing.assert_allclose(values, other.jets.constituents[name], rtol=1e-5, atol=1e-4, err_msg=name)


def test_jetssl_labels_are_told_by_name_and_not_by_their_number(mixed, tmp_path):
    path = write_jetssl(tmp_path / "train.h5", mixed, [CLASS_NAMES[label] for label in mixed.labels])
    counts = count_labels(open_dataset("jetssl", path, schema="jetssl").files, SCHEMAS["jetssl"])
    assert tuple(counts) == JETSSL_ORDER != CLASS_NAMES
    assert {name: counts[name] for name in CLASS_NAMES} == {
        name: int((mixed.labels == index).sum()) for index, name in enumerate(CLASS_NAMES)
    }


def test_jetssl_kinds_become_charges_and_flags(mixed, tmp_path):
    path = write_jetssl(tmp_path / "train.h5", mixed, ["QCD"] * len(mixed))
    (chunk,) = read_chunks(path, schema=SCHEMAS["jetssl"])
    kinds = np.random.default_rng(5).integers(0, 8, mixed.used.shape)[mixed.used]
    parts = chunk.jets.constituents
    np.testing.assert_array_equal(parts["part_charge"], np.array([0, -1, 0, 1, -1, 1, -1, 1])[kinds])
    np.testing.assert_array_equal(parts["part_isPhoton"], kinds == 0)
    np.testing.assert_array_equal(parts["part_isMuon"], kinds >= 6)
    assert (np.stack([parts[name] for name in parts if name.startswith("part_is")]).sum(axis=0) == 1).all()


def test_published_splits_are_kept_and_a_missing_one_is_named(tops, tmp_path, cache):
    for index, name in enumerate(("train", "val", "test")):
        jets = RealJets(*(each[index::3] for each in (tops.p4, tops.used, tops.labels)))
        write_top_hdf5(tmp_path / f"{name}.h5", jets)
    card = dataset_cards()["toplandscape"]
    splits = split_files(open_card(card, folder=tmp_path), seed=1, train=3, validation=1, test=1)
    assert {split: [file.name for file in files] for split, files in splits.items()} == {
        "train": ["train.h5"], "validation": ["val.h5"], "test": ["test.h5"],
    }  # fmt: skip
    (tmp_path / "val.h5").unlink()
    with pytest.raises(DataError, match=r"no file of the published validation split \(val\*\)"):
        split_files(open_card(card, folder=tmp_path), seed=1, train=3, validation=1, test=1)


def test_files_that_hold_all_classes_are_one_group_whatever_they_are_called(mixed, tmp_path, cache):
    for index in range(3):
        names = ["g", "q", "w", "z", "t"] * 60
        write_hls4ml(tmp_path / f"jetImage_7_150p_{index}0000_{index + 1}0000.h5", mixed, names[: len(mixed)])
    dataset = open_card(dataset_cards()["hls4ml"], folder=tmp_path)
    assert list(dataset.groups) == ["hls4ml"]


def test_a_feature_set_that_a_dataset_cannot_feed_is_told_which_datasets_can():
    with pytest.raises(DataError, match=r"'part-full' needs part_charge.*'toplandscape' lacks.*have it: jetclass, jet"):
        SCHEMAS["toplandscape"].require_columns(FEATURE_SETS["part-full"].needs, owner="feature set 'part-full'")
    SCHEMAS["quarkgluon"].require_columns(FEATURE_SETS["part-kinpid"].needs, owner="feature set 'part-kinpid'")


def test_inputs_of_parts_kinpid_set_are_computed_from_the_published_quark_gluon_file(quarks_and_gluons, tmp_path):
    path = write_energyflow(tmp_path / "QG_jets.npz", quarks_and_gluons)
    feature_set = FEATURE_SETS["part-kinpid"]
    (chunk,) = read_chunks(path, schema=SCHEMAS["quarkgluon"], needs=feature_set.needs)
    batch = compute_inputs(feature_set, chunk.jets)
    assert batch.features.shape == (quarks_and_gluons.counts.sum(), 13)
    flags = batch.features[:, 6:11]
    np.testing.assert_array_equal(flags.sum(axis=1), 1)
