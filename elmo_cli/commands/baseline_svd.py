"""`elmo baseline svd`: static vectors from co-occurrences."""

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


def baseline_svd(
    corpus: options.Corpus = None,
    vocab: options.Vocab = None,
    out: options.VectorFile = Path("svd.txt"),
    window: options.Windows = None,
    dim: options.Dim = None,
    weighting: Weighting = None,
    smoothing: Smoothing = None,
    exponent: Exponent = None,
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
    """Factorise word-word co-occurrences, with the language model's vocabulary.

    Examples:
      elmo baseline svd
      elmo baseline svd news.txt --window 1 --window 3 --window 5
      elmo baseline svd --weighting log --dim 100 --out svd.bin --binary
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
        svd={"dim": dim, "weighting": weighting, "smoothing": smoothing, "exponent": exponent},
    )
    output, run = Output(json, quiet), partial(baseline_run, experiment, "svd")
    with spooled(corpus) as files, Display(output) as tell:
        report = run(files, out, windows=window or (), vocab=vocab, binary=binary, overwrite=overwrite, tell=tell)
    document = {**asdict(report), "notices": tell.notices}
    output.show(document, views.baseline(document))
