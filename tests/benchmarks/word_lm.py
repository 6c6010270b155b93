"""A good ordinary word model of `nn.LSTM`, one-directional and tied, trained for some minutes: see `bench_brown`."""

from __future__ import annotations

import copy
import math
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from elmo_cli.model.parameters import decay_groups
from elmo_cli.text.encoded import EncodedCorpus
from elmo_cli.text.indexer import frame
from elmo_cli.text.sources import encode_corpus
from elmo_cli.text.streams import Stream
from elmo_cli.training.optimiser import Schedule, clip_gradients, make_optimiser, set_rate
from elmo_cli.training.prepare import PretrainJob

NAME = "nn.LSTM"
SCHEDULE_STEPS = 10_000  # into which the time is divided

# Settings. One choice, not searched for: usual for an Adam-trained LSTM of this size and few epochs.
DROPOUT, RATE, WARMUP, FINAL_RATE, WEIGHT_DECAY, CLIP_NORM = 0.2, 2e-3, 0.05, 0.05, 0.01, 1.0
TABLE_RANGE = 0.1  # of the embedding's uniform start
LENGTH_GROUPS = 4  # of a batch of whole sentences
CHUNKS = (0, 256)  # rows of the softmax at a time; 0: all
PROBES = 3
SCORED_ROWS = 256

LstmState = tuple[Tensor, Tensor]


class Piece(NamedTuple):
    """Rows that `nn.LSTM` reads at once: (B, T) ids, (B, T) targets, 0 where nothing is predicted."""

    inputs: Tensor
    targets: Tensor


