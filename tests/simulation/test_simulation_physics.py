"""Slow: simulated jets against real ones, and against what official weights make of them.

Figures are printed as they are found. Real jets and weights lie beside the checkout; the samples are simulated once
into the cache. All seeds are fixed, so the outcome does not change from run to run.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot
from scipy.stats import ks_2samp
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from threadpoolctl import threadpool_limits

from jetassay.jets.classes import CLASS_NAMES
from jetassay.places import cache_folder
from jetassay.progress import Reporter
from jetassay.simulation import RECIPE_FILE, SIMULATION_VERSION, Recipe, default_output, simulate
from jetassay.simulation.sample import available_cores
from jetassay.simulation.workers import Workers
from jetassay.simulation.writing import read_facts

pytestmark = pytest.mark.slow

PUBLISHED = Recipe(classes=CLASS_NAMES, jets=1000, files=2, seed=2202)
IDEAL = Recipe(classes=("Hbb",), jets=1000, files=2, seed=2202, mode="ideal")
WITHOUT_VETO_JETS = 600
FALSE_ALARM = 0.01
"""Chance that a whole table of KS tests fails though the samples agree; shared out over its tests."""
MAX_CONSTITUENTS = 128


@pytest.fixture(scope="module")
def say(request) -> Callable[[str], None]:
    """Print although pytest captures."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def print_now(text: str) -> None:
        with capture.global_and_fixture_disabled():
            print(text, flush=True)

    return print_now


@pytest.fixture(scope="module")
def published(read) -> dict[str, ak.Array]:
    """Jets by class."""
    found = read(simulate(PUBLISHED, output=default_output(PUBLISHED), reporter=Reporter(quiet=True)))
    return {name: found[ak.values_astype(found[f"label_{name}"], bool)] for name in CLASS_NAMES}


@pytest.fixture(scope="module")
def without_veto(read) -> dict[str, Path]:
    folder = cache_folder() / "simulated" / f"without-veto-{SIMULATION_VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    paths = {name: folder / f"{name}.root" for name in CLASS_NAMES}
    common = {"kind": "jetclass", "file": 0, "jets": WITHOUT_VETO_JETS, "seed": 99, "mode": "delphes", "digest": ""}
    tasks = [
        {**common, "name": name, "path": str(path), "veto": False} for name, path in paths.items() if not path.exists()
    ]
    with Workers(tasks, count=available_cores()) as crew:
        list(crew.messages())
    return paths


@dataclass(frozen=True)
class Momenta:
    """Momenta of constituents (J, 128), zero where there is none, by falling pT."""

    px: np.ndarray
    py: np.ndarray
    pz: np.ndarray
    energy: np.ndarray

    @classmethod
    def of_simulated(cls, jets: ak.Array) -> "Momenta":
        return cls(*(padded(jets[f"part_{name}"]) for name in ("px", "py", "pz", "energy")))

    @classmethod
    def of_real(cls, vectors: np.ndarray) -> "Momenta":
        return cls(*np.moveaxis(vectors.astype(np.float64), 1, 0))

    def observables(self) -> dict[str, np.ndarray]:
        """32 numbers of each jet."""
        pt = np.hypot(self.px, self.py)
        real = pt > 0
        px, py, pz, energy = (each.sum(axis=1) for each in (self.px, self.py, self.pz, self.energy))
        jet_pt = np.hypot(px, py)
        eta = np.arcsinh(self.pz / np.where(real, pt, 1))
        turn = np.arctan2(self.py, self.px) - np.arctan2(py, px)[:, None]
        turn = (turn + np.pi) % (2 * np.pi) - np.pi
        distance = np.where(real, np.hypot(eta - np.arcsinh(pz / jet_pt)[:, None], turn), 0)
        fraction = pt / pt.sum(axis=1, keepdims=True)
        return {
            "constituents": real.sum(axis=1).astype(float),
            "pT": jet_pt,
            "|eta|": np.abs(np.arcsinh(pz / jet_pt)),
            "mass": np.sqrt(np.maximum(energy**2 - px**2 - py**2 - pz**2, 0)),
            "leading pT fraction": fraction[:, 0],
            "pTD": np.sqrt((fraction**2).sum(axis=1)),
            "width": (fraction * distance).sum(axis=1),
            "second moment": (fraction * distance**2).sum(axis=1),
            **{f"pT fraction {rank}": fraction[:, rank] for rank in range(1, 8)},
            **{f"distance {rank}": distance[:, rank] for rank in range(8)},
            **{f"within {r / 10}": (fraction * (distance < r / 10)).sum(axis=1) for r in range(1, 7)},
            **{f"first {count}": fraction[:, :count].sum(axis=1) for count in (5, 10, 20)},
        }


def padded(column: ak.Array) -> np.ndarray:
    filled = ak.fill_none(ak.pad_none(column, MAX_CONSTITUENTS, clip=True), 0)
    return ak.to_numpy(filled).astype(np.float64)


