"""Work says how far it is: on a terminal as bars, in logs as plain lines, and not at all when quiet."""

import io

import pytest
from rich.console import Console

from jetassay import progress
from jetassay.progress import Reporter


def reporter(*, terminal=False, quiet=False):
    stream = io.StringIO()
    return Reporter(quiet=quiet, console=Console(file=stream, force_terminal=terminal, width=100)), stream


def test_a_log_gets_plain_lines_with_the_time_left(monkeypatch):
    monkeypatch.setattr(progress, "_PLAIN_INTERVAL_S", 0.0)
    told, stream = reporter()
    with told.bar("embedding", 10) as bar:
        bar.advance(4)
        bar.advance(6)
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("embedding: 4/10 jets,")
    assert "left" in lines[0]
    assert lines[-1].startswith("embedding: 10/10 jets,")
    assert "\x1b" not in stream.getvalue()


def test_a_log_is_not_flooded():
    told, stream = reporter()
    with told.bar("embedding", 1000) as bar:
        for _ in range(1000):
            bar.advance()
    assert len(stream.getvalue().splitlines()) == 1


def test_a_terminal_gets_a_bar_that_goes_away():
    told, stream = reporter(terminal=True)
    with told.bar("embedding", 10) as bar:
        bar.advance(10)
    assert "embedding" in stream.getvalue()
    assert "\x1b[2K" in stream.getvalue()


@pytest.mark.parametrize("terminal", [False, True])
def test_quiet_leaves_warnings_only(terminal):
    told, stream = reporter(terminal=terminal, quiet=True)
    told.line("a line")
    with told.bar("embedding", 10) as bar:
        bar.advance(10)
    assert stream.getvalue() == ""
    told.warning("a shard is damaged")
    assert "warning: a shard is damaged" in stream.getvalue()
