"""Clean backbones of many architectures, widths and seeds: the audit must not cry wolf."""

import numpy as np
import pytest
from constructed_backbones import Clean, made_card
from jet_files import audited_jets, subject_of, write_files

from jetassay.audit.audit import audit
from jetassay.backbones.loading import load_backbone
from jetassay.features.sets import FEATURE_SETS


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JETASSAY_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def jets(tmp_path_factory):
    return audited_jets(write_files(tmp_path_factory.mktemp("jets"), jets=100))


def drawn(seed):
    """A clean backbone: one of five architectures or random features, its widths and weights drawn with `seed`."""
    rng = np.random.default_rng(seed)
    recipe = FEATURE_SETS[str(rng.choice(["part-kin", "part-kinpid", "part-full"]))]
    width = int(rng.choice([8, 16, 24]))
    kind = ("sums", "part", "mlp", "pfn", "particlenet", "pcnn")[seed % 6]
    if kind == "sums":
        return Clean(seed=seed, feature_set=recipe, embedding_dim=width, name=f"sums-{seed}")
    common = {"input_dim": recipe.width, "num_classes": 10}
    parameters = {
        "part": {
            **common, "embed_dims": [width], "pair_embed_dims": [8], "num_heads": 2,
            "num_layers": int(rng.integers(1, 3)), "num_cls_layers": 1,
        },
        "mlp": {**common, "constituents": 20, "hidden": [32, width], "dropout": 0.1},
        "pfn": {**common, "phi_sizes": [32, width], "f_sizes": [32, width]},
        "particlenet": {
            **common, "conv_params": [[4, [8, 8]], [4, [width, width]]], "fc_params": [[width, 0.1]],
            "points": [-2, -1],
        },
        "pcnn": {**common, "conv_params": [[16], [16, width]], "fc_params": [[width, 0.1]]},
    }[kind]  # fmt: skip
    card = made_card(
        name=f"{kind}-{seed}", role="control", untrained_twin_of="trained", seed=seed, parameters=parameters,
        architecture=f"jetassay.backbones.{kind}:build", feature_set=recipe.name, embedding_dim=width,
        permutation_invariant=kind not in ("mlp", "pcnn"),
    )  # fmt: skip
    return load_backbone(card)


def false_alarms(seeds, jets, folder):
    rows = [(seed, row) for seed in seeds for row in audit(subject_of(drawn(seed), jets, store=folder)).rows]
    return [(seed, row.check, row.figure, row.meaning) for seed, row in rows if row.status == "fail"]


def test_a_few_clean_random_backbones_raise_no_alarm(jets, tmp_path):
    assert false_alarms(range(6), jets, tmp_path) == []


@pytest.mark.slow
def test_fifty_clean_random_backbones_raise_no_alarm(jets, tmp_path):
    assert false_alarms(range(100, 150), jets, tmp_path) == []
