"""`elmo embed`, `elmo import` and `elmo check`: activations out, other projects' weights in, and trust in between."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TextIO

import typer

from elmo_cli.commands import options, views
from elmo_cli.commands.options import resolve
from elmo_cli.commands.render import Screen
from elmo_cli.errors import ConfigError, nearest

if TYPE_CHECKING:
    from elmo_cli.inference.dump_writer import Layers as LayerChoice

Run = Annotated[Path, typer.Argument(metavar="RUN", help="A run of `elmo pretrain`, `classify` or `import`.")]
File = Annotated[str, typer.Argument(metavar="FILE", help="Sentences: a line each, a table, a folder, or - for stdin.")]
OutFile = Annotated[
    str | None,
    typer.Option(
        "--out",
        "-o",
        metavar="FILE",
        help="What to write, or - for JSON lines on stdout.",
        show_default="embeddings.hdf5",
    ),
]
FileFormat = Annotated[
    Literal["hdf5", "npz", "parquet", "jsonl"] | None,
    typer.Option("--format", help="Of the file; by default as its ending says.", show_default=False),
]
Layers = Annotated[
    str, typer.Option("--layers", metavar="all|top|average|N", help="All layers, the top one, their mean, or one.")
]
Pool = Annotated[Literal["none", "mean", "max"], typer.Option("--pool", help="One vector a token, or a sentence.")]
Dtype = Annotated[Literal["float32", "float16"], typer.Option("--dtype", help="Of the numbers in the file.")]
Stateful = Annotated[bool, typer.Option("--stateful", help="Carry the state from batch to batch, as bilm-tf does.")]
BatchSize = Annotated[
    int | None, typer.Option("--batch-size", min=1, help="Sentences a batch, in the order of the input.")
]
BatchTokens = Annotated[
    int | None,
    typer.Option(
        "--batch-tokens",
        help="Tokens a batch of sentences of similar length. Longer sentences are run in windows that hand the state "
        "on, with the same vectors; how many, the report says.",
        show_default="4096",
    ),
]
Precision = Annotated[
    Literal["float32", "bfloat16"],
    typer.Option("--precision", help="Of matrix products; the report says what bfloat16 changed."),
]
CheckFile = Annotated[
    str | None, typer.Argument(metavar="FILE", help="Sentences that --expected was computed from; - for stdin.")
]
Expected = Annotated[Path | None, typer.Option("--expected", metavar="FILE", help="Stored embeddings (HDF5).")]
Tolerance = Annotated[float, typer.Option("--tolerance", min=0.0, help="Largest difference that counts as none.")]
CheckBatchSize = Annotated[
    int, typer.Option("--batch-size", min=1, help="Sentences a batch, as --expected was computed.")
]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder with options.json and weights.hdf5.")]

STDIO = "-"


def embed(
    run: Run,
    file: File = "-",
    out: OutFile = None,
    format: FileFormat = None,
    layers: Layers = "all",
    pool: Pool = "none",
    dtype: Dtype = "float32",
    precision: Precision = "float32",
    tokenizer: options.TokenizerKind = None,
    stateful: Stateful = False,
    batch_size: BatchSize = None,
    batch_tokens: BatchTokens = None,
    column: options.TextColumns = None,
    encoding: options.Encoding = None,
    overwrite: options.Overwrite = False,
    config: options.Config = None,
    assignments: options.Assignments = None,
    device: options.Device = "auto",
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Write the layer activations of sentences to a file, or to stdout.

    HDF5 as bilm-tf and AllenNLP write it, NumPy's npz, Parquet, JSON lines.

    Examples:
      elmo embed runs/lm sentences.txt --out sentences.hdf5
      cat sentences.txt | elmo embed runs/lm --layers top --out - | head -1
      elmo embed runs/lm - --layers top --pool mean < sentences.txt
    """
    from elmo_cli.commands.inputs import counted, texts_of, tokenizer_for
    from elmo_cli.devices import pick_device
    from elmo_cli.inference.embed import embed_run

    flags = {"data.text": column, "data.encoding": encoding, "tokenizer.kind": tokenizer}
    experiment, screen, place = (
        resolve(config, assignments, None, flags),
        Screen(json, quiet),
        _place(out, format, json),
    )
    with counted(screen, "sentences") as progress:
        report = embed_run(
            run,
            texts_of(file, experiment.data),
            place,
            format=format,
            layers=_layer_choice(layers),
            pool=pool,
            dtype=dtype,
            precision=precision,
            tokenizer=tokenizer_for(run, experiment.tokenizer) if tokenizer else None,
            stateful=stateful,
            batch_size=batch_size,
            batch_tokens=batch_tokens,
            device=pick_device(device),
            overwrite=overwrite,
            progress=progress,
        )
    document = {**asdict(report), "path": str(report.path)}
    if isinstance(place, Path):
        screen.show(document, views.pairs(document))
    else:  # stdout is taken
        screen.say(views.pairs(document))


