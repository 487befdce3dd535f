"""What a forward pass computes and holds, counted rather than timed: the same on every machine."""

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from jetassay.backbones.protocol import Backbone
from jetassay.embeddings.batching import Batching
from jetassay.features.batch import InputBatch
from jetassay.features.cutting import between, sort_by_length, split_sorted

MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """Of the forward passes over some jets.

    flops_per_jet: operations of matrix products as they are run, padding and all, two for a multiplication and
        addition; mean over the jets
    peak_memory_mib: most bytes of tensors made in one batch that were there at once, inputs and weights apart
    constituents_per_jet: mean, after the backbone's own cut
    """

    flops_per_jet: float
    peak_memory_mib: float
    constituents_per_jet: float


def measure_footprint(backbone: Backbone, inputs: InputBatch) -> Footprint | None:
    """Embed the jets once, in the batches of `measure_speed`; None for a backbone that has no matrix product in torch.

    One thread: counting slows the pass down, so nothing is to be timed meanwhile.
    """
    ordered, _ = sort_by_length(inputs)
    more = {getattr(torch.ops.aten, name): count for name, count in _MORE.items()}
    ranges = list(split_sorted(ordered, token_budget=Batching().token_budget))
    flops, peak = 0, 0
    for each in ranges:
        counter, held = FlopCounterMode(display=False, custom_mapping=more), _Held()
        with held, counter:  # operators made of others reach the second, which takes them apart, before the first
            backbone.embed(between(ordered, *each))
        flops += counter.get_total_flops()
        peak = max(peak, held.peak)
    if not flops:
        return None
    return Footprint(
        flops_per_jet=flops / len(inputs),
        peak_memory_mib=peak / MIB,
        constituents_per_jet=float(inputs.offsets[-1]) / len(inputs),
    )


def _addmm(_: Any, left: Sequence[int], right: Sequence[int], *__: Any, **___: Any) -> int:
    return 2 * left[0] * left[1] * right[1]


def _attention(query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: Any, **__: Any) -> int:
    batch, heads, rows, width = query
    return 2 * batch * heads * rows * key[-2] * (width + value[-1])


_MORE = {"addmm_": _addmm, "_scaled_dot_product_flash_attention_for_cpu": _attention}
"""Products of `torch.ops.aten` that torch's counter does not know, and what they take, from the shapes."""


class _Held(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Bytes of the tensors that operators make, while they live, and the most that there were."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = 0
        self._now = 0
        self._known: dict[int, Any] = {}

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run the operator, and take note of what it made."""
        given = {each.untyped_storage()._cdata for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)}  # noqa: SLF001
        made = func(*args, **(kwargs or {}))
        for each in tree_leaves(made):
            if isinstance(each, Tensor):
                storage = each.untyped_storage()
                if storage._cdata not in given:  # noqa: SLF001 - a view holds nothing of its own
                    self._take(storage)
        return made

    def _take(self, storage: Any) -> None:
        name, size = storage._cdata, storage.nbytes()  # noqa: SLF001
        if name in self._known:
            return
        self._now += size
        self.peak = max(self.peak, self._now)

        def gone(_: Any) -> None:
            self._now -= size
            del self._known[name]

        self._known[name] = weakref.ref(storage, gone)
