"""Text to token ids, the start of a training run, and its memory, each beside its alternative.

    python tests/benchmarks/bench_text.py CORPUS [--copies 10] [--rounds 3] [--tokens MILLIONS] [--only CASE ...]

CORPUS is a text file, a sentence a line; the Brown corpus for the figures in `results/text.json`. Cases:

    shards   copies of it to ids on disk: in as many processes as the machine has cores, in one, and as one would write
             it by hand (a regular expression and a dictionary, ids in memory); then vocabularies, beside a `Counter`
    start    what a training run does between its imports and its first window: with the ids on disk, with their files
             not yet in the page cache where that can be asked for, and without the cache
    large    the same on made-up ids, so many millions of them, of a million types for each hundred
    memory   pretraining of the preset `small` on one copy and on all: the highest anonymous memory, and of everything

All ways of a case take turns; the median counts, and the spread is from the least to the largest. `cpu` is processor
time, workers included: on a busy machine it says more than the time on the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from elmo_cli.config import Experiment, TokenizerSettings, VocabularySettings
from elmo_cli.text.encoded import RESERVED_TYPES, EncodedCorpus, encode
from elmo_cli.text.parallel import encode_chunks, processes_for
from elmo_cli.text.shards import open_corpus, write_corpus
from elmo_cli.text.sources import encode_corpus
from elmo_cli.text.streams import Stream
from elmo_cli.text.tokenizer import Tokenizer
from elmo_cli.text.vocabulary import Vocabulary

RESULTS = Path(__file__).parent / "results" / "text.json"
WORDS = TokenizerSettings()
TRAINING_STEPS = 12


def tell(line: str) -> None:
    sys.stderr.write(line + "\n")


def processor_time() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def take_turns(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, dict[str, Any]]:
    """Seconds of each way, on the clock and of the processor."""
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            clock, used = time.perf_counter(), processor_time()
            way()
            seconds[name].append((time.perf_counter() - clock, processor_time() - used))
    found = {}
    for name, pairs in seconds.items():
        clock, used = ([round(pair[which], 4) for pair in pairs] for which in (0, 1))
        spread = [min(clock), max(clock)]
        found[name] = {"seconds": statistics.median(clock), "spread": spread, "cpu": statistics.median(used)}
        tell(f"  {name:42} {found[name]}")
    return found


def lines_of(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as file:
        yield from filter(None, map(str.strip, file))


def by_hand(path: Path) -> tuple[np.ndarray, dict[str, int]]:
    """Ids as one would write it: a regular expression and a dictionary."""
    find, numbers, ids = re.compile(r"\w+(?:[-'’]\w+)*|[^\w\s]").findall, {}, []
    for line in lines_of(path):
        ids.extend([numbers.setdefault(token, len(numbers)) for token in find(line)])
    return np.array(ids, dtype=np.int32), numbers


def count_by_hand(path: Path) -> list[tuple[str, int]]:
    find, counts = re.compile(r"\w+(?:[-'’]\w+)*|[^\w\s]").findall, Counter()
    for line in lines_of(path):
        counts.update(find(line))
    return [pair for pair in counts.most_common() if pair[1] > 1]


def bench_shards(path: Path, folder: Path, rounds: int) -> dict[str, Any]:
    processes = max(2, processes_for(path.stat().st_size))

    def to_shards(count: int) -> EncodedCorpus:
        shutil.rmtree(folder / "shards", ignore_errors=True)
        write_corpus(folder / "shards", encode_chunks(lines_of(path), WORDS, count, tell))
        return open_corpus(folder / "shards")

    corpus = to_shards(1)

    def vocabulary(corpus: EncodedCorpus) -> Vocabulary:
        return Vocabulary.build(corpus, VocabularySettings(), WORDS)

    found = take_turns(
        {
            f"to shards, {processes} processes": lambda: to_shards(processes),
            "to shards, this process": lambda: to_shards(1),
            "to memory": lambda: encode(lines_of(path), Tokenizer(WORDS)),
            "to memory, by hand": lambda: by_hand(path),
            f"vocabulary from text, {processes} processes": lambda: vocabulary(to_shards(processes)),
            "vocabulary from shards": lambda: vocabulary(open_corpus(folder / "shards")),
            "vocabulary from text, by hand": lambda: count_by_hand(path),
        },
        rounds,
    )
    for way in found.values():
        way["million_tokens_per_second"] = round(corpus.token_count / way["seconds"] / 1e6, 3)
        way["million_tokens_per_cpu_second"] = round(corpus.token_count / way["cpu"] / 1e6, 3)
    return {"bytes": path.stat().st_size, "tokens": corpus.token_count, "types": len(corpus.types), "ways": found}


def begin(corpus: EncodedCorpus, vocabulary: Vocabulary) -> None:
    """What a training run asks of its corpus before the first step."""
    train, valid = corpus.split(round(0.98 * len(corpus)))
    vocabulary.oov(train), vocabulary.oov(valid), vocabulary.lookup(train.types)
    stream = Stream(train, 32, 48, seed=1)
    stream.windows_per_epoch(0)
    next(stream.epoch(0))


def drop_from_page_cache(folder: Path) -> None:
    for file in folder.rglob("*"):
        if file.is_file() and hasattr(os, "posix_fadvise"):
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
                os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def bench_start(files: list[Path], folder: Path, rounds: int) -> list[dict[str, Any]]:
    found = []
    for file in files:
        experiment = Experiment.model_validate({"output": folder / "runs"})
        vocabulary = Vocabulary.build(encode_corpus(experiment, [file], WORDS), VocabularySettings(), WORDS)

        def cached(file: Path = file, vocabulary: Vocabulary = vocabulary, cold: bool = False) -> None:
            if cold:
                drop_from_page_cache(folder / "runs")
            fresh = Vocabulary(vocabulary.tokens, tokenizer=WORDS)
            begin(encode_corpus(Experiment.model_validate({"output": folder / "runs"}), [file], WORDS), fresh)

        def uncached(file: Path = file, vocabulary: Vocabulary = vocabulary) -> None:
            begin(encode(lines_of(file), Tokenizer(WORDS)), Vocabulary(vocabulary.tokens, tokenizer=WORDS))

        tell(f"  {file.name}")
        ways = take_turns({"cached": cached, "cached, cold": lambda: cached(cold=True), "tokenised": uncached}, rounds)
        found.append({"bytes": file.stat().st_size, "ways": ways})
    return found


def bench_large(millions: int, folder: Path, rounds: int) -> dict[str, Any]:
    types = (*RESERVED_TYPES, *(f"word{number:x}" for number in range(10_000 * millions)))

    def parts() -> Iterator[EncodedCorpus]:
        generator = np.random.default_rng(1)
        for _ in range(millions // 10):
            tokens = (3 + generator.pareto(0.7, 10_000_000)).clip(max=len(types) - 1).astype(np.int32)
            offsets = np.unique(np.append(generator.integers(0, 10_000_001, 400_000), [0, 10_000_000]))
            yield EncodedCorpus(types, tokens, offsets)

    write_corpus(folder / "large", parts())
    kept = ("<S>", "</S>", "<UNK>", *types[3:100_000])

    def start(cold: bool = False) -> None:
        if cold:
            drop_from_page_cache(folder / "large")
        begin(open_corpus(folder / "large"), Vocabulary(kept, tokenizer=WORDS))

    first = take_turns({"first time with a vocabulary": start}, 1)
    ways = take_turns({"again": start, "again, cold": lambda: start(cold=True)}, rounds)
    corpus = open_corpus(folder / "large")
    return {"tokens": corpus.token_count, "sentences": len(corpus), "types": len(types), "ways": {**first, **ways}}


def bench_memory(files: list[Path], folder: Path) -> list[dict[str, Any]]:
    found = []
    for file in files:
        command = [sys.executable, __file__, str(file), "--train-in", str(folder), "--vocabulary-of", str(files[0])]
        for _ in range(2):  # the first time it tokenises too, and the second it finds the ids on disk
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            found.append(json.loads(done.stdout))
            tell(f"  {found[-1]}")
    return found


def train(file: Path, folder: Path, vocabulary_of: Path) -> dict[str, Any]:
    """Some steps of a pretraining and a validation; returns the highest memory."""
    import torch

    from elmo_cli.embedder import Embedder
    from elmo_cli.metrics.perplexity import perplexity
    from elmo_cli.model.bilm import BiLm
    from elmo_cli.runs import read_vocabulary
    from elmo_cli.training.prepare import build_vocabulary_run, prepare_pretraining
    from elmo_cli.training.pretrain import pretrain_run

    experiment = Experiment.model_validate({"output": folder / "runs", "preset": "small"})
    if not experiment.output.joinpath("vocab").exists():
        build_vocabulary_run(experiment, [vocabulary_of])
    highest = {"RssAnon": 0, "VmRSS": 0}
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.005):
            for line in Path("/proc/self/status").read_text().splitlines():
                name, _, value = line.partition(":")
                if name in highest:
                    highest[name] = max(highest[name], int(value.split()[0]))

    watcher = threading.Thread(target=watch)
    watcher.start()
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked >= TRAINING_STEPS

    before = set(experiment.output.glob(".cache/*/header.json"))
    for _ in pretrain_run(experiment, [file], overwrite=True, stop=stop, device="cpu"):
        pass
    shutil.rmtree(experiment.output / "lm")
    job = prepare_pretraining(experiment, [file], read_vocabulary(experiment.output / "vocab"))
    network = BiLm(job.settings.model, len(job.vocabulary))
    torch.manual_seed(1)
    perplexity(Embedder.of(network, job.vocabulary, job.vocabulary.tokenizer, "lm"), job.valid.slice(0, 300))
    over.set()
    watcher.join()
    return {
        "file": file.name,
        "tokenised": set(experiment.output.glob(".cache/*/header.json")) != before,
        "tokens": job.corpus.token_count,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "anonymous_mb": round(highest["RssAnon"] / 1024, 1),
        "resident_mb": round(highest["VmRSS"] / 1024, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--copies", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=200, metavar="MILLIONS")
    parser.add_argument("--only", nargs="*", choices=["shards", "start", "large", "memory"])
    parser.add_argument("--train-in", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--vocabulary-of", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.train_in:
        sys.stdout.write(json.dumps(train(arguments.corpus, arguments.train_in, arguments.vocabulary_of)))
        return
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        one, many = folder / "one.txt", folder / f"{arguments.copies}-copies.txt"
        one.write_bytes(arguments.corpus.read_bytes())
        many.write_bytes(one.read_bytes() * arguments.copies)
        cases: dict[str, Callable[[], Any]] = {
            "shards": lambda: bench_shards(many, folder, arguments.rounds),
            "start": lambda: bench_start([one, many], folder, arguments.rounds),
            "large": lambda: bench_large(arguments.tokens, folder, arguments.rounds),
            "memory": lambda: bench_memory([one, many], folder / "memory"),
        }
        for case in arguments.only or cases:
            tell(case)
            load = os.getloadavg()[0]
            results[case] = {"load": round(load, 1), "found": cases[case]()}
    results["machine"] = {
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
