"""Settings: validated, documented, read from `elmo.yaml`, started from a preset.

Later wins: preset, then `elmo.yaml`, then `--set section.key=value`, then a command's own flags. Every command resolves
its settings to one `Experiment` and saves what it used in its run.
"""

from elmo_cli.config.choices import (
    Cleaning,
    EncoderKind,
    OptimiserKind,
    Pooling,
    Precision,
    PrecisionChoice,
)
from elmo_cli.config.classifying import ClassifySettings, CompareSettings
from elmo_cli.config.finetuning import FinetuneSettings
from elmo_cli.config.language_model import CharacterSettings, ModelSettings, PretrainSettings
from elmo_cli.config.loading import load_experiment, resolve
from elmo_cli.config.presets import PRESET_PURPOSES, PRESETS
from elmo_cli.config.reading import DataSettings, ReadingSettings, TokenizerSettings, VocabularySettings
from elmo_cli.config.settings import Experiment, SvdSettings, Word2VecSettings
from elmo_cli.config.tagging import TagSettings
from elmo_cli.config.values import Settings, absolute

__all__ = [
    "PRESETS",
    "PRESET_PURPOSES",
    "CharacterSettings",
    "ClassifySettings",
    "Cleaning",
    "CompareSettings",
    "DataSettings",
    "EncoderKind",
    "Experiment",
    "FinetuneSettings",
    "ModelSettings",
    "OptimiserKind",
    "Pooling",
    "Precision",
    "PrecisionChoice",
    "PretrainSettings",
    "ReadingSettings",
    "Settings",
    "SvdSettings",
    "TagSettings",
    "TokenizerSettings",
    "VocabularySettings",
    "Word2VecSettings",
    "absolute",
    "load_experiment",
    "resolve",
]
