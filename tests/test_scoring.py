"""What a suite collects of its tasks, as it is told to a reader."""

from jetassay.scoring import Scored
from jetassay.tasks.score import Outcome


def test_what_is_not_defined_names_the_backbones_that_it_concerns_and_no_others():
    scored = Scored()
    for name in ("one", "two"):
        scored.take(Outcome((), undefined={"all classes": "no classifier"}), task="zero-shot", backbone=name)
    scored.take(Outcome((), undefined={"Hbb": "no difference"}), task="comparison")
    assert scored.undefined == ("one, two: zero-shot, all classes: no classifier", "comparison, Hbb: no difference")
