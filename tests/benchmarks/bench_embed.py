"""Embedding with a model of the original's size, beside what its users have today.

    python tests/benchmarks/bench_embed.py [--quick] [--batches N] [--repetitions N] [--threads N] [--clock wall|cpu]

The model is the published one's shape with random weights: character CNN of 2,048 filters and two highways, two layers
of 4,096 cells projected to 512, float32. The text is the beginning of the Brown corpus' test part, in its order.

`plain` is what the archived packages do, written down: batches of 64 sentences in the order of the input, padded to the
longest; the character CNN for every token, padding included, over 50 characters; then for each layer and direction a
Python loop over the steps. `plain, ended rows left out` sorts a batch by length and leaves out of a step the sentences
that have ended, as AllenNLP does. Ours is `Extractor.parts` with its defaults and an empty token cache. All have the
same weights, and activations are compared before anything is timed. The speed of `plain` does not depend on how much
text there is, so it gets two batches of the twelve, the others the whole text. The ways take turns in
one process; the median counts, the spread is that between fastest and slowest. The share counts the products of the
LSTM for real tokens only, of the best square product of that precision in the same run. The clock `cpu` counts the time
of the process, for a busy machine; it wants one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from bench_lstm import best_square, machine
from torch import Tensor
from torch.nn import functional

from elmo_cli.config import ModelSettings, TokenizerSettings
from elmo_cli.embedder import Embedder, Extractor
from elmo_cli.inference.batching import DEFAULT_BATCH_TOKENS
from elmo_cli.model.bilm import BiLm, BiLstmLayer
from elmo_cli.model.encoder import CharacterEncoder
from elmo_cli.model.token_cache import TokenCache
from elmo_cli.text.batches import length_batches
from elmo_cli.text.characters import character_ids
from elmo_cli.text.encoded import BOS_TOKEN, EOS_TOKEN, EncodedCorpus, encode_tokens

REPOSITORY = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).parent / "results" / "embed.json"
PLAIN_BATCH = 64
ORIGINAL = ModelSettings.model_validate(
    {
        "encoder": "char",
        "characters": {"filters": [[1, 32], [2, 32], [3, 64], [4, 128], [5, 256], [6, 512], [7, 1024]]},
        "hidden_size": 4096,
        "projection_size": 512,
        "layers": 2,
        "residual": True,
    }
)
Embeddings = list[np.ndarray]


def plain(network: BiLm, batches: list[list[list[str]]], shrink: bool) -> Embeddings:
    """(L + 1, T, 2P) of each sentence, the usual way."""
    found: Embeddings = []
    for batch in batches:
        lengths = [len(tokens) + 2 for tokens in batch]
        order = sorted(range(len(batch)), key=lambda row: -lengths[row]) if shrink else list(range(len(batch)))
        longest = max(lengths)
        characters = torch.zeros(len(batch), longest, 50, dtype=torch.int64)
        for row, place in enumerate(order):
            framed = [BOS_TOKEN, *batch[place], EOS_TOKEN]
            characters[row, : len(framed)] = torch.from_numpy(character_ids(framed, 50))
        ordered = torch.tensor([lengths[place] for place in order])
        vectors = plain_characters(network.encoder, characters.view(-1, 50)).view(len(batch), longest, -1)
        steps = torch.arange(longest)
        flip = torch.where(steps < ordered[:, None], ordered[:, None] - 1 - steps, steps)[..., None]
        layers = [torch.cat([vectors, vectors], dim=2)]
        both = [vectors, vectors.gather(1, flip.expand_as(vectors))]
        for number, layer in enumerate(network.lstm_layers):
            outputs = [plain_lstm(layer, way, both[way], ordered, shrink) for way in (0, 1)]
            both = [output + before if number else output for output, before in zip(outputs, both, strict=True)]
            layers.append(torch.cat([both[0], both[1].gather(1, flip.expand_as(both[1]))], dim=2))
        values = torch.stack(layers).numpy()
        row_of = {place: row for row, place in enumerate(order)}
        found += [values[:, row_of[place], 1 : lengths[place] - 1] for place in range(len(batch))]
    return found


def plain_characters(encoder: CharacterEncoder, characters: Tensor) -> Tensor:
    """(N, 50) characters to (N, P)."""
    inputs = functional.embedding(characters, encoder.table).transpose(1, 2)
    features = [torch.relu(functional.conv1d(inputs, c.weight, c.bias).max(dim=2).values) for c in encoder.convolutions]
    words = torch.cat(features, dim=1)
    for highway in encoder.highways:
        gate = torch.sigmoid(functional.linear(words, highway.carry.weight, highway.carry.bias))
        new = torch.relu(functional.linear(words, highway.transform.weight, highway.transform.bias))
        words = gate * new + (1 - gate) * words
    return functional.linear(words, encoder.projection.weight, encoder.projection.bias)


def plain_lstm(layer: BiLstmLayer, way: int, inputs: Tensor, lengths: Tensor, shrink: bool) -> Tensor:
    """(B, T, P) to (B, T, P), a step at a time."""
    batch, steps, _ = inputs.shape
    hidden = inputs.new_zeros(batch, layer.recurrent.shape[1])
    cell = inputs.new_zeros(batch, layer.bias.shape[1] // 4)
    outputs = inputs.new_zeros(batch, steps, hidden.shape[1])
    for step in range(steps):
        rows = int((lengths > step).sum()) if shrink else batch
        gates = inputs[:rows, step] @ layer.input[way] + hidden[:rows] @ layer.recurrent[way] + layer.bias[way]
        in_gate, candidate, forget, out_gate = gates.chunk(4, dim=1)
        new = torch.sigmoid(in_gate) * torch.tanh(candidate)
        cell = (torch.sigmoid(forget + layer.forget_bias) * cell[:rows] + new).clamp(-3.0, 3.0)
        hidden = ((torch.sigmoid(out_gate) * torch.tanh(cell)) @ layer.projection[way]).clamp(-3.0, 3.0)
        outputs[:rows, step] = hidden
    return outputs


def ours(embedder: Embedder, corpus: EncodedCorpus, precision: str) -> Embeddings:
    """The same by `Extractor`, as `elmo embed` does it."""
    embedder.token_cache = TokenCache()
    found: Embeddings = [np.empty(0)] * len(corpus)
    batches = length_batches(corpus.lengths + 2, DEFAULT_BATCH_TOKENS)
    for parts in Extractor(embedder, precision=precision).parts(corpus, batches, DEFAULT_BATCH_TOKENS):
        for part in parts:
            found[part.sentence] = part.layers
    return found


def difference(one: Embeddings, other: Embeddings) -> float:
    """The largest of an activation of a sentence that both have."""
    return max(float(np.abs(a - b).max()) for a, b in zip(one, other, strict=True))


def read_sentences(count: int) -> list[list[str]]:
    """The first sentences of Brown's test part."""
    folder = Path(os.environ.get("ELMO_SHARED") or REPOSITORY.parent / "shared")
    with (folder / "data" / "brown" / "test.txt").open(encoding="utf-8") as file:
        return [line.split() for line, _ in zip(file, range(count), strict=False)]


