"""`elmo baseline`: static vectors to compare with, or to start from."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from elmo_cli.commands import options, views
from elmo_cli.commands.options import resolve
from elmo_cli.commands.render import Screen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from elmo_cli.config import Experiment
    from elmo_cli.vectors.baseline import Method

ABOUT = "Train static vectors to compare with ('baseline word2vec', 'baseline svd')."
app = typer.Typer(no_args_is_help=True, help=ABOUT)

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
OutFile = Annotated[
    Path, typer.Option("--out", "-o", metavar="FILE", help="The file to write, compressed if it ends in .gz.")
]
Binary = Annotated[bool, typer.Option("--binary", help="word2vec's binary format instead of text.")]
Algorithm = Annotated[
    str | None, typer.Option("--algorithm", metavar="skip-gram|cbow", help="What is predicted from what.")
]
Negative = Annotated[int | None, typer.Option("--negative", min=1, help="Negative samples for each pair.")]
Epochs = Annotated[int | None, typer.Option("--epochs", min=1, help="Passes over the corpus.")]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="Threads; only one gives the same vectors each time.")
]
Weighting = Annotated[
    str | None, typer.Option("--weighting", metavar="raw|log|ppmi", help="Counts, log(1 + count), or positive PMI.")
]
Smoothing = Annotated[
    float | None, typer.Option("--smoothing", help="Exponent on the context counts of PPMI; 1 smooths nothing.")
]
Exponent = Annotated[
    float | None, typer.Option("--exponent", help="Exponent on the singular values that scale the vectors.")
]


@app.callback()
def _baseline() -> None:
    """Train static vectors to compare with ('baseline word2vec', 'baseline svd')."""


@app.command()
def word2vec(
    corpus: options.Corpus = None,
    vocab: options.Vocab = None,
    out: OutFile = Path("w2v.txt"),
    window: Windows = None,
    dim: Dim = None,
    algorithm: Algorithm = None,
    negative: Negative = None,
    epochs: Epochs = None,
    workers: Workers = None,
    binary: Binary = False,
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
    flags = {
        "word2vec.dim": dim,
        "word2vec.algorithm": algorithm,
        "word2vec.negative": negative,
        "word2vec.epochs": epochs,
        "word2vec.workers": workers,
        "tokenizer.lowercase": lowercase,
        "data.text": column,
        "data.encoding": encoding,
    }
    experiment, screen = resolve(config, assignments, seed, flags), Screen(json, quiet)
    _train(screen, experiment, "word2vec", corpus, out, window, vocab, binary, overwrite, "epochs")


@app.command()
def svd(
    corpus: options.Corpus = None,
    vocab: options.Vocab = None,
    out: OutFile = Path("svd.txt"),
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
    config: options.Config = None,
    assignments: options.Assignments = None,
    seed: options.Seed = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Factorise word-word co-occurrences, with the language model's vocabulary.

    Examples:
      elmo baseline svd
      elmo baseline svd news.txt --window 1 --window 3 --window 5
      elmo baseline svd --weighting log --dim 100 --out svd.bin --binary
    """
    flags = {
        "svd.dim": dim,
        "svd.weighting": weighting,
        "svd.smoothing": smoothing,
        "svd.exponent": exponent,
        "tokenizer.lowercase": lowercase,
        "data.text": column,
        "data.encoding": encoding,
    }
    experiment, screen = resolve(config, assignments, seed, flags), Screen(json, quiet)
    _train(screen, experiment, "svd", corpus, out, window, vocab, binary, overwrite, "windows")


def _train(
    screen: Screen,
    experiment: Experiment,
    method: Method,
    corpus: Sequence[Path] | None,
    out: Path,
    windows: Sequence[int] | None,
    vocab: Path | None,
    binary: bool,
    overwrite: bool,
    unit: str,
) -> None:
    from elmo_cli.commands.inputs import counted, spooled
    from elmo_cli.vectors.baseline import baseline_run

    with spooled(corpus) as files, counted(screen, unit) as progress:
        report = baseline_run(
            experiment,
            method,
            files,
            out,
            windows=windows or (),
            vocab=vocab,
            binary=binary,
            overwrite=overwrite,
            progress=progress,
        )
    screen.say(*(f"note: {note}" for note in report.notices))
    document = asdict(report)
    screen.show(document, views.baseline(document))
