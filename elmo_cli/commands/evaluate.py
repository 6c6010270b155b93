"""`elmo evaluate`: perplexities and scores of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from elmo_cli.commands import options, views
from elmo_cli.commands.call import Call
from elmo_cli.config.choices import EvaluationReference
from elmo_cli.errors import ConfigError

Run = Annotated[Path | None, typer.Argument(metavar="RUN", help="What to evaluate; by default all models in runs/.")]
Data = Annotated[Path | None, typer.Argument(metavar="DATA", help="Text or labelled texts; by default the test file.")]
Scores = Annotated[
    Path | None,
    typer.Option("--scores", metavar="FILE", help="Write the scores of each sentence of an LM run: .csv or .jsonl."),
]
Reference = Annotated[
    EvaluationReference | None,
    typer.Option(
        "--reference", help="Beside an LM: ngram, modified Kneser-Ney 5-grams of its training text (data.corpus)."
    ),
]
PerToken = Annotated[bool, typer.Option("--per-token", help="With --scores: of each token instead.")]
Pairs = Annotated[
    Path | None,
    typer.Option(
        "--pairs", metavar="FILE", help="Minimal pairs, columns good and bad: how often the LM prefers the good one."
    ),
]


def evaluate(
    call: Call,
    run: Run = None,
    data: Data = None,
    scores: Scores = None,
    per_token: PerToken = False,
    pairs: Pairs = None,
    reference: Reference = None,
    encoding: options.Encoding = None,
    device: options.Device = "auto",
) -> None:
    """Perplexity of a language model, all scores of a classifier.

    Examples:
      elmo evaluate
      elmo evaluate runs/lm held_out.txt --scores sentences.csv
      elmo evaluate runs/lm --pairs pairs.csv
      elmo evaluate runs/lm held_out.txt --reference ngram
      elmo evaluate runs/classify-frozen test.csv --json
    """
    from elmo_cli.inference.evaluate import evaluate_pairs, evaluate_run

    experiment = call.settings(data={"encoding": encoding})
    if pairs is not None:
        if run is None or data is not None or scores is not None or per_token or reference:
            raise ConfigError(
                "--pairs needs an LM run, and no other file or scores beside it",
                where="the command line",
                expected="elmo evaluate RUN --pairs FILE",
                remedy="name the run, and leave the rest out",
            )
        with call.display() as tell:
            found = evaluate_pairs(run, pairs, experiment, device=device, tell=tell)
        call.output.show(found, *views.minimal_pairs(found))
        return
    with call.display() as tell:
        results = evaluate_run(
            run,
            data,
            experiment,
            device=device,
            scores=scores,
            per_token=per_token,
            reference=reference is not None,
            tell=tell,
        )
    call.output.show(results, *views.evaluation(results))
