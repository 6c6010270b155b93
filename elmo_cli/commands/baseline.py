"""`elmo baseline word2vec` and `elmo baseline svd`: static vectors to compare with, or to start from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from elmo_cli.commands import options, views
from elmo_cli.commands.call import Call, Command, Group
from elmo_cli.commands.inputs import spooled
from elmo_cli.config import Experiment, choices

Windows = Annotated[
    list[int] | None,
    typer.Option(
        "--window",
        min=1,
        metavar="N",
        help="Tokens on each side; repeatable. Several write a file each: of --out v.txt, v-w1.txt for window 1.",
    ),
]
Dim = Annotated[int | None, typer.Option("--dim", min=1, help="Width of a vector.")]
VectorFile = Annotated[
    Path, typer.Option("--out", "-o", metavar="FILE", help="The file to write, compressed if it ends in .gz.")
]
Binary = Annotated[bool, typer.Option("--binary", help="word2vec's binary format instead of text.")]
Algorithm = Annotated[
    choices.Word2VecAlgorithm | None,
    options.choice("--algorithm", choices.Word2VecAlgorithm, "What is predicted from what."),
]
Negative = Annotated[int | None, typer.Option("--negative", min=1, help="Negative samples for each pair.")]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="Threads; only one gives the same vectors each time.")
]
Weighting = Annotated[
    choices.SvdWeighting | None,
    options.choice("--weighting", choices.SvdWeighting, "Counts, log(1 + count), or positive PMI."),
]
Smoothing = Annotated[
    float | None, typer.Option("--smoothing", help="Exponent on the context counts of PPMI; 1 smooths nothing.")
]
Exponent = Annotated[
    float | None, typer.Option("--exponent", help="Exponent on the singular values that scale the vectors.")
]

baseline = typer.Typer(
    name="baseline",
    cls=Group,
    help="Train static vectors to compare with ('baseline word2vec', 'baseline svd').",
)


@baseline.command("word2vec", cls=Command)
def baseline_word2vec(
    call: Call,
    corpus: options.Corpus = None,
    vocab: options.Vocab = None,
    out: VectorFile = Path("w2v.txt"),
    window: Windows = None,
    dim: Dim = None,
    algorithm: Algorithm = None,
    negative: Negative = None,
    epochs: options.Epochs = None,
    workers: Workers = None,
    binary: Binary = False,
    lowercase: options.Lowercase = None,
    column: options.TextColumns = None,
    encoding: options.Encoding = None,
    overwrite: options.Overwrite = False,
    seed: options.Seed = None,
) -> None:
    """Train word2vec on text, with the vocabulary of the language model.

    Examples:
      elmo baseline word2vec
      elmo baseline word2vec news.txt --dim 300 --out w2v.bin --binary
      elmo baseline word2vec --algorithm cbow --window 2 --window 10
    """
    experiment = call.settings(
        seed=seed,
        data={"text": column, "encoding": encoding},
        tokenizer={"lowercase": lowercase},
        word2vec={"dim": dim, "algorithm": algorithm, "negative": negative, "epochs": epochs, "workers": workers},
    )
    _train(call, experiment, "word2vec", corpus, out, window, vocab=vocab, binary=binary, overwrite=overwrite)


@baseline.command("svd", cls=Command)
def baseline_svd(
    call: Call,
    corpus: options.Corpus = None,
    vocab: options.Vocab = None,
    out: VectorFile = Path("svd.txt"),
    window: Windows = None,
    dim: Dim = None,
    weighting: Weighting = None,
    smoothing: Smoothing = None,
    exponent: Exponent = None,
    binary: Binary = False,
    lowercase: options.Lowercase = None,
    column: options.TextColumns = None,
    encoding: options.Encoding = None,
    overwrite: options.Overwrite = False,
    seed: options.Seed = None,
) -> None:
    """Factorise word-word co-occurrences, with the language model's vocabulary.

    Examples:
      elmo baseline svd
      elmo baseline svd news.txt --window 1 --window 3 --window 5
      elmo baseline svd --weighting log --dim 100 --out svd.bin --binary
    """
    experiment = call.settings(
        seed=seed,
        data={"text": column, "encoding": encoding},
        tokenizer={"lowercase": lowercase},
        svd={"dim": dim, "weighting": weighting, "smoothing": smoothing, "exponent": exponent},
    )
    _train(call, experiment, "svd", corpus, out, window, vocab=vocab, binary=binary, overwrite=overwrite)


def _train(
    call: Call,
    experiment: Experiment,
    method: choices.BaselineMethod,
    corpus: Sequence[Path] | None,
    out: Path,
    windows: Sequence[int] | None,
    *,
    vocab: Path | None,
    binary: bool,
    overwrite: bool,
) -> None:
    """Train, and show what came of it."""
    from elmo_cli.vectors.baseline import baseline_run

    with spooled(corpus) as files, call.display() as tell:
        run = partial(baseline_run, experiment, method, files, out, windows=windows or ())
        report = run(vocab=vocab, binary=binary, overwrite=overwrite, tell=tell)
    document = {**asdict(report), "notices": tell.notices}
    call.output.show(document, views.baseline(document))