def _place(out: str | None, format: str | None, json: bool) -> Path | TextIO:
    """The file to write, or stdout."""
    if out != STDIO:
        return Path(out or f"embeddings.{format or 'hdf5'}")
    if json:
        raise ConfigError(
            "--json and --out - both want standard output",
            expected="one of them",
            remedy="leave --json out, or give --out FILE",
        )
    return sys.stdout


def _layer_choice(text: str) -> LayerChoice:
    names: dict[str, LayerChoice] = {"all": "all", "top": "top", "average": "average"}
    if text in names:
        return names[text]
    if not text.isdecimal():
        raise ConfigError(
            f"--layers got '{text}'",
            expected="all, top, average, or the number of a layer from 0",
            remedy=nearest(text, names),
        )
    return int(text)


def import_weights(
    folder: Folder,
    out: options.Out = None,
    overwrite: options.Overwrite = False,
    config: options.Config = None,
    assignments: options.Assignments = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Take over a model of bilm-tf or AllenNLP as a run.

    Published weights come without their softmax, so what needs one
    (perplexity) says so; everything else works.

    Example:
      elmo import elmo_2x1024 --out runs/published
    """
    from elmo_cli.interop.bilm_tf import import_run

    target = out or resolve(config, assignments, None).output / "imported"
    files = import_run(folder, target, overwrite)
    document = {"path": str(target), **{name: value and str(value) for name, value in asdict(files).items()}}
    Screen(json, quiet).show(document, views.pairs(document))


def check(
    run: Run,
    file: CheckFile = None,
    expected: Expected = None,
    tolerance: Tolerance = 1e-5,
    tokenizer: options.TokenizerKind = None,
    stateful: Stateful = False,
    batch_size: CheckBatchSize = 1,
    column: options.TextColumns = None,
    encoding: options.Encoding = None,
    config: options.Config = None,
    assignments: options.Assignments = None,
    device: options.Device = "cpu",
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Check a run: integrity, leaks, invariances, stored embeddings.

    A token must not see itself; batch, padding and order must not matter.
    The exit code is 1 if a check fails.

    Examples:
      elmo check runs/lm
      elmo check runs/published sentences.txt --expected theirs.hdf5
    """
    from elmo_cli.commands.inputs import texts_of, tokenizer_for
    from elmo_cli.devices import pick_device
    from elmo_cli.inference.check import check_run

    flags = {"data.text": column, "data.encoding": encoding, "tokenizer.kind": tokenizer}
    experiment = resolve(config, assignments, None, flags)
    found = check_run(
        run,
        texts_of(file, experiment.data) if file else None,
        expected=expected,
        tolerance=tolerance,
        tokenizer=tokenizer_for(run, experiment.tokenizer) if tokenizer else None,
        stateful=stateful,
        batch_size=batch_size,
        device=pick_device(device),
    )
    results = [asdict(one) for one in found]
    Screen(json, quiet).show(results, *views.checks(results))
    if not all(one.passed for one in found):
        raise typer.Exit(1)
