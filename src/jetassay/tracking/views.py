"""Ways into MLflow's pages: a leaderboard saved with the experiment, and links that open it.

MLflow opens on an empty page and shows no metric columns by itself. A view saved under an experiment tag
`mlflow.sharedViewState.KEY` does better. Its format is undocumented and was read from MLflow 3.17's own pages: JSON
with `name`, `createdAt` and `state`, which is `deflate;` and the base64 of a zlib stream of JSON.
"""

import base64
import json
import time
import zlib
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from jetassay.errors import TrackingError
from jetassay.tracking.store import LOCAL_PAGES

VIEW_TAG = "mlflow.sharedViewState."
_PREFIX = "deflate;"
_BY_BACKBONE = {"aggregateFunction": "average", "groupByKeys": [{"mode": "tag", "groupByData": "backbone"}]}


def encode_view(name: str, state: Mapping[str, Any]) -> str:
    """The experiment tag's value for a view."""
    packed = base64.b64encode(zlib.compress(json.dumps(state).encode(), level=9)).decode()
    now = int(time.time() * 1000)
    return json.dumps({"name": name, "createdAt": now, "updatedAt": now, "state": f"{_PREFIX}{packed}"})


def decode_view(value: str) -> tuple[str, dict[str, Any]]:
    """Name and state of a view from the experiment tag's value. Raises `TrackingError` for what is none."""
    try:
        view = json.loads(value)
        state = json.loads(zlib.decompress(base64.b64decode(view["state"].removeprefix(_PREFIX))))
        return str(view["name"]), dict(state)
    except (ValueError, KeyError, TypeError, AttributeError, zlib.error) as error:
        raise TrackingError(f"the saved view cannot be read ({error}); run its suite again, which saves it") from error


def leaderboard_state(
    *, columns: Sequence[str], order_by: str | None, where: str, grouped: bool, tags: Sequence[str] = ()
) -> dict[str, Any]:
    """Runs that match `where`, best `order_by` first.

    columns, order_by: metric names; columns are shown in this order, wide enough for their names
    tags: shown after them
    where: a filter in MLflow's search language
    grouped: whether runs of one backbone stand together under their average
    """
    shown = {f"metrics.`{name}`": 8 * len(name) + 30 for name in columns}  # about 8 pixels a letter
    shown |= {f"tags.`{name}`": 300 for name in tags}
    return {
        "selectedColumns": list(shown),
        "columnOrder": list(shown),
        "columnWidths": shown,
        "orderByKey": f"metrics.`{order_by}`" if order_by else "attributes.start_time",
        "orderByAsc": False,
        "searchFilter": where,
        "groupBy": _BY_BACKBONE if grouped else None,
        "runsHiddenMode": "SHOW_ALL",
    }


def leaderboard_link(experiment_id: str, *, key: str, base: str = LOCAL_PAGES) -> str:
    """Opens the saved view `key`; `base=""` gives the part after the server's address."""
    route = f"#/experiments/{experiment_id}/runs"
    return f"{_root(base)}{route}?workflowType=machine_learning&viewStateShareKey={quote(key)}"


def compare_link(experiment_id: str, runs: Sequence[str], *, base: str = LOCAL_PAGES) -> str:
    """Opens the runs side by side."""
    chosen, experiments = json.dumps(list(runs)), json.dumps([experiment_id])
    return f"{_root(base)}#/compare-runs?runs={quote(chosen)}&experiments={quote(experiments)}"


def run_link(experiment_id: str, run_id: str, *, base: str = LOCAL_PAGES) -> str:
    """Opens one run."""
    return f"{_root(base)}#/experiments/{experiment_id}/runs/{run_id}"


def _root(base: str) -> str:
    return f"{base.rstrip('/')}/" if base else ""
