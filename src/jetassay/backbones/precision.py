"""Float32 that is float32: neither TF32 nor bfloat16 inside its matrix products and convolutions, on any device.

torch lets cuDNN round what float32 convolutions take to TF32 (10 bits in place of 23) unless it is told not to, and a
user may have allowed the same for matrix products, or bfloat16 on a processor. Embeddings are compared with those of
other implementations to 1e-4 and less, and must depend on neither.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from operator import attrgetter
from threading import Lock
from typing import Any

import torch

_OPERATORS = ("cuda.matmul", "cudnn.conv", "cudnn.rnn", "mkldnn.matmul", "mkldnn.conv", "mkldnn.rnn")
_EXACT = ("ieee", "none")  # "none": nobody allowed anything else
_LOCK = Lock()
_RESTORE = ExitStack()
"""Puts the settings of the process back, once the last thread has left."""
_inside = 0


@contextmanager
def exact_float32() -> Iterator[None]:
    """Float32 is exact within, on every thread; once the last one has left, settings are what they were before."""
    global _inside  # noqa: PLW0603 - settings of torch are the process's, and so is who needs them
    with _LOCK:
        if _inside == 0:
            _set_exact()
        _inside += 1
    try:
        yield
    finally:
        with _LOCK:
            _inside -= 1
            if _inside == 0:
                _RESTORE.close()


def _set_exact() -> None:
    """Forbid whatever is allowed, by the older settings where they can be read: others may read them within."""
    backends: Any = torch.backends
    newer = hasattr(backends.cudnn, "conv")  # torch 2.9 and later
    each_operator = attrgetter(*_OPERATORS)(backends) if newer else ()
    for operators in each_operator:  # last, when put back: an older setting is of several operators at once
        _RESTORE.callback(_put_back, operators, operators.fp32_precision)
    try:
        if backends.cudnn.allow_tf32:
            backends.cudnn.allow_tf32 = False
            _RESTORE.callback(setattr, backends.cudnn, "allow_tf32", True)
        if (before := torch.get_float32_matmul_precision()) != "highest":
            torch.set_float32_matmul_precision("highest")
            _RESTORE.callback(torch.set_float32_matmul_precision, before)
    except RuntimeError:  # somebody has set an operator of its own, below
        pass
    for operators in each_operator:
        if operators.fp32_precision not in _EXACT:
            operators.fp32_precision = "ieee"


def _put_back(operators: Any, precision: str) -> None:
    """As it was: what was inherited from a wider setting is inherited again."""
    if operators.fp32_precision != precision:
        operators.fp32_precision = "none"
    if operators.fp32_precision != precision:
        operators.fp32_precision = precision
