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
    )
    from elmo_cli.config.loading import load_experiment
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
    "PRESETS",
    "PRESET_PURPOSES",
    "PRESET_SIZES",
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
    "PretrainSettings",
    "ReadingSettings",
    "Settings",
    "SvdSettings",
    "TokenizerSettings",
    "VocabularySettings",
    "Word2VecSettings",
    "load_experiment",
]
_HOMES = [f"elmo_cli.config.{module}" for module in ("choices", "loading", "presets", "settings")]


def __getattr__(name: str) -> Any:
    """Import a name from its module on first use."""
    if name in __all__:
        for home in map(import_module, _HOMES):
            if name in vars(home):
                return getattr(home, name)
    raise AttributeError(f"module 'elmo_cli.config' has no attribute '{name}'")
