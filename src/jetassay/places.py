"""Where things live on disk: the project's root, its cards and suites, and the cache outside the checkout."""

import os
from pathlib import Path

import platformdirs

_PACKAGE = Path(__file__).parent


def project_root() -> Path:
    """The checkout that holds `models/` and `suites/`, or the data folder of an installed wheel."""
    checkout = _PACKAGE.parent.parent
    return checkout if (checkout / "models").is_dir() else _PACKAGE / "_data"


def models_folder() -> Path:
    """One folder per backbone, each with a `card.toml`."""
    return project_root() / "models"


def suites_folder() -> Path:
    """One TOML file per suite."""
    return project_root() / "suites"


def workspace() -> Path:
    """Where `mlflow.db`, `mlruns/` and `reports/` go: `JETASSAY_WORKSPACE`, else the checkout, else here."""
    chosen = os.environ.get("JETASSAY_WORKSPACE")
    if chosen:
        return Path(chosen).expanduser().resolve()
    root = project_root()
    return Path.cwd() if root.name == "_data" else root


def within(path: Path, root: Path) -> bool:
    """Whether `path` lies in or below `root`, wherever links on the way lead."""
    return path.resolve().is_relative_to(root.resolve())


def cache_folder() -> Path:
    """Simulated jets, fetched weights and embeddings: `JETASSAY_CACHE`, else the user's cache folder."""
    chosen = os.environ.get("JETASSAY_CACHE")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("jetassay"))
