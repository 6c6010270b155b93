"""`elmo vocab show`: what a vocabulary holds, and what it lacks of a corpus."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from elmo_cli.commands import options, views
from elmo_cli.commands.render import Output
from elmo_cli.commands.settings import resolve

VocabPath = Annotated[Path, typer.Argument(metavar="VOCAB", help="Vocabulary: a run, or a vocab.txt.")]
OnCorpus = Annotated[list[Path] | None, typer.Argument(metavar="CORPUS", help="Text to count the unknown in.")]
Lines = Annotated[int, typer.Option("--lines", min=1, help="Tokens to show from head and tail.")]


def vocab_show(
    vocab: VocabPath,
    corpus: OnCorpus = None,
    lines: Lines = 8,
    column: options.TextColumns = None,
    encoding: options.Encoding = None,
    config: options.Config = None,
    assignments: options.Assignments = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Show the size, head and tail of a vocabulary, and what it lacks of a corpus.

    Examples:
      elmo vocab show runs/vocab
      elmo vocab show runs/lm test.csv
    """
    from elmo_cli.runs import read_vocabulary
    from elmo_cli.text.sources import encode_corpus

    vocabulary = read_vocabulary(vocab)
    document: dict[str, Any] = {
        "path": str(vocab),
        "size": len(vocabulary),
        "tokenizer": vocabulary.tokenizer.model_dump(mode="json", exclude_none=True),
        "head": vocabulary.tokens[:lines],
        "tail": vocabulary.tokens[-lines:],
    }
    if corpus:
        experiment = resolve(config, assignments, data={"text": column, "encoding": encoding})
        report = vocabulary.oov(encode_corpus(experiment, corpus, vocabulary.tokenizer))
        document["corpus"] = {**asdict(report), "oov_rate": report.rate}
    Output(json).show(document, views.pairs(document))
