"""The documented commands that the tests do not carry out, each with its reason.

Those of jetassay are parsed all the same, and of others the target or the file must exist.
"""

NETWORK = "fetches from the network; tests/fetching does it from a server of its own"
OFFICIAL = "takes official weights or a published dataset, which are not part of the project"
LONG = "takes minutes or hours"
SHELL = "the tests run inside an environment that is set up"
OWN_NETWORK = "takes a network of the reader's; tests/backbones/test_weaver_networks.py adds one"
OWN_ONNX = "takes an ONNX file of the reader's; tests/backbones/test_onnx.py embeds with one"
SERVES = "a server that runs until it is stopped, or asks one"
LOCK = "installs from the package index"
PLUGIN = "installs a package; tests/test_plugins.py installs these very files"
OWN_FILES = "takes files of the reader's; tests/jets/test_public_datasets.py and test_mapping_cards.py read some"
OTHERS = "takes result files of other people; tests/report/test_compare.py and test_board.py have some"
BATCH = "takes Docker or a batch system; tests/test_batch_examples.py runs the scripts with a stand-in for jetassay"

LEFT_OUT = {
    "python -m benchmarks.rehearsal rehearsal.json --minutes 30": LONG,
    "condor_submit examples/htcondor.sub": BATCH,
    "docker build -t jetassay .": BATCH,
    "docker run --rm -v $PWD/cache:/cache -v $PWD:/work jetassay run default": BATCH,
    "first=$(sbatch --parsable --array=0-1 examples/slurm.sh part.toml particlenet.toml)": BATCH,
    "export MLFLOW_TRACKING_URI=http://mlflow.example.org:5000": SERVES,
    "mlflow server --app-name basic-auth --serve-artifacts --host 127.0.0.1 --workers 4": SERVES,
    "sbatch --dependency=afterok:$first examples/slurm.sh both.toml": BATCH,
    ". .venv/bin/activate": SHELL,
    ".venv/bin/jetassay fetch sophon": NETWORK,
    ".venv/bin/jetassay fetch jetclass --files '*val_5M*'": NETWORK,
    ".venv/bin/jetassay run official --dataset jetclass --limit 2000": OFFICIAL,
    "jetassay audit part-mini --dataset jetclass --data FOLDER": OFFICIAL,
    "jetassay compare alice.json bob.json": OTHERS,
    "jetassay embed my-onnx Hbb_000.root --output hbb.parquet --scores": OWN_ONNX,
    "jetassay embed particlenet-kin test.h5 --schema toplandscape --output test.parquet --scores": OFFICIAL,
    "jetassay fetch jetclass --files '*val_5M*' --dry-run": NETWORK,
    "jetassay fetch jetclass --files '*val_5M*'": NETWORK,
    "jetassay fetch jetclass --from /data/tars --files '*val_5M*'": OFFICIAL,
    "jetassay fetch jetclass --from https://mirror.example.org/jetclass --files '*val_5M*'": NETWORK,
    "jetassay fetch particlenet-kin --from /media/usb/weights": OFFICIAL,
    "jetassay fetch sophon": NETWORK,
    "jetassay inspect train.h5": OWN_FILES,
    "jetassay plan official --dataset jetclass --data FOLDER": OFFICIAL,
    "jetassay run default --scheduler processes --workers 2": LONG,
    "jetassay run my-suite.toml --dataset toplandscape --data FOLDER": OFFICIAL,
    "jetassay run my-suite.toml --dataset ours.toml --data FOLDER": OWN_FILES,
    "jetassay add-weaver my-net --network my_net.py --data-config my.yaml --checkpoint net_best.pt --trust-code": (
        OWN_NETWORK
    ),
    "jetassay embed my-net Hbb_000.root --output hbb.parquet --trust-code": OWN_NETWORK,
    "jetassay simulate --classes QCD,Hbb --jets 2000 --output .": "takes half a minute; tests/simulation simulates",
    "mlflow models serve -m models:/part-mini/1 --env-manager local -p 5001": SERVES,
    "curl -H 'Content-Type: application/json' --data @jets.json localhost:5001/invocations": SERVES,
    "pip install ./jetassay-example": PLUGIN,
    "python -m benchmarks.coverage": LONG,
    "python tests/crash --short": LONG,
    "python tests/crash --only SIGTERM --count 20 --seed 7": LONG,
    "python benchmarks/statistics_cost.py default": LONG,
}
