"""`elmo pretrain`: the bidirectional language model."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from elmo_cli.commands import options, views
from elmo_cli.commands.call import Call
from elmo_cli.commands.inputs import spooled
from elmo_cli.commands.progress import follow
from elmo_cli.commands.signals import stop_on_signals
from elmo_cli.config import choices

Valid = Annotated[
    Path | None, typer.Option("--valid", metavar="FILE", help="Validation text; else the last 2 % of the corpus.")
]
MaxMinutes = Annotated[
    float | None, typer.Option("--max-minutes", metavar="MINUTES", help="End after so long, validated and saved.")
]
Optimiser = Annotated[
    choices.OptimiserKind | None,
    options.choice("--optimiser", choices.OptimiserKind, "adagrad: as bilm-tf trains, rate 0.2."),
]
Encoder = Annotated[
    choices.EncoderKind | None,
    options.choice("--encoder", choices.EncoderKind, "Token encoder: a table, the character CNN, or both."),
]
InitEmbeddings = Annotated[
    Path | None, typer.Option("--init-embeddings", metavar="FILE", help="Static vectors that the table starts from.")
]
From = Annotated[
    Path | None,
    typer.Option("--from", metavar="RUN", help="Begin with this run's architecture, weights and vocabulary."),
]
Precision = Annotated[choices.Precision | None, options.choice("--precision", choices.Precision, "Of matrix products.")]


def pretrain(
    call: Call,
    corpus: options.Corpus = None,
    vocab: options.Vocab = None,
    from_: From = None,
    out: options.Out = None,
    valid: Valid = None,
    preset: options.Preset = None,
    epochs: options.Epochs = None,
    max_minutes: MaxMinutes = None,
    optimiser: Optimiser = None,
    encoder: Encoder = None,
    init_embeddings: InitEmbeddings = None,
    precision: Precision = None,
    column: options.TextColumns = None,
    encoding: options.Encoding = None,
    cluster: options.Cluster = None,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
    seed: options.Seed = None,
    device: options.Device = "auto",
) -> None:
    """Train the bidirectional language model: the ELMo itself.

    Ctrl-C and SIGTERM save first; --resume goes on from there, exactly.
    Epochs and minutes may change then, as in --resume --epochs 20: the
    rate goes on by the schedule of the new length.
    More options, such as gradient accumulation, word dropout or weight
    averaging, are settings of the training: see docs/how-to/pretrain.md.
    Under torchrun, several processes train one model: docs/how-to/scale.md.

    Examples:
      elmo pretrain
      elmo pretrain --max-minutes 30
      elmo pretrain news.txt --valid held_out.txt --epochs 3 --out runs/lm
      elmo pretrain 'corpus/*.txt.gz' --encoding latin-1
      elmo pretrain news.txt --from runs/lm --out runs/news
      elmo pretrain --init-embeddings w2v.txt --set model.hidden_size=512
    """
    from elmo_cli.cluster import on_cluster
    from elmo_cli.training.pretrain import pretrain_run

    experiment = call.settings(
        preset=preset,
        seed=seed,
        data={"valid": valid, "text": column, "encoding": encoding},
        model={"encoder": encoder, "init_embeddings": init_embeddings},
        pretrain={"epochs": epochs, "max_minutes": max_minutes, "optimiser": optimiser, "precision": precision},
    )
    with on_cluster(cluster), spooled(corpus) as files, call.display() as tell, stop_on_signals() as stop:
        run = partial(pretrain_run, start=from_, device=device, resume=resume, overwrite=overwrite)
        events = run(experiment, files, vocab, out, stop=stop, tell=tell)
        results = follow(
            call.output, events, stop, unit="tokens", stopped="what was done is saved: go on with --resume"
        )
    call.output.show(results, views.language_model(results))
