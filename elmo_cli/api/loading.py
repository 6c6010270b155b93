"""Loading a run of whatever kind."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from elmo_cli.api.classifier import TextClassifier
from elmo_cli.api.comparison import Comparison
from elmo_cli.api.language_model import Elmo
from elmo_cli.api.tagger import TokenTagger
from elmo_cli.errors import RunError
from elmo_cli.runs import Run


def load(path: str | PathLike[str], device: str = "auto") -> Elmo | TextClassifier | TokenTagger | Comparison:
    """Load a run of any of these kinds; the classes' own `load` takes one kind, and has its type.

    From `elmo pretrain` or `elmo import` it is an `Elmo`, from `elmo classify` a `TextClassifier`, from `elmo tag` a
    `TokenTagger`, from `elmo compare` a `Comparison`, which holds results and no model.

    Nothing in a run can run code: weights are safetensors, settings are YAML and JSON.

    >>> from elmo_cli import load
    >>> load("runs/lm").tokens("Oil prices rose")
    ['oil', 'prices', 'rose']

    Args:
        path: The run directory.
        device: `auto`, `cpu`, `cuda` or `mps`.

    Raises:
        RunError: It is not a run that can be loaded.
        WeightsError: Its weights do not fit its settings.
    """
    kind = Run.open(Path(path)).kind
    if kind == "lm":
        return Elmo.load(path, device)
    if kind == "classifier":
        return TextClassifier.load(path, device)
    if kind == "tagger":
        return TokenTagger.load(path, device)
    if kind == "comparison":
        return Comparison.load(path)
    raise RunError(
        f"{path} holds no model",
        where=Path(path),
        expected="a run of elmo pretrain, elmo classify, elmo tag or elmo compare",
        remedy="write one with `elmo pretrain`, `elmo classify` or `elmo tag`, or take one over with `elmo import`",
    )
