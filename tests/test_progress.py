"""Work says how far it is: on a terminal as bars, in logs as plain lines, and not at all when quiet."""

import io
import re

import pytest
from rich.console import Console
from rich.live import Live

from jetassay import progress
from jetassay.progress import Reporter


def reporter(*, terminal=False, quiet=False):
    stream = io.StringIO()
    return Reporter(quiet=quiet, console=Console(file=stream, force_terminal=terminal, width=100)), stream


def test_a_log_gets_plain_lines_with_the_time_left(monkeypatch):
    now = iter([0.0, 12.0, 15.0, 150.0, 160.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    told, stream = reporter()
    with told.bar("embedding", 10) as bar:
        bar.advance(4)
        bar.advance(1)
        bar.doing("embedding the rest")
        bar.advance(1)
        bar.advance(4)
    assert stream.getvalue().splitlines() == [
        "embedding: 4/10 jets, 12 s spent, about 18 s left",
        "embedding the rest: 6/10 jets, 2.5 min spent, about 1.7 min left",
    ]


def test_what_takes_less_than_ten_seconds_is_no_line_in_a_log():
    told, stream = reporter()
    with told.bar("embedding", 1000) as bar:
        for _ in range(1000):
            bar.advance()
    assert stream.getvalue() == ""


def test_a_terminal_gets_a_bar_that_goes_away():
    told, stream = reporter(terminal=True)
    with told.bar("embedding", 10) as bar:
        bar.advance(10)
    assert "embedding" in stream.getvalue()
    assert "\x1b[2K" in stream.getvalue()


@pytest.mark.parametrize("width", [20, 40, 60, 200])
def test_a_bar_is_one_line_of_any_terminal(width):
    stream = io.StringIO()
    told = Reporter(console=Console(file=stream, force_terminal=True, width=width, legacy_windows=False))
    with told.bar("audit of a-backbone-with-a-long-name", 5_000_000) as bar:
        bar.doing("audit of a-backbone-with-a-long-name: class-dependent-drops")
        bar.advance(5)
    drawn = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    assert "audit of" in drawn or width < 60
    assert max(len(line) for line in re.split(r"[\r\n]", drawn)) <= width
    assert drawn.count("\n") <= 2  # the bar's own, and the one that a transient bar takes back


def test_on_a_narrow_terminal_the_label_is_worth_more_than_a_bar():
    stream = io.StringIO()
    told = Reporter(console=Console(file=stream, force_terminal=True, width=40, legacy_windows=False))
    with told.bar("checking files", 30, unit="files") as bar:
        bar.advance(30)
    drawn = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    assert "checki… 30/30 files" in drawn
    assert "━" not in drawn


def test_a_bar_that_is_stopped_while_it_starts_gives_the_cursor_back(monkeypatch):
    told, stream = reporter(terminal=True)
    refresh = Live.refresh

    def stopped(live):
        refresh(live)
        monkeypatch.setattr(Live, "refresh", refresh)
        raise KeyboardInterrupt

    monkeypatch.setattr(Live, "refresh", stopped)
    with pytest.raises(KeyboardInterrupt), told.bar("embedding", 10):
        pass
    assert stream.getvalue().rindex("\x1b[?25h") > stream.getvalue().rindex("\x1b[?25l")


def test_a_bar_within_a_bar_does_not_disturb_it():
    told, stream = reporter(terminal=True)
    with told.bar("outer", 2) as outer:
        with told.bar("inner", 2) as inner:
            inner.advance(2)
        outer.advance(2)
    assert "outer" in stream.getvalue()
    assert "inner" not in stream.getvalue()


def test_a_log_gets_no_bar_whatever_the_colours_that_are_asked_for(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with Reporter().bar("embedding", 10) as bar:
        bar.advance(10)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("terminal", [False, True])
def test_quiet_leaves_warnings_only(terminal):
    told, stream = reporter(terminal=terminal, quiet=True)
    told.line("a line")
    with told.bar("embedding", 10) as bar:
        bar.advance(10)
    assert stream.getvalue() == ""
    told.warning("a shard is damaged")
    assert "warning: a shard is damaged" in stream.getvalue()
