"""Where two results left scores of the same single jets, the interval of their difference is that of paired jets."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from jetassay.metrics.intervals import auc_interval, clopper_pearson
from jetassay.metrics.roc import auc, cut_at
from jetassay.report.compare import render_comparison
from jetassay.report.differences import INDEPENDENT, PAIRED, differences
from jetassay.report.jet_rows import JetRows
from jetassay.report.stored import read_stored
from jetassay.tasks.curves import jet_scores_table
from jetassay.tasks.score import Context, Score, result_frame

JETS = 600
SHIFTS = (1.0, 1.2)
"""How far signal lies from background, in its own spread: the AUC is Phi(shift / sqrt 2)."""

CONTEXT = Context(
    suite="mine", dataset="sim", data_digest="d", split_seed=1, weights_sha256=None, dtype="float32", run_id=None
)


def scores_of_both(generator, *, correlation, jets=JETS):
    """Signal and background, (2, jets) each: two backbones whose scores of a jet go together by `correlation`."""
    covariance = [[1, correlation], [correlation, 1]]
    signal, background = (generator.multivariate_normal([0, 0], covariance, jets).T for _ in range(2))
    return np.float32(signal + np.array(SHIFTS)[:, None]), np.float32(background)


def as_scores(signal, background, *, task="probe"):
    facts = {"task": task, "task_version": 1, "backbone": "alpha", "signal": "Hbb"}
    facts |= {"background": "QCD", "layer": "class-token", "n_train": 2000}
    facts |= {"n_signal": len(signal), "n_background": len(background)}
    interval = auc_interval(signal, background, level=0.68, draws=200, seed=0)
    bounds = {"low": interval.low, "high": interval.high, "level": 0.68, "interval": interval.method}
    yield Score(**facts, metric="auc", value=auc(signal, background), **bounds)
    cut = cut_at(signal, background, signal_efficiency=0.5)
    found = clopper_pearson(cut.n_survivors, cut.n_background, level=0.68)
    bounds = {"low": 1 / found.high, "high": 1 / found.low, "level": 0.68, "interval": "clopper-pearson"}
    yield Score(**facts, metric="rejection", value=cut.rejection, working_point=0.5, **bounds)


def write(folder, signal, background, *, order=None):
    """A result as a run leaves it; order: of the test sample's rows, which need not be that of another run."""
    (folder / "tables").mkdir(parents=True)
    result_frame((CONTEXT, each) for each in as_scores(signal, background)).to_parquet(folder / "scores.parquet")
    (folder / "provenance.json").write_text("{}")
    logits = np.concatenate([signal, background])
    rows = np.arange(len(logits)) if order is None else order
    labels = np.array(["Hbb"] * len(signal) + ["QCD"] * len(background))
    jets = pd.DataFrame({"file": "f", "entry": rows, "label": labels[rows]})
    jets.rename_axis("jet").reset_index().to_parquet(folder / "tables/test_jets.parquet")
    table = pd.DataFrame({"jet": np.arange(len(rows)), "backbone": "alpha", "Hbb": logits[rows]})
    table.to_parquet(folder / "tables/probe_logits.parquet")
    return str(folder)


def as_head(folder, task, signal, background):
    """The same result of another task, which keeps its scores in rows of signals."""
    path = Path(folder)
    result_frame((CONTEXT, each) for each in as_scores(signal, background, task=task)).to_parquet(
        path / "scores.parquet"
    )
    jets = pd.read_parquet(path / "tables/test_jets.parquet")
    rows = [jets.index[jets["label"] == label].to_numpy() for label in ("Hbb", "QCD")]
    entries = [jets["entry"].to_numpy()[each] for each in rows]
    values = signal[entries[0]], background[entries[1] - len(signal)]
    tables = jet_scores_table(task, {"Hbb": list(zip(rows, values, strict=True))}, names=("Hbb", "Hcc", "QCD"))
    ((name, blocks),) = tables.items()
    JetRows.of(block.assign(backbone="alpha") for block in blocks).save(path / f"tables/{name}.parquet")
    (path / "tables/probe_logits.parquet").unlink()


def compared(*folders):
    return differences(*(read_stored(each) for each in folders)).set_index("metric")


@pytest.fixture
def pair(tmp_path):
    signal, background = scores_of_both(np.random.default_rng(3), correlation=0.9)
    shuffled = np.random.default_rng(4).permutation(2 * JETS)
    return (
        write(tmp_path / "a", signal[0], background[0]),
        write(tmp_path / "b", signal[1], background[1], order=shuffled),
    )


@pytest.mark.parametrize("correlation", [0.0, 0.6, 0.95])
def test_the_interval_has_the_spread_of_repeated_samples_whatever_the_correlation(correlation, tmp_path):
    generator = np.random.default_rng(5)
    truth = np.subtract(*norm.cdf(np.array(SHIFTS)[::-1] / np.sqrt(2)))
    changes = []
    for _ in range(400):
        signal, background = scores_of_both(generator, correlation=correlation)
        changes.append(auc(signal[1], background[1]) - auc(signal[0], background[0]))
    spread, covered, half = np.std(changes), [], []
    for k in range(12):
        signal, background = scores_of_both(generator, correlation=correlation)
        rows = compared(*(write(tmp_path / f"{k}{side}", signal[side], background[side]) for side in (0, 1)))
        row = rows.loc["auc"]
        half.append((row["change_high"] - row["change_low"]) / 2)
        covered.append(abs(row["change"] - truth) < 4 * half[-1])
    assert np.mean(half) == pytest.approx(spread, rel=0.12)
    assert all(covered)


