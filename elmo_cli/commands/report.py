"""`elmo report`: runs as one page."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from elmo_cli.commands import options, views
from elmo_cli.commands.call import Call

Runs = Annotated[
    list[Path] | None,
    typer.Argument(metavar="RUN", help="Comparisons, classifier, tagger and LM runs; by default all in runs/."),
]
OutPage = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="FILE", help="The page.", show_default="report.html")
]
Figures = Annotated[
    Path | None,
    typer.Option("--figures", metavar="DIR", help="Write each figure as SVG and PNG; without --out then no page."),
]


def report(
    call: Call,
    runs: Runs = None,
    out: OutPage = None,
    figures: Figures = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Write one self-contained HTML page of runs, with figures.

    It makes no request and runs no script: send it, print it, keep it.

    Examples:
      elmo report runs/compare runs/lm --out report.html
      elmo report runs/compare --figures figures
    """
    from elmo_cli.report.page import write_report

    folder = call.settings().output
    with call.display() as tell:
        written = write_report(runs or (), out, figures, folder=folder, overwrite=overwrite, tell=tell)
    call.output.show(asdict(written), views.pairs({"page": written.page, "figures": len(written.figures) or None}))
