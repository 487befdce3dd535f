"""What can be known of the inputs without embedding a jet: of which columns they are made, and what these are."""

from collections.abc import Iterator

from jetassay.audit.finding import Finding
from jetassay.audit.subject import Subject


def columns(subject: Subject) -> Iterator[Finding]:
    """The feature set's columns against the dataset's allow-list, and against what every dataset knows as truth."""
    needs, schema = subject.backbone.feature_set.needs, subject.dataset.schema
    truth = [name for name in needs if schema.is_truth(name)]
    unlisted = [name for name in needs if name not in schema.observed and name not in truth]
    if truth or unlisted:
        what = [f"{', '.join(truth)}: truth"] * bool(truth) + [f"{', '.join(unlisted)}: not observed"] * bool(unlisted)
        yield Finding(
            check="columns",
            status="fail",
            figure=f"{len(truth) + len(unlisted)} of {len(needs)} columns",
            meaning=f"{'; '.join(what)} in schema '{schema.name}'. Take them out of the feature set.",
        )
        return
    yield Finding(
        check="columns",
        status="pass",
        figure=f"{len(needs)} columns",
        meaning=f"All inputs are made of observed columns of schema '{schema.name}'.",
    )
