"""`elmo export`: a model in the files of other tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from elmo_cli.commands import options, views
from elmo_cli.commands.call import Call
from elmo_cli.commands.embed import layer_choice
from elmo_cli.commands.inputs import spooled
from elmo_cli.config import choices
from elmo_cli.errors import ConfigError

if TYPE_CHECKING:
    from elmo_cli.inference.distil import StaticExport, StaticOptions

Corpus = Annotated[
    list[Path] | None,
    typer.Argument(metavar="CORPUS", help="Text for the contexts of static vectors; by default the training text."),
]
Format = Annotated[
    choices.ExportFormat,
    options.choice(
        "--format",
        choices.ExportFormat,
        "The biLM as options.json and weights.hdf5; or a vector a type, by word2vec's.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Folder, or file of vectors, to write.", show_default="runs/exported, static.txt"),
]
Layer = Annotated[
    str | None,
    typer.Option("--layer", metavar="average|top|N", help="What static vectors are of.", show_default="average"),
]
Isolated = Annotated[bool, typer.Option("--isolated", help="Static vectors of tokens on their own, without a corpus.")]
Components = Annotated[int | None, typer.Option("--pca", min=1, metavar="N", help="Principal components to keep.")]
Sif = Annotated[
    float | None,
    typer.Option("--sif", min=1e-12, metavar="A", help="Weigh static vectors by A / (A + frequency), as in 1e-3."),
]
Binary = Annotated[bool, typer.Option("--binary", help="word2vec's binary format instead of text.")]


def export(
    call: Call,
    run: options.ModelRun,
    corpus: Corpus = None,
    format: Format = "bilm-tf",
    out: Out = None,
    layer: Layer = None,
    isolated: Isolated = False,
    pca: Components = None,
    sif: Sif = None,
    binary: Binary = False,
    column: options.TextColumns = None,
    encoding: options.Encoding = None,
    overwrite: options.Overwrite = False,
    device: options.Device = "auto",
) -> None:
    """Write a model for other tools, read it back, and compare.

    What a format cannot hold is said before anything is written.

    Examples:
      elmo export runs/lm --format bilm-tf --out exported
      elmo export runs/lm news.txt --format static --layer top --out lm.txt
      elmo compare --baseline lm.txt
    """
    given = {"CORPUS": corpus, "--layer": layer, "--isolated": isolated, "--pca": pca, "--sif": sif, "--binary": binary}
    if format == "bilm-tf":
        _refuse_static(given)
        _export_bilm_tf(call, run, out, overwrite)
    else:
        from elmo_cli.inference.distil import StaticOptions

        chosen = StaticOptions(_layer(layer), isolated, pca, sif, binary)
        reading: dict[str, object] = {"text": column, "encoding": encoding}
        _export_static(call, run, corpus or (), out or Path("static.txt"), chosen, reading, overwrite, device)


def _refuse_static(given: Mapping[str, object]) -> None:
    """What only static vectors take, given for another format."""
    for name, value in given.items():
        if value:
            remedy = f"leave {name} out, or give --format static"
            raise ConfigError(f"{name} is for static vectors", expected="--format static", remedy=remedy)


def _layer(text: str | None) -> int | choices.NamedLayers:
    layer = layer_choice(text or "average", "--layer")
    if layer == "all":
        found, remedy = "--layer got 'all'", "average takes all layers into one vector"
        raise ConfigError(found, expected="average, top, or the number of a layer", remedy=remedy)
    return layer


def _export_bilm_tf(call: Call, run: Path, out: Path | None, overwrite: bool) -> None:
    from elmo_cli.interop.bilm_export import export_bilm_tf

    with call.display() as tell:
        report = export_bilm_tf(run, out or call.settings().output / "exported", overwrite=overwrite, tell=tell)
    document = {"format": "bilm-tf", **asdict(report), "notices": tell.notices}
    call.output.show(document, views.pairs({**asdict(report), "difference": f"{report.difference:.1e}"}))


def _export_static(
    call: Call,
    run: Path,
    corpus: Sequence[Path],
    out: Path,
    chosen: StaticOptions,
    reading: dict[str, object],
    overwrite: bool,
    device: str,
) -> None:
    from elmo_cli.devices import pick_device
    from elmo_cli.inference.distil import export_static

    experiment = call.settings(data=reading)
    with spooled(corpus) as files, call.display() as tell:
        report: StaticExport = export_static(
            experiment, run, files, out, chosen, device=pick_device(device), overwrite=overwrite, tell=tell
        )
    document = {"format": "static", **asdict(report), "notices": tell.notices}
    call.output.show(document, views.pairs(asdict(report)))
