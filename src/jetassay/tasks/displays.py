"""Jets to look at: those that a probe is most and least sure of, right and wrong, and their constituents."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jetassay.jets.kinematics import Momenta, wrapped

JETS, SHOWN, CONSTITUENTS = "test_jets", "shown_jets", "shown_constituents"
"""Names of tables: which jet each row of the test sample is, jets worth a look, and their constituents."""

KINDS = ("part_isChargedHadron", "part_isNeutralHadron", "part_isPhoton", "part_isElectron", "part_isMuon")
"""What a constituent is, as the files say; its place here, from 1 on, is its `kind` in the table, and 0 is unknown."""

TRACK = ("part_charge", "part_d0val", "part_d0err")
"""What displacement is made of, where files have it."""


WHY: tuple[str, ...] = (
    "signal, surest",
    "background, surest",
    "least sure",
    "signal, taken for background",
    "background, taken for signal",
)
"""Why a jet is shown: highest logit of the signal; lowest of the background; closest to even odds of both; lowest of
the signal; highest of the background. The last two are wrong where their logits have the other sign."""


def extreme_jets(
    logits: NDArray[np.float32], is_signal: NDArray[np.bool_], is_background: NDArray[np.bool_]
) -> list[int]:
    """Rows of the five jets of `WHY`, in that order. Both kinds are there, or `ValueError` of numpy.

    logits: float32 (J,); is_signal, is_background: bool (J,). Of jets that tie, the first.
    """
    signal, background = np.flatnonzero(is_signal), np.flatnonzero(is_background)
    both = np.flatnonzero(is_signal | is_background)
    return [
        int(signal[np.argmax(logits[signal])]),
        int(background[np.argmin(logits[background])]),
        int(both[np.argmin(np.abs(logits[both]))]),
        int(signal[np.argmin(logits[signal])]),
        int(background[np.argmax(logits[background])]),
    ]


def extremes_table(logits: pd.DataFrame, labels: NDArray[np.str_], *, background: str) -> pd.DataFrame:
    """Columns backbone, signal, why, jet: five rows for each backbone and each of its signals.

    logits: table `probe_logits`; labels: name of the label of each test jet, (J,)
    """
    rows = []
    for backbone, own in logits.groupby("backbone", sort=False):
        signals = [name for name in own.columns if name not in ("backbone", "jet") and own[name].notna().all()]
        for signal in signals:
            jets = own["jet"].to_numpy()
            of = labels[jets]
            found = extreme_jets(own[signal].to_numpy(np.float32), of == signal, of == background)
            rows += [(backbone, signal, why, int(jets[row])) for why, row in zip(WHY, found, strict=True)]
    return pd.DataFrame(rows, columns=["backbone", "signal", "why", "jet"]).astype({"jet": "int32"})


def constituents_table(
    constituents: Mapping[str, NDArray[np.float32]], offsets: NDArray[np.int64], jets: Sequence[int] | NDArray[np.int32]
) -> pd.DataFrame:
    """The constituents of J jets, a row each, as displays take them.

    constituents, offsets: as of `Jets`, with four-vectors, and `KINDS` and `TRACK` where files have them
    jets: J numbers, by which the jets are called

    Columns: `jet`, `deta` and `dphi` to the sum of the jet's constituents, `pt` in GeV, `kind` (see `KINDS`), `charge`,
    and `significance` = |d0| / sigma(d0), NaN without a measured track.
    """
    px, py, pz, energy = (constituents[f"part_{name}"].astype(np.float64) for name in ("px", "py", "pz", "energy"))
    each = Momenta(px, py, pz, energy)
    lengths = np.diff(offsets)
    axis = each.per_jet(offsets)
    kind = np.zeros(len(px), np.int8)
    for number, name in enumerate(KINDS, start=1):
        if name in constituents:
            kind[constituents[name] > 0] = number
    charge, value, error = (constituents.get(name, np.zeros(len(px), np.float32)) for name in TRACK)
    measured = (charge != 0) & (error > 0)
    return pd.DataFrame(
        {
            "jet": np.repeat(np.asarray(jets, np.int32), lengths),
            "deta": (each.eta - np.repeat(axis.eta, lengths)).astype(np.float32),
            "dphi": wrapped(each.phi - np.repeat(axis.phi, lengths)).astype(np.float32),
            "pt": each.pt.astype(np.float32),
            "kind": kind,
            "charge": charge.astype(np.int8),
            "significance": np.where(measured, np.abs(value) / np.where(measured, error, 1), np.nan).astype(np.float32),
        }
    )
