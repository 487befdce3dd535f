"""The published configurations, read by us, give the inputs that weaver gives, to 1e-6, on real jets.

Quark/gluon and top jets: no original file is at hand, so one is written in the layout of weaver's parquet files
(jet-universe/particle_transformer, utils/convert_qg_datasets.py and convert_top_datasets.py) from the real jets. Those
of the quark/gluon sample come without particle identities; here they are drawn at random.
"""

import awkward as ak
import numpy as np
import pytest

from jetassay.errors import ConfigError
from jetassay.features.inputs import compute_inputs
from jetassay.features.quantities import columns_of
from jetassay.features.recipe import FeatureSet
from jetassay.features.sets import FEATURE_SETS
from jetassay.features.weaver.reading import read_weaver_config
from jetassay.jets.reading import read_chunks
from jetassay.jets.schema import CORE, SCHEMAS, Schema
from jetassay.registry import Registry

LARGEST = 1e-6
JETS = 300

FLAGS = {
    "part_isChargedHadron": (211, 321, 2212),
    "part_isNeutralHadron": (130, 2112),
    "part_isPhoton": (22,),
    "part_isElectron": (11,),
    "part_isMuon": (13,),
}
COLUMNS = ("jet_pt", "jet_eta", "jet_phi", "jet_energy", "jet_mass", "jet_nparticles")

CASES = [
    ("jetclass_mixed_dev.root", "jetclass", "JetClass_kin.yaml"),
    ("jetclass2_dev.parquet", "jetclass2", "JetClass_kin.yaml"),
    ("jetclass2_dev.parquet", "jetclass2", "JetClass_kinpid.yaml"),
    ("jetclass2_dev.parquet", "jetclass2", "JetClass_full.yaml"),
    ("jetclass2_dev.parquet", "jetclass2", "JetClassII_full.yaml"),
    ("jetclass2_vectors.root", "jetclass2", "JetClass_full.yaml"),
    ("jetclass2_vectors.root", "jetclass2", "JetClassII_full.yaml"),
    ("quarkgluon_dev.npz", "quarkgluon-layout", "qg_kin.yaml"),
    ("quarkgluon_dev.npz", "quarkgluon-layout", "qg_kinpid.yaml"),
    ("quarkgluon_dev.npz", "quarkgluon-layout", "qg_kinpidplus.yaml"),
    ("toplandscape_dev.npz", "top-layout", "top_kin.yaml"),
]
SAME = [
    ("JetClass_kin.yaml", "part-kin"),
    ("JetClass_kinpid.yaml", "part-kinpid"),
    ("JetClass_full.yaml", "part-full"),
    ("JetClassII_full.yaml", "sophon"),
]


@pytest.fixture
def layouts(monkeypatch):
    """The schemas that ship, and those of the two layouts."""
    registry = Registry("schema", of=Schema)
    for name in SCHEMAS:
        registry.add(name, lambda name=name: SCHEMAS[name])
    identities = (*FLAGS, "part_charge", "part_pid")
    for name, labels, more in [
        ("quarkgluon-layout", ("gluon", "quark"), identities),
        ("top-layout", ("QCD", "top"), ()),
    ]:
        registry.add(
            name,
            lambda name=name, labels=labels, more=more: Schema(
                name=name, title="", tree="tree", constituents=(*CORE, "part_deta", "part_dphi", *more),
                columns=COLUMNS, label_names=labels, label_branch="label", truth=("label",),
            ),
        )  # fmt: skip
    monkeypatch.setattr("jetassay.features.recipe.SCHEMAS", registry)
    return registry


def written_in_layout(source, target, *, identities):
    """A parquet file in weaver's layout from the first jets of a real sample."""
    stored = np.load(source)
    vectors, points, mask, labels = (stored[name][:JETS] for name in ("vectors", "points", "mask", "labels"))
    real = mask[:, 0] > 0
    counts = real.sum(axis=1)
    px, py, pz, energy = vectors.transpose(1, 0, 2)
    total = (vectors * mask).sum(axis=2, dtype=float).T
    pt = np.hypot(total[0], total[1])
    table = {
        "jet_pt": pt, "jet_eta": np.arcsinh(total[2] / pt), "jet_phi": np.arctan2(total[1], total[0]),
        "jet_energy": total[3], "jet_nparticles": counts,
        "jet_mass": np.sqrt(np.maximum(total[3] ** 2 - (total[:3] ** 2).sum(axis=0), 0)),
        "part_px": px[real], "part_py": py[real], "part_pz": pz[real], "part_energy": energy[real],
        "part_deta": points[:, 0][real], "part_dphi": points[:, 1][real],
    }  # fmt: skip
    if identities:
        kinds = np.array([22, 211, -211, 321, -321, 130, 2112, -2112, 2212, -2212, 11, -11, 13, -13])
        pid = np.random.default_rng(7).choice(kinds, counts.sum()).astype(np.float32)
        table["part_pid"] = pid
        for flag, members in FLAGS.items():
            table[flag] = np.isin(np.abs(pid), members).astype(np.float32)
        charged = np.isin(np.abs(pid), (11, 13, 211, 321, 2212))
        table["part_charge"] = charged * np.sign(pid) * np.where(np.abs(pid) < 100, -1, 1).astype(np.float32)
    columns = {"label": labels}
    for name, values in table.items():
        flat = np.ascontiguousarray(values, np.float32)
        columns[name] = ak.unflatten(flat, counts) if name.startswith("part_") else flat
    ak.to_parquet(ak.Array(columns), target)


