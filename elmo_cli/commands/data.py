"""`elmo data get` and `elmo data show`: data to begin with, and what is in files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from elmo_cli.commands import options, views
from elmo_cli.commands.call import Call, Command, CommandWithoutSettings, Group
from elmo_cli.commands.inputs import spooled
from elmo_cli.commands.invocation import next_steps

Name = Annotated[str, typer.Argument(metavar="NAME", help="The data set: ag-news.")]
Folder = Annotated[Path | None, typer.Option("--out", "-o", metavar="DIR", help="Where to; by default ./ag_news.")]
Mirror = Annotated[
    str | None, typer.Option("--mirror", metavar="URL", help="Another folder on the web with the same files.")
]
Files = Annotated[
    list[Path],
    typer.Argument(metavar="FILE...", help="Texts: files, folders, patterns; of two the training file first."),
]

data = typer.Typer(cls=Group, help="Fetch a data set ('data get'), look into a file ('data show').")


@data.command("get", cls=CommandWithoutSettings)
def data_get(
    call: Call, name: Name, out: Folder = None, mirror: Mirror = None, overwrite: options.Overwrite = False
) -> None:
    """Fetch a data set as it was published, and check that it is.

    What is there already is not fetched again, and what broke off goes on
    where it was. A proxy is taken from HTTPS_PROXY.

    Examples:
      elmo data get ag-news
      cd ag_news && elmo init
    """
    from elmo_cli.data.download import fetch, find_data_set

    wanted = find_data_set(name)
    with call.display() as tell:
        folder = out or Path(name.replace("-", "_"))
        fetched = fetch(wanted, folder, mirror=mirror, overwrite=overwrite, tell=tell)
    call.output.show(vars(fetched), views.fetched(vars(fetched)))
    # Nothing where they were fetched into an experiment that has its settings.
    call.output.say(*next_steps(folder, *([] if (folder / "elmo.yaml").exists() else ["init"])))


@data.command("show", cls=Command)
def data_show(
    call: Call,
    files: Files,
    column: options.TextColumns = None,
    encoding: options.Encoding = None,
    tokenizer: options.TokenizerKind = None,
) -> None:
    """Show what is in files: columns, classes, lengths, problems.

    Of two files it also says how many texts of the second stand in the
    first: a test file should share none with the training file.

    Examples:
      elmo data show train.csv test.csv
      elmo data show news.jsonl --column body --set data.label=section
    """
    from elmo_cli.data.folders import expand
    from elmo_cli.data.inspection import inspect
    from elmo_cli.text.tokenizer import Tokenizer

    experiment = call.settings(data={"text": column, "encoding": encoding}, tokenizer={"kind": tokenizer})
    tokenize, most = Tokenizer(experiment.tokenizer), experiment.classify.max_tokens
    with spooled(files) as given, call.display() as tell:
        found = inspect(expand(given, classes=True), experiment.data, lambda text: len(tokenize(text)), most, tell)
    document = found.as_dict()
    call.output.show(document, *views.inspection(document))
