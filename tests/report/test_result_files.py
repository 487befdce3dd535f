"""A result file says the same as the results, tells when it was touched, and never guesses."""

import json
from dataclasses import replace

import pandas as pd
import pytest

from jetassay.errors import ConfigError
from jetassay.report.result_files import FILE_VERSION, ResultFile, read_result_file


@pytest.fixture
def file(frame):
    about = {"created": "2026-11-22", "parameters": {"dataset": {"folder": "/home/somebody/jets"}}}
    return ResultFile(suite="mine", title="Mine", frame=frame, provenance=about, definitions=("A probe.",))


@pytest.fixture
def written(file, tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(file.text())
    return path


def test_what_was_written_is_read_to_the_last_digit(written, file):
    back = read_result_file(written)
    pd.testing.assert_frame_equal(back.frame, file.frame)
    assert (back.suite, back.title, back.definitions) == (file.suite, file.title, file.definitions)


def test_equal_results_are_equal_bytes_and_a_score_is_a_line(written, file):
    back = read_result_file(written)
    assert back.text() == file.text()
    lines = file.text().splitlines()
    assert sum(line.startswith("  [") for line in lines) == len(file.frame)


def test_the_folder_of_somebodys_machine_is_not_in_it(written):
    assert "/home/somebody" not in written.read_text()
    assert read_result_file(written).provenance["parameters"] == {"dataset": {"folder": "jets"}}


@pytest.mark.parametrize(
    ("old", "new"), [("123.4", "999.4"), ('"Mine"', '"Ours"'), ('"alpha"', '"gamma"'), ('"A probe."', '"A guess."')]
)
def test_a_changed_score_name_or_definition_shows_in_the_digest(written, old, new):
    text = written.read_text()
    assert old in text
    written.write_text(text.replace(old, new))
    with pytest.raises(ConfigError, match=r"mine.json: changed after it was written"):
        read_result_file(written)


def test_another_layout_of_the_same_content_is_no_change(written, file):
    written.write_text(json.dumps(json.loads(written.read_text()), sort_keys=True))
    pd.testing.assert_frame_equal(read_result_file(written).frame, file.frame)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[: len(text) // 2], "half-written"),
        (lambda _: "", "half-written"),
        (lambda _: "[1]", "no file of `jetassay results"),
        (lambda _: '{"name": "a package"}', "no file of `jetassay results"),
        (lambda _: '{"schema": 1, "scores": []}', f"schema 1, this version reads {FILE_VERSION}; write it again"),
        (lambda _: '{"schema": 99, "scores": []}', "take a newer jetassay"),
        (lambda text: text.replace("123.4", "NaN"), "no number that a result can have"),
    ],
)
def test_a_file_that_is_none_half_or_of_another_version_is_named_with_the_reason(written, change, message):
    written.write_text(change(written.read_text()))
    with pytest.raises(ConfigError, match=message) as caught:
        read_result_file(written)
    assert "mine.json" in str(caught.value)


def test_a_file_without_a_score_says_so(file, tmp_path):
    path = tmp_path / "none.json"
    path.write_text(replace(file, frame=file.frame[:0]).text())
    with pytest.raises(ConfigError, match="no score in it"):
        read_result_file(path)


def test_scores_of_another_schema_are_refused(file, tmp_path):
    path = tmp_path / "other.json"
    path.write_text(replace(file, frame=file.frame.assign(schema=7)).text())
    with pytest.raises(ConfigError, match="scores of schema 7"):
        read_result_file(path)


def test_a_missing_part_is_named_although_the_digest_fits(file, tmp_path):
    from jetassay.report.result_files import _digest

    whole = json.loads(file.text())
    del whole["counts"], whole["digest"]
    path = tmp_path / "part.json"
    path.write_text(json.dumps({"digest": _digest(whole), **whole}))
    with pytest.raises(ConfigError, match="it has no counts"):
        read_result_file(path)