class WordLm(nn.Module):
    """The alternative: a one-directional word model whose output weights are its embedding."""

    def __init__(self, words: int, cells: int, layers: int) -> None:
        super().__init__()
        self.table = nn.Embedding(words + 1, cells, padding_idx=0)
        self.lstm = nn.LSTM(cells, cells, num_layers=layers, batch_first=True, dropout=DROPOUT if layers > 1 else 0.0)
        self.drop = nn.Dropout(DROPOUT)
        self.bias = nn.Parameter(torch.zeros(words + 1))
        with torch.no_grad():
            self.table.weight.uniform_(-TABLE_RANGE, TABLE_RANGE)[0] = 0.0
            self.bias[0] = -1e4  # padding is no word
            for layer in range(layers):
                getattr(self.lstm, f"bias_ih_l{layer}").zero_()
                bias = getattr(self.lstm, f"bias_hh_l{layer}").zero_()
                bias[cells : 2 * cells] = 1.0  # gates lie as input, forget, cell, output

    def forward(self, pieces: Sequence[Piece], state: LstmState | None) -> tuple[Tensor, Tensor, LstmState]:
        """Hidden vectors (N, cells) and targets (N,) of the steps that are predicted, and the last piece's state."""
        hidden = []
        for piece in pieces:
            outputs, state_after = self.lstm(self.drop(self.table(piece.inputs)), state)
            hidden.append(outputs[piece.targets > 0])
        targets = torch.cat([piece.targets[piece.targets > 0] for piece in pieces])
        return self.drop(torch.cat(hidden)), targets, (state_after[0].detach(), state_after[1].detach())

    def nll(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """() summed nats."""
        return functional.cross_entropy(
            functional.linear(hidden, self.table.weight, self.bias), targets, reduction="sum"
        )


class Way(NamedTuple):
    """How the alternative computes: bfloat16 by autocast or not, and rows of the softmax at a time."""

    autocast: bool
    chunk: int

    def __str__(self) -> str:
        rows = f"softmax in {self.chunk} rows" if self.chunk else "softmax at once"
        return f"{'bfloat16 autocast' if self.autocast else 'float32'}, {rows}"


def backward(model: WordLm, pieces: Sequence[Piece], state: LstmState | None, way: Way) -> tuple[int, LstmState]:
    """Gradients of the mean nats of a step; how many steps were predicted, and the state after them."""
    with torch.autocast("cpu", torch.bfloat16, enabled=way.autocast):
        hidden, targets, state = model(pieces, state)
        if not way.chunk:
            loss = model.nll(hidden, targets) / len(targets)
        else:  # each chunk's logits and gradients are gone before the next
            leaf = hidden.detach().requires_grad_()
            for start in range(0, len(targets), way.chunk):
                chunk = slice(start, start + way.chunk)
                (model.nll(leaf[chunk], targets[chunk]) / len(targets)).backward()
    if way.chunk:
        hidden.backward(leaf.grad)
    else:
        loss.backward()
    return len(targets), state


def lstm_autocasts() -> bool:
    """Whether torch can train its LSTM under bfloat16 autocast here: for processors without AVX-512 oneDNN has none."""
    module, inputs = nn.LSTM(16, 16), torch.zeros(2, 2, 16)
    with torch.autocast("cpu", torch.bfloat16):
        try:
            module(inputs)
        except RuntimeError:
            return False
    return True


def fastest(model: WordLm, pieces: Sequence[Piece], state: LstmState | None) -> tuple[Way, dict[str, float]]:
    """Try all ways for some steps; the fastest, and milliseconds of each."""
    times = {}
    for way in [Way(autocast, chunk) for autocast in {False, lstm_autocasts()} for chunk in CHUNKS]:
        took = []
        for _ in range(PROBES):
            model.zero_grad()
            start = time.perf_counter()
            backward(model, pieces, state, way)
            took.append(time.perf_counter() - start)
        times[way] = 1000 * min(took)
    model.zero_grad()
    return min(times, key=times.__getitem__), {str(way): round(took, 1) for way, took in times.items()}


class Text:
    """A corpus as the alternative reads it."""

    def __init__(self, corpus: EncodedCorpus, job: PretrainJob, context: str) -> None:
        self.corpus, self.context = corpus, context
        self.ids = torch.tensor(job.vocabulary.lookup(corpus.types))
        self.rows, self.window, self.seed = job.settings.pretrain.rows, job.settings.pretrain.window, 1

    def epoch(self, number: int) -> Iterator[list[Piece]]:
        """The steps of an epoch, each predicting about as many as ours does."""
        if self.context == "stream":
            for window in Stream(self.corpus, self.rows, self.window, self.seed, shuffle=False).epoch(number):
                yield [Piece(self.ids[torch.as_tensor(window.inputs[0])], self.ids[torch.as_tensor(window.targets[0])])]
            return
        order = np.random.default_rng([self.seed, number]).permutation(len(self.corpus))
        done = np.cumsum(self.corpus.lengths[order] + 1)
        cuts = np.searchsorted(done, np.arange(self.rows * self.window, done[-1], self.rows * self.window))
        for chosen in np.split(order, np.unique(cuts)):
            if len(chosen):
                ascending = chosen[np.argsort(self.corpus.lengths[chosen], kind="stable")]
                yield [self._piece(group) for group in np.array_split(ascending, LENGTH_GROUPS) if len(group)]

    def _piece(self, sentences: Any) -> Piece:
        numbers, _ = frame(self.corpus, sentences, True)  # <S> w1 .. wn </S>, padding
        ids = self.ids[torch.as_tensor(numbers)]
        return Piece(ids[:, :-1], ids[:, 1:])


@torch.no_grad()
def perplexity(model: WordLm, text: Text) -> tuple[float, int]:
    """The exponential of the mean nats of all predicted steps, in float32, and how many there are."""
    model.eval()
    nats, steps, state = 0.0, 0, None
    for pieces in text.epoch(0):
        hidden, targets, after = model(pieces, state)
        state = after if text.context == "stream" else None
        pairs = zip(hidden.split(SCORED_ROWS), targets.split(SCORED_ROWS), strict=True)
        nats += sum(float(model.nll(rows, columns)) for rows, columns in pairs)
        steps += len(targets)
    model.train()
    return math.exp(nats / steps), steps


def read_test(job: PretrainJob) -> EncodedCorpus:
    """The test sentences."""
    assert job.settings.data.test is not None
    return encode_corpus(job.settings, [job.settings.data.test], job.vocabulary.tokenizer)


def say(name: str, message: str) -> None:
    """Tell on stderr how it goes."""
    sys.stderr.write(f"{name}: {message}\n")
    sys.stderr.flush()


def train_word_lm(job: PretrainJob, minutes: float, context: str, start: Any) -> dict[str, Any]:
    """Train and score the alternative."""
    torch.manual_seed(job.settings.seed)
    size = job.settings.model
    model = WordLm(len(job.vocabulary), size.hidden_size, size.layers)
    train, valid = Text(job.corpus, job, context), Text(job.valid, job, context)
    optimiser = make_optimiser("adamw", decay_groups(model.named_parameters(), RATE, WEIGHT_DECAY))
    schedule = Schedule(SCHEDULE_STEPS, WARMUP, FINAL_RATE)
    way, probes = fastest(model, next(train.epoch(0)), None)
    say(NAME, f"takes {way}")
    start.wait()
    began, budget, shown = time.perf_counter(), 60 * minutes, 0.0
    steps, tokens, epoch, share, seconds, validations, best = 0, 0, 0, 0.0, 0.0, [], (math.inf, None)
    while share < 1.0:
        state, begun = None, tokens
        for pieces in train.epoch(epoch):
            set_rate(optimiser, schedule.factor(max(1.0, share * SCHEDULE_STEPS)))
            optimiser.zero_grad()
            predicted, after = backward(model, pieces, state, way)
            state = after if context == "stream" else None
            clip_gradients(model.parameters(), CLIP_NORM)
            optimiser.step()
            steps, tokens, seconds = steps + 1, tokens + predicted, time.perf_counter() - began
            share = seconds / budget
            if seconds - shown > 30:
                say(NAME, f"{seconds:.0f} s, {tokens} tokens")
                shown = seconds
            if share >= 1.0:
                break
        epoch += 1
        found, _ = perplexity(model, valid)
        say(NAME, f"epoch {epoch}: validation {found:.2f}")
        validations.append(round(found, 2))
        if found < best[0]:
            best = found, copy.deepcopy(model.state_dict())
        if share < 1.0:  # the clock went on during validation, as ours does
            share = (time.perf_counter() - began) / budget
    if best[1] is not None:
        model.load_state_dict(best[1])
    epochs = epoch - 1 + (tokens - begun) / (job.corpus.token_count + len(job.corpus))
    test, scored = perplexity(model, Text(read_test(job), job, context))
    return {
        "test": test,
        "test_steps": scored,
        "validations": validations,
        **{"steps": steps, "tokens": tokens, "epochs": round(epochs, 2), "seconds": round(seconds, 1)},
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "way": str(way),
        "probes_ms": probes,
        "context": context,
        "settings": {
            **{"cells": size.hidden_size, "layers": size.layers, "dropout": DROPOUT, "learning_rate": RATE},
            **{"warmup": WARMUP, "final_rate": FINAL_RATE, "weight_decay": WEIGHT_DECAY, "clip_norm": CLIP_NORM},
        },
    }
