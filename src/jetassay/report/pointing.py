"""What the pointer shows over a figure: places of points that stand for jets, and the jets themselves, in few bytes."""

import base64
import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from jetassay.jets.classes import jet_class

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

LINK = "#jet-"
"""How the links of points begin that stand for jets; the number of the jet follows."""

SCALE = 10_000
"""Places are whole numbers, from 0 to this."""

MOST_CONSTITUENTS = 40
"""Of a jet, the hardest; the others are dots that nobody sees at that size."""

REACH = 0.9
"""Half the side of the picture in eta and phi."""

_MOST_DISPLACED = 10.0
_FACTS = {"jet_pt": "pT {:.0f} GeV", "jet_sdmass": "soft-drop mass {:.0f} GeV", "multiplicity": "{:.0f} constituents"}


def link(jets: pd.Series) -> list[str]:
    """Links for `set_urls` of a collection, a point a jet."""
    return [f"{LINK}{jet}" for jet in jets]


def has_points(figure: "Figure") -> bool:
    """Whether some points stand for jets."""
    urls = (url for axes in figure.axes for each in axes.collections for url in each.get_urls() or ())
    return any(url and url.startswith(LINK) for url in urls)


def points(figure: "Figure", box: "Bbox") -> str:
    """`x y jet` of every linked point, as whole numbers with a space between; x and y from the top left of `box`.

    box: the part of the figure that is saved, in inches
    """
    found: list[int] = []
    for axes in figure.axes:
        for each in axes.collections:
            urls = [url for url in each.get_urls() or () if url and url.startswith(LINK)]
            if not urls:
                continue
            places = each.get_offset_transform().transform(each.get_offsets()) / figure.dpi
            x = (places[:, 0] - box.x0) / box.width
            y = (box.y1 - places[:, 1]) / box.height
            numbers = [int(url.removeprefix(LINK)) for url in urls]
            rows = np.stack([np.round(SCALE * x), np.round(SCALE * y), numbers], axis=1)
            found += rows.astype(np.int64).ravel().tolist()
    return " ".join(map(str, found))


def pointed_jets(jets: pd.DataFrame, constituents: pd.DataFrame) -> str:
    """JSON: number of the jet -> [text, constituents], for the jets of `constituents`.

    jets, constituents: tables `test_jets` and `shown_constituents`
    Constituents are base64 of four bytes each, by falling pT: deta, dphi (0 to 255 from -`REACH` to `REACH`), root of
    the share of the jet's pT (255 is all), and kind + 8 if charged + 16 * displacement (0 to 15, from 0 to 10 sigma).
    """
    about = jets[jets["jet"].isin(constituents["jet"].unique())].set_index("jet").to_dict("index")
    found = {jet: [_text(about[jet]), _bytes(parts)] for jet, parts in constituents.groupby("jet")}
    return json.dumps(found, separators=(",", ":"))


def _text(jet: dict[object, object]) -> str:
    names = {
        "jet_pt": "pT {:.0f} GeV",
        "jet_sdmass": "soft-drop mass {:.0f} GeV",
        "multiplicity": "{:.0f} constituents",
    }
    facts = [words.format(jet[name]) for name, words in names.items() if name in jet]
    return ", ".join([jet_class(str(jet["label"])).name, *facts])


def _bytes(parts: pd.DataFrame) -> str:
    hardest = parts.sort_values("pt", ascending=False, kind="stable").iloc[:MOST_CONSTITUENTS]
    place = hardest[["deta", "dphi"]].to_numpy(np.float64).clip(-REACH, REACH)
    share = np.sqrt(hardest["pt"].to_numpy(np.float64) / parts["pt"].sum())
    displaced = hardest["significance"].fillna(0).to_numpy(np.float64).clip(0, _MOST_DISPLACED) / _MOST_DISPLACED
    code = hardest["kind"].to_numpy() + 8 * (hardest["charge"].to_numpy() != 0) + 16 * np.round(15 * displaced)
    columns = [255 * (place[:, 0] / REACH + 1) / 2, 255 * (place[:, 1] / REACH + 1) / 2, 255 * share, code]
    return base64.b64encode(np.stack(columns, axis=1).round().astype(np.uint8).tobytes()).decode()