def test_a_rejections_interval_has_the_spread_of_repeated_samples_too(tmp_path):
    generator, logs, half = np.random.default_rng(6), [], []
    for k in range(300):
        signal, background = scores_of_both(generator, correlation=0.9)
        cuts = [cut_at(s, b, signal_efficiency=0.5) for s, b in zip(signal, background, strict=True)]
        logs.append(np.log(cuts[1].rejection / cuts[0].rejection))
        if k < 12:
            row = compared(*(write(tmp_path / f"{k}{i}", signal[i], background[i]) for i in (0, 1))).loc["rejection"]
            assert row["change"] == pytest.approx(np.exp(logs[-1]))
            half.append(np.log(row["change_high"] / row["change_low"]) / 2)
    assert np.mean(half) == pytest.approx(np.std(logs), rel=0.2)


def test_pairs_are_found_by_file_and_entry_and_are_surer_than_independent_errors(pair, tmp_path):
    paired = compared(*pair)
    assert list(paired["errors"]) == [PAIRED, PAIRED]
    for folder in pair:
        (tmp_path / folder / "tables/probe_logits.parquet").unlink()
    alone = compared(*pair)
    assert list(alone["errors"]) == [INDEPENDENT, INDEPENDENT]
    assert list(alone["unpaired"]) == ["the first has no tables/probe_logits.parquet"] * 2
    assert (paired["change"] == alone["change"]).all()
    widths = [each["change_high"] - each["change_low"] for each in (paired, alone)]
    assert widths[0]["auc"] < 0.6 * widths[1]["auc"]
    assert widths[0]["rejection"] < widths[1]["rejection"]  # though it covers what the cuts fluctuate by, too
    assert paired.loc["auc", "z"] > 1.5 * alone.loc["auc", "z"]
    assert (paired["z"] > 0).all()


@pytest.mark.parametrize("task", ["zero-shot", "knn", "mlp-probe"])
def test_what_other_tasks_ranked_is_paired_as_the_probe_is(task, pair):
    probed = compared(*pair)
    signal, background = scores_of_both(np.random.default_rng(3), correlation=0.9)
    for side, folder in enumerate(pair):
        as_head(folder, task, signal[side], background[side])
    found = compared(*pair)
    assert list(found["errors"]) == [PAIRED, PAIRED]
    columns = ["change", "change_low", "change_high", "z", "p_holm"]
    pd.testing.assert_frame_equal(found[columns], probed[columns])


def test_a_result_against_itself_has_not_moved_at_all(pair):
    rows = compared(pair[0], pair[0])
    assert list(rows["verdict"]) == ["same", "same"]
    assert list(rows["errors"]) == [PAIRED, PAIRED]
    assert rows.loc["auc", ["change", "change_low", "change_high"]].tolist() == [0, 0, 0]
    assert rows.loc["rejection", ["change", "change_low", "change_high"]].tolist() == [1, 1, 1]


def change_table(folder, name, change):
    path = f"{folder}/tables/{name}.parquet"
    change(pd.read_parquet(path)).to_parquet(path)


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("test_jets", lambda table: table.assign(entry=table["entry"] + 1), "test jets of Hbb are not the same"),
        ("test_jets", lambda table: table.assign(file="g"), "test jets of Hbb are not the same"),
        ("test_jets", lambda table: table.assign(entry=0), "stands twice"),
        ("test_jets", lambda table: table.drop(columns="entry"), "cannot be read"),
        ("probe_logits", lambda table: table.assign(backbone="beta"), "no score of Hbb"),
        ("probe_logits", lambda table: table.assign(Hbb=-table["Hbb"]), "give another number than the results"),
        ("probe_logits", lambda table: table.drop(columns="Hbb"), "no scores of Hbb"),
        ("probe_logits", lambda table: table.iloc[1:], "some jets of"),
        ("test_jets", lambda table: table.assign(jet=table["jet"].astype(str)), "cannot be read"),
        ("test_jets", lambda table: table.assign(entry=table["entry"].astype(str)), "cannot be read"),
        ("probe_logits", lambda table: table.drop(columns="jet"), "cannot be read"),
        ("probe_logits", lambda table: table.assign(Hbb="x"), "cannot be read"),
    ],
)
def test_tables_that_do_not_fit_leave_independent_errors_and_the_reason(name, change, reason, pair):
    change_table(pair[1], name, change)
    rows = compared(*pair)
    assert list(rows["errors"]) == [INDEPENDENT, INDEPENDENT]
    assert rows["unpaired"].str.contains(reason).all()


def test_text_csv_and_json_say_how_errors_were_taken(pair, tmp_path):
    text = render_comparison(pair, format="table", whole=True, width=150)
    assert [line.split()[-1] for line in text.splitlines() if line.startswith("probe ")][-2:] == ["paired", "paired"]
    assert "independent errors, not paired" not in text
    assert render_comparison(pair, format="csv", width=80).count(",paired,") == 2
    (tmp_path / "b/tables/test_jets.parquet").write_bytes(b"half")
    text = render_comparison(pair, format="table", whole=True, width=150)
    assert "probe (2): tables/test_jets.parquet of the second cannot be read" in text
    whole = json.loads(render_comparison(pair, format="json", width=80))
    assert {each["errors"] for each in whole["scores"]} == {"independent"}
    assert {each["unpaired"] for each in whole["scores"]} == {"tables/test_jets.parquet of the second cannot be read"}
