"""From each format to each other: no jet is lost and no value moves."""

from itertools import permutations

import numpy as np
import pytest

from jetassay.errors import ConfigError, DataError
from jetassay.jets import converting
from jetassay.jets.converting import ENDINGS, convert_file, convert_files
from jetassay.jets.dataset import open_dataset
from jetassay.jets.digests import content_facts
from jetassay.jets.reading import read_chunks
from jetassay.jets.schema import SCHEMAS
from jetassay.progress import Reporter

QUIET = Reporter(quiet=True)
PAIRS = list(permutations(ENDINGS, 2))


def convert(path, folder, to, schema="jetclass", **options):
    form = SCHEMAS[schema] if schema else None
    (done,) = convert_files([path], schema=form, to=to, output=folder, reporter=QUIET, **options)
    return done


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_a_round_trip_keeps_every_jet_and_every_value(make_sample, parquet_file, tmp_path, monkeypatch, first, second):
    monkeypatch.setattr(converting, "_ENTRIES_PER_STEP", 7)  # 60 jets: the last step is not full
    path = parquet_file(make_sample())
    once = convert(path, tmp_path / "once", first)
    twice = convert(once.output, tmp_path / "twice", second)
    back = convert(twice.output, tmp_path / "back", "parquet")
    assert once.jets == twice.jets == back.jets == 60
    assert once.left_out == twice.left_out == ()
    facts = [content_facts(each, SCHEMAS["jetclass"]) for each in (path, once.output, twice.output, back.output)]
    assert facts == [facts[0]] * 4


@pytest.mark.parametrize("to", ENDINGS)
def test_jets_in_any_format_are_read_as_the_same_jets(make_sample, root_file, tmp_path, to):
    sample = make_sample()
    path = root_file(sample)
    done = convert(path, tmp_path / "out", to)
    chunks = [next(read_chunks(each, schema=SCHEMAS["jetclass"])) for each in (path, done.output)]
    for name, values in chunks[0].jets.constituents.items():
        np.testing.assert_array_equal(chunks[1].jets.constituents[name], values)
    np.testing.assert_array_equal(chunks[1].truth.labels, sample.labels)
    assert len(chunks[1].jets) == 60


def test_converted_files_are_found_in_their_folder_whatever_their_format(make_sample, parquet_file, tmp_path, cache):
    digests = set()
    for to in ENDINGS:
        convert(parquet_file(make_sample()), tmp_path / to, to)
        (file,) = open_dataset("mine", tmp_path / to, schema="jetclass").files
        digests.add((file.entries, file.digest))
    assert len(digests) == 1


@pytest.mark.parametrize("to", ENDINGS)
def test_published_vectors_survive_with_their_generator_lists(real, tmp_path, to):
    path = real("jetclass2_vectors.root")
    done = convert(path, tmp_path, to, schema=None)
    assert done.jets == 100
    assert content_facts(done.output, SCHEMAS["jetclass2"]) == content_facts(path, SCHEMAS["jetclass2"])


@pytest.mark.parametrize("to", ENDINGS)
def test_delphes_events_become_files_of_jets(real, tmp_path, to):
    path = real("events_delphes_higgs2p_example.root")
    done = convert(path, tmp_path, to, "delphes-ak8")
    assert "21 jets in, 21 jets out" in str(done)
    assert "pt_not_positive: 38" in str(done)
    before = next(read_chunks(path, schema=SCHEMAS["delphes-ak8"], labelled=False))
    after = next(read_chunks(done.output, schema=SCHEMAS["jetclass2"], labelled=False))
    np.testing.assert_array_equal(after.jets.constituents["part_dzval"], before.jets.constituents["part_dzval"])


def test_columns_that_the_schema_does_not_know_are_named(make_sample, parquet_file, tmp_path):
    sample = make_sample()
    sample.numbers["weight"] = np.ones(60)
    assert convert(parquet_file(sample), tmp_path / "out", "root").left_out == ("weight",)


def test_what_is_in_the_way_is_named_before_any_work(make_sample, parquet_file, tmp_path):
    path = parquet_file(make_sample())
    with pytest.raises(ConfigError, match="is the file to convert"):
        convert(path, tmp_path, "parquet", force=True)
    (tmp_path / "jets.h5").write_text("mine")
    with pytest.raises(ConfigError, match=r"jets\.h5: is there already; give --force"):
        convert(path, tmp_path, "hdf5")
    assert (tmp_path / "jets.h5").read_text() == "mine"
    (tmp_path / "other").mkdir()
    twin = parquet_file(make_sample(), name="other/jets.parquet")
    with pytest.raises(ConfigError, match="the same file"):
        list(convert_files([path, twin], schema=SCHEMAS["jetclass"], to="root", output=tmp_path / "o", reporter=QUIET))


@pytest.mark.parametrize("to", ["root", "hdf5"])
def test_lists_of_unequal_lengths_are_an_error_and_nothing_is_left(make_sample, parquet_file, tmp_path, to):
    sample = make_sample()
    sample.lengthen("part_d0val", 17)
    with pytest.raises(DataError, match="branch part_d0val, entry 17"):
        convert(parquet_file(sample), tmp_path / "out", to)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_writer_that_loses_a_jet_is_found_out(make_sample, parquet_file, tmp_path, monkeypatch):
    from contextlib import contextmanager

    honest = converting._WRITERS["parquet"]

    @contextmanager
    def forgetful(path, source):
        with honest(path, source) as add:
            yield lambda chunk: add(chunk) if chunk.stop < source.n_entries else None

    monkeypatch.setattr(converting, "_ENTRIES_PER_STEP", 59)
    monkeypatch.setitem(converting._WRITERS, "parquet", forgetful)
    with pytest.raises(DataError, match="60 jets were read, but 59 written"):
        convert_file(parquet_file(make_sample()), tmp_path / "o.parquet", schema=SCHEMAS["jetclass"], to="parquet")
    assert not (tmp_path / "o.parquet").exists()
