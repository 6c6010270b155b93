"""`elmo embed`: the layer activations of sentences, as a file or a stream."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO, get_args

import typer

from elmo_cli.commands import options, views
from elmo_cli.commands.call import Call
from elmo_cli.commands.inputs import STDIN, texts_of, tokenizer_for
from elmo_cli.commands.render import data_stream
from elmo_cli.config import choices
from elmo_cli.errors import ConfigError, nearest

if TYPE_CHECKING:
    from elmo_cli.inference.assembly import Layers as DumpLayers

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
    choices.DumpFormat | None,
    options.choice("--format", choices.DumpFormat, "Of the file; by default as its ending says."),
]
Layers = Annotated[
    str,
    typer.Option(
        "--layers",
        metavar=options.named(choices.NamedLayers, "N"),
        help="All layers, the top one, their mean, or one.",
    ),
]
Pool = Annotated[
    choices.DumpPooling, options.choice("--pool", choices.DumpPooling, "One vector a token, or a sentence.")
]
Dtype = Annotated[choices.Dtype, options.choice("--dtype", choices.Dtype, "Of the numbers in the file.")]
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
    choices.Precision,
    options.choice("--precision", choices.Precision, "Of matrix products; the report says what bfloat16 changed."),
]


def embed(
    call: Call,
    run: options.ModelRun,
    file: File = "-",
    out: OutFile = None,
    format: FileFormat = None,
    layers: Layers = "all",
    pool: Pool = "none",
    dtype: Dtype = "float32",
    precision: Precision = "float32",
    tokenizer: options.TokenizerKind = None,
    stateful: options.Stateful = False,
    batch_size: BatchSize = None,
    batch_tokens: BatchTokens = None,
    column: options.TextColumns = None,
    encoding: options.Encoding = None,
    overwrite: options.Overwrite = False,
    device: options.Device = "auto",
) -> None:
    """Write the layer activations of sentences to a file, or to stdout.

    HDF5 as bilm-tf and AllenNLP write it, NumPy's npz, Parquet, JSON lines.

    Examples:
      elmo embed runs/lm sentences.txt --out sentences.hdf5
      cat sentences.txt | elmo embed runs/lm --layers top --out - | head -1
      elmo embed runs/lm - --layers top --pool mean < sentences.txt
    """
    from elmo_cli.devices import pick_device
    from elmo_cli.inference.embed import EmbedOptions, embed_run

    experiment = call.settings(data={"text": column, "encoding": encoding}, tokenizer={"kind": tokenizer})
    place = _place(out, format, call.output.json)
    with call.display() as tell:
        report = embed_run(
            run,
            texts_of(file, experiment.data),
            place,
            EmbedOptions(
                format=format,
                layers=layer_choice(layers),
                pool=pool,
                dtype=dtype,
                precision=precision,
                tokenizer=tokenizer_for(run, experiment.tokenizer) if tokenizer else None,
                stateful=stateful,
                batch_size=batch_size,
                batch_tokens=batch_tokens,
            ),
            device=pick_device(device),
            overwrite=overwrite,
            tell=tell,
        )
    document = asdict(report)
    if isinstance(place, Path):
        call.output.show(document, views.pairs(document))
    else:  # stdout is taken
        call.output.say(views.pairs(document))


def _place(out: str | None, format: str | None, json: bool) -> Path | TextIO:
    """The file to write, or stdout."""
    if out != STDIN:
        return Path(out or f"embeddings.{format or 'hdf5'}")
    if json:
        raise ConfigError(
            "--json and --out - both want standard output",
            expected="one of them",
            remedy="leave --json out, or give --out FILE",
        )
    return data_stream()


def layer_choice(text: str, flag: str = "--layers") -> DumpLayers:
    """A named choice of layers, or the number of one."""
    names: tuple[choices.NamedLayers, ...] = get_args(choices.NamedLayers)
    for name in names:
        if text == name:
            return name
    if not text.isdecimal():
        raise ConfigError(
            f"{flag} got '{text}'",
            expected=f"{', '.join(names)}, or the number of a layer from 0",
            remedy=nearest(text, names),
        )
    return int(text)
