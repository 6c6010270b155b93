"""`elmo similar` through the entry point: its table, its document, its mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest


def test_a_table_of_tokens_in_their_sentences(road: Path, elmo_in) -> None:
    done = elmo_in(road, "similar", "runs/lm", "the shares fell on Monday", "--token", "the", "--top", "3")
    assert done.code == 0, done.stderr
    assert done.stdout.startswith("token     the\nvectors   layer 2\nsearched  96 sentences, ")
    assert "the shares fell on monday" in done.stdout
    table = done.stdout.split("nearest in context")[1]
    assert "cosine" in table
    assert "\x1b" not in done.stdout
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    found = elmo_in(road, "similar", "runs/lm", "the shares fell on Monday", "--token", "the", "--top", "3", "--json")
    for hit in found.json["hits"]:
        assert hit["file"] == "train.csv"
        assert hit["token"] == hit["tokens"][hit["position"]]
        assert f"{hit['similarity']:.4f}" in table
        assert hit["token"] in table
    assert len(found.json["hits"]) == 3
    assert found.stderr == ""


def test_the_token_is_highlighted_and_text_is_no_markup(road: Path, tmp_path: Path, elmo_in) -> None:
    from rich.console import Console

    from elmo_cli.commands import views

    (tmp_path / "odd.txt").write_text("[red]shares[/red] \x1b[31m fell :smile:\n", encoding="utf-8")
    flags = ["--token", "shares", "--corpus", tmp_path / "odd.txt"]
    done = elmo_in(road, "similar", "runs/lm", "shares [bold]rose[/bold]", *flags)
    assert done.code == 0, done.stderr
    assert "shares [ bold ] rose [ / bold ]" in done.stdout
    assert "[ red ] shares [ / red ]" in done.stdout
    assert "\x1b" not in done.stdout
    found = elmo_in(road, "similar", "runs/lm", "shares rose", *flags, "--json", "--same-word").json
    console = Console(force_terminal=True, color_system="standard", width=80, no_color=False)
    with console.capture() as capture:
        for part in views.similar(found):
            console.print(part)
    assert capture.get().count("\x1b[1;7mshares\x1b[0m") == 2


def test_a_long_sentence_is_shown_around_its_token(road: Path, tmp_path: Path, elmo_in) -> None:
    words = [f"w{number}" for number in range(60)]
    words[30] = "shares"
    (tmp_path / "long.txt").write_text(" ".join(words) + "\n", encoding="utf-8")
    flags = ["--corpus", tmp_path / "long.txt", "--same-word"]
    shown = " ".join(elmo_in(road, "similar", "runs/lm", "shares", *flags).stdout.split())
    assert "… w18 w19" in shown
    assert "shares w31" in shown
    assert "w42 …" in shown.replace(" shares 0", "")
    assert "w43" not in shown


def test_other_runs_layers_and_nothing_found(road: Path, elmo_in) -> None:
    mixed = elmo_in(
        road, "similar", "runs/classify-frozen", "shares", "--layer", "mix", "--corpus", "test.csv", "--json"
    )
    assert mixed.json["layer"] == "the classifier's mix"
    assert mixed.json["sentences"] == 24
    none = elmo_in(road, "similar", "runs/lm", "zork", "--same-word")
    assert none.code == 0
    assert "note: 'zork' is not in the vocabulary" in none.stderr
    assert "note: no other sentence" in none.stderr
    assert "cosine" not in none.stdout


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (["runs/lm", "a play", "--token", "plya"], ["'plya' is no token", "did you mean 'play'?"]),
        (["runs/lm", "a play"], ["has 2 tokens", "--token with one of: a, play"]),
        (["runs/lm", "play", "--layer", "9"], ["there is no layer 9", "0 to 2"]),
        (["runs/lm", "play", "--top", "0"], ["--top"]),
        (["runs/lm", "play", "--occurrence", "2"], ["'play' stands in the sentence once"]),
        (["runs/lm", "play", "--corpus", "trian.csv"], ["there is no file trian.csv", "did you mean 'train.csv'?"]),
        (["runs/lm", "play", "--column", "txet"], ["there is no column 'txet'"]),
        (["runs/ln", "play"], ["there is no run runs/ln", "runs/lm"]),
        (["runs/vocab", "play"], ["runs/vocab is a vocabulary"]),
    ],
    ids=str,
)
def test_what_cannot_be_asked(arguments: list[str], fragments: list[str], road: Path, elmo_in) -> None:
    done = elmo_in(road, "similar", *arguments)
    assert done.code == 2
    assert done.stdout == ""
    for fragment in fragments:
        assert fragment in done.stderr
