"""The same minutes on the same text: our biLM beside a one-directional word model of `nn.LSTM`, by forward perplexity.

    PYTHONPATH=. python tests/benchmarks/bench_brown.py [FOLDER] [--minutes 10] [--minutes 30] [--set key=value ...]
        [--swap] [--sequential] [--context sentence|stream]

FOLDER holds train.txt, valid.txt and test.txt, a tokenised sentence a line; by default `data/brown` in ELMO_SHARED.

The alternative is a good ordinary word model: embedding, two layers of `nn.LSTM` of our cell size with forget biases of
one, output weights tied to the embedding, a full softmax with torch's `cross_entropy`, dropout on embeddings, between
layers and on outputs, AdamW, warm-up and cosine decay by the time that is used up, clipped gradients. Precision
(float32, or bfloat16 by autocast) and chunks of the softmax are those that were fastest when all were tried, before its
time begins. It predicts as many steps at a time as we do. What it knows is what our forward direction knows: with the
context `sentence`, batches hold whole sentences drawn at random, in groups of similar length, and every state begins at
zero. The context `stream` is more than ours: sentences in the order of the text, windows of our shape, and a state that
is carried from sentence to sentence, in the test too.

Ours is the event loop of `elmo pretrain` with `pretrain.max_minutes` and the settings of examples/brown, of which it
trains both directions. Its time has the compiling in it, on an empty cache. Both have the vocabulary and the tokens in
common; both validate after each epoch within their time, and once more at its end, after it. The best weights on
validation are scored in float32: exp of the mean nats of all predicted steps, </S> and unknown words included.

Both are trained at the same time, each in a process of one thread on a core of its own (`--swap`: the other way
round), so that what disturbs the machine disturbs both. `--sequential`, and a machine of one core: one after the other,
with all threads. Ctrl-C ends both.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import queue
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from bench_lstm import machine
from word_lm import NAME, say, train_word_lm

from elmo_cli.config import Experiment, load_experiment
from elmo_cli.events import Event, Finished, Step, Validation
from elmo_cli.inference.evaluate import evaluate_run
from elmo_cli.runs import RunWriter
from elmo_cli.training.lm_results import Pretrained, write_lm_results
from elmo_cli.training.prepare import PretrainJob, prepare_pretraining
from elmo_cli.training.pretrain import pretrain

RESULTS = Path(__file__).parent / "results" / "brown.json"
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "brown" / "elmo.yaml"
OURS, THEIRS = "elmo", NAME
NO_END = 10_000  # epochs: time ends the training


def ours(job: PretrainJob, folder: Path, start: Any) -> dict[str, Any]:
    """Train and score with the event loop of `elmo pretrain`."""
    validations: list[float] = []
    shown = time.perf_counter()
    start.wait()

    def whole(writer: RunWriter) -> Iterator[Event]:
        trained = yield from pretrain(job, writer)
        assert isinstance(trained, Pretrained)
        yield Finished(write_lm_results(writer, job, trained, "cpu"))

    with RunWriter(folder, "lm", "benchmark") as writer:
        for event in whole(writer):
            if isinstance(event, Step) and time.perf_counter() - shown > 30:
                shown = time.perf_counter()
                say(OURS, f"{event.tokens} tokens, {event.seconds_left:.0f} s left")
            elif isinstance(event, Validation):
                validations.append(round(event.forward, 2))
                say(OURS, f"epoch {event.epoch}: validation {event.forward:.2f} forward, {event.backward:.2f} backward")
            elif isinstance(event, Finished):
                results = event.results
    found = evaluate_run(folder, None, job.settings, device="cpu")
    assert isinstance(found, dict)
    return {
        "test": found["forward"],
        "test_steps": found["steps"],
        "test_backward": found["backward"],
        "oov_rate": found["oov_rate"],
        "validations": validations,
        **{key: results[key] for key in ("steps", "tokens")},
        "epochs": round(results["epochs"] - 1 + results["last_epoch_share"], 2),
        "seconds": round(
            min(results["seconds"], 60 * job.settings.pretrain.max_minutes), 1
        ),  # less the last validation
        "parameters": results["parameters"],
        "way": f"{results['precision']}{', steps in C++' if results['native_loop'] else ''}",
        "settings": {
            "model": job.settings.model.model_dump(mode="json", exclude={"characters", "samples"}),
            "pretrain": job.settings.pretrain.model_dump(mode="json"),
        },
    }


def experiment(folder: Path, minutes: float, assignments: Sequence[str], output: Path) -> Experiment:
    """The settings of examples/brown for the files of a folder, ended by time alone."""
    files = {"data.corpus": "train.txt", "data.valid": "valid.txt", "data.test": "test.txt"}
    given = [f"{key}={json.dumps(str((folder / name).resolve()))}" for key, name in files.items()]
    given += [f"output={json.dumps(str(output))}", f"pretrain.max_minutes={minutes}"]
    given += [f"pretrain.epochs={NO_END}", f"pretrain.patience={NO_END}"]
    return load_experiment(EXAMPLE, [*given, *assignments])


def child(name: str, given: argparse.Namespace, minutes: float, folder: str, core: int | None, *tools: Any) -> None:
    """What a process of its own does: read, wait for the other one, train, score, tell."""
    start, answers = tools
    os.setpgrp()  # Ctrl-C reaches the parent alone, which ends this process and what it began
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if core is not None:
        os.sched_setaffinity(0, {core})
        torch.set_num_threads(1)
    job = prepare_pretraining(experiment(given.folder, minutes, given.set, Path(folder)), (), None)
    found = ours(job, Path(folder) / "lm", start) if name == OURS else train_word_lm(job, minutes, given.context, start)
    text = {"sentences": len(job.corpus), "tokens": job.corpus.token_count, "words": len(job.vocabulary)}
    answers.put((name, {**found, "core": core, "threads": torch.get_num_threads()}, text))


def train_both(given: argparse.Namespace, minutes: float) -> tuple[dict[str, dict[str, Any]], dict[str, int]]:
    """Train both, at the same time or one after the other; what each found, and sizes of the text."""
    spawn = multiprocessing.get_context("spawn")
    answers, names = spawn.Queue(), [THEIRS, OURS] if given.swap else [OURS, THEIRS]
    together = cores_of_both(given.sequential)
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        turns = [names] if together else [[name] for name in names]
        for turn in turns:
            start = spawn.Barrier(len(turn))
            processes = []
            try:
                for name in turn:
                    home = Path(folder) / str(names.index(name))
                    home.mkdir()
                    core = together[names.index(name)] if together else None
                    # a cache of its own, so that ours compiles anew
                    os.environ["ELMO_CACHE"] = str(home / "cache")
                    with_threads(1 if together else None)
                    process = spawn.Process(target=child, args=(name, given, minutes, str(home), core, start, answers))
                    process.start()
                    processes.append(process)
                for _ in turn:
                    name, result, text = next_answer(answers, processes)
                    found[name] = result
            finally:
                for process in processes:
                    end(process)
    return found, text


def cores_of_both(sequential: bool) -> list[int]:
    """A core for each, the first and the second that this process may use; none: one after the other."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return [] if sequential or len(cores) < 2 else cores[:2]


