"""Cards: strict facts, what identifies them, twins; and the catalogue that lists them without torch."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jetassay.backbones.card import read_card
from jetassay.backbones.catalogue import backbone_cards
from jetassay.errors import ConfigError, DuplicateNameError, UnknownNameError
from jetassay.features.sets import FEATURE_SETS
from jetassay.registry import Broken

FACTS = """
architecture = "jetassay.backbones.mlp:build"
feature_set = "part-kin"
embedding_dim = 8
labels = ["one", "two"]
parameters = { input_dim = 7, num_classes = 2, hidden = [8] }
"""
SHA = "0" * 64
WEIGHTS = f'weights = {{ file = "w.safetensors", sha256 = "{SHA}", licence = "MIT" }}\n'
TWIN = 'untrained_twin_of = "original"\nseed = 5\n'


def test_a_card_is_read_with_all_its_facts(write_card):
    card = write_card(FACTS + WEIGHTS)
    assert (card.name, card.role, card.embedding_dim, card.label_names) == ("mine", "backbone", 8, ("one", "two"))
    assert card.folder is not None
    assert card.folder.name == "mine"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (FACTS + WEIGHTS + "colour = 3", "colour: Extra inputs are not permitted"),
        (FACTS, "a backbone without weights must be declared an untrained twin"),
        (WEIGHTS, "architecture: Field required"),
        (FACTS.replace("8\n", '"many"\n', 1) + WEIGHTS, "embedding_dim: Input should be a valid integer"),
        (FACTS.replace("mlp:build", "mlp") + WEIGHTS, "architecture: String should match pattern"),
        (FACTS.replace('"one"', '"two"') + WEIGHTS, "a label stands twice"),
        (FACTS.replace('["one", "two"]', '"jetclass3"') + WEIGHTS, "no label list 'jetclass3'; known: jetclass"),
        (FACTS + 'weights = { file = "w", licence = "MIT" }', "need a sha256 or a git_blob"),
        (FACTS + f'weights = {{ sha256 = "{SHA}", licence = "MIT" }}', "either from `file`"),
        (FACTS + f'weights = {{ file = "../w", sha256 = "{SHA}", licence = "MIT" }}', "must stay inside"),
        (FACTS + f'weights = {{ file = "/w", sha256 = "{SHA}", licence = "MIT" }}', "must stay inside"),
        (FACTS + 'weights = { file = "w", sha256 = "abc", licence = "MIT" }', "weights.sha256"),
        (FACTS + f'weights = {{ file = "w", sha256 = "{SHA}" }}', "weights.licence: Field required"),
        (FACTS + 'folder = "/tmp"\n' + WEIGHTS, "folder: Extra inputs"),
        (FACTS + WEIGHTS + "seed = [", "not valid TOML"),
    ],
)
def test_a_wrong_card_is_an_error_that_names_file_and_key(text, message, write_card):
    with pytest.raises(ConfigError) as error:
        write_card(text)
    assert message in str(error.value)
    assert "card.toml" in str(error.value)


def test_a_card_must_be_called_like_its_folder(write_card, tmp_path):
    write_card(FACTS + WEIGHTS)
    shutil.copytree(tmp_path / "models" / "mine", tmp_path / "models" / "yours")
    with pytest.raises(ConfigError, match="name is 'mine' but the folder is 'yours'"):
        read_card(tmp_path / "models" / "yours" / "card.toml")


def test_the_digest_moves_with_facts_that_move_an_embedding(write_card):
    before = write_card(FACTS + WEIGHTS).digest()
    for old, new in (("[8]", "[8, 8]"), ("part-kin", "part-full"), ("mlp:build", "part:build"), (SHA, "1" * 64)):
        assert write_card((FACTS + WEIGHTS).replace(old, new)).digest() != before


def test_the_digest_does_not_move_with_titles_notes_and_addresses(write_card):
    official = f'weights = {{ urls = ["https://a.example/w.pt"], sha256 = "{SHA}", licence = "MIT" }}\n'
    before = write_card(FACTS + official).digest()
    assert write_card(FACTS + official + 'notes = "seen"\npaper = "none"\n').digest() == before
    assert write_card(FACTS + official.replace("a.example", "b.example")).digest() == before


def test_a_twin_takes_everything_but_weights_and_labels_from_the_original(write_card):
    original = write_card(FACTS + WEIGHTS, name="original")
    twin = write_card(TWIN)
    assert (twin.role, twin.seed, twin.weights, twin.labels) == ("control", 5, None, ())
    for fact in ("architecture", "parameters", "feature_set", "embedding_dim"):
        assert getattr(twin, fact) == getattr(original, fact)
    assert twin.digest() != original.digest()


def test_twins_with_other_seeds_have_other_digests(write_card):
    write_card(FACTS + WEIGHTS, name="original")
    assert write_card(TWIN).digest() != write_card(TWIN.replace("5", "6")).digest()


@pytest.mark.parametrize("text", ['untrained_twin_of = "original"\n', TWIN + WEIGHTS, TWIN + 'role = "backbone"\n'])
def test_a_twin_needs_a_seed_and_no_weights(text, write_card):
    write_card(FACTS + WEIGHTS, name="original")
    with pytest.raises(ConfigError, match="an untrained twin has"):
        write_card(text)


def test_a_twin_of_nothing_is_an_error_that_names_the_missing_card(write_card):
    with pytest.raises(ConfigError, match=r"original/card\.toml"):
        write_card(TWIN)


def test_listing_backbones_does_not_import_torch():
    code = (
        "import sys; from jetassay.backbones.catalogue import backbone_cards; "
        "from jetassay.backbones.weights import weights_state; from jetassay.registry import Broken; "
        "cards = backbone_cards().survey().values(); "
        "print(*(weights_state(card) for card in cards if not isinstance(card, Broken))); "
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "no weights" in done.stdout


def test_the_catalogue_knows_the_official_cards_and_the_floor():
    cards = backbone_cards()
    assert {"sophon", "part-kin", "part-kinpid", "part-full", "jet-observables"} <= set(cards)
    assert cards["sophon"].label_names[161] == "QCD_bbccss"
    assert len(cards["sophon"].label_names) == 188


def test_every_shipped_card_can_be_read_and_names_a_known_feature_set():
    for name, card in backbone_cards().survey().items():
        assert not isinstance(card, Broken), f"{name}: {card}"
        assert card.feature_set in FEATURE_SETS


def test_every_shipped_network_cites_its_paper_or_is_a_control():
    official = [card for card in backbone_cards().survey().values() if not isinstance(card, Broken)]
    assert all(card.paper for card in official if card.weights is not None and card.weights.urls)


def test_an_unknown_backbone_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'sophon'"):
        backbone_cards()["sophn"]


def test_own_folders_add_cards_and_broken_ones_show_as_broken(write_card, tmp_path, monkeypatch):
    write_card(FACTS + WEIGHTS, name="my-tagger")
    (tmp_path / "models" / "unfinished").mkdir()
    (tmp_path / "models" / ".hidden").mkdir()
    monkeypatch.setenv("JETASSAY_MODELS", str(tmp_path / "models"))
    found = backbone_cards().survey()
    assert found["my-tagger"].embedding_dim == 8
    assert isinstance(found["unfinished"], Broken)
    assert "card.toml" in found["unfinished"].reason
    assert ".hidden" not in found
    assert "sophon" in found


def test_two_folders_with_the_same_card_are_an_error(write_card, tmp_path, monkeypatch):
    write_card(FACTS + WEIGHTS)
    shutil.copytree(tmp_path / "models", tmp_path / "copy")
    monkeypatch.setenv("JETASSAY_MODELS", os.pathsep.join([str(tmp_path / "models"), str(tmp_path / "copy")]))
    with pytest.raises(DuplicateNameError, match="'mine' is registered twice"):
        backbone_cards()


def test_a_folder_that_does_not_exist_is_an_error(monkeypatch):
    monkeypatch.setenv("JETASSAY_MODELS", str(Path("/nowhere/at/all")))
    with pytest.raises(ConfigError, match="JETASSAY_MODELS: no such folder: /nowhere/at/all"):
        backbone_cards()
