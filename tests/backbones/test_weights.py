"""Weights: found or asked for, recognised or refused, and never run."""

import hashlib
import io
import pickle
import shlex
import subprocess

import pytest
import torch
from safetensors.torch import save_file

from jetassay.backbones import mlp
from jetassay.backbones.weights import load_strictly, locate_weights, read_state, state_digest, weights_state
from jetassay.errors import WeightsError
from jetassay.progress import Reporter

FACTS = """
architecture = "jetassay.backbones.mlp:build"
feature_set = "part-kin"
embedding_dim = 8
parameters = { input_dim = 7, num_classes = 2, constituents = 3, hidden = [8] }
"""
URLS = '["https://example.org/models/w.pt", "https://mirror.example.org/w.pt"]'


def git_blob(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@pytest.fixture
def module():
    return mlp.build(input_dim=7, num_classes=2, constituents=3, hidden=[8])


@pytest.fixture
def reporter():
    heard = Reporter()
    heard.console.file = io.StringIO()
    return heard


@pytest.fixture
def checkpoint(module):
    """The bytes of a checkpoint as torch writes it, names starting with `mod.`."""
    stream = io.BytesIO()
    torch.save({f"mod.{name}": tensor for name, tensor in module.state_dict().items()}, stream)
    return stream.getvalue()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JETASSAY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def official(write_card, checkpoint, cache):
    return write_card(
        f'{FACTS}weights = {{ urls = {URLS}, git_blob = "{git_blob(checkpoint)}", size = {len(checkpoint)}, '
        'prefix = "mod.", licence = "MIT" }'
    )


def test_missing_official_weights_give_the_command_and_the_place(official, cache):
    with pytest.raises(WeightsError) as error:
        locate_weights(official)
    place = cache / "weights" / "mine" / "w.pt"
    assert f"curl -fL --create-dirs -o {place} https://example.org/models/w.pt" in str(error.value)
    assert "https://mirror.example.org/w.pt" in str(error.value)
    assert official.weights.git_blob in str(error.value)
    assert weights_state(official) == "weights missing"


def test_the_command_puts_the_file_where_it_is_then_found(official, cache, checkpoint, tmp_path):
    (tmp_path / "w.pt").write_bytes(checkpoint)
    with pytest.raises(WeightsError) as error:
        locate_weights(official)
    command = next(line for line in str(error.value).splitlines() if "curl" in line)
    words = shlex.split(command)
    words[-1] = (tmp_path / "w.pt").as_uri()
    subprocess.run(words, check=True, capture_output=True)
    assert locate_weights(official) == cache / "weights" / "mine" / "w.pt"
    assert weights_state(official) == "weights found"


def test_a_given_file_wins_over_the_usual_place(official, checkpoint, tmp_path):
    path = tmp_path / "mine.pt"
    path.write_bytes(checkpoint)
    assert locate_weights(official, given=path) == path


def test_a_given_file_that_does_not_exist_is_named(official, tmp_path):
    with pytest.raises(WeightsError, match=r"there is no file .*other\.pt"):
        locate_weights(official, given=tmp_path / "other.pt")


def test_a_file_cut_short_is_told_from_another_file(official, checkpoint, tmp_path):
    (tmp_path / "short.pt").write_bytes(checkpoint[:-10])
    with pytest.raises(WeightsError, match="may have been cut short"):
        locate_weights(official, given=tmp_path / "short.pt")


def test_a_file_of_another_content_is_refused_by_its_hash(official, checkpoint, tmp_path):
    (tmp_path / "other.pt").write_bytes(checkpoint[:-1] + b"x")
    with pytest.raises(
        WeightsError, match=f"not the file that the card names: git_blob is .* instead of {git_blob(checkpoint)}"
    ):
        locate_weights(official, given=tmp_path / "other.pt")


def test_shipped_weights_lie_beside_the_card(write_card, checkpoint):
    text = f'{FACTS}weights = {{ file = "w.pt", sha256 = "{hashlib.sha256(checkpoint).hexdigest()}", licence = "MIT" }}'
    card = write_card(text)
    with pytest.raises(WeightsError, match="ships with the card"):
        locate_weights(card)
    (card.folder / "w.pt").write_bytes(checkpoint)
    assert locate_weights(card) == card.folder / "w.pt"
    assert weights_state(card) == "weights shipped"
    (card.folder / "w.pt").write_bytes(checkpoint + b"x")
    with pytest.raises(WeightsError, match="sha256 is"):
        locate_weights(card)


def test_a_checkpoint_and_a_safetensors_file_hold_the_same(module, checkpoint, tmp_path, reporter):
    (tmp_path / "w.pt").write_bytes(checkpoint)
    save_file(module.state_dict(), tmp_path / "w.safetensors")
    digests = set()
    for path in (tmp_path / "w.pt", tmp_path / "w.safetensors"):
        copy = mlp.build(input_dim=7, num_classes=2, constituents=3, hidden=[8])
        load_strictly(copy, read_state(path, prefix="mod."), source=str(path), reporter=reporter)
        digests.add(state_digest(copy))
    assert digests == {state_digest(module)}


class Attack:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_a_pickle_that_wants_to_run_code_is_refused_and_does_not_run(tmp_path):
    victim = tmp_path / "written"
    torch.save({"layer": Attack(str(victim))}, tmp_path / "zip.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Attack(str(victim)), protocol=2))
    for name in ("zip.pt", "plain.pt"):
        with pytest.raises(WeightsError, match="refused, because reading it would run code"):
            read_state(tmp_path / name)
    assert not victim.exists()


def test_a_whole_module_instead_of_its_state_is_refused(module, tmp_path):
    torch.save(module, tmp_path / "module.pt")
    with pytest.raises(WeightsError, match="would run code"):
        read_state(tmp_path / "module.pt")


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
@pytest.mark.parametrize("keep", [0, 5, 100, -20])
def test_damaged_files_are_errors(name, keep, module, checkpoint, tmp_path):
    path = tmp_path / name
    if name == "w.safetensors":
        save_file(module.state_dict(), path)
    else:
        path.write_bytes(checkpoint)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(WeightsError, match=r"w\.(pt|safetensors): (damaged|refused)"):
        read_state(path)


@pytest.mark.parametrize("content", [b"<html>not found</html>", b"\x00" * 64, b"PK\x03\x04 no archive", b"hello world"])
def test_files_that_are_no_checkpoints_are_errors(content, tmp_path):
    for name in ("w.pt", "w.safetensors"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(WeightsError):
            read_state(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.zeros(2)], "expected a dictionary of layers, found a list"),
        ({"epoch": 3, "layer": torch.zeros(1)}, "expected tensors only, but not so: epoch"),
        ({"state_dict": {"layer": torch.zeros(1)}}, "expected tensors only, but not so: state_dict"),
    ],
)
def test_a_checkpoint_must_be_a_plain_state_dictionary(content, message, tmp_path):
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=message):
        read_state(tmp_path / "w.pt")


