"""`elmo vocab build` and `elmo vocab show`: which tokens get an id, and what a vocabulary lacks of a corpus."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from elmo_cli.commands import options, views
from elmo_cli.commands.call import Call, Command, Group
from elmo_cli.commands.inputs import spooled

MinCount = Annotated[int | None, typer.Option("--min-count", min=1, help="Drop tokens seen less often.")]
MaxSize = Annotated[int | None, typer.Option("--max-size", min=4, help="Keep at most so many tokens.")]
VocabPath = Annotated[Path, typer.Argument(metavar="VOCAB", help="Vocabulary: a run, or a vocab.txt.")]
OnCorpus = Annotated[list[Path] | None, typer.Argument(metavar="CORPUS", help="Text to count the unknown in.")]
Lines = Annotated[int, typer.Option("--lines", min=1, help="Tokens to show from head and tail.")]

vocab = typer.Typer(cls=Group, help="Build a vocabulary ('vocab build'), look at one ('vocab show').")


@vocab.command("build", cls=Command)
def vocab_build(
    call: Call,
    corpus: options.Corpus = None,
    out: options.Out = None,
    min_count: MinCount = None,
    max_size: MaxSize = None,
    lowercase: options.Lowercase = None,
    tokenizer: options.TokenizerKind = None,
    column: options.TextColumns = None,
    encoding: options.Encoding = None,
    cluster: options.Cluster = None,
    overwrite: options.Overwrite = False,
    seed: options.Seed = None,
) -> None:
    """Count the tokens of a corpus and give the frequent ones an id.

    Without CORPUS it reads data.corpus of elmo.yaml, else data.train.

    Examples:
      elmo vocab build
      elmo vocab build news.txt.gz 'more/*.txt' --min-count 3 --lowercase
      zcat news.gz | elmo vocab build -
    """
    from elmo_cli.cluster import on_cluster
    from elmo_cli.training.prepare import build_vocabulary_run

    experiment = call.settings(
        seed=seed,
        data={"text": column, "encoding": encoding},
        tokenizer={"kind": tokenizer, "lowercase": lowercase},
        vocab={"min_count": min_count, "max_size": max_size},
    )
    with on_cluster(cluster), spooled(corpus) as files, call.display() as tell:
        report = build_vocabulary_run(experiment, files, out, overwrite, tell)
    document = report.as_dict()
    call.output.show(document, views.vocabulary(document))


@vocab.command("show", cls=Command)
def vocab_show(
    call: Call,
    vocab: VocabPath,
    corpus: OnCorpus = None,
    lines: Lines = 8,
    column: options.TextColumns = None,
    encoding: options.Encoding = None,
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
        experiment = call.settings(data={"text": column, "encoding": encoding})
        report = vocabulary.oov(encode_corpus(experiment, corpus, vocabulary.tokenizer))
        document["corpus"] = {**asdict(report), "oov_rate": report.rate}
    call.output.show(document, views.pairs(document))
