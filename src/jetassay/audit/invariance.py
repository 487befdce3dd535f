"""What may not change an embedding: how often, beside whom, in how many slots and in which order a jet is given."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from numpy.typing import NDArray

from jetassay.audit.deviation import TOLERANCE, Deviation, deviation, same_bits
from jetassay.audit.finding import Finding, Status
from jetassay.audit.forward import embed_batch
from jetassay.audit.subject import Subject
from jetassay.embeddings.threads import one_thread_per_operator
from jetassay.features.batch import InputBatch

_JETS = 48
_TRIED = 8
_SIDE_BY_SIDE = 4


def repeats(subject: Subject) -> Iterator[Finding]:
    """A batch, another one, and the first again, then all side by side: to the bit the same, or something is shared."""
    first, other = _some(subject, _JETS), _some(subject, _JETS, skip=_JETS)
    with one_thread_per_operator():
        before = embed_batch(subject.backbone, first)
        between = embed_batch(subject.backbone, other)
        again = embed_batch(subject.backbone, first)
        with ThreadPoolExecutor(_SIDE_BY_SIDE, "audit") as workers:
            crowd = list(workers.map(partial(embed_batch, subject.backbone), [first, other] * (_SIDE_BY_SIDE // 2)))
    differ = len(first) - int(same_bits(before, again).sum())
    alone = [before, between] * (_SIDE_BY_SIDE // 2)
    mixed = sum(int((~same_bits(*pair)).sum()) for pair in zip(alone, crowd, strict=True))
    yield Finding(
        check="repeats",
        status="fail" if differ or mixed else "pass",
        figure=f"{differ or mixed} of {len(first) if differ else sum(map(len, crowd))} jets differ",
        meaning="The same batch gives another embedding after another batch: a state is carried over, or chance is "
        "involved (dropout)."
        if differ
        else "Batches that run side by side on several threads disturb each other: they share memory."
        if mixed
        else "The same batch gives the same bits, whatever was embedded before it or is embedded beside it.",
        numbers={"differ": differ, "mixed": mixed},
    )


def batch_statistics(subject: Subject) -> Iterator[Finding]:
    """A jet beside other jets, none longer than itself, so that not even its padding changes."""
    by_name = _modules_that_use_the_batch(subject)
    apart = None if by_name else _apart_in_company(subject)
    alone = apart is not None and apart.is_rounding
    yield Finding(
        check="batch-statistics",
        status="pass" if alone else "fail",
        figure=by_name or str(apart),
        meaning="A jet's embedding is the same beside any other jets."
        if alone
        else "A jet's embedding depends on the other jets of its batch. Set the network to inference mode, or take "
        "layers that look at one jet alone.",
        numbers={} if apart is None else apart.numbers,
    )


def _apart_in_company(subject: Subject) -> Deviation:
    """How far the outputs of a few jets move with the jets beside them."""
    inputs = subject.inputs
    order = np.argsort(-inputs.multiplicities, kind="stable").astype(np.int64)
    tried = order[:: max(1, len(order) // (2 * _TRIED))][:_TRIED]
    found: list[list[NDArray[np.float32]]] = []
    with one_thread_per_operator():
        for jet in tried:
            shorter = order[(inputs.multiplicities[order] <= inputs.multiplicities[jet]) & (order != jet)]
            companies = shorter[:4], shorter[-4:], shorter[:0]
            together = [inputs.take(np.array([jet, *beside], np.int64)) for beside in companies]
            found.append([embed_batch(subject.backbone, batch)[:1] for batch in together])
    first, *others = (np.concatenate(rows) for rows in zip(*found, strict=True))
    return max((deviation(first, other, beside=subject.outputs) for other in others), key=lambda each: each.weight)


def _modules_that_use_the_batch(subject: Subject) -> str:
    """Layers of a torch module that are in training mode or normalise with the statistics of the batch; "" for none."""
    module = getattr(subject.backbone, "module", None)
    if module is None:
        return ""
    import torch

    batch_norms = torch.nn.modules.batchnorm._BatchNorm  # noqa: SLF001 - the base of all of them has no public name
    wrong = [
        f"{name or 'network'}: {type(each).__name__}"
        for name, each in module.named_modules()
        if isinstance(each, batch_norms) and (each.training or each.running_mean is None)
    ]
    return ", ".join(wrong[:3]) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")


def padding(subject: Subject) -> Iterator[Finding]:
    """Jets alone, and beside one with as many constituents as there may be, so that all others are padded."""
    jets = _some(subject, _JETS)
    longest = _longest(jets, subject.backbone.card.max_constituents)
    padded = []
    with one_thread_per_operator():
        for start in range(0, len(jets), _JETS // 2):
            part = jets.take(np.arange(start, min(start + _JETS // 2, len(jets))))
            padded.append(embed_batch(subject.backbone, InputBatch.join([part, longest]))[:-1])
        alone = [embed_batch(subject.backbone, jets.take(np.array([jet]))) for jet in range(len(jets))]
    apart = deviation(np.concatenate(alone), np.concatenate(padded), beside=subject.outputs)
    yield Finding(
        check="padding",
        status="pass" if apart.is_rounding else "fail",
        figure=str(apart),
        meaning=f"Empty slots up to {subject.backbone.card.max_constituents} change nothing."
        if apart.is_rounding
        else "Empty slots change the embedding, so it depends on the longest jet of the batch; mask them.",
        numbers=apart.numbers,
    )


def constituent_order(subject: Subject) -> Iterator[Finding]:
    """Constituents in another order, where the card says that it does not matter."""
    jets = _some(subject, _JETS)
    shuffled = _shuffled_constituents(jets, seed=subject.choice.seed)
    with one_thread_per_operator():
        apart = deviation(embed_batch(subject.backbone, jets), embed_batch(subject.backbone, shuffled))
    declared = subject.backbone.card.permutation_invariant
    status: Status = "pass"
    meaning = "The order of constituents changes nothing, as the card says."
    if not declared:
        status, meaning = "note", "The card does not declare that the order of constituents is of no account."
    elif apart.relative > TOLERANCE:
        status = "fail"
        meaning = (
            "The order of constituents matters, but the card says permutation_invariant = true. Correct it, or look "
            "for constituents at one place: a network of nearest neighbours takes either."
        )
    yield Finding(
        check="constituent-order",
        status=status,
        figure=str(apart),
        meaning=meaning,
        numbers=apart.numbers,
    )


def _some(subject: Subject, count: int, *, skip: int = 0) -> InputBatch:
    """`count` jets of the subsample in a drawn order, without the first `skip` of it; all where there are fewer."""
    order = np.random.default_rng(subject.choice.seed).permutation(len(subject.inputs)).astype(np.int64)
    return subject.inputs.take(order[skip : skip + count] if skip < len(order) else order[:count])


def _longest(jets: InputBatch, constituents: int) -> InputBatch:
    """One jet with so many constituents: those of all jets one after the other, again and again."""
    rows = np.arange(constituents) % len(jets.features)
    offsets = np.array([0, constituents], np.int64)
    return InputBatch(jets.features[rows], jets.p4[rows], offsets, jets.jet_features[:1])


def _shuffled_constituents(jets: InputBatch, *, seed: int) -> InputBatch:
    owner = np.repeat(np.arange(len(jets)), jets.multiplicities)
    rows: NDArray[np.int64] = np.lexsort((np.random.default_rng(seed).random(len(owner)), owner))
    return InputBatch(jets.features[rows], jets.p4[rows], jets.offsets, jets.jet_features)
