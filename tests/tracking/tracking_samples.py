"""Scores as the tasks give them, made up."""

from jetassay.tasks.score import Context, Score, result_frame

DIGEST = "0123456789abcdef" * 4


def probe_scores(backbone, *, seed=0, auc=0.95, rejection=123.5, signals=("Hbb", "Tbl")):
    """AUC and rejection at the class's working point, as the probe gives them; no rejection means no survivors."""
    points = {"Hbb": 0.5, "Tbl": 0.995}
    shared = {
        "task": "probe",
        "task_version": 1,
        "backbone": backbone,
        "background": "QCD",
        "seed": seed,
        "level": 0.68,
    }
    shared |= {"n_signal": 1000, "n_background": 2000, "n_train": 5000}
    for signal in signals:
        facts = shared | {"signal": signal}
        yield Score(**facts, metric="auc", value=auc, low=auc - 0.01, high=auc + 0.01, interval="bootstrap")
        cut = {"metric": "rejection", "working_point": points[signal], "interval": "exact"}
        if rejection is None:
            yield Score(**facts, **cut, value=None, low=210.0, n_survivors=0)
        else:
            yield Score(**facts, **cut, value=rejection, low=rejection / 2, high=rejection * 2, n_survivors=16)


def pair_scores(first, second, *, value=0.4):
    """CKA of two backbones, over all jets and within the background."""
    for where in ("all", "QCD"):
        yield Score(
            task="similarity", task_version=1, metric="cka", value=value, low=value - 0.1, high=value + 0.1,
            backbone=first, backbone_b=second, background="QCD", bin=where, n_signal=10, n_background=5, seed=0,
        )  # fmt: skip


def frame_of(*scores, dataset="jetclass-sim"):
    """The long frame of scores that share all their context."""
    context = Context(
        suite="trial", dataset=dataset, data_digest=DIGEST, split_seed=1, weights_sha256=None, dtype="float32"
    )
    return result_frame([(context, score) for score in scores])
