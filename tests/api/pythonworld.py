"""Two runs in a folder, as the docstrings of the Python names find them: `runs/lm` and `runs/classify-frozen`."""

from __future__ import annotations

from pathlib import Path

import elmo_cli

TOPICS = {"Business": ("oil", "prices", "rose"), "Sports": ("the", "match", "ended")}
TEXTS = [" ".join((*words, str(number % 3))) for number in range(15) for words in TOPICS.values()]
LABELS = [label for _ in range(15) for label in TOPICS]


def make_runs(folder: Path) -> Path:
    """Train both; returns the folder."""
    runs = folder / "runs"
    elmo_cli.Elmo.pretrain(TEXTS, preset="tiny", out=runs / "lm", device="cpu")
    settings = {"preset": "tiny", "epochs": 8, "learning_rate": 0.02, "device": "cpu"}
    out = runs / "classify-frozen"
    elmo_cli.TextClassifier.fit(TEXTS, LABELS, lm=runs / "lm", lambdas="frozen", out=out, **settings)
    return folder
