"""What a card's `architecture` names: nobody's code runs because a text says so."""

import hashlib
import pickle
import sys
from zipfile import ZipFile

import pytest
from typer.testing import CliRunner

from jetassay.backbones.loading import build_module, load_backbone
from jetassay.backbones.trust import TRUST_VARIABLE, trusted_files, trusting, trusting_files
from jetassay.cli import app
from jetassay.errors import ConfigError, TrustError

FLOOR = 'role = "floor"\nfeature_set = "part-kin"\nembedding_dim = 7\narchitecture = "{}"\n'
NETWORK = """
import torch

class Sums(torch.nn.Module):
    def forward(self, features, p4, mask):
        return features.masked_fill(~mask[..., None], 0).sum(dim=1), None

def build(**parameters):
    return Sums()

def load(card, **how):
    return Sums()
"""


class Harmful:
    """Its pickle makes a file where it is opened."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return open, (str(self.trace), "w")


@pytest.fixture
def trace(tmp_path):
    """What must not be there."""
    return tmp_path / "was-here"


@pytest.fixture
def importable(tmp_path, monkeypatch, trace):
    """Makes files that can be imported; those named in a list leave a trace when they run."""
    monkeypatch.syspath_prepend(str(tmp_path / "path"))

    def make(files):
        for name, text in files.items():
            path = tmp_path / "path" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            monkeypatch.delitem(sys.modules, name.removesuffix(".py").replace("/", "."), raising=False)
        return tmp_path / "path"

    return make


def traced(trace, text=NETWORK):
    return f"open({str(trace)!r}, 'w').close()\n{text}"


@pytest.mark.parametrize("trust", [False, True])
@pytest.mark.parametrize("name", ["os:system", "subprocess:run", "builtins:exec", "os.path:join", "runpy:run_path"])
def test_modules_of_python_itself_are_never_an_architecture(write_card, trace, name, trust):
    card = write_card(FLOOR.format(name) + f'[parameters]\ncommand = "touch {trace}"\n')
    with trusting(trust), pytest.raises(ConfigError, match="a module of Python itself"):
        load_backbone(card)
    assert not trace.exists()


def test_a_card_opens_no_pickle_by_way_of_pandas(write_card, tmp_path, trace):
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(Harmful(trace)))
    parameters = f'[parameters]\nfilepath_or_buffer = "{tmp_path / "evil.pkl"}"\n'
    with pytest.raises(TrustError, match=r"'pandas:read_pickle' \(.*__init__\.py\).*was not run.*--trust-code"):
        load_backbone(write_card(FLOOR.format("pandas:read_pickle") + parameters))
    assert not trace.exists()


@pytest.mark.parametrize("read", [build_module, load_backbone])
def test_a_card_fetches_nothing_by_way_of_torch(write_card, read):
    card = write_card(FLOOR.format("torch.hub:load_state_dict_from_url") + '[parameters]\nurl = "http://127.0.0.1:9"\n')
    with pytest.raises(TrustError, match=rf"dict_from_url' .*{TRUST_VARIABLE}=[0-9a-f]{{64}},[0-9a-f]{{64}}$"):
        read(card)


@pytest.mark.parametrize(
    "name",
    [
        "jetassay.backbones.trust:_run",
        "jetassay.backbones.loading:find_architecture",
        "jetassay.simulation.sample:simulate",
        "jetassay.training.mini:build",
        "jetassay.cli.__main__:main",
        "jetassay:build",
    ],
)
def test_of_jetassay_itself_only_architectures_are_architectures(write_card, name):
    with pytest.raises(ConfigError, match="is no architecture of jetassay"):
        load_backbone(write_card(FLOOR.format(name)))


def test_without_consent_neither_a_module_nor_the_packages_around_it_run(write_card, importable, trace):
    importable({"quietpack/__init__.py": traced(trace), "quietpack/sub/net.py": traced(trace)})
    with pytest.raises(
        TrustError, match=r"mine: architecture 'quietpack\.sub\.net:build' \(.*net\.py\) is Python that somebody wrote"
    ):
        load_backbone(write_card(FLOOR.format("quietpack.sub.net:build")))
    assert not trace.exists()
    assert "quietpack" not in sys.modules


def test_with_consent_it_runs_after_a_warning_and_workers_may_run_it_too(write_card, importable, make_batch, capsys):
    folder = importable({"mypack/__init__.py": "", "mypack/sub/net.py": NETWORK})
    card = write_card(FLOOR.format("mypack.sub.net:build"))
    with trusting(True):
        backbone = load_backbone(card)
    assert backbone.embed(make_batch([3, 5])).embedding.shape == (2, 7)
    assert "mine: running architecture 'mypack.sub.net:build'" in capsys.readouterr().err
    files = [folder / "mypack/__init__.py", folder / "mypack/sub/net.py"]
    assert {hashlib.sha256(path.read_bytes()).hexdigest() for path in files} <= trusted_files()


def test_the_hashes_of_the_files_are_consent_and_those_of_other_files_are_not(write_card, importable, monkeypatch):
    folder = importable({"hashpack/__init__.py": "x = 1", "hashpack/net.py": NETWORK + "# hashpack"})
    card = write_card(FLOOR.format("hashpack.net:build"))
    one, two = (
        hashlib.sha256((folder / "hashpack" / name).read_bytes()).hexdigest() for name in ("__init__.py", "net.py")
    )
    for given in (one, two, f"{one},{'f' * 64}"):
        monkeypatch.setenv(TRUST_VARIABLE, given)
        with pytest.raises(TrustError, match=f"{TRUST_VARIABLE}={one},{two}"):
            load_backbone(card)
    monkeypatch.setenv(TRUST_VARIABLE, f"{one}, {two}")
    assert load_backbone(card).card is card


def test_a_file_that_was_changed_needs_consent_again(write_card, importable):
    importable({"changing.py": NETWORK + "# first"})
    card = write_card(FLOOR.format("changing:build"))
    with trusting(True):
        load_backbone(card)
    importable({"changing.py": NETWORK + "# second"})
    with pytest.raises(TrustError, match="'changing:build'"):
        load_backbone(card)


def test_what_a_worker_is_handed_it_may_run_and_nothing_else(write_card, importable):
    folder = importable({"handed.py": NETWORK + "# handed", "other.py": NETWORK + "# other"})
    digest = hashlib.sha256((folder / "handed.py").read_bytes()).hexdigest()
    with trusting_files(frozenset({digest})):
        load_backbone(write_card(FLOOR.format("handed:build")))
        with pytest.raises(TrustError, match="'other:build'"):
            load_backbone(write_card(FLOOR.format("other:build")))


@pytest.fixture
def plug_in(importable, tmp_path):
    """An installed distribution with one of our entry points."""

    def make(name, text):
        folder = importable({f"{name}/__init__.py": "from os import system\n", f"{name}/network.py": text})
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[jetassay.backbones]\nsums = {name}.cards:sums\n")

    return make


def test_a_module_of_an_installed_plug_in_needs_no_further_consent(write_card, plug_in, make_batch):
    plug_in("plugged", NETWORK)
    backbone = load_backbone(write_card(FLOOR.format("plugged.network:build")))
    assert backbone.embed(make_batch([4])).embedding.shape == (1, 7)


def test_what_a_plug_in_imports_from_elsewhere_is_no_architecture_of_it(write_card, plug_in, trace):
    plug_in("plugged_too", NETWORK)
    card = write_card(FLOOR.format("plugged_too:system") + f'[parameters]\ncommand = "touch {trace}"\n')
    with pytest.raises(ConfigError, match="is no function that plugged_too defines"):
        load_backbone(card)
    assert not trace.exists()


def test_another_package_with_the_beginning_of_a_plug_ins_name_is_not_the_plug_in(write_card, plug_in, importable):
    plug_in("plug", NETWORK)
    importable({"plugs.py": NETWORK + "# plugs"})
    with pytest.raises(TrustError, match="'plugs:build'"):
        load_backbone(write_card(FLOOR.format("plugs:build")))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def build(): return 'a network'", "gives a str instead of a torch.nn.Module"),
        ("def build(): assert 1 == 2", "refuses the card's parameters: AssertionError"),
        ("def build(): return open('/nowhere')", "refuses the card's parameters: FileNotFoundError"),
        ("def build(x): pass", "refuses the card's parameters: TypeError.*'x'"),
        ("build = 3", "is no function that broken_[0-9] defines"),
        ("x = = 1", "module broken_[0-9] does not run: SyntaxError"),
        ("raise SystemExit(3)", "module broken_[0-9] does not run: SystemExit: 3"),
        ("import nowhere_at_all", "does not run: ModuleNotFoundError"),
        ("pass", "has no attribute 'build'"),
    ],
)
def test_an_architecture_that_gives_no_network_is_an_error(write_card, importable, text, message, request):
    name = f"broken_{request.node.callspec.indices['text']}"
    importable({f"{name}.py": text})
    with trusting(True), pytest.raises(ConfigError, match=message):
        load_backbone(write_card(FLOOR.format(f"{name}:build")))


def test_a_load_that_gives_no_backbone_is_an_error(write_card, importable):
    importable({"loads.py": NETWORK + "# loads"})
    with trusting(True), pytest.raises(ConfigError, match="gives a Sums instead of a backbone"):
        load_backbone(write_card(FLOOR.format("loads:load")))


@pytest.mark.parametrize("name", ["nowhere_at_all:build", "torch.nowhere:build", "torch.hub.nowhere:build"])
def test_a_module_that_is_not_there_is_an_error(write_card, name):
    with trusting(True), pytest.raises(ConfigError, match=f"No module named '{name.partition(':')[0]}'"):
        load_backbone(write_card(FLOOR.format(name)))


def test_a_module_whose_file_cannot_be_read_is_an_error(write_card, importable):
    with ZipFile(importable({"other.txt": ""}) / "packed.zip", "w") as packed:
        packed.writestr("in_archive.py", NETWORK)
    sys.path.insert(0, packed.filename)
    try:
        with trusting(True), pytest.raises(ConfigError, match=r"mine: .*packed\.zip/in_archive\.py cannot be read"):
            load_backbone(write_card(FLOOR.format("in_archive:build")))
    finally:
        sys.path.remove(packed.filename)


@pytest.mark.parametrize("name", [".os:system", "os.:system", "os..path:join", "1os:system", "os:1", "os:system:x"])
def test_a_name_that_no_module_can_have_is_refused_with_the_card(write_card, name):
    with pytest.raises(ConfigError, match="architecture"):
        write_card(FLOOR.format(name))


def test_the_command_line_says_how_to_allow_it_and_runs_it_then(write_card, importable, tmp_path, trace, monkeypatch):
    importable({"own_net.py": traced(trace)})
    write_card(FLOOR.format("own_net:build"))
    monkeypatch.setenv("JETASSAY_MODELS", str(tmp_path / "models"))
    command = ["embed", "mine", str(tmp_path / "none.root"), "--output", str(tmp_path / "x.parquet")]

    def embed(*options):
        done = CliRunner().invoke(app, [*command, *options], catch_exceptions=False)
        assert done.exit_code == 1
        return done.output

    assert "use --trust-code, or set JETASSAY_TRUST_CODE=" in embed()
    assert not trace.exists()
    said = embed("--trust-code")
    assert "running architecture 'own_net:build'" in said
    assert "none.root" in said
    assert trace.exists()
