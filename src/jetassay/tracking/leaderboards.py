"""The saved view that a suite's link opens in MLflow: which runs, which columns, averaged over what."""

from collections import Counter
from collections.abc import Sequence

from jetassay.errors import TrackingError
from jetassay.progress import Reporter
from jetassay.tracking.engine import Tracking, told_plainly
from jetassay.tracking.record import SuiteRecord
from jetassay.tracking.views import VIEW_TAG, encode_view, leaderboard_state


def save_leaderboard(
    tracking: Tracking, record: SuiteRecord, columns: Sequence[str], *, reporter: Reporter
) -> str | None:
    """Save the leaderboard of a suite with the experiment: its current runs on every split, best mean AUC first.

    columns: names of metrics, after which a column names what is missing where a cell is empty. Where a backbone has
    several runs, they stand under their average. Gives the view's key,
    or None with a warning where it cannot be saved: no result is worth less for the want of it.
    """
    means = [f"mean/{metric}" for metric in ("auc", "rejection") if any(name.startswith(metric) for name in columns)]
    where = (
        f"tags.series = '{record.series_id}' AND tags.kind = 'backbone' AND tags.current = 'true' "
        "AND attributes.status = 'FINISHED'"
    )
    key = f"jetassay-{record.series}"
    try:
        with told_plainly(tracking.store):
            found = tracking.find(where)
            runs = Counter(run.data.tags["backbone"] for run in found)
            state = leaderboard_state(
                columns=[*means, *columns],
                order_by=means[0] if means else None,
                where=where,
                grouped=any(count > 1 for count in runs.values()),
                tags=["missing"] if any("missing" in run.data.tags for run in found) else [],
            )
            view = encode_view(f"{record.series}: leaderboard", state)
            tracking.client.set_experiment_tag(tracking.experiment_id, VIEW_TAG + key, view)
    except TrackingError as error:
        reporter.warning(f"the leaderboard view was not saved: {error}")
        return None
    return key