def load(module, reporter, **changes):
    state = {**module.state_dict(), **changes}
    load_strictly(module, {name: value for name, value in state.items() if value is not None},
                  source="a file", reporter=reporter)  # fmt: skip


def test_a_missing_layer_is_named(module, reporter):
    with pytest.raises(WeightsError, match=r"another architecture than the card's\. Layers missing: fc\.bias"):
        load(module, reporter, **{"fc.bias": None})


def test_an_unexpected_layer_is_named(module, reporter):
    with pytest.raises(WeightsError, match="Layers unexpected: extra"):
        load(module, reporter, extra=torch.zeros(1))


def test_another_shape_is_named_with_both_shapes(module, reporter):
    with pytest.raises(WeightsError, match=r"of another shape: fc\.weight is \(3, 8\) instead of \(2, 8\)"):
        load(module, reporter, **{"fc.weight": torch.zeros(3, 8)})


def test_a_wrong_prefix_shows_as_missing_and_unexpected_layers(module, checkpoint, tmp_path, reporter):
    (tmp_path / "w.pt").write_bytes(checkpoint)
    with pytest.raises(WeightsError, match=r"missing: hidden\.0\.weight, .*unexpected: mod\.hidden\.0\.weight"):
        load_strictly(module, read_state(tmp_path / "w.pt"), source="a file", reporter=reporter)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floating_types_are_converted_with_a_notice(dtype, module, reporter):
    stored = {name: tensor.to(dtype) for name, tensor in module.state_dict().items()}
    load_strictly(module, stored, source="a file", reporter=reporter)
    assert module.fc.weight.dtype == torch.float32
    assert torch.equal(module.fc.weight, stored["fc.weight"].float())
    assert f"4 layers are stored as {str(dtype)[6:]}" in reporter.console.file.getvalue()


def test_float32_weights_load_without_a_word(module, reporter):
    load(module, reporter)
    assert reporter.console.file.getvalue() == ""


@pytest.mark.parametrize("dtype", [torch.int8, torch.complex64, torch.bool])
def test_types_that_are_no_weights_are_refused(dtype, module, reporter):
    with pytest.raises(WeightsError, match=r"fc\.bias is torch\.\w+, which does not convert"):
        load(module, reporter, **{"fc.bias": torch.zeros(2).to(dtype)})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(value, module, reporter):
    with pytest.raises(WeightsError, match=r"fc\.bias holds values that are not finite"):
        load(module, reporter, **{"fc.bias": torch.tensor([0.0, value])})


def test_the_digest_of_weights_moves_with_every_value_and_name(module):
    before = state_digest(module)
    assert state_digest(module) == before
    with torch.no_grad():
        module.fc.bias[0] += 1e-6
    assert state_digest(module) != before


def test_a_card_without_weights_has_no_file(write_card):
    card = write_card(FACTS + 'role = "floor"\n')
    with pytest.raises(WeightsError, match="the card has no weights"):
        locate_weights(card)
    assert weights_state(card) == "no weights"
