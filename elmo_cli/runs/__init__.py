"""Run directories: what a command wrote, self-contained and movable (no absolute path, no pickle).

`directory` reads, `writer` writes, `models` turns networks into runs and back, `cards` writes README.md.
"""

from elmo_cli.runs.directory import RESULTS_FILE, RUN_FILE, WEIGHTS_FILE, Kind, Run, find_vocabulary, read_vocabulary
from elmo_cli.runs.models import (
    LoadedClassifier,
    LoadedTagger,
    load_classifier,
    load_embedder,
    load_lm,
    load_tagger,
    save_classifier,
    save_lm,
    save_tagger,
)
from elmo_cli.runs.writer import Onlooker, RunWriter, describe_files, portable

__all__ = [
    "RESULTS_FILE",
    "RUN_FILE",
    "WEIGHTS_FILE",
    "Kind",
    "LoadedClassifier",
    "LoadedTagger",
    "Onlooker",
    "Run",
    "RunWriter",
    "describe_files",
    "find_vocabulary",
    "load_classifier",
    "load_embedder",
    "load_lm",
    "load_tagger",
    "portable",
    "read_vocabulary",
    "save_classifier",
    "save_lm",
    "save_tagger",
]
