"""Ctrl-C and SIGTERM: save, end with 130 or 143, and go on as if nothing had been."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from elmo_cli.commands.signals import Stop, stop_on_signals

REPOSITORY = Path(__file__).resolve().parent.parent.parent
LONG = ["--device", "cpu", "--epochs", "20", "--set", "pretrain.patience=20", "--set", "pretrain.batch_size=4"]
# `python -m elmo_cli`, but its first checkpoint waits until standard input ends: no signal comes too early or too late,
# however slow the machine is.
WAITING = """
import runpy, sys
from elmo_cli.training.checkpoint import Checkpoint

save = Checkpoint.save

def save_and_wait(*arguments):
    saved = save(*arguments)
    Checkpoint.save = save
    print("saved", flush=True)
    sys.stdin.read()
    return saved

Checkpoint.save = save_and_wait
runpy.run_module("elmo_cli", run_name="__main__")
"""


def test_the_first_signal_asks_and_the_second_ends() -> None:
    with stop_on_signals() as stop:
        assert not stop()
        signal.raise_signal(signal.SIGTERM)
        assert stop()
        assert stop.code == 143
        with pytest.raises(SystemExit) as caught:
            signal.raise_signal(signal.SIGINT)
        assert caught.value.code == 130
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_handlers_are_put_back_after_an_error() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ZeroDivisionError), stop_on_signals():
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGINT) is before


def test_sigterm_and_resume_end_in_the_same_bits(road: Path, tmp_path: Path, elmo_in) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    for folder in (whole, stopped):
        shutil.copytree(road, folder)
        shutil.rmtree(folder / "runs/lm")
    done = elmo_in(whole, "pretrain", *LONG)
    assert done.code == 0, done.stderr

    environment = dict(os.environ, PYTHONPATH=str(REPOSITORY))
    command = [sys.executable, "-c", WAITING, "pretrain", *LONG]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    process = subprocess.Popen(command, cwd=stopped, env=environment, text=True, **pipes)
    try:
        assert process.stdout is not None
        told = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        _, messages = process.communicate(timeout=1800)  # which closes its standard input, so that it goes on
    finally:
        process.kill()
    assert told == "saved\n", messages
    assert process.returncode == 143, messages
    assert "--resume" in messages

    refused = elmo_in(stopped, "classify", "--lambdas", "function")
    assert refused.code == 2
    assert "--resume" in refused.stderr
    resumed = elmo_in(stopped, "pretrain", "--resume", *LONG)
    assert resumed.code == 0, resumed.stderr
    for name in ("model.safetensors", "vocab.txt"):
        assert (stopped / "runs/lm" / name).read_bytes() == (whole / "runs/lm" / name).read_bytes()


def test_a_stop_of_a_classifier_is_told_and_coded(road: Path, tmp_path: Path, elmo_in, monkeypatch) -> None:
    monkeypatch.setattr(Stop, "__call__", lambda self: setattr(self, "code", 130) or True)
    done = elmo_in(road, "classify", "--lambdas", "function", "--out", tmp_path / "new")
    assert done.code == 130
    assert "stopped" in done.stderr
    assert list(tmp_path.iterdir()) == []
