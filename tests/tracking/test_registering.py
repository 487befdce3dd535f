"""A backbone in MLflow's registry: loaded in a process of its own, it embeds as it does here; no pickle, no double."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file

from jetassay.backbones.catalogue import backbone_cards, find_card
from jetassay.backbones.loading import load_backbone
from jetassay.embeddings.files import embed_files
from jetassay.embeddings.frames import embed_frame
from jetassay.errors import ConfigError, DataError, WeightsError
from jetassay.jets.root import RootSource
from jetassay.jets.schema import SCHEMAS
from jetassay.tracking.portable import load_portable, write_portable
from jetassay.tracking.registering import register

LOAD = """
import sys, mlflow, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
jets = pd.read_parquet(sys.argv[2])
model.predict(jets, params={"scores": True}).to_parquet(sys.argv[3])
"""


@pytest.fixture(scope="module")
def backbone():
    return load_backbone(find_card(backbone_cards(), "part-mini"))


@pytest.fixture(scope="module")
def some_jets(jets_folder):
    """A file of jets as a DataFrame of the columns that ParT needs, with the truth beside them."""
    path = min(jets_folder.glob("*.root"))
    source = RootSource(path, tree="tree")
    (raw,) = source.chunks([*source.numbers, *source.lists], start=0, stop=source.n_entries, step=source.n_entries)
    source.close()
    lists = {name: np.split(each.content, each.offsets[1:-1]) for name, each in raw.lists.items()}
    return path, pd.DataFrame({**raw.numbers, **lists})


def test_a_frame_is_embedded_as_the_file_that_it_was_read_from(backbone, some_jets, tmp_path):
    path, frame = some_jets
    embed_files(backbone, [path], schema="jetclass", output=tmp_path / "rows.parquet", scores=True)
    wanted = pd.read_parquet(tmp_path / "rows.parquet")
    found = embed_frame(backbone, frame.set_index(frame.index + 5), schema=SCHEMAS["jetclass"], scores=True)
    assert list(found.index) == list(frame.index + 5)
    np.testing.assert_allclose(found.to_numpy(), wanted[list(found.columns)].to_numpy(), atol=1e-4)
    assert embed_frame(backbone, frame[:0], schema=SCHEMAS["jetclass"]).shape == (0, 64)


def test_truth_in_the_frame_changes_nothing(backbone, some_jets):
    _, frame = some_jets
    labels = [name for name in frame if name.startswith(("label_", "aux_"))]
    assert labels
    other = frame.assign(**{name: 1 - frame[name] for name in labels})
    found = [embed_frame(backbone, each, schema=SCHEMAS["jetclass"]) for each in (frame, other)]
    pd.testing.assert_frame_equal(*found)


def test_a_registered_backbone_is_loaded_elsewhere_and_gives_the_same(
    backbone, some_jets, database, start, reporter, tmp_path
):
    _, frame = some_jets
    found = register(backbone, reporter=reporter)
    frame[list(backbone.feature_set.needs)].to_parquet(tmp_path / "jets.parquet")
    process = start(LOAD, database, found.uri, str(tmp_path / "jets.parquet"), str(tmp_path / "out.parquet"))
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    wanted = embed_frame(backbone, frame, schema=SCHEMAS["jetclass"], scores=True)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out.parquet"), wanted, atol=1e-4)


@pytest.mark.filterwarnings("ignore:Using `httpx`")
def test_the_served_model_answers_over_http_and_names_a_bad_jet(backbone, some_jets, tracking, reporter):
    found = register(backbone, reporter=reporter)
    from mlflow.pyfunc import load_model
    from mlflow.pyfunc.scoring_server import init
    from starlette.testclient import TestClient

    version = tracking.client.get_model_version(found.name, found.version)
    client = TestClient(init(load_model(version.source)), raise_server_exceptions=False)
    small = some_jets[1][list(backbone.feature_set.needs)][:2]
    rows = [[each.tolist() if hasattr(each, "tolist") else each for each in row] for row in small.to_numpy().tolist()]
    table = {"columns": list(small.columns), "data": rows}
    answer = client.post("/invocations", json={"dataframe_split": table})
    wanted = embed_frame(backbone, small, schema=SCHEMAS["jetclass"])
    np.testing.assert_allclose(pd.DataFrame(answer.json()["predictions"]).to_numpy(), wanted.to_numpy(), atol=1e-4)
    rows[1][table["columns"].index("part_px")] = [1.0]
    assert "entry 1" in client.post("/invocations", json={"dataframe_split": table}).text


def test_no_file_of_a_registered_model_is_a_pickle(backbone, tracking, reporter):
    found = register(backbone, reporter=reporter)
    version = tracking.client.get_model_version(found.name, found.version)
    root = Path(version.source.removeprefix("file://"))
    files = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    cards = {"data/data/cards/part-mini/card.toml", "data/data/cards/part-mini/weights.safetensors"}
    plain = {"MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt", "data/data/model.json"}
    assert files == cards | plain


def test_registering_again_adds_no_version_and_other_weights_do(backbone, tracking, reporter):
    first, again = (
        register(backbone, name="mine", reporter=reporter),
        register(backbone, name="mine", reporter=reporter),
    )
    assert (first.uri, first.is_new, again.uri, again.is_new) == ("models:/mine/1", True, "models:/mine/1", False)
    twin = load_backbone(find_card(backbone_cards(), "part-mini-untrained"))
    assert register(twin, name="mine", reporter=reporter).uri == "models:/mine/2"


def test_a_version_is_tied_to_its_run_its_code_and_its_weights(backbone, tracking, reporter):
    version = tracking.client.get_model_version(register(backbone, reporter=reporter).name, "1")
    assert version.tags["weights_sha256"] == backbone.weights_sha256
    run = tracking.client.get_run(version.run_id)
    assert (run.data.tags["kind"], run.info.status) == ("model", "FINISHED")
    assert "version.torch" in run.data.tags


@pytest.mark.parametrize("reference", ["part-mini@mean-block-1", "part-mini-untrained", "jet-observables", "mlp"])
def test_layers_controls_and_floors_travel_too(reference, tmp_path):
    backbone = load_backbone(find_card(backbone_cards(), reference))
    write_portable(backbone, schema="jetclass", folder=tmp_path / "model")
    back, schema = load_portable(tmp_path / "model")
    assert (back.card.reference, back.weights_sha256) == (reference, backbone.weights_sha256)
    assert schema.name == "jetclass"


def test_a_checkpoint_of_torch_becomes_safetensors(home, tmp_path):
    import torch

    from jetassay.backbones.card import read_card

    shipped = find_card(backbone_cards(), "mlp")
    state = {f"mod.{name}": each for name, each in load_file(shipped.folder / "weights.safetensors").items()}
    folder = home / "models" / "mine"
    folder.mkdir()
    torch.save(state, folder / "weights.pt")
    text = (shipped.folder / "card.toml").read_text().replace('name = "mlp"', 'name = "mine"', 1)
    head, _, rest = text.partition("[weights]")
    tail = rest[rest.index("\n[") :]
    import hashlib

    digest = hashlib.sha256((folder / "weights.pt").read_bytes()).hexdigest()
    own = f'[weights]\nfile = "weights.pt"\nsha256 = "{digest}"\nprefix = "mod."\nlicence = "MIT"\n'
    (folder / "card.toml").write_text(head + own + tail)
    backbone = load_backbone(read_card(folder / "card.toml"))
    write_portable(backbone, schema="jetclass", folder=tmp_path / "model")
    assert not list((tmp_path / "model").rglob("*.pt"))
    back, _ = load_portable(tmp_path / "model")
    assert back.weights_sha256 == load_backbone(shipped).weights_sha256


def test_a_model_that_was_touched_is_refused(backbone, tmp_path):
    folder = tmp_path / "model"
    write_portable(backbone, schema="jetclass", folder=folder)
    about = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**about, "weights_sha256": "0" * 64}))
    with pytest.raises(WeightsError, match="registered were 000000000000"):
        load_portable(folder)
    (folder / "model.json").write_text(json.dumps({**about, "version": 9}))
    with pytest.raises(ConfigError, match="version 9"):
        load_portable(folder)
    (folder / "model.json").write_text("{")
    with pytest.raises(ConfigError, match="no model of"):
        load_portable(folder)


def test_a_schema_without_the_columns_is_refused_before_anything_is_written(backbone, tracking, reporter):
    with pytest.raises(DataError, match="needs part_"):
        register(backbone, schema="toplandscape", reporter=reporter)
    assert not tracking.client.search_registered_models()


def test_a_backbone_with_a_python_file_does_not_travel(backbone, tmp_path):
    from types import SimpleNamespace

    card = backbone.card.model_copy(update={"architecture": "jetassay.backbones.foreign:load"})
    with pytest.raises(ConfigError, match="Python file"):
        write_portable(SimpleNamespace(card=card), schema="jetclass", folder=tmp_path / "model")