def main() -> None:
    """Measure, print, write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="once, on half of the text; writes no results")
    parser.add_argument("--batches", type=int, default=12, help="of 64 sentences")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--threads", type=int, help="default: as torch finds")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    clock = time.perf_counter if given.clock == "wall" else time.process_time
    count = (given.batches + 1) // 2 if given.quick else given.batches
    sentences = read_sentences(count * PLAIN_BATCH)
    # of the first half and of the second
    chosen = [number * PLAIN_BATCH for number in ({count // 4} if given.quick else {count // 4, 3 * count // 4})]
    batches = [sentences[start : start + PLAIN_BATCH] for start in sorted(chosen)]
    places = [start + row for start in sorted(chosen) for row in range(PLAIN_BATCH)]
    torch.manual_seed(1)
    network = BiLm(ORIGINAL, None, softmax=False).eval()
    embedder = Embedder.of(network, None, TokenizerSettings(), "original")
    corpus = encode_tokens(sentences)
    ways: dict[str, Callable[[], Embeddings]] = {
        "plain": lambda: plain(network, batches, shrink=False),
        "plain, ended rows left out": lambda: plain(network, batches, shrink=True),
        "float32": lambda: ours(embedder, corpus, "float32"),
        "bfloat16": lambda: ours(embedder, corpus, "bfloat16"),
    }
    kinds = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    peaks = {name: best_square(clock, kind, given.quick) for name, kind in kinds.items()}
    times: dict[str, list[float]] = {name: [] for name in ways}
    with torch.inference_mode():
        exact = ways["float32"]()
        some = [exact[place] for place in places]
        differences = {
            name: difference(exact if name == "bfloat16" else some, way())
            for name, way in ways.items()
            if name != "float32"
        }
        assert differences["plain"] < 1e-4, differences
        for _ in range(1 if given.quick else given.repetitions):
            for name, way in ways.items():
                start = clock()
                way()
                times[name].append(clock() - start)
    whole, part = corpus.token_count, sum(len(sentence) for batch in batches for sentence in batch)
    speeds = {n: (part if n.startswith("plain") else whole) / statistics.median(v) for n, v in times.items()}
    width, cells = ORIGINAL.token_size, ORIGINAL.hidden_size
    operations = 2 * ORIGINAL.layers * 2 * (2 * width * 4 * cells + cells * width)  # of a token, in the LSTM
    rows = []
    for name, values in times.items():
        peak = peaks["bfloat16" if name == "bfloat16" else "float32"]
        rows.append(
            {
                "way": name,
                "tokens_per_second": round(speeds[name], 1),
                "spread": round((max(values) - min(values)) / statistics.median(values), 3),
                "ratio": round(speeds[name] / speeds["plain"], 2),
                "share": round(operations * speeds[name] / peak, 3),
                "largest_difference_to_float32": differences.get(name, 0.0),
            }
        )
    description = {
        **machine(),
        "clock": given.clock,
        "peaks": {name: round(peak / 1e9, 1) for name, peak in peaks.items()},
    }
    text = {"sentences": len(corpus), "tokens": whole, "tokens_of_plain": part, "distinct": len(corpus.types) - 3}
    document = {"machine": description, "text": text, "model": ORIGINAL.model_dump(mode="json"), "rows": rows}
    sys.stdout.write(json.dumps({**document, "model": "original"}, indent=1) + "\n")
    if not given.quick:
        given.out.parent.mkdir(exist_ok=True)
        given.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
