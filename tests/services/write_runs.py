"""Record one made-up suite where `MLFLOW_TRACKING_URI` says: `write_runs.py SUITE_ID [--wait]`.

--wait: open the suite's run as `jetassay run` does, say so, and go on at the next line of standard input; where the
server is away by then, keep the results for `jetassay sync`
"""

import sys
import tempfile
from pathlib import Path

from tracking_samples import frame_of, pair_scores, probe_scores

from jetassay.errors import JetAssayError
from jetassay.progress import Reporter
from jetassay.tracking import outbox
from jetassay.tracking.provenance import collect_provenance
from jetassay.tracking.record import BackboneRecord, SuiteRecord
from jetassay.tracking.runs import open_suite_run, record_suite
from jetassay.tracking.store import ServerAwayError


def main(suite_id: str, *, wait: bool) -> int:
    """Print the number of runs that are new."""
    with tempfile.TemporaryDirectory() as folder:
        record = made_up(suite_id, Path(folder))
        try:
            print(record_later(record) if wait else record_suite(record, reporter=Reporter()).written)
        except JetAssayError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    return 0


def made_up(suite_id: str, folder: Path) -> SuiteRecord:
    """A suite of two backbones and a figure."""
    names = ("part-mini", "mlp")
    figure = folder / "figure.svg"
    figure.write_text(f"<svg><!-- {suite_id} --></svg>")
    scores = [score for name in names for score in probe_scores(name)]
    return SuiteRecord(
        suite="trial",
        suite_id=suite_id,
        frame=frame_of(*scores, *pair_scores(*names)),
        provenance=collect_provenance(parameters={"suite": suite_id}, data={}, weights={}, seed=1),
        backbones=tuple(BackboneRecord(name=name) for name in names),
        artifacts=(figure,),
        description=f"| {suite_id} |",
    )


def record_later(record: SuiteRecord) -> int:
    """What the steps of a suite do: open the run, compute, record, or keep what cannot be sent."""
    with open_suite_run(suite=record.suite, suite_id=record.suite_id, reporter=Reporter()) as opened:
        print("opened", flush=True)
        sys.stdin.readline()
        try:
            return opened.record(record).written
        except ServerAwayError:
            outbox.keep(record, run_id=opened.run_id)
            raise


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], wait="--wait" in sys.argv))
