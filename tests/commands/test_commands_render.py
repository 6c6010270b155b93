"""What is shown is plain text, fits, and says the figures that it was given."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text
from typer import rich_utils

from elmo_cli.commands import views
from elmo_cli.commands.progress import Display, describe, describe_step, duration, follow
from elmo_cli.commands.render import Output, cell_text, data_stream, facts, lambda_bars, number, table
from elmo_cli.commands.signals import Stop
from elmo_cli.errors import plain
from elmo_cli.events import ClassifierDone, EpochDone, Finished, Notice, Saved, Step, Stopped, Validation
from elmo_cli.report.cells import Interval, Name, Number

STEP = Step(
    epoch=2,
    step=30,
    steps=100,
    tokens=4096,
    loss=4.5,
    perplexity=90.017,
    rate=0.001,
    tokens_per_second=12345.6,
    seconds_left=75,
)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (True, "yes"),
        (1234567, "1,234,567"),
        (0.876543, "0.8765"),
        (65.4321, "65.43"),
        (12345.678, "12,345.7"),
        ("[red]x[/red]", "[red]x[/red]"),
    ],
)
def test_numbers(value: object, shown: str) -> None:
    assert number(value) == shown


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert plain("a\x1b[31mb\nc\u202ed") == "a\\x1b[31mb\\nc\\u202ed"
    assert plain("λ naïve 猫 🙂") == "λ naïve 猫 🙂"


def test_bars_show_each_weight() -> None:
    assert lambda_bars([0.0, 0.5, 1.0], 1.08) == "λ ▁▅█ 0.00 0.50 1.00  γ 1.08"
    assert lambda_bars([-0.3, 1.7]) == "λ ▁█ -0.30 1.70"
    assert lambda_bars(None, 1.0) == ""


def test_intervals_and_durations() -> None:
    assert cell_text(Interval([0.8712, 0.889])) == "0.871..0.889"
    assert [duration(seconds) for seconds in (0, 75, 3700)] == ["0:00", "1:15", "1:01:40"]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (Number(0.8712, "share"), "0.8712"),
        (Number(1234), "1,234"),
        (Number(None, "p"), "-"),
        (Number(0.0311, "p"), "0.0311"),
        (Number(0.00002, "p"), "< 0.001"),
        (Number(0.0123, "difference"), "+0.0123"),
        (Number(0.031, "rate"), "3.10"),
        (Interval(None), "-"),
        (Name("w2v\x1b", ("base",)), "w2v\\x1b *"),
        (None, "-"),
    ],
)
def test_cells_in_the_short_form_of_a_terminal(cell: object, text: str) -> None:
    assert cell_text(cell) == text


def shown(part: object, width: int = 80) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, markup=False, emoji=False, highlight=False).print(part, crop=False)
    return stream.getvalue()


def test_tables_take_names_as_they_are_and_fold_them() -> None:
    drawn = shown(table(("class", "f1"), [["[bold]:smile:[/bold]", 0.5], ["x" * 100, 1.0]]))
    assert "[bold]:smile:[/bold]" in drawn
    assert drawn.count("x") == 100
    assert max(map(len, drawn.splitlines())) <= 80


def test_facts_keep_long_values_whole() -> None:
    path = "/very/long" * 20
    assert path in shown(facts([("path", path), ("absent", None)]))
    assert "absent" not in shown(facts([("path", path), ("absent", None)]))


def test_nested_documents_become_pairs() -> None:
    drawn = shown(views.pairs({"oov_rate": 0.25, "corpus": {"tokens": 4}, "head": ["<S>", "a"]}))
    assert [line.split() for line in drawn.splitlines()] == [
        ["oov", "rate", "0.2500"],
        ["corpus", "tokens", "4"],
        ["head", "<S>", "a"],
    ]


def test_json_has_null_for_what_is_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    Output(json=True).show({"mean": math.inf, "nested": [math.nan, {"x": 1.5}], "name": "λ"})
    out = capsys.readouterr().out
    assert json.loads(out) == {"mean": None, "nested": [None, {"x": 1.5}], "name": "λ"}
    assert "λ" in out


def test_names_are_folded_on_a_terminal_alone() -> None:
    drawn = table(("row", "accuracy", "95 % interval"), [["a-run-with-a-long-name", 0.5, "0.4..0.6"]])
    assert "a-run-with-a-long-name" in shown(drawn, 40)
    stream = io.StringIO()
    Console(file=stream, width=40, force_terminal=True, color_system=None).print(drawn)
    assert "a-run-with-a-long-name" not in stream.getvalue()


def test_notes_are_broken_between_words_on_a_terminal_and_nowhere_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    message = "a note of some words that is longer than " * 2 + "a terminal is wide"
    for terminal in (True, False):
        stream = io.StringIO()
        console = Console(file=stream, width=40, force_terminal=terminal, color_system=None)
        monkeypatch.setattr(Output, "messages", console)
        Display(Output())(Notice(message))
        lines = stream.getvalue().splitlines()
        assert " ".join(line.strip() for line in lines) == f"note: {message}"
        assert (len(lines) > 1) == terminal


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Output(quiet=True).say("hello")
    Output(quiet=True).show({"x": 1}, "a table")
    assert capsys.readouterr() == ("", "")
    Output().say("[red]hello[/red]")
    assert capsys.readouterr() == ("", "[red]hello[/red]\n")


def test_a_table_that_does_not_fit_is_written_row_by_row() -> None:
    drawn = table(["row", "", *"bcd"], [["a long name", "ok", 0.1234, 0.5, 0.25], [Text("other"), "-", 1, 2, 3]])
    assert shown(drawn, 30).splitlines() == [
        "row",
        "a long name",
        "  ok  b 0.1234  c 0.5000",
        "  d 0.2500",
        "other",
        "  -  b 1  c 2  d 3",
    ]
    assert shown(drawn, 45).splitlines()[-1].split() == ["other", "-", "1", "2", "3"]


def test_long_values_are_wrapped_beside_their_names() -> None:
    drawn = shown(facts([("tokens", "1,234 in all, of which 56 are unknown"), ("path", Path("a b/" * 9))]), 30)
    assert drawn.splitlines() == [
        "tokens  1,234 in all, of which",
        "        56 are unknown",
        f"path    {Path('a b/' * 9)}",
    ]


@pytest.mark.parametrize(("set_to", "escapes"), [("1", False), ("", True), (None, True)])
def test_no_color_leaves_no_escape_sequence(
    set_to: str | None, escapes: bool, run_elmo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rich_utils, "COLOR_SYSTEM", "auto")
    monkeypatch.setattr(rich_utils, "FORCE_TERMINAL", True)  # as where typer finds FORCE_COLOR
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if set_to is not None:
        monkeypatch.setenv("NO_COLOR", set_to)
    (tmp_path / "a.txt").write_text("a b\n" * 9, encoding="utf-8")
    for arguments in (["data", "show", tmp_path / "a.txt"], ["vocab", "--help"], ["vocab", "bild"]):
        done = run_elmo(*arguments)
        assert ("\x1b" in done.stdout + done.stderr) == escapes


def test_events_as_lines() -> None:
    assert describe_step(STEP, "tokens") == "12.3k tokens/s  loss 4.50  ppl 90  left 1:15"
    assert describe_step(STEP, "texts") == "12.3k texts/s  loss 4.50  left 1:15"
    epoch = EpochDone(3, 0.3121, 0.9, 0.88, (0.2, 0.5, 0.3), 1.02, True)
    assert describe(epoch) == "epoch 3  loss 0.312  train 0.900  valid 0.880  λ ▂▅▃ 0.20 0.50 0.30  γ 1.02  *"
    validation = Validation(1, 100.0, 81.0, 90.0, False)
    assert describe(validation) == "epoch 1  valid perplexity 90.00 (forward 100.00, backward 81.00)"
    done = ClassifierDone("w2v.txt", 2, 0.88, 0.871, 3, 12)
    assert describe(done) == "3 of 12  w2v.txt, seed 2  valid 0.8800  test 0.8710"
    assert describe(Notice("a\nb")) == "note: a\\nb"
    assert describe(Saved(4)) is None


def test_following_returns_the_results(capsys: pytest.CaptureFixture[str]) -> None:
    events = [STEP, Validation(1, 4.0, 9.0, 6.0, True), Finished({"x": 1})]
    assert follow(Output(), iter_of(events), Stop(), unit="tokens") == {"x": 1}
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "epoch 1  valid perplexity 6.0000 (forward 4.0000, backward 9.0000)  best so far\n"


def iter_of(events: list):
    yield from events


def test_a_comparison_shows_every_row_and_the_conclusion() -> None:
    row = {
        "name": "lm [trainable]",
        "kind": "lm",
        "lm": "lm",
        "mode": "trainable",
        "tune": False,
        "accuracy": 0.88,
        "sd": None,
        "interval": [0.87, 0.89],
        "valid_accuracy": 0.9,
        "macro_f1": 0.88,
        "difference": 0.0123,
        "difference_interval": [0.01, 0.02],
        "significant": True,
        "p": 0.0311,
        "p_holm": 0.0311,
        "unknown": {"test": {"rate": 0.031}},
        "seeds": [{"lambdas": [0.2, 0.8], "gamma": 1.0}, {"lambdas": [0.4, 0.6], "gamma": 1.0}],
    }
    static = {**row, "name": "w2v.txt", "kind": "static", "difference": None, "p_holm": None, "unknown": {}}
    counts = {**row, "name": "TF-IDF + SVM", "kind": "reference", "p_holm": 0.00002, "unknown": {}}
    points = [{"texts": texts, "rows": [static, row, counts]} for texts in (100, 1000)]
    results = {"rows": [row, static, counts], "reference": "w2v.txt", "best_row": "lm [trainable]", "curves": points}
    parts = views.comparison({**results, "conclusion": "It is so.", "warnings": ["One seed."]})
    drawn = "\n".join(shown(part) for part in parts)
    for fragment in (
        "lm [trainable]",
        "0.870..0.890",
        "+0.0123",
        "0.0311",
        "3.10",
        "w2v.txt *",
        "lm [trainable] †",
        "TF-IDF + SVM ‡",
        "< 0.001",
        "1,000",
        "beware: One seed.",
        "0.30 0.70",
        "It is so.",
    ):
        assert fragment in drawn
    assert max(map(len, drawn.splitlines())) <= 80


def test_stopping_gives_the_code_of_the_signal(capsys: pytest.CaptureFixture[str]) -> None:
    import typer

    stop = Stop()
    stop.code = 143
    with pytest.raises(typer.Exit) as caught:
        follow(Output(), iter_of([Stopped(3)]), stop, unit="texts", stopped="go on with --resume")
    assert caught.value.exit_code == 143
    assert capsys.readouterr().err == "stopped\ngo on with --resume\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("an \x1b[31mescape\x07", r"an \x1b[31mescape\x07"),
        ("one\u202erts", r"one\u202erts"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("👩\u200d🔬 ü", "👩\u200d🔬 ü"),
        ("two\nlines", r"two\nlines"),
    ],
)
def test_plain_text_holds_nothing_that_a_terminal_obeys(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_data_are_whole_in_a_file_and_obey_nothing_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    for out, written in ((io.StringIO(), "a\tb \x1b[2J\n"), (Screen(), "a\tb \\x1b[2J\n")):
        monkeypatch.setattr("sys.stdout", out)
        data_stream().write("a\tb \x1b[2J\n")
        data_stream().flush()
        assert out.getvalue() == written
