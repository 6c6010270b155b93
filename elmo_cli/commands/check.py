"""`elmo check`: is a run whole, and does its model keep the rules."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from elmo_cli.commands import options, views
from elmo_cli.commands.call import Call
from elmo_cli.commands.inputs import texts_of, tokenizer_for

File = Annotated[
    str | None, typer.Argument(metavar="FILE", help="Sentences that --expected was computed from; - for stdin.")
]
Expected = Annotated[Path | None, typer.Option("--expected", metavar="FILE", help="Stored embeddings (HDF5).")]
Tolerance = Annotated[float, typer.Option("--tolerance", min=0.0, help="Largest difference that counts as none.")]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1, help="Sentences a batch, as --expected was computed.")]


def check(
    call: Call,
    run: options.ModelRun,
    file: File = None,
    expected: Expected = None,
    tolerance: Tolerance = 1e-5,
    tokenizer: options.TokenizerKind = None,
    stateful: options.Stateful = False,
    batch_size: BatchSize = 1,
    column: options.TextColumns = None,
    encoding: options.Encoding = None,
    device: options.Device = "cpu",
) -> None:
    """Check a run: integrity, leaks, invariances, stored embeddings.

    A token must not see itself; batch, padding and order must not matter.
    The exit code is 1 if a check fails.

    Examples:
      elmo check runs/lm
      elmo check runs/published sentences.txt --expected theirs.hdf5
    """
    from elmo_cli.devices import pick_device
    from elmo_cli.inference.check import check_run

    experiment = call.settings(data={"text": column, "encoding": encoding}, tokenizer={"kind": tokenizer})
    with call.display() as tell:
        found = check_run(
            run,
            texts_of(file, experiment.data) if file else None,
            expected=expected,
            tolerance=tolerance,
            tokenizer=tokenizer_for(run, experiment.tokenizer) if tokenizer else None,
            stateful=stateful,
            batch_size=batch_size,
            device=pick_device(device),
            tell=tell,
        )
    call.output.show([asdict(one) for one in found], *views.checks([asdict(one) for one in found]))
    if not all(one.passed for one in found):
        raise typer.Exit(1)
