"""Tables and help at 80 and at 50 columns: no line is longer, no name is lost; no escape codes where none belong."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from test_json_documents import commands

from elmo_cli.commands.render import Output

NARROW, USUAL = 50, 80
SHOWN = {
    "vocab show runs/vocab test.csv": ("corpus oov rate", "tokenizer kind"),
    "evaluate": ("classify-frozen", "perplexity", "macro F1", "95 % interval"),
    "evaluate runs/classify-frozen": ("Business", "Sci/Tech", "support", "true \\ predicted"),
    "check runs/lm": ("files", "measured", "limit"),
    "similar runs/lm play --top 2": ("nearest in context", "cosine"),
    "data show train.csv": ("label", "text", "Business"),
}


@pytest.mark.parametrize("command", SHOWN)
def test_tables_keep_their_names(command: str, road: Path, elmo_in, monkeypatch: pytest.MonkeyPatch) -> None:
    for width in (USUAL, NARROW):
        monkeypatch.setenv("COLUMNS", str(width))
        done = elmo_in(road, *command.split())
        assert done.code == 0, done.stderr
        assert "\x1b" not in done.stdout + done.stderr
        for name in SHOWN[command]:
            assert name in done.stdout
        assert max(map(len, done.stdout.splitlines())) <= width


QUICK = "--set classify.epochs=1 --device cpu"


@pytest.mark.parametrize(
    "command",
    [
        "vocab build --out runs/other",
        f"classify --lambdas trainable {QUICK}",
        "evaluate --device cpu",
        f"compare --baseline w2v.txt --lambdas trainable --lambdas frozen --seeds 1 --fractions 0.5,1 {QUICK}",
        "data show train.csv test.csv",
        "embed runs/lm test.csv --out e.hdf5 --device cpu",
    ],
    ids=lambda command: command.split()[0],
)
def test_a_narrow_terminal_shows_all_that_a_wide_one_does(
    command: str, road: Path, tmp_path: Path, elmo_in, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    parts: list = []
    monkeypatch.setattr(Output, "show", lambda output, document, *shown: parts.extend(shown))
    monkeypatch.setattr("elmo_cli.comparison.compare.add_page", lambda *arguments: iter(()))
    done = elmo_in(shutil.copytree(road, tmp_path / "copy"), *command.split())
    assert done.code == 0, done.stderr
    monkeypatch.undo()
    words = {}
    for width in (USUAL, NARROW):
        monkeypatch.setenv("COLUMNS", str(width))
        Output().show({}, *parts)
        shown = capsys.readouterr().out
        assert max(map(len, shown.splitlines())) <= width
        words[width] = set(shown.replace("\u2500", " ").split())
    assert any(word[0].isdigit() for word in words[USUAL])
    assert words[USUAL] <= words[NARROW]


@pytest.mark.parametrize("command", list(commands()))
def test_help_fits_and_names_every_flag(command: str, run_elmo, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = {}
    for width in (USUAL, NARROW):
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setenv("TERMINAL_WIDTH", str(width))
        shown = run_elmo(*command.split(), "--help").stdout
        assert max(map(len, shown.splitlines())) <= width
        assert "\x1b" not in shown
        flags[width] = set(re.findall(r"--[a-z][a-z-]+", shown))
        assert width == NARROW or "…" not in shown
    assert {"--help", "--debug", "--json"} <= flags[USUAL]


@pytest.mark.parametrize("label", ["[red]A[/red]", "[bold]", ":smile:"])
def test_text_of_users_is_no_markup(label: str, tmp_path: Path, elmo_in) -> None:
    rows = "".join(f"{label},some words {n}\nB,other words {n}\n" for n in range(8))
    (tmp_path / "train.csv").write_text("label,text\n" + rows, encoding="utf-8")
    shown = elmo_in(tmp_path, "data", "show", "train.csv")
    assert shown.code == 0, shown.stderr
    assert label in shown.stdout
    missing = elmo_in(tmp_path, "vocab", "build", label)
    assert missing.code == 2
    assert missing.stderr.startswith("elmo: ")
    assert label in missing.stderr.splitlines()[0]
