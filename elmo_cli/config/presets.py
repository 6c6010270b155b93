"""Presets: named starting points, in one readable place; each says only how it differs from the defaults."""

from __future__ import annotations

from typing import Any

from elmo_cli.config.choices import Preset

PRESET_PURPOSES: dict[Preset, str] = {
    "tiny": "tests and demonstrations: seconds",
    "small": "a laptop and some thousand texts: minutes",
    "base": "a laptop and some million tokens: hours",
    "original": "the ELMo of Peters et al. 2018, as bilm-tf trains it: GPUs and a billion tokens",
}
PRESETS: dict[Preset, dict[str, Any]] = {
    "tiny": {
        "tokenizer": {"lowercase": True},
        "model": {"hidden_size": 32, "dropout": 0.1, "softmax": "full"},
        "pretrain": {"epochs": 2, "batch_size": 16, "window": 24, "learning_rate": 5e-3},
        "classify": {"hidden_size": 32, "epochs": 3, "tune_epochs": 2},
        "tag": {"lstm_size": 16, "epochs": 3, "tune_epochs": 2},
        "compare": {"seeds": 2},
        "word2vec": {"dim": 32, "epochs": 3},
        "svd": {"dim": 32},
    },
    "small": {"tokenizer": {"lowercase": True}},
    "base": {
        "model": {"hidden_size": 1024, "projection_size": 256, "residual": True},
        "pretrain": {"batch_size": 64, "learning_rate": 1e-3},
    },
    "original": {
        "model": {
            "encoder": "char",
            "characters": {
                "dim": 16,
                "filters": [[1, 32], [2, 32], [3, 64], [4, 128], [5, 256], [6, 512], [7, 1024]],
                "max_characters": 50,
                "highway_layers": 2,
            },
            "hidden_size": 4096,
            "projection_size": 512,
            "residual": True,
            "cell_clip": 3.0,
            "projection_clip": 3.0,
            "dropout": 0.1,
            "softmax": "sampled",
            "samples": 8192,
        },
        # Adagrad with an initial accumulator of 1, at a constant rate of 0.2
        "pretrain": {"optimiser": "adagrad", "epochs": 10, "batch_size": 128, "window": 20, "clip_norm": 10.0},
    },
}
