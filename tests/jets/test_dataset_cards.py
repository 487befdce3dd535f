import pytest

from jetassay.errors import ConfigError, DataError
from jetassay.jets.catalogue import dataset_cards, open_card, read_dataset_card
from jetassay.jets.classes import CLASS_NAMES
from jetassay.jets.schema import SCHEMAS


def test_every_card_can_be_read_and_names_a_schema():
    cards = dataset_cards()
    assert set(cards) >= {"jetclass-sim", "jetclass", "jetclass2"}
    for name in ("jetclass-sim", "jetclass", "jetclass2"):
        assert cards[name].schema_name in SCHEMAS


def test_the_simulated_dataset_is_large_enough_to_split_by_file():
    simulation = dataset_cards()["jetclass-sim"].simulation
    assert simulation.classes == CLASS_NAMES
    assert (simulation.jets, simulation.files, simulation.seed) == (2500, 5, 20261121)


def test_an_unknown_key_of_a_card_is_named(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\ntitle = "Mine"\nschema = "jetclass"\ncolour = "red"\n')
    with pytest.raises(ConfigError, match=r"mine.toml: colour"):
        read_dataset_card(path)


def test_a_card_has_the_name_of_its_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('name = "other"\ntitle = "Mine"\nschema = "jetclass"\n')
    with pytest.raises(ConfigError, match="make them equal"):
        read_dataset_card(path)


def test_a_published_dataset_lies_where_it_is_said_to(make_sample, root_file, tmp_path, cache, monkeypatch):
    root_file(make_sample(11), "HToBB_120.root")
    card = dataset_cards()["jetclass"]
    monkeypatch.delenv("DATADIR_JetClass", raising=False)
    assert open_card(card, folder=tmp_path).entries == 11
    with pytest.raises(DataError, match=r"set DATADIR_JetClass to it; it is published at https://zenodo"):
        open_card(card)
    monkeypatch.setenv("DATADIR_JetClass", str(tmp_path))
    dataset = open_card(card)
    assert (dataset.name, dataset.files[0].group) == ("jetclass", "Hbb")
