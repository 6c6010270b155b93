"""`elmo baseline word2vec`: static vectors to compare with, or to start from."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from elmo_cli.commands import options, views
from elmo_cli.commands.render import Output
from elmo_cli.commands.settings import resolve
from elmo_cli.config import choices

Algorithm = Annotated[
    choices.Word2VecAlgorithm | None,
    options.choice("--algorithm", choices.Word2VecAlgorithm, "What is predicted from what."),
]
Negative = Annotated[int | None, typer.Option("--negative", min=1, help="Negative samples for each pair.")]
Epochs = Annotated[int | None, typer.Option("--epochs", min=1, help="Passes over the corpus.")]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="Threads; only one gives the same vectors each time.")
]


def baseline_word2vec(
    corpus: options.Corpus = None,
    vocab: options.Vocab = None,
    out: options.VectorFile = Path("w2v.txt"),
    window: options.Windows = None,
    dim: options.Dim = None,
    algorithm: Algorithm = None,
    negative: Negative = None,
    epochs: Epochs = None,
    workers: Workers = None,
    binary: options.Binary = False,
    lowercase: options.Lowercase = None,
    column: options.TextColumns = None,
    encoding: options.Encoding = None,
    overwrite: options.Overwrite = False,
    config: options.Config = None,
    assignments: options.Assignments = None,
    seed: options.Seed = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Train word2vec on text, with the vocabulary of the language model.

    Examples:
      elmo baseline word2vec
      elmo baseline word2vec news.txt --dim 300 --out w2v.bin --binary
      elmo baseline word2vec --algorithm cbow --window 2 --window 10
    """
    from elmo_cli.commands.inputs import spooled
    from elmo_cli.commands.progress import Display
    from elmo_cli.vectors.baseline import baseline_run

    experiment = resolve(
        config,
        assignments,
        seed=seed,
        data={"text": column, "encoding": encoding},
        tokenizer={"lowercase": lowercase},
        word2vec={"dim": dim, "algorithm": algorithm, "negative": negative, "epochs": epochs, "workers": workers},
    )
    output, run = Output(json, quiet), partial(baseline_run, experiment, "word2vec")
    with spooled(corpus) as files, Display(output) as tell:
        report = run(files, out, windows=window or (), vocab=vocab, binary=binary, overwrite=overwrite, tell=tell)
    document = {**asdict(report), "notices": tell.notices}
    output.show(document, views.baseline(document))