def two_sample_auc(first: Momenta, second: Momenta) -> tuple[float, float]:
    """Cross-validated AUC of boosted trees that tell two samples apart, and its error were they the same."""
    inputs = [np.stack(list(each.observables().values()), axis=1) for each in (first, second)]
    assert inputs[0].shape[1] == 32
    target = np.repeat([0, 1], [len(each) for each in inputs])
    folds = StratifiedKFold(10, shuffle=True, random_state=0)
    trees = HistGradientBoostingClassifier(max_iter=100, learning_rate=0.05, random_state=0)
    # On a busy machine the threads of such small trees mostly wait for each other.
    with threadpool_limits(1):
        scores = cross_val_predict(trees, np.concatenate(inputs), target, cv=folds, method="predict_proba")[:, 1]
    sizes = [len(each) for each in inputs]
    return roc_auc_score(target, scores), np.sqrt((sum(sizes) + 1) / (12 * sizes[0] * sizes[1]))


def test_hbb_jets_agree_with_real_ones(published, real_jets, say):
    observables = ("constituents", "pT", "mass", "leading pT fraction", "pTD", "width")
    real = Momenta.of_real(real_jets("Hbb", "jetclass_hbb_dev")).observables()
    simulated = Momenta.of_simulated(published["Hbb"]).observables()
    compare("Hbb", {name: (real[name], simulated[name]) for name in observables}, say)


@pytest.mark.parametrize("name", ["Tbqq", "Tbl"])
def test_tops_agree_with_real_ones(name, published, real_jets, shared_data, say):
    observables = ("constituents", "pT", "mass", "leading pT fraction", "pTD", "width")
    real = Momenta.of_real(real_jets(name, "jetclass_top_dev")).observables()
    simulated = Momenta.of_simulated(published[name]).observables()
    pairs = {each: (real[each], simulated[each]) for each in observables}
    with np.load(shared_data / "jetclass_top_dev.npz") as arrays:
        wanted = arrays["labels"].argmax(axis=1) == CLASS_NAMES.index(name)
        inputs, mask, vectors = arrays["features"][wanted], arrays["mask"][wanted, 0], arrays["vectors"][wanted]
    pt = np.hypot(vectors[:, 0], vectors[:, 1]) * mask
    real_tracks = track_observables(pt, inputs[:, 5] * mask, inputs[:, 11] * mask, inputs[:, 12] * mask)
    jets = published[name]
    pt = padded(np.hypot(jets.part_px, jets.part_py))
    charge, d0, error = (padded(jets[f"part_{each}"]) for each in ("charge", "d0val", "d0err"))
    simulated_tracks = track_observables(pt, charge, np.tanh(d0), np.clip(error, 0, 1))
    pairs |= {each: (real_tracks[each], simulated_tracks[each]) for each in real_tracks}
    compare(name, pairs, say)


def track_observables(pt, charge, tanh_d0, d0_error) -> dict[str, np.ndarray]:
    significance = np.abs(tanh_d0) / np.where(d0_error > 0, d0_error, 1)
    charged = charge != 0
    return {
        "displaced tracks": ((significance > 3) & charged).sum(axis=1).astype(float),
        "charged pT fraction": (pt * charged).sum(axis=1) / pt.sum(axis=1),
    }


def compare(title: str, pairs: dict[str, tuple[np.ndarray, np.ndarray]], say) -> None:
    """Print means and p-values of Kolmogorov-Smirnov tests; fail where one of them is too small."""
    say(f"\n{title}: {len(next(iter(pairs.values()))[0])} against {len(next(iter(pairs.values()))[1])} jets")
    worst = 1.0
    for name, (first, second) in pairs.items():
        p_value = ks_2samp(first, second).pvalue
        worst = min(worst, p_value)
        say(f"  {name:20s} {np.mean(first):9.4g} {np.mean(second):9.4g}   KS p = {p_value:.3f}")
    assert worst > FALSE_ALARM / len(pairs)


def test_boosted_trees_cannot_tell_simulated_hbb_from_real(published, real_jets, say):
    real = Momenta.of_real(real_jets("Hbb", "jetclass_hbb_dev"))
    auc, error = two_sample_auc(real, Momenta.of_simulated(published["Hbb"]))
    say(f"\nHbb, real against simulated: two-sample AUC {auc:.3f} +- {error:.3f}")
    assert auc < 0.55


def test_boosted_trees_can_tell_another_detector_from_the_real_one(real_jets, read, say):
    ideal = read(simulate(IDEAL, output=default_output(IDEAL), reporter=Reporter(quiet=True)))
    real = Momenta.of_real(real_jets("Hbb", "jetclass_hbb_dev"))
    auc, error = two_sample_auc(real, Momenta.of_simulated(ideal))
    say(f"\nHbb, real against the ideal tracker: two-sample AUC {auc:.3f} +- {error:.3f}")
    assert auc > 0.65


