"""Presets: named starting points, in one readable place; each says only how it differs from the defaults."""

from __future__ import annotations

from typing import Any

from elmo_cli.config.settings import Preset

PRESET_PURPOSES: dict[Preset, str] = {
    "tiny": "tests and demonstrations: seconds",
    "small": "a laptop and some thousand texts: minutes",
    "base": "a laptop and some million tokens: hours",
}
PRESETS: dict[Preset, dict[str, Any]] = {
    "tiny": {
        "tokenizer": {"lowercase": True},
        "model": {"hidden_size": 32, "softmax": "full"},
        "pretrain": {"epochs": 2, "batch_size": 16, "window": 24, "learning_rate": 5e-3},
        "classify": {"hidden_size": 32, "epochs": 3, "tune_epochs": 2},
        "compare": {"seeds": 2, "bootstrap": 1000},
        "word2vec": {"dim": 32, "epochs": 3},
        "svd": {"dim": 32},
    },
    "small": {"tokenizer": {"lowercase": True}},
    "base": {
        "model": {"hidden_size": 1024, "projection_size": 256, "residual": True},
        "pretrain": {"epochs": 10, "batch_size": 64, "learning_rate": 1e-3},
    },
}
