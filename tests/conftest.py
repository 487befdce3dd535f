"""What tests of several stages share: tiny untrained cards and a small simulated sample, in temporary folders."""

import signal
from io import BytesIO

import pytest
from hypothesis import settings

from jetassay.simulation.recipe import Recipe
from jetassay.simulation.sample import simulate

# A busy machine is no reason to fail: examples have no time limit of their own.
settings.register_profile("jetassay", deadline=None)
settings.load_profile("jetassay")

# Started in a script's background, this process ignores Ctrl-C, and those that tests start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

CARD = """
name = "{name}"
title = "A tiny Particle Transformer, untrained"
role = "control"
untrained_twin_of = "tiny"
seed = {seed}
architecture = "jetassay.backbones.part:build"
feature_set = "part-full"
embedding_dim = 16
labels = "jetclass"
[layers]
class-token = 16
mean-block-1 = 16
[parameters]
input_dim = 17
num_classes = 10
embed_dims = [16]
pair_embed_dims = [8]
num_heads = 2
num_layers = 1
num_cls_layers = 1
"""


@pytest.fixture(scope="session")
def jets_folder(tmp_path_factory):
    """Three files of 24 simulated jets each of QCD and Hbb."""
    folder = tmp_path_factory.mktemp("jets")
    simulate(Recipe(classes=("QCD", "Hbb"), jets=72, files=3, seed=11), output=folder, workers=1)
    return folder


def make_home(root, monkeypatch):
    """Point cache, workspace and cards to folders in `root`; no tracking server from outside."""
    for name in ("cache", "workspace"):
        monkeypatch.setenv(f"JETASSAY_{name.upper()}", str(root / name))
        (root / name).mkdir()
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for seed in (1, 2):
        name = f"tiny-{seed}"
        (root / "models" / name).mkdir(parents=True)
        (root / "models" / name / "card.toml").write_text(CARD.format(name=name, seed=seed))
    (root / "models" / "tiny").mkdir()
    (root / "models" / "tiny" / "card.toml").write_text(CARD.format(name="tiny", seed=0))
    monkeypatch.setenv("JETASSAY_MODELS", str(root / "models"))
    return root


@pytest.fixture(scope="session")
def home_maker():
    """For fixtures that need a home of their own."""
    return make_home


@pytest.fixture
def unrendered(monkeypatch):
    """Figures of pages are made, and one white pixel stands for each: rendering takes longer than most of a test."""
    monkeypatch.setattr("jetassay.report.gaps.picture", not_rendered)


@pytest.fixture
def home(tmp_path, monkeypatch, unrendered):
    """A temporary place for everything that jetassay writes, with the cards tiny-1 and tiny-2.

    Figures are not rendered; those of suites in `shared_home` are.
    """
    return make_home(tmp_path, monkeypatch)


def not_rendered(figure):
    """One white pixel in place of a figure."""
    from matplotlib import pyplot as plt
    from PIL import Image

    from jetassay.report.pictures import Picture

    plt.close(figure)
    pixel = BytesIO()
    Image.new("L", (1, 1), 255).save(pixel, format="png")
    return Picture(pixel.getvalue())


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory):
    """The same for all tests of a module."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield make_home(tmp_path_factory.mktemp("home"), monkeypatch)
