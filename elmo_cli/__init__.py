"""ELMo for everyone: train a bidirectional language model on your own text, and use it.

>>> from elmo_cli import Elmo, TextClassifier
>>> elmo = Elmo.pretrain(texts)
>>> model = TextClassifier.fit(texts, labels, lm=elmo)
>>> model.predict(["Oil prices rose on Monday"])

Names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from elmo_cli.version import __version__

if TYPE_CHECKING:
    from elmo_cli.api import Comparison, Elmo, TextClassifier, TokenTagger, load
    from elmo_cli.errors import ConfigError, DataError, ElmoError, InputError, RunError, WeightsError
    from elmo_cli.estimators import ElmoClassifier, ElmoVectorizer

_HOMES = {
    "Comparison": "elmo_cli.api",
    "Elmo": "elmo_cli.api",
    "ElmoClassifier": "elmo_cli.estimators",
    "ElmoVectorizer": "elmo_cli.estimators",
    "TextClassifier": "elmo_cli.api",
    "TokenTagger": "elmo_cli.api",
    "load": "elmo_cli.api",
    "ConfigError": "elmo_cli.errors",
    "DataError": "elmo_cli.errors",
    "ElmoError": "elmo_cli.errors",
    "InputError": "elmo_cli.errors",
    "RunError": "elmo_cli.errors",
    "WeightsError": "elmo_cli.errors",
}

__all__ = [
    "Comparison",
    "ConfigError",
    "DataError",
    "Elmo",
    "ElmoClassifier",
    "ElmoError",
    "ElmoVectorizer",
    "InputError",
    "RunError",
    "TextClassifier",
    "TokenTagger",
    "WeightsError",
    "__version__",
    "load",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its module on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'elmo_cli' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
