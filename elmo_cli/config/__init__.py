"""Settings: validated, documented, read from `elmo.yaml`, started from a preset.

Later wins: preset, then `elmo.yaml`, then `--set section.key=value`, then a command's own flags. Every command resolves
its settings to one `Experiment` and saves what it used in its run.
"""

from elmo_cli.config.loading import CONFIG_NAME, TUNING, load_experiment, merge, nest
from elmo_cli.config.presets import PRESET_PURPOSES, PRESET_SIZES, PRESETS
from elmo_cli.config.settings import (
    CharacterSettings,
    ClassifySettings,
    Cleaning,
    CompareSettings,
    DataSettings,
    EncoderKind,
    Experiment,
    ModelSettings,
    OptimiserKind,
    Pooling,
    Precision,
    PrecisionChoice,
    Preset,
    PretrainSettings,
    ReadingSettings,
    Settings,
    SoftmaxKind,
    SvdSettings,
    TokenizerKind,
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
    "merge",
    "nest",
]
