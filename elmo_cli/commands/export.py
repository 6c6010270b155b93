"""`elmo export`: a model in the files of other tools."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from elmo_cli.commands import options, views
from elmo_cli.commands.call import Call
from elmo_cli.config import choices

Format = Annotated[
    choices.ExportFormat, options.choice("--format", choices.ExportFormat, "options.json and weights.hdf5.")
]


def export(
    call: Call,
    run: options.ModelRun,
    format: Format = "bilm-tf",
    out: options.Out = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Write a model for other tools, read it back, and compare.

    What a format cannot hold is said before anything is written.

    Example:
      elmo export runs/lm --format bilm-tf --out exported
    """
    from elmo_cli.interop.bilm_export import export_bilm_tf

    with call.display() as tell:
        report = export_bilm_tf(run, out or call.settings().output / "exported", overwrite=overwrite, tell=tell)
    document = {**asdict(report), "notices": tell.notices}
    call.output.show(document, views.pairs({**asdict(report), "difference": f"{report.difference:.1e}"}))
