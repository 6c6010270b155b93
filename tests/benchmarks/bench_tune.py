"""A step of tuning a biLM in a classifier, beside the same classifier on torch's `nn.LSTM`.

    PYTHONPATH=. python tests/benchmarks/bench_tune.py [--rows N] [--steps N] [--threads N] [--clock wall|cpu]

A step is forward, backward, clipping and AdamW over 32 texts of similar length, from the first rows of AG News'
training file. The biLM has the shape of the preset `small` with random weights (speed does not depend on them). The
rival has the same table, mix, pooling, head, dropout and optimiser; its LSTMs are two `nn.LSTM` for each layer over
padded rows, in float32 and under bfloat16 autocast. All ways see the same batches, in turn; the median counts, the
ratio is to the faster rival, and the spread is that between the quartiles (batches differ in length).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch
from bench_lstm import machine
from torch import Tensor, nn
from torch.nn import functional
from word_lm import lstm_autocasts

from elmo_cli.config import ClassifySettings, ModelSettings, Precision, load_experiment
from elmo_cli.embedder import Embedder, Feed
from elmo_cli.model.bilm import BiLm
from elmo_cli.model.classifier import Classifier
from elmo_cli.model.encoder import TokenIds
from elmo_cli.model.mode import EXACT, Mode
from elmo_cli.text.batches import length_batches
from elmo_cli.text.vocabulary import Vocabulary
from elmo_cli.training.labelled import read_train_and_test
from elmo_cli.training.optimiser import clip_gradients, make_optimiser

SETTINGS = ClassifySettings(tune=True)


class PlainBiLm(nn.Module):
    """The biLM on `nn.LSTM`: (B, T + 2) framed ids to (L + 1, B, T, 2P)."""

    def __init__(self, settings: ModelSettings, words: int) -> None:
        super().__init__()
        size, self.layer_count = settings.hidden_size, settings.layers + 1
        self.width = 2 * size
        self.encoder = nn.Embedding(words + 1, size, padding_idx=0)
        self.lstm_layers = nn.ModuleList(
            nn.ModuleList(nn.LSTM(size, size, batch_first=True) for _ in range(2)) for _ in range(settings.layers)
        )

    def layers(self, tokens: TokenIds, lengths: Tensor, state: None = None, mode: Mode = EXACT) -> tuple[Tensor, None]:
        """As `BiLm.layers`; zeros beyond a sentence are the mask's work above."""
        vectors = functional.dropout(self.encoder(tokens.ids), mode.dropout or 0.0, self.training)
        mirrored = lengths[:, None] + 1 - torch.arange(vectors.shape[1])
        flip = torch.where(mirrored >= 0, mirrored, torch.arange(vectors.shape[1]))[..., None]
        ways = [vectors, vectors.gather(1, flip.expand_as(vectors))]
        found = [torch.cat([vectors, vectors], 2)]
        for pair in self.lstm_layers:
            ways = [
                functional.dropout(lstm(way)[0].float(), mode.dropout or 0.0, self.training)
                for lstm, way in zip(pair, ways, strict=True)
            ]
            found.append(torch.cat([ways[0], ways[1].gather(1, flip.expand_as(ways[1]))], 2))
        return torch.stack(found)[:, :, 1:-1], None


class Way:
    """A classifier with its optimiser; `autocast` for a rival in bfloat16."""

    def __init__(self, network: Any, precision: Precision, autocast: bool, classes: int) -> None:
        self.classifier = Classifier(network, SETTINGS, classes, 1, precision=precision)
        groups = self.classifier.parameter_groups(SETTINGS)
        self.weights = [parameter for group in groups for parameter in group["params"]]
        self.optimiser, self.autocast = make_optimiser("adamw", groups), autocast
        self.classifier.train()

    def step(self, texts: tuple[TokenIds, Tensor], targets: Tensor) -> None:
        """One step."""
        self.optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
            logits = self.classifier(*texts)
        functional.cross_entropy(logits.float(), targets).backward()
        clip_gradients(self.weights, SETTINGS.clip_norm)
        self.optimiser.step()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--threads", type=int, help="default: as torch finds")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    clock = time.perf_counter if given.clock == "wall" else time.process_time
    shared = Path(os.environ.get("ELMO_SHARED", Path(__file__).resolve().parents[3] / "shared"))
    experiment = load_experiment(
        Path(os.devnull), [f"data.train={shared}/data/ag_news/train.csv", f"data.limit={given.rows}"]
    )
    texts, _ = read_train_and_test(experiment, experiment.tokenizer)
    vocabulary = Vocabulary.build(texts.corpus, experiment.vocab, experiment.tokenizer)
    torch.manual_seed(1)
    network = BiLm(experiment.model, len(vocabulary))
    feed = Feed(Embedder.of(network, vocabulary, experiment.tokenizer, "small"), texts.corpus)
    names, words = len(texts.classes), len(vocabulary)
    ways = {
        "nn.LSTM": Way(PlainBiLm(experiment.model, words), "float32", False, names),
        "float32": Way(network, "float32", False, names),
        "bfloat16": Way(BiLm(experiment.model, words), "bfloat16", False, names),
    }
    if lstm_autocasts():
        ways["nn.LSTM autocast"] = Way(PlainBiLm(experiment.model, words), "float32", True, names)
    cells = SETTINGS.batch_size * SETTINGS.max_tokens
    batches = length_batches(texts.corpus.lengths, cells, max_sentences=SETTINGS.batch_size, seed=1)[: given.steps + 2]
    times: dict[str, list[float]] = {name: [] for name in ways}
    for batch in batches:
        prepared, targets = feed.sentences(batch), torch.as_tensor(texts.labels[batch])
        for name, way in ways.items():
            start = clock()
            way.step(prepared, targets)
            times[name].append(clock() - start)
    sys.stdout.write(json.dumps({**machine(), "clock": given.clock}) + "\n")
    middle = {name: statistics.median(values[2:]) for name, values in times.items()}
    fastest = min(time for name, time in middle.items() if name.startswith("nn.LSTM"))
    for name, values in times.items():
        low, _, high = statistics.quantiles(values[2:], n=4)
        spread = (high - low) / middle[name]
        sys.stdout.write(f"{name:18} {middle[name] * 1e3:8.1f} ms ±{spread:6.1%} {fastest / middle[name]:6.2f}x\n")


if __name__ == "__main__":
    main()
