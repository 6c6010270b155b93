"""`elmo compare`: the language model against static embeddings, everything else equal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from elmo_cli.commands import options, views
from elmo_cli.commands.call import Call
from elmo_cli.commands.progress import follow
from elmo_cli.commands.signals import stop_on_signals

Baselines = Annotated[
    list[Path] | None, typer.Option("--baseline", metavar="FILE", help="Static embedding file; repeatable.")
]
Lms = Annotated[
    list[Path] | None,
    typer.Option("--lm", metavar="RUN", help="Language model; by default runs/lm; repeatable."),
]
Reference = Annotated[
    bool | None,
    typer.Option("--reference/--no-reference", help="A row for TF-IDF with a linear SVM.", show_default=False),
]
Ngrams = Annotated[
    bool | None,
    typer.Option("--ngrams/--no-ngrams", help="Each row once more with counted n-grams.", show_default=False),
]
Fractions = Annotated[
    str | None, typer.Option("--fractions", metavar="LIST", help="Learning curves: shares of the texts, 0.1,0.3,1.0.")
]
Modes = Annotated[
    list[str] | None,
    typer.Option("--lambdas", metavar="MODE", help="Rows of the language model: one, or several with commas."),
]
Seeds = Annotated[int | None, typer.Option("--seeds", metavar="N", min=1, help="Classifiers for each row.")]
Against = Annotated[
    str | None,
    typer.Option("--against", metavar="ROW", help="Test the others against this row, such as 'lm layer:2'."),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs", metavar="N", min=1, help="Train so many classifiers side by side, each with its share of the cores."
    ),
]
STOPPED = "classifiers that were done are saved, if any: go on with --resume"


def compare(
    call: Call,
    train: options.Train = None,
    test: options.Test = None,
    lm: Lms = None,
    baseline: Baselines = None,
    lambdas: Modes = None,
    reference: Reference = None,
    ngrams: Ngrams = None,
    against: Against = None,
    seeds: Seeds = None,
    fractions: Fractions = None,
    jobs: Jobs = None,
    cluster: options.Cluster = None,
    encoding: options.Encoding = None,
    tune: options.Tune = None,
    out: options.Out = None,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
    seed: options.Seed = None,
    device: options.Device = "auto",
) -> None:
    """Compare language models with embedding files, and say what is chance.

    Every row has the same head, split and seeds; only the vectors differ.
    With --tune all rows train their vectors too, with --freeze none does.
    TF-IDF with a linear SVM is there for scale and is tested against.
    Counted n-grams stand beside each row once more, and alone.

    Examples:
      elmo compare --baseline w2v.txt --tune
      elmo compare --lm runs/small --lm runs/base --lambdas trainable
      elmo compare --baseline w2v.txt --fractions 0.1,0.3,1.0
      elmo compare train.csv --test test.csv --baseline glove.txt.gz --seeds 5
    """
    from elmo_cli.cluster import on_cluster
    from elmo_cli.comparison.compare import compare_run

    experiment = call.settings(
        seed=seed,
        data={"train": train, "test": test, "encoding": encoding},
        classify={"tune": tune},
        compare={
            "baselines": baseline,
            "lms": lm,
            "lambdas": lambdas,
            "reference": reference,
            "ngrams": ngrams,
            "against": against,
            "seeds": seeds,
            "fractions": fractions,
            "jobs": jobs,
        },
    )
    call.note_idle_settings(experiment.classify)
    if experiment.classify.members > 1:
        call.note("classify.members is not used: a comparison trains one classifier for each seed")
    with on_cluster(cluster), stop_on_signals() as stop:
        events = compare_run(experiment, out, overwrite=overwrite, resume=resume, device=device, stop=stop)
        results = follow(call.output, events, stop, unit="texts", stopped=STOPPED, epochs=False)
    call.output.show(results, *views.comparison(results))
    page = (out or experiment.output / "compare") / "report.html"
    call.output.say(*([f"page with figures: {page}"] if page.exists() else []))
