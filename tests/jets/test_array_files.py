"""HDF5 and npz files that cannot be read: each is told what it is."""

import pickle
import sys
from contextlib import suppress

import h5py
import numpy as np
import pytest

from jetassay.errors import DataError
from jetassay.jets.sources import open_source


@pytest.fixture(params=["jets.h5", "jets.npz"])
def array_file(request, tmp_path):
    """A file with an array of 500 jets, 20 places and 4 columns, and a label."""
    path = tmp_path / request.param
    arrays = {"x": np.random.default_rng(1).normal(size=(500, 20, 4)), "y": np.arange(500)}
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        with h5py.File(path, "w") as file:
            for name, values in arrays.items():
                file.create_dataset(name, data=values, chunks=True)
    return path


def everything(path):
    source = open_source(path, tree="")
    try:
        return list(source.chunks((*source.numbers, *source.lists), start=0, stop=source.n_entries, step=64))
    finally:
        source.close()


def test_arrays_are_columns_of_numbers_and_lists(array_file):
    source = open_source(array_file, tree="")
    assert (source.n_entries, source.numbers, source.lists) == (500, ("y",), ("x[0]", "x[1]", "x[2]", "x[3]"))
    (chunk,) = source.chunks(("y", "x[2]"), start=10, stop=30, step=100)
    source.close()
    assert chunk.lists["x[2]"].counts.tolist() == [20] * 20
    np.testing.assert_array_equal(chunk.numbers["y"], np.arange(10, 30))


@pytest.mark.parametrize("kept", [0.2, 0.6, 0.95])
def test_a_truncated_file_is_an_error_that_names_it(array_file, kept):
    data = array_file.read_bytes()
    array_file.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(DataError, match=f"{array_file}.*truncated or damaged"):
        everything(array_file)


def test_a_file_with_changed_bytes_gives_an_error_or_numbers_and_never_a_traceback(array_file):
    data = array_file.read_bytes()
    rng = np.random.default_rng(2)
    for _ in range(40):
        broken = bytearray(data)
        for place in rng.integers(4, min(len(data), 3000), 5):
            broken[place] = rng.integers(256)
        array_file.write_bytes(bytes(broken))
        with suppress(DataError):
            everything(array_file)


def test_arrays_of_python_objects_are_never_read(tmp_path):
    path = tmp_path / "jets.npz"
    np.savez(path, x=np.array([{"a": 1}] * 3, dtype=object), y=np.arange(3))
    source = open_source(path, tree="")
    assert "x" in source.others
    assert source.numbers == ("y",)
    source.close()


def _pandas_table(path, kind):
    """A file as pandas lays it out, with the given bytes for the names of its three columns."""
    with h5py.File(path, "w") as file:
        group = file.create_group("table")
        group.attrs["pandas_type"] = np.bytes_("frame_table")
        table = group.create_dataset("table", data=np.zeros(5, np.dtype([("values_block_0", "f4", (3,))])))
        table.attrs["values_block_0_kind"] = np.void(kind)
    return path


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("names", [["pt", "eta", "phi"], [0, 1, 300], ["a", "b", "a b \u03b7"]])
def test_names_of_columns_are_read_from_every_protocol_of_pickle(tmp_path, protocol, names):
    source = open_source(_pandas_table(tmp_path / "jets.h5", pickle.dumps(names, protocol)), tree="table")
    assert source.numbers == tuple(map(str, names))
    source.close()


def test_a_name_that_the_pickle_only_refers_to_is_read_too(tmp_path):
    kind = pickle.dumps([name := "p_t", "eta", name], 4)
    assert kind.count(b"p_t") == 1
    source = open_source(_pandas_table(tmp_path / "jets.h5", kind), tree="table")
    assert source.numbers == ("p_t", "eta")  # three names for three columns, as pandas gives them
    source.close()


class _Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("place", [0, 2])
def test_names_of_columns_that_ask_for_code_are_refused_and_nothing_runs(tmp_path, protocol, place):
    names = ["pt", "eta"]
    names.insert(place, _Bomb(str(tmp_path / "ran")))
    path = _pandas_table(tmp_path / "jets.h5", pickle.dumps(names, protocol))
    with pytest.raises(DataError, match="which is never run; write the file again with plain names"):
        open_source(path, tree="table")
    assert not (tmp_path / "ran").exists()


def test_a_pickle_that_is_no_list_gives_no_names_and_nothing_runs(tmp_path):
    path = _pandas_table(tmp_path / "jets.h5", pickle.dumps(_Bomb(str(tmp_path / "ran")), 0))
    source = open_source(path, tree="table")
    assert source.numbers == ("values_block_0[0]", "values_block_0[1]", "values_block_0[2]")
    source.close()
    assert not (tmp_path / "ran").exists()


def test_an_array_in_fortran_order_says_what_to_do(tmp_path):
    path = tmp_path / "jets.npz"
    np.savez(path, x=np.asfortranarray(np.ones((6, 5, 4))), y=np.arange(6))
    source = open_source(path, tree="")
    assert source.others == {"x": "an array in Fortran order; save it in C order"}
    source.close()


@pytest.mark.parametrize("array_file", ["jets.h5"], indirect=True)
def test_without_h5py_the_extra_is_named(array_file, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DataError, match=r"pip install 'jetassay\[data\]'"):
        open_source(array_file, tree="")


def test_memory_does_not_grow_with_the_length_of_an_array(tmp_path):
    import tracemalloc

    path = tmp_path / "long.npz"
    np.savez_compressed(path, x=np.zeros((20_000, 50, 4)), y=np.zeros(20_000))
    source = open_source(path, tree="")
    tracemalloc.start()
    for _ in source.chunks(("x[0]", "y"), start=15_000, stop=20_000, step=500):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    source.close()
    assert peak < 8e6  # the array has 32 MB
