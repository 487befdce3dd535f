"""A figure is drawn again where anything that it is drawn from is another, and not where nothing is."""

import json
from functools import partial

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from jetassay.report import figures, kept_figures
from jetassay.report.content import Figure
from jetassay.report.figures import auc_figure, styles
from jetassay.report.gaps import draw_all
from jetassay.report.kept_figures import RECORD, drawing_digest


@pytest.fixture
def drawn(monkeypatch):
    """How often a figure with axes was drawn since."""
    calls = []
    monkeypatch.setattr(figures, "_dots", lambda *args, **options: calls.append(1) or plt.subplots(figsize=(1, 1))[0])
    return calls


def auc_of(frame, **changes):
    return Figure("auc", partial(auc_figure, frame, **{"style": styles(frame), "task": "probe", **changes}))


def test_what_did_not_change_is_not_drawn_again_and_is_the_same_picture(frame, tmp_path, drawn):
    first = draw_all([auc_of(frame)], tmp_path)
    again = draw_all([auc_of(frame.copy())], tmp_path)
    assert len(drawn) == 1
    assert again == first
    assert again["auc"].png == (tmp_path / "auc.png").read_bytes()


def changed(frame, column, value):
    return frame.assign(**{column: [value, *frame[column].iloc[1:]]}).astype(dict(frame.dtypes))


@pytest.mark.parametrize(
    "other",
    [
        lambda frame: auc_of(changed(frame, "value", 0.94)),
        lambda frame: auc_of(changed(frame, "value", None)),
        lambda frame: auc_of(changed(frame, "signal", "Hcc")),
        lambda frame: auc_of(changed(frame, "n_signal", 5)),
        lambda frame: auc_of(frame.iloc[::-1]),
        lambda frame: auc_of(frame.iloc[:-1]),
        lambda frame: auc_of(frame.rename(columns={"seed": "seeds"})),
        lambda frame: auc_of(frame, style={**styles(frame), "alpha": ("#000000", "o")}),
        lambda frame: auc_of(frame, task="zero-shot"),
    ],
    ids=["value", "no value", "name", "count", "order", "fewer", "columns", "style", "argument"],
)
def test_any_other_data_are_another_figure(other, frame, tmp_path, drawn):
    draw_all([auc_of(frame)], tmp_path)
    draw_all([other(frame)], tmp_path)
    assert len(drawn) == 2


def test_where_a_score_is_filed_draws_nothing_again(frame, tmp_path, drawn):
    draw_all([auc_of(frame)], tmp_path)
    draw_all([auc_of(frame.assign(run_id="0123"))], tmp_path)
    assert len(drawn) == 1


def test_other_code_draws_everything_again(frame, tmp_path, drawn, monkeypatch):
    draw_all([auc_of(frame)], tmp_path)
    monkeypatch.setattr(kept_figures, "_surroundings", lambda: "another version")
    draw_all([auc_of(frame)], tmp_path)
    assert len(drawn) == 2


def test_the_code_that_counts_is_every_module_and_every_library_that_draws(tmp_path, monkeypatch):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "colours.py").write_text("RED = 1")
    monkeypatch.setattr(kept_figures, "_PACKAGE", tmp_path)
    found = kept_figures._surroundings.__wrapped__
    before = found()
    (tmp_path / "deep" / "colours.py").write_text("RED = 2")
    after = found()
    monkeypatch.setattr(kept_figures, "version", lambda name: "9")
    assert len({before, after, found()}) == 3


@pytest.mark.parametrize("harm", ["edited", "gone", "record damaged", "record of something else", "no record"])
def test_a_picture_that_is_not_what_was_drawn_is_drawn_again(harm, frame, tmp_path, drawn):
    good = draw_all([auc_of(frame)], tmp_path)
    picture, record = tmp_path / "auc.png", tmp_path / RECORD
    match harm:
        case "edited":
            picture.write_bytes(picture.read_bytes()[:-1])
        case "gone":
            picture.unlink()
        case "record damaged":
            record.write_text(record.read_text()[:20])
        case "record of something else":
            record.write_text(json.dumps({"auc": [1]}))
        case "no record":
            record.unlink()
    assert draw_all([auc_of(frame)], tmp_path) == good
    assert len(drawn) == 2
    draw_all([auc_of(frame)], tmp_path)
    assert len(drawn) == 2


def test_what_may_hold_more_than_is_seen_has_no_digest(frame):
    assert drawing_digest(partial(auc_figure, frame)) is not None
    assert drawing_digest(lambda: auc_figure(frame)) is None
    assert drawing_digest(partial(lambda: None)) is None
    assert drawing_digest(partial(plt.subplots)) is None
    assert drawing_digest(partial(auc_figure, object())) is None


def test_values_of_different_types_are_different():
    def digest(value):
        return drawing_digest(partial(auc_figure, value))

    whole = pd.DataFrame({"a": [1, 2]})
    same_text = [1, True, 1.0, "1", [1], (1,), {1}, {1: 1}, None, whole, whole.astype(float), whole.astype(object)]
    same_text += [whole.assign(a=["1", "2"]), pd.DataFrame({"a": [1, True]}, dtype=object), whole.set_index("a")]
    same_text += [[[1], []], [[], [1]], [["a", "b"]], [["a"], "b"], pd.DataFrame({"a": [1, np.nan]}, dtype="object")]
    same_text += [pd.DataFrame({"a": pd.Categorical(["b"], order)}) for order in (["a", "b"], ["b", "a"])]
    found = [digest(each) for each in same_text]
    assert None not in found
    assert len(set(found)) == len(found)