def test_the_veto_does_not_shape_the_jets(published, without_veto, say):
    note = json.loads((default_output(PUBLISHED) / RECIPE_FILE).read_text())
    for name, path in without_veto.items():
        other = uproot.open(path)["tree"].arrays()
        with_veto = published[name]
        columns = ("jet_pt", "jet_eta", "jet_nparticles", "jet_sdmass", "jet_tau1", "jet_tau3")
        pairs = {each: (ak.to_numpy(other[each]), ak.to_numpy(with_veto[each])) for each in columns}
        distance = [ak.max(np.hypot(jets.part_deta, jets.part_dphi), axis=1) for jets in (other, with_veto)]
        pairs["furthest constituent"] = (ak.to_numpy(distance[0]), ak.to_numpy(distance[1]))
        compare(f"{name} without and with the veto", pairs, say)
        ours = [counts for file, counts in note["files"].items() if file.startswith(f"{name}_")]
        plain = read_facts(path)["counts"]
        say(
            f"  jets per CPU second: {plain['jets'] / plain['cpu_seconds']:.0f} without, "
            f"{sum(each['jets'] for each in ours) / sum(each['cpu_seconds'] for each in ours):.0f} with; "
            f"vetoed {100 * np.mean([each['veto_fraction'] for each in ours]):.0f} %"
        )


@pytest.mark.filterwarnings("ignore")  # weaver-core's imports
def test_the_official_particlenet_recognises_the_ten_classes(published, shared_data, say):
    import torch
    from weaver.nn.model.ParticleNet import ParticleNet

    network = ParticleNet(
        input_dims=17,
        num_classes=len(CLASS_NAMES),
        conv_params=[(16, (64, 64, 64)), (16, (128, 128, 128)), (16, (256, 256, 256))],
        fc_params=[(256, 0.1)],
        use_fusion=False,
        use_fts_bn=True,
        use_counts=True,
    )
    weights = torch.load(shared_data / "weights" / "ParticleNet_full.pt", map_location="cpu", weights_only=True)
    network.load_state_dict({name.removeprefix("mod."): value for name, value in weights.items()})
    network.eval()
    probabilities, labels = [], []
    for label, name in enumerate(CLASS_NAMES):
        points, inputs, mask = (torch.from_numpy(each) for each in particlenet_inputs(published[name][:600]))
        with torch.inference_mode():
            for start in range(0, len(points), 100):
                chunk = slice(start, start + 100)
                logits = network(points[chunk], inputs[chunk], mask[chunk])
                probabilities.append(torch.softmax(logits.double(), dim=1).numpy())
        labels.append(np.full(len(points), label))
    probability, label = np.concatenate(probabilities), np.concatenate(labels)
    hits = probability.argmax(axis=1) == label
    auc = roc_auc_score(label, probability, multi_class="ovo", average="macro")
    accuracy = hits.mean()
    error = np.sqrt(accuracy * (1 - accuracy) / len(hits))
    say(f"\nParticleNet: accuracy {accuracy:.4f} +- {error:.4f}, macro one-vs-one AUC {auc:.4f}")
    say("  " + ", ".join(f"{name} {hits[label == index].mean():.3f}" for index, name in enumerate(CLASS_NAMES)))
    assert accuracy >= 0.83


def particlenet_inputs(jets: ak.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As JetClass_full.yaml has them: points (J, 2, 128), inputs (J, 17, 128), mask (J, 1, 128), padded with zeros."""
    pt = np.hypot(jets.part_px, jets.part_py)
    columns = [
        (np.log(pt), 1.7, 0.7),
        (np.log(jets.part_energy), 2.0, 0.7),
        (np.log(pt / jets.jet_pt), -4.7, 0.7),
        (np.log(jets.part_energy / jets.jet_energy), -4.7, 0.7),
        (np.hypot(jets.part_deta, jets.part_dphi), 0.2, 4.0),
        *((jets[f"part_{name}"], 0, 1) for name in ("charge", "isChargedHadron", "isNeutralHadron", "isPhoton")),
        *((jets[f"part_{name}"], 0, 1) for name in ("isElectron", "isMuon")),
        (np.tanh(jets.part_d0val), 0, 1),
        (np.clip(padded(jets.part_d0err), 0, 1), 0, 1),
        (np.tanh(jets.part_dzval), 0, 1),
        (np.clip(padded(jets.part_dzerr), 0, 1), 0, 1),
        (jets.part_deta, 0, 1),
        (jets.part_dphi, 0, 1),
    ]
    inputs = [
        np.clip(column if isinstance(column, np.ndarray) else padded((column - shift) * scale), -5, 5)
        for column, shift, scale in columns
    ]
    points = np.stack([padded(jets.part_deta), padded(jets.part_dphi)], axis=1)
    mask = padded(ak.ones_like(jets.part_px))[:, None]
    return points.astype(np.float32), np.stack(inputs, axis=1).astype(np.float32), mask.astype(np.float32)
