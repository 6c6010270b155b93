"""`elmo similar`: the nearest tokens in context."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from elmo_cli.commands import options, views
from elmo_cli.commands.call import Call
from elmo_cli.commands.inputs import spooled

Sentence = Annotated[str, typer.Argument(metavar="SENTENCE", help="The token in its context.")]
Token = Annotated[
    str | None, typer.Option("--token", metavar="TOKEN", help="Which token; needed if the sentence has several.")
]
Occurrence = Annotated[int, typer.Option("--occurrence", min=1, help="Which, if the token stands there repeatedly.")]
Corpora = Annotated[
    list[Path] | None,
    typer.Option(
        "--corpus",
        metavar="FILE",
        help="What to search: files, folders, patterns, -; repeatable. By default data.corpus, else data.train.",
    ),
]
Layer = Annotated[
    str,
    typer.Option(
        "--layer", metavar="top|mix|N", help="Top layer, one by its number, or the mean of all; a classifier's own mix."
    ),
]
Top = Annotated[int, typer.Option("--top", min=1, help="Sentences to show.")]
SameWord = Annotated[bool, typer.Option("--same-word", help="Only the same word, in whatever case: its senses.")]


def similar(
    call: Call,
    run: options.ModelRun,
    sentence: Sentence,
    token: Token = None,
    occurrence: Occurrence = 1,
    corpus: Corpora = None,
    layer: Layer = "top",
    top: Top = 10,
    same_word: SameWord = False,
    column: options.TextColumns = None,
    encoding: options.Encoding = None,
    device: options.Device = "auto",
) -> None:
    """Find the tokens of a corpus whose vectors are nearest to a token's.

    The best token of each sentence, by cosine, with its sentence.

    Examples:
      elmo similar runs/lm "a play on Broadway" --token play
      elmo similar runs/lm "shares of the bank" --token bank --same-word
    """
    from elmo_cli.devices import pick_device
    from elmo_cli.inference.similar import similar_run

    experiment = call.settings(data={"text": column, "encoding": encoding})
    with spooled(corpus) as files, call.display() as tell:
        found = similar_run(
            experiment,
            run,
            sentence,
            files,
            token=token,
            occurrence=occurrence,
            layer=layer,
            top=top,
            same_word=same_word,
            device=pick_device(device),
            tell=tell,
        )
    document = asdict(found)
    call.output.show(document, *views.similar(document))
