"""Jets to look at: those that a probe is most and least sure of, right and wrong, and their constituents."""

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter

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
) -> list[tuple[float, int]]:
    """For each of `WHY` how far its jet goes that way, and its row; minus infinity where there is none of its kind.

    logits: float32 (J,); is_signal, is_background: bool (J,); J at least 1. Of jets that tie, the first.
    """
    both = is_signal | is_background
    found = []
    for mask, towards in (
        (is_signal, logits),
        (is_background, -logits),
        (both, -np.abs(logits)),
        (is_signal, -logits),
        (is_background, logits),
    ):
        reach = np.where(mask, towards, -np.inf)
        row = int(np.argmax(reach))
        found.append((float(reach[row]), row))
    return found


def extremes_table(
    logits: Iterable[pd.DataFrame], labels: NDArray[np.int64], *, names: Sequence[str], background: str
) -> pd.DataFrame:
    """Columns backbone, signal, why, jet: five rows for each backbone and each of its signals.

    logits: blocks of table `probe_logits`; labels: (J,) of the test jets, indices into `names`

    A signal whose logits are not all there has no rows.
    """
    best: dict[tuple[str, str], list[tuple[float, int]]] = {}
    lacking: set[tuple[str, str]] = set()
    for block in logits:
        for backbone, own in block.groupby("backbone", sort=False):
            jets = own["jet"].to_numpy()
            of = labels[jets]
            for signal in own.columns.drop(["backbone", "jet"]):
                key, values = (str(backbone), str(signal)), own[signal].to_numpy(np.float32)
                if np.isnan(values).any():
                    lacking.add(key)
                sides = (of == names.index(each) for each in (key[1], background))
                here = [(reach, int(jets[row])) for reach, row in extreme_jets(values, *sides)]
                # the first of two that reach as far, as within a block
                best[key] = [max(pair, key=itemgetter(0)) for pair in zip(best.get(key, here), here, strict=True)]
    rows = [
        (*key, why, jet)
        for key, found in best.items()
        if key not in lacking
        for why, (_, jet) in zip(WHY, found, strict=True)
    ]
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
