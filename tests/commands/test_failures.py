"""What fails while running: exit code 1, a message that says what and what to do, and nothing lost."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

NO_ROOM = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    "command",
    [
        "vocab build --overwrite",
        "baseline svd --dim 4 --overwrite",
        "classify --lambdas frozen --overwrite --set classify.epochs=1",
        "embed runs/lm test.csv --out new.hdf5",
        "report runs/lm",
        "init --overwrite",
    ],
)
def test_a_full_disk_keeps_what_was_there(
    command: str, folder: Path, elmo_in, contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> None:
        raise NO_ROOM

    monkeypatch.setattr("elmo_cli.disk.flush", full)
    before = contents(folder)
    done = elmo_in(folder, *command.split())
    assert done.code == 1, done.stderr
    assert "could not be written: No space left on device" in done.stderr
    assert "what to do: make room or choose another place" in done.stderr
    assert contents(folder) == before


def test_what_the_system_refuses_is_told_in_the_same_form(road: Path, elmo_in) -> None:
    done = elmo_in(road, "init", "train.csv/below")
    assert done.code == 1
    assert done.stderr.splitlines()[:2] == ["elmo: Not a directory", "  where: train.csv/below"]
    assert "what to do: check the path" in done.stderr


def test_an_unexpected_failure_is_short_and_debug_tells_all(road: Path, elmo_in, monkeypatch) -> None:
    def fail(*arguments: object, **named: object) -> None:
        raise ZeroDivisionError("[bold]really[/bold]\nmore")

    monkeypatch.setattr("elmo_cli.training.prepare.build_vocabulary_run", fail)
    done = elmo_in(road, "vocab", "build")
    assert done.code == 1
    assert done.stderr.splitlines() == [
        "elmo: unexpected failure: ZeroDivisionError: [bold]really[/bold]",
        "  what to do: run it again with --debug for the traceback",
    ]
    assert "Traceback" in elmo_in(road, "vocab", "build", "--debug").stderr


def test_a_failed_check_ends_with_one(folder: Path, elmo_in) -> None:
    weights = folder / "runs/lm/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    done = elmo_in(folder, "check", "runs/lm")
    assert done.code == 1
    assert "FAILED" in done.stdout


@pytest.mark.parametrize("group", ["", "vocab", "data", "baseline"])
def test_a_name_without_a_command_is_helped(group: str, run_elmo) -> None:
    done = run_elmo(*group.split())
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout == run_elmo(*group.split(), "--help").stdout


@pytest.mark.skipif(os.name == "nt", reason="a shell of POSIX closes the stream")
@pytest.mark.parametrize(
    ("closed", "code", "message"),
    [("<&-", 2, "stdin is empty"), (">&-", 2, "standard output is closed"), ("2>&-", 0, "")],
)
def test_a_stream_that_the_caller_closed(closed: str, code: int, message: str, tmp_path: Path) -> None:
    corpus = "-" if closed == "<&-" else "text.txt"
    (tmp_path / "text.txt").write_text("a line of text\n" * 9, encoding="utf-8")
    line = f'"$0" -m elmo_cli vocab build {corpus} --out vocab {closed}'
    done = subprocess.run(["sh", "-c", line, sys.executable], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, "unexpected" in done.stderr) == (code, False), done.stderr
    assert message in done.stderr
    assert (tmp_path / "vocab").is_dir() is (code == 0)


@pytest.mark.parametrize(
    ("command", "end"),
    [
        ("predict runs/classify-frozen", ",the \u03bb of a market".encode()),  # data are UTF-8
        ("evaluate runs/classify-frozen --json --device cpu", b"}"),
        ("similar runs/lm market --top 1", b""),
    ],
)
def test_a_letter_that_the_encoding_of_stdout_lacks_is_no_failure(command: str, end: bytes, road: Path) -> None:
    environment = dict(os.environ, PYTHONIOENCODING="latin-1", PYTHONPATH=str(Path(__file__).parents[2]))
    text = "the \u03bb of a market".encode()
    line = [sys.executable, "-m", "elmo_cli", *command.split()]
    done = subprocess.run(line, cwd=road, env=environment, input=text, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith(end)
