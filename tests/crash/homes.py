"""A home for one trial: cache, workspace, temporary files and a suite that takes seconds, all in one folder."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

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
[parameters]
input_dim = 17
num_classes = 10
embed_dims = [16]
pair_embed_dims = [8]
num_heads = 2
num_layers = 1
num_cls_layers = 1
"""

JETS = """
name = "tiny-jets"
title = "A few simulated jets of two classes"
schema = "jetclass"
[simulation]
classes = ["QCD", "Hbb"]
jets = 24
files = 3
seed = 11
"""

SUITE = """
name = "tiny"
title = "A suite of seconds"
backbones = ["tiny-1", "tiny-2", "jet-observables"]
audit = false
[dataset]
card = {dataset}
[split]
seed = 1
train = 1
validation = 1
test = 1
[probe]
signals = ["Hbb"]
[similarity]
permutations = 9
"""


@dataclass(frozen=True, slots=True)
class Home:
    """Everything that one trial writes is below `root`."""

    root: Path

    @property
    def cache(self) -> Path:
        """Jets, embeddings, audits."""
        return self.root / "cache"

    @property
    def workspace(self) -> Path:
        """Tracked runs, reports, the outbox."""
        return self.root / "workspace"

    @property
    def temporary(self) -> Path:
        """What `tempfile` and everybody else calls /tmp."""
        return self.root / "tmp"

    @property
    def suite(self) -> Path:
        """The suite's file."""
        return self.root / "tiny.toml"

    @property
    def struck(self) -> Path:
        """Exists once the fault has happened."""
        return self.root / "struck"

    def environment(self, server: str | None = None) -> dict[str, str]:
        """What a process is given to live here; server: the tracking server, where it is not the file."""
        given = {
            "JETASSAY_CACHE": str(self.cache),
            "JETASSAY_WORKSPACE": str(self.workspace),
            "JETASSAY_MODELS": str(self.root / "models"),
            "TMPDIR": str(self.temporary),
            "MPLCONFIGDIR": str(self.root / "matplotlib"),
            "COLUMNS": "120",
        }
        return given | ({"MLFLOW_TRACKING_URI": server} if server else {})


def make_home(root: Path, *, stocked: Home | None = None, data: bool = False) -> Home:
    """A new home.

    stocked: take simulated jets and the empty tracking store from this one; data: the jets as files of a dataset
    that is read and not simulated, in `root`/data
    """
    home = Home(root)
    for folder in (home.cache, home.workspace, home.temporary):
        folder.mkdir(parents=True)
    for name, seed in (("tiny", 0), ("tiny-1", 1), ("tiny-2", 2)):
        (root / "models" / name).mkdir(parents=True)
        (root / "models" / name / "card.toml").write_text(CARD.format(name=name, seed=seed))
    jets = root / "tiny-jets.toml"
    jets.write_text(JETS)
    home.suite.write_text(SUITE.format(dataset='"jetclass"' if data else f'"{jets}"'))
    if stocked is not None:
        stock(home, stocked, data=data)
    return home


def stock(home: Home, stocked: Home, *, data: bool = False) -> None:
    """Put jets and store of `stocked` there."""
    simulated = next((stocked.cache / "simulated").iterdir())
    place = home.root / "data" if data else home.cache / "simulated" / simulated.name
    without = shutil.ignore_patterns("*.json") if data else None
    shutil.copytree(simulated, place, ignore=without, dirs_exist_ok=True)
    shutil.copy2(stocked.root / "empty.db", home.workspace / "mlflow.db")
    for path in place.iterdir():  # files that lie there for long: their digests are kept
        os.utime(path, (1_700_000_000, 1_700_000_000))
