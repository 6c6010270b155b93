"""`elmo evaluate`: perplexities and scores of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from elmo_cli.commands import options, views
from elmo_cli.commands.call import Call

Run = Annotated[Path | None, typer.Argument(metavar="RUN", help="What to evaluate; by default all models in runs/.")]
Data = Annotated[Path | None, typer.Argument(metavar="DATA", help="Text or labelled texts; by default the test file.")]
Scores = Annotated[
    Path | None,
    typer.Option("--scores", metavar="FILE", help="Write the scores of each sentence of an LM run: .csv or .jsonl."),
]
PerToken = Annotated[bool, typer.Option("--per-token", help="With --scores: of each token instead.")]


def evaluate(
    call: Call,
    run: Run = None,
    data: Data = None,
    scores: Scores = None,
    per_token: PerToken = False,
    encoding: options.Encoding = None,
    device: options.Device = "auto",
) -> None:
    """Perplexity of a language model, all scores of a classifier.

    Examples:
      elmo evaluate
      elmo evaluate runs/lm held_out.txt --scores sentences.csv
      elmo evaluate runs/classify-frozen test.csv --json
    """
    from elmo_cli.inference.evaluate import evaluate_run

    experiment = call.settings(data={"encoding": encoding})
    with call.display() as tell:
        results = evaluate_run(run, data, experiment, device=device, scores=scores, per_token=per_token, tell=tell)
    call.output.show(results, *views.evaluation(results))
