"""Every command in README and docs/ is carried out on a few jets, or stands in `left_out.py` with its reason."""

import hashlib
import re
import shutil

import pytest
from documented import blocks, commands, mentioned, pages
from left_out import LEFT_OUT
from little_shell import require_known, run

from jetassay import suite as suites
from jetassay.places import project_root
from jetassay.suite import AuditChoice, DatasetChoice, SplitChoice

SHARED = project_root().parent / "shared" / "data"
FROM_SHARED = {
    "events.root": SHARED / "events_delphes_higgs2p_example.root",
    "JetClass_kin.yaml": SHARED / "weaver_configs" / "JetClass_kin.yaml",
    "ParticleNet_kin.pt": SHARED / "weights" / "ParticleNet_kin.pt",
}

DONE = "jetassay run default"  # once, for all pages
SLOW = {"sophon-mini", "sophon-mini-untrained", "part-mini-untrained", "mlp-untrained"}
FEW_CLASSES = {"probe", "zero_shot", "shuffled_labels", "few_shot"}


def on_few_jets(whole, folder):
    """The suite on 144 jets of two classes, which are there, instead of those that it would simulate."""
    if whole.dataset.card != "jetclass-sim":
        return whole
    fewer = {
        name: table.model_copy(update={"signals": ("Hbb",)})
        for name in FEW_CLASSES
        if hasattr(table := getattr(whole, name), "signals")
    }
    default = whole.name == "default"
    return whole.model_copy(
        update={
            "dataset": DatasetChoice(card="jetclass-sim", folder=folder),
            "split": SplitChoice(train=1, validation=1, test=1),
            "backbones": tuple(each for each in whole.backbones if each not in SLOW) if default else whole.backbones,
            "audit": AuditChoice(depth=("columns", "schema")),
            "robustness": None,
            "throughput": None,
            **fewer,
        }
    )


@pytest.fixture(scope="module")
def workspace(tmp_path_factory, jets_folder):
    """Workspace and cache of their own, suites on few jets, and `default` run once."""
    root = tmp_path_factory.mktemp("documented")
    read = suites.read_suite
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JETASSAY_WORKSPACE", str(root))
        patch.setenv("JETASSAY_CACHE", str(root / "cache"))
        patch.delenv("JETASSAY_MODELS", raising=False)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setattr(suites, "read_suite", lambda path: on_few_jets(read(path), jets_folder))
        run(DONE, patch)
        run(f"jetassay results default --format json --output {root / 'before.json'}", patch)
        yield root


@pytest.fixture
def place(workspace, jets_folder, tmp_path, monkeypatch):
    """A folder with the files that the pages speak of."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PWD", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("Hbb_000.root", "QCD_000.root"):
        shutil.copy(jets_folder / name, tmp_path)
    shutil.copy(jets_folder / "Hbb_000.root", "ours.root")
    shutil.copy(workspace / "before.json", tmp_path)
    own = (project_root() / "suites" / "smoke.toml").read_text()
    (tmp_path / "my-suite.toml").write_text(own.replace('"smoke"', '"my-suite"'))
    for name in ("models", "suites"):
        (tmp_path / name).symlink_to(project_root() / name)
    for name, path in FROM_SHARED.items():
        if path.exists():
            shutil.copy(path, tmp_path / name)
    return tmp_path


def write(path, text):
    """The file that a page describes; `sha256 = "..."` stands for that of the weights beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = path.parent / "weights.safetensors"
    if weights.exists():
        text = text.replace('"..."', f'"{hashlib.sha256(weights.read_bytes()).hexdigest()}"')
    path.write_text(text)


def documented(page):
    return [(each, command) for each in blocks(page) if each.language == "sh" for command in commands(each)]


PAGES_WITH_COMMANDS = [page for page in pages() if documented(page)]


@pytest.mark.parametrize("page", PAGES_WITH_COMMANDS)
def test_the_commands_of_a_page_do_what_they_say(page, place, monkeypatch):
    absent = []
    for block in blocks(page):
        if block.target:
            write(place / block.target, block.text)
        if block.language == "python" and not block.target:
            exec(compile(block.text, str(block), "exec"), {"__name__": "__main__"})
        for command in commands(block) if block.language == "sh" else ():
            require_known(command)
            needed = [name for name in FROM_SHARED if name in command and not (place / name).exists()]
            absent += needed
            if command not in (DONE, *LEFT_OUT) and not needed:
                run(command, monkeypatch)
    if absent:
        pytest.skip(f"{page}: all but what takes {', '.join(sorted(set(absent)))} of ../shared/data")


@pytest.mark.parametrize("page", [page for page in pages() if mentioned(page)])
def test_commands_in_sentences_exist(page):
    for command in mentioned(page):
        require_known(command)


def test_what_is_left_out_is_documented_and_says_why():
    known = {command for page in pages() for _, command in documented(page)} | {
        command for page in pages() for command in mentioned(page)
    }
    assert set(LEFT_OUT) <= known, f"no longer documented: {sorted(set(LEFT_OUT) - known)}"
    for reason in LEFT_OUT.values():
        for path in re.findall(r"tests/[\w/.]+", reason):
            assert (project_root() / path).exists(), reason


def test_every_block_says_what_it_is():
    languages = {(str(each), each.language) for page in pages() for each in blocks(page)}
    assert {language for _, language in languages} <= {"sh", "toml", "python", "text", "json"}, sorted(languages)
    for page, path in pages().items():
        indented = re.findall(r"^    (?:jetassay|make|pip|python) .*", path.read_text(), re.MULTILINE)
        assert not indented, f"{page}: {indented[0].strip()!r} is no block of commands: fence it as sh"
