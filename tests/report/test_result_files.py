"""A result file says the same as the results, tells when it was touched, and never guesses."""

import hashlib
import json
from dataclasses import replace

import pandas as pd
import pytest

from jetassay.errors import ConfigError
from jetassay.report.merging import merge
from jetassay.report.result_files import FILE_VERSION, LEADERBOARD, LEFT_OUT, ResultFile, read_result_file
from jetassay.tasks.score import typed


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
        (lambda _: '{"schema": 1, "scores": []}', f"schema 1, this version reads 2 and {FILE_VERSION}; write it again"),
        (lambda _: '{"schema": 99, "scores": []}', "take a newer jetassay"),
        (lambda text: text.replace("123.4", "NaN"), "no number that a result can have"),
        (lambda text: text.replace("123.4", "1e999"), "no number that a result can have"),
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


@pytest.mark.parametrize(("column", "value"), [("n_signal", 10**30), ("backbone", "a$b"), ("backbone", None)])
def test_a_score_that_no_run_writes_is_named_although_the_digest_fits(column, value, file, tmp_path):
    from jetassay.report.result_files import _digest

    whole = json.loads(file.text())
    del whole["digest"]
    if column in whole["shared"]:
        whole["shared"][column] = value
    else:
        whole["scores"][0][whole["columns"].index(column)] = value
    path = tmp_path / "odd.json"
    path.write_text(json.dumps({"digest": _digest(whole), **whole}))
    with pytest.raises(ConfigError, match="cannot be read as results"):
        read_result_file(path)


def test_a_missing_part_is_named_although_the_digest_fits(file, tmp_path):
    from jetassay.report.result_files import _digest

    whole = json.loads(file.text())
    del whole["counts"], whole["digest"]
    path = tmp_path / "part.json"
    path.write_text(json.dumps({"digest": _digest(whole), **whole}))
    with pytest.raises(ConfigError, match="it has no counts"):
        read_result_file(path)


def test_a_slim_file_gives_the_same_leaderboard_and_says_what_it_lacks(file, tmp_path):
    more = file.frame.iloc[[0] * 3].assign(task=["bins", "few-shot", "comparison"], draw=[pd.NA, 3, pd.NA])
    whole = replace(file, frame=typed(pd.concat([file.frame, more], ignore_index=True)).assign(run_id="r" * 32))
    path = tmp_path / "slim.json"
    path.write_text(whole.slim().text())
    slim = read_result_file(path)
    assert slim.text() == whole.slim().text()
    assert slim.provenance[LEFT_OUT] == {"bins": 1, "comparison": 1, "few-shot": 1, "similarity": 2}
    assert len(slim.frame) + 5 == len(whole.frame)
    assert slim.frame["run_id"].isna().all()
    boards = [merge({"a": each}).frame.drop(columns="run_id") for each in (whole, slim)]
    shown = boards[0][boards[0]["task"].isin(LEADERBOARD)].reset_index(drop=True)
    pd.testing.assert_frame_equal(shown, boards[1])


def test_a_long_word_stands_once_in_a_file_however_many_scores_have_it(file):
    frame = typed(file.frame.assign(weights_sha256=["a" * 64, "b" * 64] * (len(file.frame) // 2)))
    text = replace(file, frame=frame).text()
    assert text.count("a" * 64) == text.count("b" * 64) == 1


def test_a_file_of_the_layout_before_is_still_read(written, file):
    whole = json.loads(written.read_text())
    for name, words in whole.pop("names").items():
        at = whole["columns"].index(name)
        for row in whole["scores"]:
            row[at] = None if row[at] is None else words[row[at]]
    whole |= {"schema": 2}
    del whole["digest"]
    text = json.dumps(whole, sort_keys=True, separators=(",", ":"))
    written.write_text(json.dumps({"digest": hashlib.sha256(text.encode()).hexdigest(), **whole}))
    pd.testing.assert_frame_equal(read_result_file(written).frame, file.frame)
