"""What becomes of a probe when the same jets are seen by another detector: its decisions, its AUC, the embedding."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetassay.errors import DataError
from jetassay.jets.classes import jet_class
from jetassay.metrics.intervals import Interval, auc_interval, clopper_pearson, rejection_interval_over_cuts
from jetassay.metrics.resampling import PairedScores, Resampled, paired_bootstrap
from jetassay.metrics.roc import auc, cut_at, signal_jets_needed
from jetassay.metrics.shift import embedding_shift
from jetassay.tasks.catalogue import ROBUSTNESS
from jetassay.tasks.probe import Probed, ProbeResult
from jetassay.tasks.samples import IntArray, Sample, require_finite
from jetassay.tasks.score import LEVEL, Outcome, Score, bounds

FloatArray = NDArray[np.float64]

NOMINAL = "nominal"
"""The bin of scores on the same jets as they were."""
DRAWS = 1000

_PROTOCOL = (
    f"Robustness, version {ROBUSTNESS.version}. Probes are fitted on jets as they are, and scored on {{jets}} as "
    "another detector would have seen them; 'bin' names how, 'nominal' are the same jets as they were. 'auc_change' "
    "and 'background_efficiency_change': after minus before on the same jets, the cut at the class's working point set "
    f"anew by the signal jets of each; interval: paired bootstrap of {DRAWS} draws, stretched to the value where that "
    "lies beyond, or where it cannot vary, the two exact intervals taken apart. 'signal_flips' and 'background_flips': "
    "fraction of jets that change sides of the cut that all nominal test jets set; interval: Clopper-Pearson. "
    "'embedding_shift': root mean square distance that embeddings move, over that between two jets of the sample at "
    "random (0: not at all, 1: as far as to another jet). 'embedding_cosine': mean cosine of the embeddings before and "
    "after, from the sample's mean before. Their intervals: normal, over jets.\n"
    "drop=p: each constituent is lost with probability p, one of each jet always kept. smear=s: each four-momentum "
    "times a log-normal factor of mean 1 and standard deviation s. scale=s: all four-momenta times 1 + s. pT, energy, "
    "mass, axis and multiplicity of the jet follow its constituents; soft-drop mass and N-subjettiness would need "
    "clustering and stay (but for scale, which is exact), so what rests on them changes too little. "
    "without=displacement or charge: these columns are 0; without=identity: leptons are charged hadrons, photons "
    "neutral ones. mode=ideal or delphes: the same simulated events in the other detector mode, jets matched by the "
    "tracks that they share; jets that only one mode has are left out."
)


def protocol(jets: int | None) -> str:
    """The definition behind every number of this task, to be shown beside it."""
    some = "all test jets" if jets is None else f"the first {jets} test jets of each class"
    return _PROTOCOL.format(jets=some)


@dataclass(frozen=True, slots=True)
class Variation:
    """Test jets as another detector would have seen them, embedded.

    sample: K of them; rows: int64 (K,), which rows of the nominal test sample are the same jets

    Raises `DataError` where the two disagree in number.
    """

    sample: Sample
    rows: IntArray

    def __post_init__(self) -> None:
        if self.rows.shape != (len(self.sample),):
            raise DataError(f"a variation has {len(self.sample)} jets, but rows of {self.rows.shape} nominal ones")


@dataclass(frozen=True, slots=True)
class Variations:
    """All variations of one backbone by name, such as `drop=0.05`; `problems`, `undefined`, `notes` as in `Outcome`."""

    by_name: Mapping[str, Variation] = field(default_factory=lambda: MappingProxyType({}))
    problems: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    undefined: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Perturbed:
    """The probes of one backbone, and what they are to be scored on."""

    probed: Probed
    variations: Variations


@dataclass(frozen=True, slots=True)
class _Group:
    """Variations of the same jets: rows of the nominal test sample, and samples by name, the nominal one first."""

    rows: IntArray
    samples: Mapping[str, Sample]


def robustness(
    perturbed: Perturbed,
    *,
    backbone: str,
    perturbations: Sequence[str] = (),  # noqa: ARG001  what was made is in `perturbed`
    modes: Sequence[str] = (),  # noqa: ARG001  likewise
    jets: int | None = None,
    seed: int = 0,
) -> Outcome[Any]:
    """Score every variation; `protocol` says how.

    perturbations, modes: what was asked for; jets: of each class, None for all
    seed: of the bootstrap, beside the random numbers of the perturbations

    A variation that could not be made is in `problems`, and so is a signal whose working point the jets do not resolve.
    """
    given = perturbed.variations
    problems, scores = dict(given.problems), list[Score]()
    shared = {"backbone": backbone, "seed": seed, "task": ROBUSTNESS.name, "task_version": ROBUSTNESS.version}
    for group in _groups(perturbed):
        sound, wrong = _sound(group, backbone)
        problems |= wrong
        if len(sound.samples) < 2:
            continue
        for found, missing in (
            _shifts(perturbed.probed, sound, shared),
            _separations(perturbed.probed, sound, shared, seed=seed),
        ):
            scores += found
            problems |= missing
    return Outcome(
        tuple(scores), problems, undefined=given.undefined, notes=given.notes, protocol=protocol(jets) if scores else ""
    )


def _groups(perturbed: Perturbed) -> Iterator[_Group]:
    """Variations that rest on the same jets stand together, so that one bootstrap serves them all."""
    test = perturbed.probed.splits.test
    together: dict[bytes, dict[str, Variation]] = {}
    for name, each in perturbed.variations.by_name.items():
        together.setdefault(each.rows.tobytes(), {})[name] = each
    for number, variations in enumerate(together.values()):
        rows = next(iter(variations.values())).rows
        nominal = NOMINAL if not number else f"{NOMINAL} for {', '.join(variations)}"
        yield _Group(rows, {nominal: test.take(rows)} | {name: each.sample for name, each in variations.items()})


def _sound(group: _Group, backbone: str) -> tuple[_Group, dict[str, str]]:
    """The group without samples that hold NaN or infinity, and why; nothing is left where the nominal one does."""
    wrong = {}
    for name, sample in group.samples.items():
        try:
            require_finite(sample, f"robustness of '{backbone}', {name}")
        except DataError as error:
            wrong[name] = str(error)
    nominal, *others = group.samples
    if nominal in wrong:
        return replace(group, samples={}), dict.fromkeys(others, wrong[nominal])
    return replace(group, samples={name: each for name, each in group.samples.items() if name not in wrong}), wrong


def _shifts(probed: Probed, group: _Group, shared: Mapping[str, Any]) -> tuple[list[Score], dict[str, str]]:
    """How far the embedding moves in each variation of one group."""
    (_, nominal), *others = group.samples.items()
    backgrounds = {each.background for each in probed.probes.values()}
    n_background = sum(len(nominal.rows(name)) for name in backgrounds)
    counts = {"n_signal": len(nominal) - n_background, "n_background": n_background}
    scores: list[Score] = []
    for name, sample in others:
        try:
            found = embedding_shift(nominal.embedding, sample.embedding, level=LEVEL)
        except DataError as error:
            return [], {", ".join(name for name, _ in others): str(error)}
        facts: dict[str, Any] = {**shared, **counts, "bin": name}
        scores += [
            Score(**facts, metric="embedding_shift", value=found.relative, **bounds(found.relative_interval)),
            Score(**facts, metric="embedding_cosine", value=found.cosine, **bounds(found.cosine_interval)),
        ]
    return scores, {}


def _separations(
    probed: Probed, group: _Group, shared: Mapping[str, Any], *, seed: int
) -> tuple[list[Score], dict[str, str]]:
    """Every signal of every variation of one group; the bootstrap draws the same jets for all."""
    names, samples = list(group.samples), list(group.samples.values())
    paired: dict[str, PairedScores] = {}
    problems: dict[str, str] = {}
    for signal, result in probed.probes.items():
        rows = [samples[0].rows(label) for label in (signal, result.background)]
        if min(len(each) for each in rows) == 0:
            problems[f"{signal}, {', '.join(names[1:])}"] = f"no jets of {signal} or of {result.background} among them"
            continue
        logits = [np.stack([result.probe.logits(each.embedding[side]) for each in samples]) for side in rows]
        point = jet_class(signal).working_point
        resolved = len(rows[0]) >= signal_jets_needed(point)
        if not resolved:
            problems[f"{signal}, {', '.join(names[1:])}"] = (
                f"a working point of {point:g} needs {signal_jets_needed(point)} signal jets, and there are "
                f"{len(rows[0])}; take more jets"
            )
        paired[signal] = PairedScores(logits[0], logits[1], point if resolved else None)
    drawn = paired_bootstrap(paired, draws=DRAWS, seed=seed)
    scores = [
        score
        for signal, each in paired.items()
        for score in _of_signal(probed.probes[signal], names, each, drawn[signal], shared)
    ]
    return scores, problems


def _of_signal(
    result: ProbeResult, names: Sequence[str], paired: PairedScores, drawn: Resampled, shared: Mapping[str, Any]
) -> Iterator[Score]:
    """Scores of one signal: those of each variation alone, and its change from the first, the nominal one."""
    facts: dict[str, Any] = {**shared, "signal": result.signal, "background": result.background}
    facts |= {"n_signal": paired.signal.shape[1], "n_background": paired.background.shape[1]}
    facts |= {"n_train": result.probe.n_train}
    values = [auc(*sides) for sides in zip(paired.signal, paired.background, strict=True)]
    alone: list[Interval] = []
    for row, name in enumerate(names):
        here = {**facts, "bin": name}
        sides = paired.signal[row], paired.background[row]
        alone.append(_auc_interval(values[row], *sides, drawn.auc[:, row]))
        yield Score(**here, metric="auc", value=values[row], **bounds(alone[row]))
        if row:
            same = all(np.array_equal(side[row], side[0]) for side in (paired.signal, paired.background))
            value = values[row] - values[0]
            interval = _holding(value, _change(drawn.auc[:, row] - drawn.auc[:, 0], alone[row], alone[0], same=same))
            yield Score(**here, metric="auc_change", value=value, **bounds(interval))
        if paired.signal_efficiency is not None:
            yield from _at_working_point(result, paired, drawn, row, here)


def _at_working_point(
    result: ProbeResult, paired: PairedScores, drawn: Resampled, row: int, facts: Mapping[str, Any]
) -> Iterator[Score]:
    point = paired.signal_efficiency
    assert point is not None
    assert drawn.survivors is not None
    sides = [(paired.signal[each], paired.background[each]) for each in (row, 0)]
    cuts = [cut_at(*each, signal_efficiency=point) for each in sides]
    at = {**facts, "working_point": point}
    over_cuts = rejection_interval_over_cuts(*sides[0], signal_efficiency=point, level=LEVEL)
    survivors: dict[str, Any] = {"n_survivors": cuts[0].n_survivors, "value": cuts[0].rejection}
    yield Score(**at, **survivors, metric="rejection", **bounds(over_cuts))
    if not row:
        return
    change = (drawn.survivors[:, row] - drawn.survivors[:, 0]) / cuts[0].n_background
    value = cuts[0].background_efficiency - cuts[1].background_efficiency
    apart = [clopper_pearson(cut.n_survivors, cut.n_background, level=LEVEL) for cut in cuts]
    same = all(np.array_equal(*each) for each in zip(*sides, strict=True))
    interval = _holding(value, _change(change, *apart, same=same))
    yield Score(**at, metric="background_efficiency_change", value=value, **bounds(interval))
    nominal = [cut.score for cut in result.cuts if cut.requested == point]
    for side, scores in (("signal", paired.signal), ("background", paired.background)) if nominal else ():
        flips = int(np.count_nonzero((scores[row] >= nominal[0]) != (scores[0] >= nominal[0])))
        interval = clopper_pearson(flips, scores.shape[1], level=LEVEL)
        yield Score(**at, metric=f"{side}_flips", value=flips / scores.shape[1], **bounds(interval))


def _auc_interval(value: float, signal: FloatArray, background: FloatArray, drawn: FloatArray) -> Interval:
    """Percentiles of the draws; of perfect order, which no draw can vary, the exact limit."""
    if value in (0.0, 1.0):
        return auc_interval(signal, background, level=LEVEL)
    return _percentiles(np.clip(drawn, 0.0, 1.0), method="bootstrap")


def _change(drawn: FloatArray, after: Interval, before: Interval, *, same: bool) -> Interval:
    """Percentiles of the drawn differences; where none differs from another, the two intervals taken apart.

    same: the scores of every jet are equal, so that the change is 0 whatever the sample
    """
    if np.ptp(drawn) > 0 or same:
        return _percentiles(drawn)
    assert after.high is not None
    assert before.high is not None
    return Interval(after.low - before.high, after.high - before.low, LEVEL, f"{after.method}, apart")


def _holding(value: float, interval: Interval) -> Interval:
    """The interval stretched to the value. Draws move the cut, and a few jets right at it may be all that changed."""
    assert interval.high is not None
    return Interval(min(interval.low, value), max(interval.high, value), interval.level, interval.method)


def _percentiles(drawn: FloatArray, *, method: str = "paired-bootstrap") -> Interval:
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high), LEVEL, method)
