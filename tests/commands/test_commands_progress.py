"""One channel: what work tells becomes lines that stay and one bar, on stderr."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import typer
from rich.console import Console

from elmo_cli.commands import progress
from elmo_cli.commands.progress import Display, describe_progress, follow
from elmo_cli.commands.render import Output
from elmo_cli.commands.signals import Stop
from elmo_cli.events import Notice, Progress, Stopped


def test_progress_in_words() -> None:
    assert describe_progress(Progress("reading", 12_000_000, 48_000_000, in_bytes=True), 25.0) == (
        "reading 12.0 of 48.0 MB  left 1:15"
    )
    assert describe_progress(Progress("sentences", 2000, None), 25.0) == "sentences 2,000"
    assert describe_progress(Progress("sentences", 2000, 3000), 10.0) == "sentences 2,000 of 3,000  left 0:05"


def test_a_log_gets_a_line_now_and_then(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with Display(Output()) as tell:
        tell(Progress("sentences", 1, 9))
        tell(Notice("one was empty"))
        monkeypatch.setattr(progress, "LOG_SECONDS", 0.0)
        tell(Progress("sentences", 2, None))
    assert capsys.readouterr().err == "note: one was empty\nsentences 2\n"


def test_a_terminal_gets_one_bar_that_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=80)
    monkeypatch.setattr(Output, "messages", console)
    with Display(Output()) as tell:
        tell(Progress("reading", 5, 5, in_bytes=True))
        tell(Progress("sentences", 3, 9))
        tell(Notice("one was empty"))
        assert "sentences 3 of 9" in shown.getvalue()
    assert shown.getvalue().count("note: one was empty") == 1


class Terminal(io.StringIO):
    """A file that says that it is one."""

    def isatty(self) -> bool:
        return True


def test_what_is_said_after_a_stop_does_not_stand_behind_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    shown = Terminal()
    monkeypatch.setattr("sys.stderr", shown)
    stop = Stop()
    stop.code = 130
    events = (event for event in (Progress("texts", 1, 9), Stopped(1)))
    with pytest.raises(typer.Exit):
        follow(Output(), events, stop, unit="texts", stopped="go on with --resume")
    before, _, after = shown.getvalue().partition("go on with --resume")
    assert before.endswith("\x1b[2K"), before  # the line of the bar was cleared
    assert after == "\n"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("vocab build --out {new}", "reading"),
        ("baseline svd --out {new} --window 1 --window 2", "windows 2 of 2"),
        ("embed runs/lm test.csv --out {new}.npz", "sentences 24 of 24"),
        ("similar runs/lm shares", "sentences 96"),
        ("evaluate", "sentences 24 of 24"),
        ("evaluate runs/lm --scores {new}.csv", "sentences 24"),
        ("check runs/lm", "checks"),
        ("report --out {new}.html --figures {new}", "figures"),
        ("data show train.csv", "reading"),
        ("pretrain --out {new} --epochs 1 --device cpu", "tokens/s"),
    ],
)
def test_every_command_that_takes_time_says_how_far_it_is(
    command: str, expected: str, folder: Path, tmp_path: Path, elmo_in, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.0)
    monkeypatch.setattr("elmo_cli.text.sources.CACHED_FROM", 1)
    done = elmo_in(folder, *command.format(new=tmp_path / "new").split())
    assert done.code == 0, done.stderr
    assert expected in done.stderr
    assert expected not in elmo_in(folder, *command.format(new=tmp_path / "other").split(), "--quiet").stderr
