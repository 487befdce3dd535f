"""Record one made-up suite where `MLFLOW_TRACKING_URI` says: `write_runs.py SUITE_ID`."""

import sys
import tempfile
from pathlib import Path

from tracking_samples import frame_of, pair_scores, probe_scores

from jetassay.errors import JetAssayError
from jetassay.progress import Reporter
from jetassay.tracking.provenance import collect_provenance
from jetassay.tracking.record import BackboneRecord, SuiteRecord
from jetassay.tracking.runs import record_suite


def main(suite_id: str) -> int:
    """Print the number of runs that are new."""
    names = ("part-mini", "mlp")
    with tempfile.TemporaryDirectory() as folder:
        figure = Path(folder) / "figure.svg"
        figure.write_text(f"<svg><!-- {suite_id} --></svg>")
        scores = [score for name in names for score in probe_scores(name)]
        record = SuiteRecord(
            suite="trial",
            suite_id=suite_id,
            frame=frame_of(*scores, *pair_scores(*names)),
            provenance=collect_provenance(parameters={"suite": suite_id}, data={}, weights={}, seed=1),
            backbones=tuple(BackboneRecord(name=name) for name in names),
            artifacts=(figure,),
            description=f"| {suite_id} |",
        )
        try:
            print(record_suite(record, reporter=Reporter()).written)
        except JetAssayError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
