"""The official ParticleNet on real jets, against figures of the original, and on simulated ones."""

import shutil
from functools import partial

import numpy as np
import pandas as pd
import pytest
import test_contract
import torch
from sklearn.metrics import roc_auc_score
from test_particlenet import official, run
from typer.testing import CliRunner

from jetassay.backbones.catalogue import backbone_cards
from jetassay.backbones.loading import load_backbone
from jetassay.backbones.padding import pad
from jetassay.backbones.particlenet import build
from jetassay.backbones.weights import read_state
from jetassay.cli import app
from jetassay.features.batch import InputBatch
from jetassay.features.inputs import compute_inputs
from jetassay.features.sets import FEATURE_SETS
from jetassay.jets.classes import CLASS_NAMES
from jetassay.jets.containers import Jets
from jetassay.places import project_root
from jetassay.progress import Reporter
from jetassay.simulation import Recipe, default_output, simulate


@pytest.fixture(scope="module")
def real_data():
    folder = project_root().parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real jets and official weights are not at hand: {folder} does not exist")
    return folder


@pytest.fixture(scope="module")
def weights_cache(real_data, tmp_path_factory):
    """A cache with the official weights where `jetassay` looks for them."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        cache = tmp_path_factory.mktemp("cache")
        monkeypatch.setenv("JETASSAY_CACHE", str(cache))
        for name in ("kin", "full"):
            folder = cache / "weights" / f"particlenet-{name}"
            folder.mkdir(parents=True)
            shutil.copy(real_data / "weights" / f"ParticleNet_{name}.pt", folder)
        yield cache


@pytest.fixture(scope="module")
def backbones(weights_cache):
    return {name: load_backbone(backbone_cards()[f"particlenet-{name}"]) for name in ("kin", "full")}


def logits_of(backbone, batch):
    """In batches of 64 jets."""
    parts = (batch.take(np.arange(first, min(first + 64, len(batch)))) for first in range(0, len(batch), 64))
    return np.concatenate([run(backbone.module, pad(part))[1].numpy() for part in parts])


@pytest.fixture(scope="module")
def stored_logits(real_data):
    with np.load(real_data / "particlenet_logits_dev.npz") as stored:
        return dict(stored)


def kinematic_inputs(stored):
    """Real jets through our own inputs, with the jet as the sum of its constituents."""
    mask = stored["mask"][:, 0] > 0
    columns = np.concatenate([stored["vectors"], stored["points"]], axis=1).transpose(0, 2, 1)[mask]
    total = np.where(mask[:, None], stored["vectors"], 0).sum(axis=2, dtype=np.float64)
    names = ("part_px", "part_py", "part_pz", "part_energy", "part_deta", "part_dphi")
    jet_columns = {"jet_pt": np.hypot(total[:, 0], total[:, 1]), "jet_energy": total[:, 3]}
    jets = Jets(
        {name: np.ascontiguousarray(column) for name, column in zip(names, columns.T, strict=True)},
        np.concatenate([[0], np.cumsum(mask.sum(axis=1))]),
        {name: column.astype(np.float32) for name, column in jet_columns.items()},
    )
    return compute_inputs(FEATURE_SETS["part-kin"], jets)


@pytest.fixture(scope="module")
def mixed(real_data):
    """The real jets of all classes, and their labels."""
    with np.load(real_data / "jetclass_mixed_dev.npz") as stored:
        return kinematic_inputs(stored), stored["labels"].argmax(axis=1)


@pytest.fixture(scope="module")
def tops(real_data):
    """The real tops: for kin from their four-vectors, for full the 17 inputs as given but clipped; labels."""
    with np.load(real_data / "jetclass_top_dev.npz") as stored:
        kin, labels = kinematic_inputs(stored), stored["labels"].argmax(axis=1)
        given = stored["features"].transpose(0, 2, 1)[stored["mask"][:, 0] > 0]
    full = InputBatch(np.clip(given, -5, 5), kin.p4, kin.offsets, kin.jet_features)
    return {"kin": kin, "full": full}, labels


def test_official_weights_give_the_stored_logits_on_real_jets(backbones, mixed, tops, stored_logits):
    found = {
        "kin_mixed": logits_of(backbones["kin"], mixed[0]),
        "kin_top": logits_of(backbones["kin"], tops[0]["kin"]),
        "full_top": logits_of(backbones["full"], tops[0]["full"]),
    }
    assert (mixed[0].multiplicities < 16).sum() == 7
    for name, logits in found.items():
        assert np.abs(logits - stored_logits[name]).max() <= 1e-4, name


def test_official_weights_recognise_the_real_mixed_jets_as_often_as_the_originals_do(backbones, mixed):
    batch, labels = mixed
    scores = torch.from_numpy(logits_of(backbones["kin"], batch)).double().softmax(dim=1).numpy()
    assert (scores.argmax(axis=1) == labels).mean() == pytest.approx(0.725, abs=0.0005)
    assert roc_auc_score(labels, scores, multi_class="ovo", average="macro") == pytest.approx(0.955, abs=0.0005)


@pytest.mark.parametrize(("name", "hadronic", "leptonic"), [("kin", 0.84, 0.96), ("full", 0.94, 0.98)])
def test_official_weights_recognise_the_real_tops_as_often_as_the_originals_do(
    name, hadronic, leptonic, backbones, tops
):
    batches, labels = tops
    hits = logits_of(backbones[name], batches[name]).argmax(axis=1) == labels
    assert hits[labels == CLASS_NAMES.index("Tbqq")].mean() == pytest.approx(hadronic)
    assert hits[labels == CLASS_NAMES.index("Tbl")].mean() == pytest.approx(leptonic)


def test_official_weights_equal_weaver_in_float64_on_real_jets(real_data, mixed):
    parameters = backbone_cards()["particlenet-kin"].parameters
    ours, (theirs, run_theirs) = build(**parameters).eval(), official(**parameters)
    state = read_state(real_data / "weights" / "ParticleNet_kin.pt", prefix="mod.")
    short = np.flatnonzero(mixed[0].multiplicities < 16)
    jets = pad(mixed[0].take(np.concatenate([short, np.arange(8)])), dtype=torch.float64)
    for module in (ours, theirs):
        module.load_state_dict(state, strict=True)
        module.double()
    with torch.inference_mode():
        pairs = zip(run(ours, jets), run_theirs(jets), strict=True)
        assert max(float((one - other).abs().max()) for one, other in pairs) <= 1e-9


def test_a_real_jet_is_the_same_alone_and_in_any_batch(backbones, mixed):
    batch = mixed[0]
    order = np.argsort(-batch.multiplicities, kind="stable")
    together = logits_of(backbones["kin"], batch.take(order))
    alone = np.concatenate([logits_of(backbones["kin"], batch.take(order[jet : jet + 1])) for jet in range(len(order))])
    assert np.abs(together - alone).max() <= 1e-4


PROMISES = [each for name, each in vars(test_contract).items() if name.startswith("test_")]


@pytest.mark.parametrize("promise", PROMISES, ids=lambda each: each.__name__)
@pytest.mark.parametrize("name", ["kin", "full"])
def test_official_weights_keep_what_every_backbone_promises(name, promise, backbones, make_batch):
    backbone = backbones[name]
    promise(backbone, partial(make_batch, feature_set=FEATURE_SETS[backbone.card.feature_set]))


def test_bfloat16_products_leave_the_decision_on_most_real_jets(backbones, weights_cache, tops):
    batch = tops[0]["full"].take(np.arange(0, 100, 4))
    rounded = load_backbone(backbone_cards()["particlenet-full"], dtype="bfloat16").embed(batch)
    exact = backbones["full"].embed(batch)
    assert (rounded.scores.argmax(axis=1) == exact.scores.argmax(axis=1)).mean() >= 0.9
    assert not np.array_equal(rounded.scores, exact.scores)


@pytest.mark.slow
def test_official_weights_recognise_simulated_jets_and_so_do_embeds_scores(weights_cache, tmp_path, monkeypatch):
    recipe = Recipe(classes=CLASS_NAMES, jets=1000, files=2, seed=2202)
    with monkeypatch.context() as usual:
        usual.delenv("JETASSAY_CACHE")
        files = simulate(recipe, output=default_output(recipe), reporter=Reporter(quiet=True))
    output = tmp_path / "simulated.parquet"
    arguments = ["embed", "particlenet-full", *map(str, files), "--output", str(output), "--scores", "--quiet"]
    assert CliRunner().invoke(app, arguments, catch_exceptions=False).exit_code == 0
    table = pd.read_parquet(output)
    scores = table[[f"score_{name}" for name in CLASS_NAMES]].to_numpy()
    labels = table.source_file.str.split("_").str[0].map(CLASS_NAMES.index).to_numpy()
    hits = scores.argmax(axis=1) == labels
    print("accuracy", hits.mean(), {name: hits[labels == place].mean() for place, name in enumerate(CLASS_NAMES)})
    assert len(table) == 10_000
    assert hits.mean() >= 0.83
