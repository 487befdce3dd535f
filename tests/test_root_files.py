"""A damaged ROOT file changes nothing for the files after it."""

import numpy as np
import pytest
import uproot

from jetassay.jets.root import RootSource
from jetassay.root_files import open_root


@pytest.fixture
def path(tmp_path):
    with uproot.recreate(tmp_path / "jets.root") as file:
        file.mktree("tree", {"jet_pt": "f8"})
        file["tree"].extend({"jet_pt": np.arange(3.0)})
    return tmp_path / "jets.root"


def test_classes_that_a_damaged_file_left_spoil_no_other(path, monkeypatch):
    """As uproot leaves them where a byte of the version of a branch was another one."""
    wrong = uproot.model.unknown_class("TBranch", 13)
    monkeypatch.setitem(uproot.classes["TBranch"].known_versions, 13, wrong)
    source = RootSource(path, tree="tree")
    assert uproot.classes["TBranch"].known_versions[13] is uproot.models.TBranch.Model_TBranch_v13
    assert (source.n_entries, source.numbers) == (3, ("jet_pt",))
    source.close()


def test_options_are_those_of_uproot(path):
    with open_root(path, object_cache=None) as file:
        assert file["tree/jet_pt"].array(library="np").tolist() == [0, 1, 2]
