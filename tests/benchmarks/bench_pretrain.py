"""Pretraining end to end beside the two ways it is done without this project.

    PYTHONPATH=. python tests/benchmarks/bench_pretrain.py direct [--epochs N] [--rows N]
    PYTHONPATH=. python tests/benchmarks/bench_pretrain.py course [--minutes M] [--rows N]

`direct` is the direct way in torch: one embedding table, for each direction an `nn.LSTM` of two layers (256), torch's
`AdaptiveLogSoftmaxWithLoss` with the same clusters, batches of sentences of similar length under the same number of
tokens, the same AdamW, schedule, dropout and clipping, in float32 and under bfloat16 autocast. It has the vocabulary of
AG News' first rows (lower case, tokens seen twice). Both see the same tokens, epoch by epoch, and the exact validation
perplexity is taken after each.

`course` is what student projects publish: batches of 32 texts in random order, each padded to the longest text of the
file, embeddings of 300, two layers of 100 cells in each direction, a linear layer to all 38,000 words for each
direction, cross-entropy over whole (texts, tokens, words) logits that leaves the padding out, Adam.

Ours is the event loop of `elmo pretrain`, data, optimiser and events included. A token is a predicted step of one
direction; every way predicts both. The ways take turns of some seconds in one process; the first of each is not
counted, the median over the others counts, and the spread is that between the quartiles. Validation is not timed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_lstm import machine
from torch import Tensor, nn
from torch.nn import functional
from word_lm import lstm_autocasts

from elmo_cli.config import Experiment, load_experiment
from elmo_cli.events import Step, Validation
from elmo_cli.model.kernel import native_library
from elmo_cli.model.parameters import decay_groups
from elmo_cli.model.softmax import TAIL_SHRINKAGE, adaptive_cutoffs
from elmo_cli.runs import RunWriter
from elmo_cli.text.batches import length_batches
from elmo_cli.text.encoded import EncodedCorpus
from elmo_cli.text.indexer import frame
from elmo_cli.training.optimiser import Schedule, clip_gradients, make_optimiser, set_rate
from elmo_cli.training.prepare import PretrainJob, prepare_pretraining
from elmo_cli.training.pretrain import pretrain

RESULTS = Path(__file__).parent / "results"
TURN = 4.0  # seconds
COURSE_WORDS, COURSE_BATCH, COURSE_EMBEDDING, COURSE_CELLS = 38_000, 32, 300, 100

# What a way of pretraining tells: ("steps", so many in all) or ("perplexity", after an epoch).
Told = Iterator[tuple[str, float]]


class DirectBiLm(nn.Module):
    """The direct way in torch: two `nn.LSTM`, one table, one softmax."""

    def __init__(self, words: int, embedding: int, cells: int, dropout: float, adaptive: bool) -> None:
        super().__init__()
        self.table = nn.Embedding(words + 1, embedding, padding_idx=0)
        nn.init.normal_(self.table.weight, std=embedding**-0.5)
        self.stacks = nn.ModuleList(
            nn.LSTM(embedding, cells, num_layers=2, batch_first=True, dropout=dropout) for _ in range(2)
        )
        self.drop = nn.Dropout(dropout)
        self.adaptive = None
        if adaptive:
            cutoffs = adaptive_cutoffs(words)
            self.adaptive = nn.AdaptiveLogSoftmaxWithLoss(cells, words, cutoffs, div_value=TAIL_SHRINKAGE)
        self.outputs = None if adaptive else nn.ModuleList(nn.Linear(cells, words + 1) for _ in range(2))

    def forward(self, ids: Tensor, flipped: Tensor) -> list[Tensor]:
        """(B, T) ids as they are read and from their end, to two (B, T, cells)."""
        pairs = zip(self.stacks, (ids, flipped), strict=True)
        return [self.drop(stack(self.drop(self.table(read)))[0]) for stack, read in pairs]

    def nll(self, ids: Tensor, flipped: Tensor) -> Tensor:
        """(2,) summed nats of both directions."""
        sums = []
        for hidden, read in zip(self(ids, flipped), (ids, flipped), strict=True):
            targets, real = read[:, 1:], read[:, 1:] > 0
            if self.adaptive is not None:
                sums.append(-self.adaptive(hidden[:, :-1][real], targets[real] - 1).output.sum())
            else:
                assert self.outputs is not None
                logits = self.outputs[len(sums)](hidden[:, :-1])
                sums.append(
                    functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=0, reduction="sum")
                )
        return torch.stack(sums)


class Texts:
    """Framed ids (<S> w1 .. wn </S>, 0 for padding) of a corpus, in batches."""

    def __init__(self, corpus: EncodedCorpus, job: PretrainJob) -> None:
        self.corpus = corpus
        self.ids = torch.tensor(job.vocabulary.lookup(corpus.types))

    def batch(self, chosen: Any, width: int | None = None) -> tuple[Tensor, Tensor, int]:
        """Ids and flipped ids (B, width), and how many steps a direction predicts."""
        numbers, lengths = frame(self.corpus, chosen, True)
        ids = self.ids[torch.as_tensor(numbers)]
        if width is not None:
            ids = functional.pad(ids, (0, width - ids.shape[1]))
        places = torch.arange(ids.shape[1])
        ends = torch.as_tensor(lengths)[:, None] + 1
        flipped = ids.gather(1, torch.where(places <= ends, ends - places, places))
        return ids, flipped, int(lengths.sum()) + len(lengths)


def theirs(job: PretrainJob, course: bool, autocast: bool = False) -> Told:
    """Train the direct way, or as student projects do."""
    settings, model = job.settings.pretrain, job.settings.model
    torch.manual_seed(job.settings.seed)
    words = len(job.vocabulary)
    train, valid = Texts(job.corpus, job), Texts(job.valid, job)
    longest = int(job.corpus.lengths.max()) + 2 if course else None
    if course:
        network = DirectBiLm(words, COURSE_EMBEDDING, COURSE_CELLS, 0.0, adaptive=False)
        optimiser: torch.optim.Optimizer = torch.optim.Adam(network.parameters())
    else:
        network = DirectBiLm(words, model.token_size, model.hidden_size, model.dropout, adaptive=True)
        optimiser = make_optimiser(
            "adamw", decay_groups(network.named_parameters(), settings.learning_rate, settings.weight_decay)
        )
    tokens = settings.rows * settings.window
    similar = length_batches(job.corpus.lengths + 2, tokens)
    schedule = Schedule(settings.epochs * len(similar), settings.warmup, settings.final_rate)
    generator, done, step = np.random.default_rng(1), 0, 0
    for _ in range(settings.epochs):
        if course:
            order = generator.permutation(len(job.corpus))
            batches = [order[start : start + COURSE_BATCH] for start in range(0, len(order), COURSE_BATCH)]
        else:
            batches = [similar[place] for place in generator.permutation(len(similar))]
        network.train()
        for chosen in batches:
            step += 1
            ids, flipped, steps = train.batch(chosen, longest)
            with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                loss = network.nll(ids, flipped).sum() / (2 * steps)
            optimiser.zero_grad()
            loss.backward()
            if not course:
                set_rate(optimiser, schedule.factor(step))
                clip_gradients(network.parameters(), settings.clip_norm)
            optimiser.step()
            done += steps
            yield "steps", done
        network.eval()
        sums, count = torch.zeros(2, dtype=torch.float64), 0
        with torch.inference_mode():
            for chosen in length_batches(job.valid.lengths + 2, 4096):
                ids, flipped, steps = valid.batch(chosen)
                sums += network.nll(ids, flipped)
                count += steps
        yield "perplexity", math.exp(float(sums.mean()) / count)


def ours(job: PretrainJob, folder: Path, native_loop: bool = True) -> Told:
    """The event loop of `elmo pretrain`."""
    with RunWriter(folder, "lm", "benchmark") as writer:
        events = pretrain(job, writer)
        while True:
            os.environ[native_library.SWITCH] = str(int(native_loop))
            event = next(events, None)
            if event is None:
                return
            if isinstance(event, Step):
                yield "steps", event.tokens
            elif isinstance(event, Validation):
                yield "perplexity", event.mean
            else:
                yield "else", 0


def race(ways: dict[str, Told], seconds: float) -> dict[str, dict[str, list[float]]]:
    """Let the ways take turns until each has ended or had its time; speeds of the turns, and perplexities."""
    found: dict[str, dict[str, list[float]]] = {name: {"speeds": [], "perplexities": []} for name in ways}
    before, left, spent = dict.fromkeys(ways, 0.0), dict(ways), dict.fromkeys(ways, 0.0)
    while left:
        for name, way in list(left.items()):
            done, time_used = before[name], 0.0
            while time_used < TURN:
                start = time.perf_counter()
                told = next(way, None)
                took = time.perf_counter() - start
                if told is None or spent[name] > seconds:
                    del left[name]
                    break
                if told[0] == "steps":
                    time_used += took
                    done = told[1]
                elif told[0] == "perplexity":
                    found[name]["perplexities"].append(told[1])
                    sys.stderr.write(f"{name}: perplexity {told[1]:.2f}\n")
            if name in left:
                found[name]["speeds"].append((done - before[name]) / time_used)
                sys.stderr.write(f"{name}: {found[name]['speeds'][-1]:.0f} tokens/s\n")
            before[name], spent[name] = done, spent[name] + time_used
    return found


def experiment(kind: str, rows: int, epochs: int, **model: object) -> Experiment:
    """The settings: of the preset small, but for the model."""
    shared = Path(os.environ.get("ELMO_SHARED", Path(__file__).resolve().parents[3] / "shared"))
    settings: dict[str, object] = {
        "data.train": str(shared / "data" / "ag_news" / "train.csv"),
        "data.limit": rows,
        "pretrain.epochs": epochs,
        **{f"model.{key}": value for key, value in model.items()},
    }
    if kind == "course":
        settings |= {"tokenizer.lowercase": False, "vocab.min_count": 1, "vocab.max_size": COURSE_WORDS}
        settings |= {"model.embedding_size": COURSE_EMBEDDING, "model.hidden_size": COURSE_CELLS}
    return load_experiment(Path(os.devnull), [f"{key}={json.dumps(value)}" for key, value in settings.items()])


def main() -> None:
    """Measure, print, write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["direct", "course"])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=3.0, help="of each way, for `course`")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    variants: dict[str, dict[str, Any]] = {
        "direct": {"float32": {}, "auto": {}, "auto, steps in torch": {}},
        "course": {"adaptive (default)": {"softmax": "adaptive"}, "full": {"softmax": "full"}},
    }[given.kind]
    with tempfile.TemporaryDirectory() as folder:
        jobs = {}
        for name, model in variants.items():
            settings = experiment(given.kind, given.rows, given.epochs, **model)
            if name == "float32":
                settings = settings.model_copy(
                    update={"pretrain": settings.pretrain.model_copy(update={"precision": "float32"})}
                )
            jobs[name] = prepare_pretraining(settings, (), None)
        first = next(iter(jobs.values()))
        base = "nn.LSTM" if given.kind == "direct" else "course project"
        ways = {base: theirs(first, given.kind == "course")}
        if given.kind == "direct" and lstm_autocasts():
            base = "nn.LSTM autocast"
            ways[base] = theirs(first, False, autocast=True)
        for number, (name, job) in enumerate(jobs.items()):
            ways[name] = ours(job, Path(folder) / str(number), "in torch" not in name)
        seconds = math.inf if given.kind == "direct" else 60 * given.minutes
        found = race(ways, seconds)
    medians = {name: statistics.median(one["speeds"][1:]) for name, one in found.items()}
    rows = []
    for name, one in found.items():
        low, _, high = statistics.quantiles(one["speeds"][1:], n=4)
        rows.append(
            {
                "way": name,
                "tokens_per_second": round(medians[name]),
                "spread": round((high - low) / medians[name], 3),
                "turns": len(one["speeds"]) - 1,
                "ratio": round(medians[name] / medians[base], 2),
                "valid_perplexities": [round(value, 2) for value in one["perplexities"]],
            }
        )
    text = {
        "rows": given.rows,
        "tokens": first.corpus.token_count,
        "words": len(first.vocabulary),
        "longest": int(first.corpus.lengths.max()),
    }
    document = {"machine": machine(), "text": text, "rows": rows}
    sys.stdout.write(json.dumps(document, indent=1) + "\n")
    out = given.out or RESULTS / f"pretrain_{given.kind}.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