def with_threads(count: int | None) -> None:
    """Have processes that are started from now on begin with so many threads; None: as they find."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        if count is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = str(count)


def next_answer(answers: Any, processes: Sequence[Any]) -> Any:
    """The next result; an error once a process has ended without one."""
    while True:
        with suppress(queue.Empty):
            return answers.get(timeout=1.0)
        if any(process.exitcode for process in processes):
            raise SystemExit("a training failed; its error stands above")


def end(process: Any) -> None:
    """End a process, and what it began, if it has not ended."""
    process.join(timeout=None if process.exitcode is not None else 0.5)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    if process.is_alive():
        process.terminate()  # it may not have a group of its own yet
    process.join()


def record(given: argparse.Namespace, minutes: float) -> dict[str, Any]:
    """Train both for so long; the row of the results."""
    load = os.getloadavg()[0]
    found, text = train_both(given, minutes)
    assert len({one["test_steps"] for one in found.values()}) == 1, "they were scored on different steps"
    for one in found.values():
        one["tokens_per_second"] = round(one["tokens"] / one["seconds"])
        one["test"] = round(one["test"], 2)
    return {
        "minutes": minutes,
        "context": given.context,
        "at_once": bool(cores_of_both(given.sequential)),
        "ratio": round(found[OURS]["test"] / found[THEIRS]["test"], 4),
        "command": shlex.join(["python", "tests/benchmarks/bench_brown.py", *sys.argv[1:]]),
        "machine": {**machine(), "load_before": round(load, 1)},
        "text": text,
        OURS: found[OURS],
        THEIRS: found[THEIRS],
    }


def merged(path: Path, row: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of a file with this one, which takes the place of one for the same minutes and context."""
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.is_file() else []
    key = (row["minutes"], row["context"])
    rows = [other for other in rows if (other["minutes"], other["context"]) != key]
    return sorted([*rows, row], key=lambda one: (one["minutes"], one["context"]))


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The figures for people."""
    lines = [f"{'minutes':>7} {'model':8} {'test':>8} {'valid':>8} {'epochs':>6} {'tokens/s':>8} {'parameters':>10}"]
    for row in rows:
        for name in (OURS, THEIRS):
            one = row[name]
            figures = f"{one['test']:8.2f} {min(one['validations']):8.2f} {one['epochs']:6.2f}"
            lines.append(
                f"{row['minutes']:7g} {name:8} {figures} {one['tokens_per_second']:8d} {one['parameters']:10,d}"
            )
        lines.append(f"{'':7} ratio {row['ratio']:.3f} (context {row['context']}, {row[THEIRS]['way']})")
    return "\n".join(lines)


def main() -> None:
    """Train, print, write the results."""
    shared = Path(os.environ.get("ELMO_SHARED") or Path(__file__).resolve().parents[3] / "shared")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=shared / "data" / "brown")
    parser.add_argument("--minutes", type=float, action="append", help="of each training; repeatable (default: 10)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of ours")
    parser.add_argument("--context", choices=["sentence", "stream"], default="sentence", help="of the alternative")
    parser.add_argument("--swap", action="store_true", help="the alternative on the first core, or first")
    parser.add_argument("--sequential", action="store_true", help="one after the other, with all threads")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin without it
    done = []
    try:
        for minutes in given.minutes or [10.0]:
            row = record(given, minutes)
            done.append(row)
            given.out.parent.mkdir(exist_ok=True)
            text = json.dumps({"rows": merged(given.out, row)}, indent=1)
            given.out.write_text(text + "\n", encoding="utf-8")
    except KeyboardInterrupt:
        sys.exit(130)
    sys.stdout.write(table(done) + "\n")


if __name__ == "__main__":
    main()
