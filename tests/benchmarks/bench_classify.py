"""What a frozen biLM costs a classifier: once, and then hardly anything.

    PYTHONPATH=. python tests/benchmarks/bench_classify.py [--rows N] [--epochs N]

Texts are the first rows of AG News' training file, the biLM has the shape of the preset `small` with random weights
(speed does not depend on them). Epochs are timed by the events of `finetune`, as `elmo classify` gets them; the first
one holds the biLM's forward pass over all texts. The passes of the biLM are counted: three λ modes with two seeds each,
all from one cache, add none.
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

from elmo_cli.config import ClassifySettings, load_experiment
from elmo_cli.embedder import Embedder
from elmo_cli.events import EpochDone
from elmo_cli.model.bilm import BiLm
from elmo_cli.text.vocabulary import Vocabulary
from elmo_cli.training.cache import make_cache
from elmo_cli.training.finetune import finetune
from elmo_cli.training.labelled import LabelledCorpus, read_train_and_test

RESULTS = Path(__file__).parent / "results" / "classify.json"
MODES = ("trainable", "frozen", "function")


class Counted:
    """Counts the batches that pass through the biLM."""

    def __init__(self) -> None:
        self.passes = 0
        real = BiLm.layers

        def layers(network: BiLm, *arguments: Any, **options: Any) -> Any:
            self.passes += 1
            return real(network, *arguments, **options)

        BiLm.layers = layers  # type: ignore[method-assign]


def epoch_seconds(embedder: Embedder, texts: LabelledCorpus, settings: ClassifySettings) -> list[float]:
    """Seconds of each epoch, the pass of the biLM in the first."""
    seconds, before = [], time.perf_counter()
    for event in finetune(embedder, texts, settings, seed=1):
        if isinstance(event, EpochDone):
            now = time.perf_counter()
            seconds.append(now - before)
            before = now
    return seconds


def main() -> None:
    """Measure, print, write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    shared = Path(os.environ.get("ELMO_SHARED", Path(__file__).resolve().parents[3] / "shared"))
    settings = [f"data.train={shared}/data/ag_news/train.csv", f"data.limit={given.rows}"]
    experiment = load_experiment(Path(os.devnull), settings)
    texts, _ = read_train_and_test(experiment, experiment.tokenizer)
    vocabulary = Vocabulary.build(texts.corpus, experiment.vocab, experiment.tokenizer)
    torch.manual_seed(1)
    network = BiLm(experiment.model, len(vocabulary)).eval()
    embedder = Embedder.of(network, vocabulary, experiment.tokenizer, "small")
    counted, rows = Counted(), []
    for pooling in ("mean", "max+mean"):
        same: dict[str, Any] = {"pooling": pooling, "epochs": given.epochs, "patience": given.epochs}
        before = counted.passes
        seconds = epoch_seconds(embedder, texts, ClassifySettings.model_validate(same))
        passes = counted.passes - before
        cache = make_cache(embedder, texts.corpus, ClassifySettings.model_validate({**same, "lambdas": "function"}))
        before = counted.passes
        for mode in MODES:
            for seed in (1, 2):
                again = ClassifySettings.model_validate({**same, "lambdas": mode, "epochs": 1})
                for _ in finetune(embedder, texts, again, seed=seed, cache=cache):
                    pass
        later = statistics.median(seconds[1:])
        rows.append(
            {
                "pooling": pooling,
                "first_epoch_seconds": round(seconds[0], 2),
                "later_epoch_seconds": round(later, 3),
                "spread": round((max(seconds[1:]) - min(seconds[1:])) / later, 2),
                "ratio": round(seconds[0] / later, 1),
                "biLM_batches_of_the_first_classifier": passes,
                "biLM_batches_of_six_more": counted.passes - before,
            }
        )
    text = {"rows": len(texts), "tokens": texts.corpus.token_count}
    document = {"machine": machine(), "text": text, "rows": rows}
    sys.stdout.write(json.dumps(document, indent=1) + "\n")
    given.out.parent.mkdir(exist_ok=True)
    given.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
