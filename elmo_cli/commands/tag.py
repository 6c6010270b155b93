"""`elmo tag`: a label for every token, on the layers of a language model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from elmo_cli.commands import options, tag_views
from elmo_cli.commands.call import Call
from elmo_cli.commands.progress import follow
from elmo_cli.commands.signals import stop_on_signals
from elmo_cli.config import choices

Train = Annotated[
    Path | None,
    typer.Argument(metavar="TRAIN", help="Tagged training file: CoNLL columns, CoNLL-U, JSON lines or Parquet."),
]
Valid = Annotated[
    Path | None,
    typer.Option("--valid", metavar="FILE", help="Tagged file that chooses the epoch; else a share of TRAIN."),
]
Test = Annotated[Path | None, typer.Option("--test", metavar="FILE", help="Tagged test file.")]
Head = Annotated[
    choices.TagHead | None,
    options.choice("--head", choices.TagHead, "What tags; auto: a CRF for spans, linear for plain tags."),
]
TokenColumn = Annotated[
    str | None, typer.Option("--tokens", metavar="COLUMN", help="Column of the tokens, by number or name.")
]
TagColumn = Annotated[
    str | None, typer.Option("--tags", metavar="COLUMN", help="Column of the tags, by number or name.")
]


def tag(
    call: Call,
    train: Train = None,
    lm: options.Lm = None,
    lambdas: options.Lambdas = None,
    frozen_lambdas: options.FrozenLambdas = None,
    lambda_norm: options.LambdaNorm = None,
    layer_norm: options.LayerNorm = None,
    head: Head = None,
    tune: options.Tune = None,
    tokens: TokenColumn = None,
    tags: TagColumn = None,
    valid: Valid = None,
    test: Test = None,
    encoding: options.Encoding = None,
    out: options.Out = None,
    overwrite: options.Overwrite = False,
    seed: options.Seed = None,
    device: options.Device = "auto",
) -> None:
    """Train a tagger, which labels every token, on the layers of a language model.

    Tags may mark spans (IOB1, IOB2, BIOES, BILOU) or stand for themselves.

    Examples:
      elmo tag train.conll --test test.conll
      elmo tag en-train.conllu --tags XPOS --lm runs/lm --lambdas layer:1
    """
    from elmo_cli.training.tag import tag_run

    combiner = {
        "lambdas": lambdas,
        "frozen_lambdas": frozen_lambdas,
        "lambda_norm": lambda_norm,
        "layer_norm": layer_norm,
    }
    experiment = call.settings(
        seed=seed,
        data={"train": train, "test": test, "encoding": encoding},
        tag={**combiner, "head": head, "tune": tune, "valid": valid, "tokens": tokens, "tags": tags},
    )
    call.note_idle_settings(experiment.tag)
    with stop_on_signals() as stop:
        events = tag_run(experiment, lm, out, device=device, overwrite=overwrite, stop=stop)
        results = follow(call.output, events, stop, unit="tokens", with_perplexity=False)
    call.output.show(results, *tag_views.tagger(results))