@pytest.mark.parametrize(("file", "schema", "name"), CASES)
def test_inputs_read_from_a_published_configuration_equal_those_of_weaver(
    file, schema, name, real_data, weaver, layouts, tmp_path
):
    path = real_data / file
    if path.suffix == ".npz":
        path = tmp_path / "jets.parquet"
        written_in_layout(real_data / file, path, identities="quark" in file)
    configuration = real_data / "weaver_configs" / name
    config = read_weaver_config(configuration)
    chunks = list(
        read_chunks(
            path,
            schema=layouts[schema],
            needs=config.feature_set.needs,
            max_constituents=config.max_constituents,
        )
    )
    batch = compute_inputs(config.feature_set, chunks[0].jets)
    tensors = weaver.tensors(configuration, path=path)
    difference = max(
        weaver.largest_difference(tensors[f"_{what}"], rows, batch.multiplicities)
        for what, rows in [
            ("pf_features", batch.features),
            ("pf_vectors", batch.p4),
            ("pf_points", batch.features[:, config.point_columns]),
        ]
    )
    assert len(batch) == len(tensors["_pf_features"]) >= 50
    assert difference <= LARGEST


def test_full_inputs_of_real_tops_equal_those_of_weaver(tops, real_data, weaver):
    jets, _ = tops
    configuration = real_data / "weaver_configs" / "JetClass_full.yaml"
    features, vectors = weaver.inputs(configuration, table=weaver.table(jets))
    batch = compute_inputs(read_weaver_config(configuration).feature_set, jets)
    assert weaver.largest_difference(features, batch.features, batch.multiplicities) <= LARGEST
    assert weaver.largest_difference(vectors, batch.p4, batch.multiplicities) <= LARGEST


@pytest.mark.parametrize(("configuration", "name"), SAME)
def test_a_shipped_set_is_what_the_published_file_says_item_by_item(configuration, name, real_data, make_jets):
    ours = FEATURE_SETS[name]
    published = read_weaver_config(real_data / "weaver_configs" / configuration).feature_set
    assert facts(ours) == facts(published)
    jets = make_jets([1, 7, 90, 33])
    one, other = compute_inputs(ours, jets), compute_inputs(published, jets)
    np.testing.assert_array_equal(one.features, other.features)
    np.testing.assert_array_equal(one.p4, other.p4)


def facts(feature_set: FeatureSet):
    """Of each input what it is made of and what is done to it; quantities have other names in the files."""
    table = feature_set.table
    features = [(set(columns_of(each.name, table)), each.shift, each.scale, each.clip) for each in feature_set.features]
    return features, [set(columns_of(each, table)) for each in feature_set.p4]


def test_the_selection_of_jetclass2_keeps_the_jets_that_its_schema_keeps(real_data):
    config = read_weaver_config(real_data / "weaver_configs" / "JetClassII_full.yaml")
    schema, path = SCHEMAS["jetclass2"], real_data / "jetclass2_dev.parquet"
    (everything,) = read_chunks(path, schema=schema)
    (selected,) = read_chunks(path, schema=schema, selection=schema.selection)
    keeps = np.logical_and.reduce([rule.keeps(everything.jets) for rule in config.selection])
    assert 0 < keeps.sum() < len(keeps)
    np.testing.assert_array_equal(everything.origin.entries[keeps], selected.origin.entries)


def test_the_names_of_truth_in_a_published_file_are_listed_apart_from_the_inputs(real_data):
    config = read_weaver_config(real_data / "weaver_configs" / "JetClassII_full.yaml")
    assert config.columns_behind(config.labels.formulas["truth_label"]) == ("jet_label",)
    assert config.columns_behind(config.variables["label_X_YY_QQQQ"]) == ("jet_label",)
    assert len(config.weights.classes) == len(config.weights.class_weights) == 30
    assert "jet_label" not in config.feature_set.needs
    assert not any("label" in quantity for quantity in config.feature_set.table)


@pytest.mark.parametrize("name", ["JetClass_full.yaml", "JetClassII_full.yaml"])
def test_a_file_that_weaver_wrote_after_standardising_by_itself_gives_weavers_inputs(name, real_data, weaver, tmp_path):
    from weaver.utils.data.config import DataConfig
    from weaver.utils.data.preprocess import AutoStandardizer

    text = (real_data / "weaver_configs" / name).read_text(encoding="utf-8")
    asked, written = tmp_path / "asked.yaml", tmp_path / "written.yaml"
    for line in ("part_charge", "part_d0", "part_px", "part_px_scale"):
        text = text.replace(f"[{line}, null]", line)
    asked.write_text(text.replace("method: manual", "method: auto"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"asked.yaml, line \d+, column \d+: the numbers of 'part_"):
        read_weaver_config(asked)
    path = real_data / "jetclass2_dev.parquet"
    standardised = DataConfig.load(str(asked))
    AutoStandardizer([str(path)], standardised).produce(str(written))

    config = read_weaver_config(written)
    assert {config.feature_set.features[5].clip, config.feature_set.features[11].clip} == {(-5, 5)}
    assert config.feature_set.features[11].scale != 1
    (chunk,) = read_chunks(path, schema=SCHEMAS["jetclass2"], needs=config.feature_set.needs)
    batch = compute_inputs(config.feature_set, chunk.jets)
    features, vectors = weaver.inputs(written, path=path)
    assert weaver.largest_difference(features, batch.features, batch.multiplicities) <= LARGEST
    assert weaver.largest_difference(vectors, batch.p4, batch.multiplicities) <= LARGEST
