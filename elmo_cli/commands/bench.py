"""`elmo bench`: what this machine can do, and what a corpus would take on it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from elmo_cli.commands import options, views
from elmo_cli.commands.call import Call

Run = Annotated[
    Path | None,
    typer.Argument(metavar="RUN", help="A run of `elmo pretrain` or `import`; without it, a fresh model."),
]
CorpusFile = Annotated[
    Path | None, typer.Option("--corpus", metavar="FILE", help="Text to measure on, and to estimate the time for.")
]


def bench(
    call: Call,
    run: Run = None,
    corpus: CorpusFile = None,
    preset: options.Preset = None,
    column: options.TextColumns = None,
    encoding: options.Encoding = None,
    seed: options.Seed = None,
    device: options.Device = "auto",
) -> None:
    """Measure the speed of training and embedding on this machine.

    It takes about a minute at most, and writes nothing.

    Examples:
      elmo bench --preset base
      elmo bench runs/lm --corpus news.txt
    """
    from elmo_cli.devices import pick_device
    from elmo_cli.inference.bench import bench_run

    experiment = call.settings(preset=preset, seed=seed, data={"text": column, "encoding": encoding})
    call.output.say("measuring, for about a minute at most")
    report = asdict(bench_run(experiment, run, corpus, device=pick_device(device)))
    call.output.show(report, *views.bench(report))
