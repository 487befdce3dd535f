"""What the source may not do: unpickle, evaluate, run shells, or unpack archives on its own."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py"), *(ROOT / ".ci").glob("*.py")])
MODULES = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "skops", "marshal", "shelve", "dbm"}
CALLS = {
    "eval", "exec", "compile", "__import__", "importlib.import_module", "import_module", "run_module",
    "os.system", "os.popen", "shutil.unpack_archive", "tempfile.mktemp",
    "pandas.read_pickle", "pandas.read_hdf", "pd.read_pickle", "pd.read_hdf", "runpy.run_path",
    "yaml.load", "yaml.load_all", "yaml.safe_load", "yaml.full_load", "yaml.unsafe_load",
}  # fmt: skip
METHODS = {"extractall", "extract", "to_pickle"}
ASKED_FOR = {
    "torch.load": ("weights_only", True),
    "np.load": ("allow_pickle", False),
    "read_array": ("allow_pickle", False),
}
ALLOWED = {
    # The only place where Python of a card runs: with the user's consent and the hashes of its files.
    ("src/jetassay/backbones/trust.py", "exec"),
    ("src/jetassay/backbones/trust.py", "compile"),
    ("src/jetassay/backbones/trust.py", "import_module"),
    # Modules that a card names: our own architectures and installed plug-ins here, all others by way of the above.
    ("src/jetassay/backbones/architecture.py", "import_module"),
    ("src/jetassay/backbones/architecture.py", "run_module"),
    # Functions of tasks and checks, whose names stand in our source and in that of installed plug-ins.
    ("src/jetassay/tasks/catalogue.py", "import_module"),
    ("src/jetassay/audit/catalogue.py", "import_module"),
    # An exception's name, so that torch's refusal can be told.
    ("src/jetassay/backbones/weights.py", "pickle.UnpicklingError"),
}


def faults(tree):
    """Everything in a module that is forbidden, as (what, line)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((each.name, node.lineno) for each in node.names if each.name.partition(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in MODULES:
            yield from ((f"{node.module}.{each.name}", node.lineno) for each in node.names)
        elif isinstance(node, ast.Call):
            yield from _faults_of_call(node)


def _faults_of_call(node):
    name = ast.unparse(node.func)
    last = name.rpartition(".")[2]
    given = {each.arg: getattr(each.value, "value", ...) for each in node.keywords}
    if name in CALLS or (last in METHODS and name != last):
        yield name, node.lineno
    for call, (option, value) in ASKED_FOR.items():
        if call in {name, last} and given.get(option) is not value:
            yield f"{name} without {option}={value}", node.lineno
    if given.get("shell") not in {None, False}:
        yield f"{name} with shell", node.lineno
    if given.get("allow_pickle", False) is not False and name not in ASKED_FOR:
        yield f"{name} with allow_pickle", node.lineno


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_source_file_runs_nothing_that_it_reads(path):
    name = path.relative_to(ROOT).as_posix()
    found = [(what, line) for what, line in faults(ast.parse(path.read_text())) if (name, what) not in ALLOWED]
    assert not found


def test_every_exception_to_the_rule_is_still_needed():
    used = {
        (path.relative_to(ROOT).as_posix(), what) for path in SOURCES for what, _ in faults(ast.parse(path.read_text()))
    }
    assert used == ALLOWED
    assert len(SOURCES) > 250


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "import joblib.numpy_pickle as j",
        "from pickle import loads",
        "from skops.io import load",
        "eval('1')",
        "exec(x)",
        "import_module(card.architecture)",
        "importlib.import_module(x)",
        "yaml.load(x, Loader=L)",
        "yaml.safe_load(x)",
        "torch.load(p)",
        "torch.load(p, weights_only=False)",
        "torch.load(p, weights_only=flag)",
        "np.load(p)",
        "np.load(p, allow_pickle=True)",
        "npy.read_array(f)",
        "subprocess.run(c, shell=True)",
        "archive.extractall(p)",
        "pd.read_pickle(p)",
        "h5py.File(p, allow_pickle=flag)",
    ],
)
def test_the_rule_sees(text):
    assert list(faults(ast.parse(text)))


@pytest.mark.parametrize(
    "text",
    ["model.eval()", "torch.load(p, weights_only=True)", "np.load(p, allow_pickle=False)", "re.compile('x')", "run(c)"],
)
def test_the_rule_lets_pass(text):
    assert not list(faults(ast.parse(text)))
