"""`elmo vocab build`: which tokens get an id."""

from __future__ import annotations

from typing import Annotated

import typer

from elmo_cli.commands import options, views
from elmo_cli.commands.render import Output
from elmo_cli.commands.settings import resolve

MinCount = Annotated[int | None, typer.Option("--min-count", min=1, help="Drop tokens seen less often.")]
MaxSize = Annotated[int | None, typer.Option("--max-size", min=4, help="Keep at most so many tokens.")]


def vocab_build(
    corpus: options.Corpus = None,
    out: options.Out = None,
    min_count: MinCount = None,
    max_size: MaxSize = None,
    lowercase: options.Lowercase = None,
    tokenizer: options.TokenizerKind = None,
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
    """Count the tokens of a corpus and give the frequent ones an id.

    Without CORPUS it reads data.corpus of elmo.yaml, else data.train.

    Examples:
      elmo vocab build
      elmo vocab build news.txt.gz 'more/*.txt' --min-count 3 --lowercase
      zcat news.gz | elmo vocab build -
    """
    from elmo_cli.commands.inputs import spooled
    from elmo_cli.commands.progress import Display
    from elmo_cli.training.prepare import build_vocabulary_run

    experiment = resolve(
        config,
        assignments,
        seed=seed,
        data={"text": column, "encoding": encoding},
        tokenizer={"kind": tokenizer, "lowercase": lowercase},
        vocab={"min_count": min_count, "max_size": max_size},
    )
    output = Output(json, quiet)
    with spooled(corpus) as files, Display(output) as tell:
        report = build_vocabulary_run(experiment, files, out, overwrite, tell)
    document = report.as_dict()
    output.show(document, views.vocabulary(document))
