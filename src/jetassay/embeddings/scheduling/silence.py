"""What Dask itself would print of what we tell in a sentence."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_log_of_lost_schedulers() -> Iterator[None]:
    """Dask logs them with tracebacks, each time it looks for one; `lost` says it in a line."""
    import distributed  # noqa: F401 - which sets the levels when it is imported

    loggers = [logging.getLogger(f"distributed.{name}") for name in ("client", "batched")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
