"""`elmo classify`: a classifier on the layers of a language model."""

from __future__ import annotations

from typing import Annotated

import typer

from elmo_cli.commands import options, views
from elmo_cli.commands.call import Call
from elmo_cli.commands.progress import follow
from elmo_cli.commands.signals import stop_on_signals
from elmo_cli.config import choices

Pooling = Annotated[choices.Pooling | None, options.choice("--pooling", choices.Pooling, "From tokens to one vector.")]
LabelSmoothing = Annotated[
    float | None, typer.Option("--label-smoothing", metavar="SHARE", help="Share of the target for all classes alike.")
]
ClassWeights = Annotated[
    str | None,
    typer.Option("--class-weights", metavar="WEIGHTS", help="Of texts in the loss: balanced, or LABEL=W,LABEL=W."),
]

Members = Annotated[
    int | None,
    typer.Option("--members", metavar="N", min=1, help="So many classifiers, of seeds in a row, that answer together."),
]
Ngrams = Annotated[
    bool | None,
    typer.Option(
        "--ngrams/--no-ngrams",
        help="Let counted n-grams of words and characters answer along, as by default.",
        show_default=False,
    ),
]


def classify(
    call: Call,
    train: options.Train = None,
    lm: options.Lm = None,
    lambdas: options.Lambdas = None,
    frozen_lambdas: options.FrozenLambdas = None,
    lambda_norm: options.LambdaNorm = None,
    layer_norm: options.LayerNorm = None,
    pooling: Pooling = None,
    label_smoothing: LabelSmoothing = None,
    class_weights: ClassWeights = None,
    members: Members = None,
    ngrams: Ngrams = None,
    tune: options.Tune = None,
    test: options.Test = None,
    encoding: options.Encoding = None,
    out: options.Out = None,
    overwrite: options.Overwrite = False,
    seed: options.Seed = None,
    device: options.Device = "auto",
) -> None:
    """Train a text classifier on the layers of a language model.

    Examples:
      elmo classify --lambdas frozen
      elmo classify train.csv --test test.csv --lm runs/lm --tune
      elmo classify --lambdas trainable --tune --members 3 --out runs/three
    """
    from elmo_cli.training.classify import classify_run

    experiment = call.settings(
        seed=seed,
        data={"train": train, "test": test, "encoding": encoding},
        classify={
            "lambdas": lambdas,
            "frozen_lambdas": frozen_lambdas,
            "lambda_norm": lambda_norm,
            "layer_norm": layer_norm,
            "pooling": pooling,
            "label_smoothing": label_smoothing,
            "class_weights": class_weights,
            "members": members,
            "ngrams": ngrams,
            "tune": tune,
        },
    )
    call.note_idle_settings(experiment.classify)
    with stop_on_signals() as stop:
        events = classify_run(experiment, lm, out, device=device, overwrite=overwrite, stop=stop)
        results = follow(call.output, events, stop, unit="texts")
    call.output.show(results, *views.classifier(results))
