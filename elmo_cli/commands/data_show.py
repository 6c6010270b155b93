"""`elmo data show`: what is in files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from elmo_cli.commands import options, views
from elmo_cli.commands.render import Output
from elmo_cli.commands.settings import resolve

Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="Texts; of two files, the training file first.")]


def data_show(
    files: Files,
    column: options.TextColumns = None,
    encoding: options.Encoding = None,
    tokenizer: options.TokenizerKind = None,
    config: options.Config = None,
    assignments: options.Assignments = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Show what is in files: columns, classes, lengths, problems.

    Of two files it also says how many texts of the second stand in the
    first: a test file should share none with the training file.

    Examples:
      elmo data show train.csv test.csv
      elmo data show news.jsonl --column body --set data.label=section
    """
    from elmo_cli.commands.progress import Display
    from elmo_cli.data.folders import expand
    from elmo_cli.data.inspection import inspect
    from elmo_cli.text.tokenizer import Tokenizer

    experiment = resolve(
        config, assignments, data={"text": column, "encoding": encoding}, tokenizer={"kind": tokenizer}
    )
    output = Output(json, quiet)
    tokenize, most = Tokenizer(experiment.tokenizer), experiment.classify.max_tokens
    with Display(output) as tell:
        found = inspect(expand(files), experiment.data, lambda text: len(tokenize(text)), most, tell)
    document = found.as_dict()
    output.show(document, *views.inspection(document))
