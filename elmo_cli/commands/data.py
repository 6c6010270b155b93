"""`elmo data`: data to begin with, and what is in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from elmo_cli.commands import options, views
from elmo_cli.commands.options import resolve
from elmo_cli.commands.render import Screen

app = typer.Typer(no_args_is_help=True, help="Fetch a data set ('data get'), look into a file ('data show').")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The data set: ag-news.")]
Folder = Annotated[Path | None, typer.Option("--out", "-o", metavar="DIR", help="Where to; by default ./ag_news.")]
Mirror = Annotated[
    str | None, typer.Option("--mirror", metavar="URL", help="Another folder on the web with the same files.")
]
Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="Texts; of two files, the training file first.")]


@app.command()
def get(
    name: Name,
    out: Folder = None,
    mirror: Mirror = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Fetch a data set as it was published, and check that it is.

    What is there already is not fetched again, and what broke off goes on
    where it was. A proxy is taken from HTTPS_PROXY.

    Examples:
      elmo data get ag-news
      cd ag_news && elmo init
    """
    from elmo_cli.commands.inputs import measured
    from elmo_cli.data.download import fetch, find_data_set

    screen, wanted = Screen(json, quiet), find_data_set(name)
    with measured(screen, "fetching") as progress:
        folder = out or Path(name.replace("-", "_"))
        fetched = fetch(wanted, folder, mirror=mirror, overwrite=overwrite, on_progress=progress)
    screen.show(vars(fetched), views.fetched(vars(fetched)))
    screen.say(*_next_steps(folder))


def _next_steps(folder: Path) -> list[str]:
    """What to do with the files; nothing to say where they were fetched into an experiment that has its settings."""
    steps = [
        *([] if folder.resolve() == Path.cwd() else [f"cd {folder}"]),
        *([] if (folder / "elmo.yaml").exists() else ["elmo init"]),
    ]
    return [f"next: {', then '.join(steps)}"] if steps else []


@app.command()
def show(
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
    from elmo_cli.commands.inputs import measured
    from elmo_cli.data.folders import expand
    from elmo_cli.data.inspection import inspect
    from elmo_cli.text.tokenizer import Tokenizer

    flags = {"data.text": column, "data.encoding": encoding, "tokenizer.kind": tokenizer}
    experiment, screen = resolve(config, assignments, None, flags), Screen(json, quiet)
    tokenize, most = Tokenizer(experiment.tokenizer), experiment.classify.max_tokens
    with measured(screen, "reading") as progress:
        found = inspect(expand(files), experiment.data, lambda text: len(tokenize(text)), most, progress)
    document = found.as_dict()
    screen.show(document, *views.inspection(document))
