"""`elmo classify` and `elmo evaluate`: a classifier on the layers of a language model, and the scores of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from elmo_cli.commands import options, views
from elmo_cli.commands.options import resolve, without_effect
from elmo_cli.commands.render import Screen
from elmo_cli.commands.signals import stop_on_signals

Lambdas = Annotated[
    str | None,
    typer.Option(
        "--lambdas", metavar="trainable|frozen|function|layer:N", help="How the layers become one vector a token."
    ),
]
FrozenLambdas = Annotated[
    str | None,
    typer.Option("--frozen-lambdas", metavar="W,W,W|uniform", help="Weights for frozen; else drawn from the seed."),
]
LambdaNorm = Annotated[
    str | None, typer.Option("--lambda-norm", metavar="softmax|none", help="Normalisation of the layer weights.")
]
LayerNorm = Annotated[
    bool | None,
    typer.Option("--layer-norm/--no-layer-norm", help="Normalise each layer before the mix.", show_default=False),
]
Pooling = Annotated[
    str | None, typer.Option("--pooling", metavar="max|mean|max+mean|attention", help="From tokens to one vector.")
]
LabelSmoothing = Annotated[
    float | None, typer.Option("--label-smoothing", metavar="SHARE", help="Share of the target for all classes alike.")
]
ClassWeights = Annotated[
    str | None,
    typer.Option("--class-weights", metavar="balanced|LABEL=W,...", help="Weights of texts in the loss, by class."),
]
Run = Annotated[Path | None, typer.Argument(metavar="RUN", help="What to evaluate; by default all models in runs/.")]
Data = Annotated[Path | None, typer.Argument(metavar="DATA", help="Text or labelled texts; by default the test file.")]

Scores = Annotated[
    Path | None,
    typer.Option("--scores", metavar="FILE", help="Write the scores of each sentence of an LM run: .csv or .jsonl."),
]
PerToken = Annotated[bool, typer.Option("--per-token", help="With --scores: of each token instead.")]


def classify(
    train: options.Train = None,
    lm: options.Lm = None,
    lambdas: Lambdas = None,
    frozen_lambdas: FrozenLambdas = None,
    lambda_norm: LambdaNorm = None,
    layer_norm: LayerNorm = None,
    pooling: Pooling = None,
    label_smoothing: LabelSmoothing = None,
    class_weights: ClassWeights = None,
    tune: options.Tune = None,
    test: options.Test = None,
    encoding: options.Encoding = None,
    out: options.Out = None,
    overwrite: options.Overwrite = False,
    config: options.Config = None,
    assignments: options.Assignments = None,
    seed: options.Seed = None,
    device: options.Device = "auto",
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Train a text classifier on the layers of a language model.

    Examples:
      elmo classify --lambdas frozen
      elmo classify train.csv --test test.csv --lm runs/lm --tune
    """
    from elmo_cli.commands.progress import follow
    from elmo_cli.training.classify import classify_run

    flags = {
        "data.train": train,
        "data.test": test,
        "data.encoding": encoding,
        "classify.lambdas": lambdas,
        "classify.frozen_lambdas": frozen_lambdas,
        "classify.lambda_norm": lambda_norm,
        "classify.layer_norm": layer_norm,
        "classify.pooling": pooling,
        "classify.label_smoothing": label_smoothing,
        "classify.class_weights": class_weights,
        "classify.tune": tune,
    }
    experiment, screen = resolve(config, assignments, seed, flags), Screen(json, quiet)
    screen.say(*without_effect(assignments, experiment))
    with stop_on_signals() as stop:
        events = classify_run(experiment, lm, out, device=device, overwrite=overwrite, stop=stop)
        results = follow(screen, events, stop, unit="texts")
    screen.show(results, *views.classifier(results))


def evaluate(
    run: Run = None,
    data: Data = None,
    scores: Scores = None,
    per_token: PerToken = False,
    encoding: options.Encoding = None,
    config: options.Config = None,
    assignments: options.Assignments = None,
    device: options.Device = "auto",
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Perplexity of a language model, all scores of a classifier.

    Examples:
      elmo evaluate
      elmo evaluate runs/lm held_out.txt --scores sentences.csv
      elmo evaluate runs/classify-frozen test.csv --json
    """
    from elmo_cli.inference.evaluate import evaluate_run

    experiment = resolve(config, assignments, None, {"data.encoding": encoding})
    results = evaluate_run(run, data, experiment, device=device, scores=scores, per_token=per_token)
    Screen(json, quiet).show(results, *views.evaluation(results))
