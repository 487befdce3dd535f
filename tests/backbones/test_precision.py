"""Float32 is exact while a backbone embeds, and nobody's settings are touched beyond that."""

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import torch

from jetassay.backbones import precision
from jetassay.backbones.card import Card
from jetassay.backbones.loading import TorchBackbone
from jetassay.backbones.precision import exact_float32

OPERATORS = ("cuda.matmul", "cudnn.conv", "cudnn.rnn", "mkldnn.matmul", "mkldnn.conv", "mkldnn.rnn")


def operator_settings():
    found = {"all": torch.backends.fp32_precision}
    for name in OPERATORS:
        backend, _, kind = name.partition(".")
        found[name] = getattr(getattr(torch.backends, backend), kind).fp32_precision
    return found


def older_settings():
    return torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()


def is_exact():
    return {found for name, found in operator_settings().items() if name != "all"} <= {"ieee", "none"}


@pytest.fixture(autouse=True)
def defaults():
    """torch's own settings, before and after."""
    before = operator_settings(), older_settings()
    assert before[1] == (True, "highest")
    yield
    torch.backends.fp32_precision = "none"
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = True
    for name in ("cuda.matmul", "mkldnn.matmul", "mkldnn.conv", "mkldnn.rnn"):
        backend, _, kind = name.partition(".")
        getattr(getattr(torch.backends, backend), kind).fp32_precision = "none"
    assert (operator_settings(), older_settings()) == before


def allow_nothing():
    """As torch comes: cuDNN's convolutions are TF32."""
    assert operator_settings()["cudnn.conv"] == "tf32"


def allow_in_products():
    torch.set_float32_matmul_precision("medium")


def allow_in_cuda_products():
    """The setting that most users know: torch's older one for products everywhere comes with it."""
    torch.backends.cuda.matmul.allow_tf32 = True


def allow_in_products_but_one_operators():
    torch.set_float32_matmul_precision("medium")
    torch.backends.mkldnn.matmul.fp32_precision = "none"


def allow_everywhere():
    torch.backends.fp32_precision = "tf32"


def allow_in_one_operator():
    torch.backends.cudnn.conv.fp32_precision = "ieee"
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"


@pytest.mark.parametrize(
    "allow",
    [
        allow_nothing,
        allow_in_products,
        allow_in_cuda_products,
        allow_in_products_but_one_operators,
        allow_everywhere,
        allow_in_one_operator,
    ],
)
def test_float32_is_exact_within_and_settings_are_as_before_afterwards(allow):
    allow()
    before = operator_settings()
    assert not is_exact()
    with exact_float32():
        assert is_exact()
    assert operator_settings() == before
    with pytest.raises(ValueError, match="inside"), exact_float32():
        raise ValueError("inside")
    assert operator_settings() == before


@pytest.mark.parametrize("allow", [allow_nothing, allow_in_products])
def test_older_settings_can_be_read_within_and_are_as_before_afterwards(allow):
    allow()
    before = older_settings()
    with exact_float32():
        assert older_settings() == (False, "highest")
    assert older_settings() == before


def test_what_was_inherited_follows_the_wider_setting_afterwards():
    torch.backends.fp32_precision = "tf32"
    with exact_float32():
        pass
    torch.backends.fp32_precision = "ieee"
    own = {"cudnn.conv": "tf32", "cudnn.rnn": "tf32"}  # as torch comes, they follow nothing
    assert operator_settings() == {name: own.get(name, "ieee") for name in ("all", *OPERATORS)}


def test_an_older_torch_has_only_the_older_settings(monkeypatch):
    torch.set_float32_matmul_precision("high")
    monkeypatch.setattr(precision, "attrgetter", None)  # whatever is newer
    older = SimpleNamespace(cudnn=SimpleNamespace(allow_tf32=True))
    monkeypatch.setattr(torch, "backends", older)
    with exact_float32():
        assert (older.cudnn.allow_tf32, torch.get_float32_matmul_precision()) == (False, "highest")
    assert (older.cudnn.allow_tf32, torch.get_float32_matmul_precision()) == (True, "high")


def test_the_last_thread_to_leave_puts_settings_back():
    entered, leave = threading.Event(), threading.Event()

    def stay():
        with exact_float32():
            entered.set()
            assert leave.wait(30)
            return is_exact()

    with ThreadPoolExecutor(1) as workers:
        stayed = workers.submit(stay)
        assert entered.wait(30)
        with exact_float32():
            pass
        assert is_exact()
        leave.set()
        assert stayed.result()
    assert operator_settings()["cudnn.conv"] == "tf32"


def test_a_backbone_embeds_in_exact_float32(make_batch):
    card = Card(name="mine", title="A card", role="floor", architecture="nowhere:nothing", feature_set="part-kin",
                embedding_dim=8)  # fmt: skip
    seen = []

    class Watching(torch.nn.Module):
        def forward(self, features, _p4, _mask):
            seen.append(is_exact())
            return features.new_zeros(len(features), 8), None

    backbone = TorchBackbone(card, Watching(), device=torch.device("cpu"), dtype="float32")
    backbone.embed(make_batch([3, 2]))
    assert seen
    assert all(seen)
    assert not is_exact()
