"""`elmo data get`: data to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from elmo_cli.commands import options, views
from elmo_cli.commands.invocation import next_steps
from elmo_cli.commands.render import Output

Name = Annotated[str, typer.Argument(metavar="NAME", help="The data set: ag-news.")]
Folder = Annotated[Path | None, typer.Option("--out", "-o", metavar="DIR", help="Where to; by default ./ag_news.")]
Mirror = Annotated[
    str | None, typer.Option("--mirror", metavar="URL", help="Another folder on the web with the same files.")
]


def data_get(
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
    from elmo_cli.commands.progress import Display
    from elmo_cli.data.download import fetch, find_data_set

    output, wanted = Output(json, quiet), find_data_set(name)
    with Display(output) as tell:
        folder = out or Path(name.replace("-", "_"))
        fetched = fetch(wanted, folder, mirror=mirror, overwrite=overwrite, tell=tell)
    output.show(vars(fetched), views.fetched(vars(fetched)))
    # Nothing where they were fetched into an experiment that has its settings.
    output.say(*next_steps(folder, *([] if (folder / "elmo.yaml").exists() else ["init"])))
