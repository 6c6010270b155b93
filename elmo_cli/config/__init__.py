"""Settings: validated, documented, read from `elmo.yaml`, started from a preset.

Later wins: preset, then `elmo.yaml`, then `--set section.key=value`, then a command's own flags. Every command resolves
its settings to one `Experiment` and saves what it used in its run.

Names are loaded on first use: the help of the commands needs the choices, and not pydantic and YAML.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from elmo_cli.config.choices import (
        Cleaning,
        EncoderKind,
        OptimiserKind,
        Pooling,
        Precision,
        PrecisionChoice,
        Preset,
        SoftmaxKind,
        TokenizerKind,
    )
    from elmo_cli.config.loading import CONFIG_NAME, TUNING, load_experiment, nest
    from elmo_cli.config.presets import PRESET_PURPOSES, PRESET_SIZES, PRESETS
    from elmo_cli.config.settings import (
        CharacterSettings,
        ClassifySettings,
        CompareSettings,
        DataSettings,
        Experiment,
        ModelSettings,
        PretrainSettings,
        ReadingSettings,
        Settings,
        SvdSettings,
        TokenizerSettings,
        VocabularySettings,
        Word2VecSettings,
    )

__all__ = [
    "CONFIG_NAME",
    "PRESETS",
    "PRESET_PURPOSES",
    "PRESET_SIZES",
    "TUNING",
    "CharacterSettings",
    "ClassifySettings",
    "Cleaning",
    "CompareSettings",
    "DataSettings",
    "EncoderKind",
    "Experiment",
    "ModelSettings",
    "OptimiserKind",
    "Pooling",
    "Precision",
    "PrecisionChoice",
    "Preset",
    "PretrainSettings",
    "ReadingSettings",
    "Settings",
    "SoftmaxKind",
    "SvdSettings",
    "TokenizerKind",
    "TokenizerSettings",
    "VocabularySettings",
    "Word2VecSettings",
    "load_experiment",
    "nest",
]
_HOMES = ("choices", "loading", "presets", "settings")


def __getattr__(name: str) -> Any:
    """Import a name from its module on first use."""
    if name in __all__:
        for home in _HOMES:
            module = import_module(f"elmo_cli.config.{home}")
            if name in vars(module):
                return getattr(module, name)
    raise AttributeError(f"module 'elmo_cli.config' has no attribute '{name}'")
