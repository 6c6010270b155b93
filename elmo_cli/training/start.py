"""Where a biLM begins that does not begin at random: the weights and vocabulary of another run, trained or imported.

The optimiser, the schedule and the corpus are new. A softmax that the run lacks begins at random.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from elmo_cli.config import Experiment, ModelSettings
from elmo_cli.embedder import Embedder
from elmo_cli.errors import ConfigError
from elmo_cli.model.bilm import BiLm
from elmo_cli.runs import WEIGHTS_FILE, describe_files, load_embedder
from elmo_cli.runs.tensors import copy_tensors
from elmo_cli.text.vocabulary import Vocabulary

# What of the settings of a model is about its training alone, and so is that of the new one.
_OF_TRAINING = ("dropout", "weight_dropout", "samples", "freeze_embeddings")
_OF_SOFTMAX = ("softmax", "cutoffs")


@dataclass(frozen=True)
class Start:
    """A run that a training goes on from."""

    path: Path
    embedder: Embedder  # its network is not changed

    @classmethod
    def of(cls, path: Path) -> Start:
        """The biLM of an LM run, or of the run of a classifier or tagger.

        Raises:
            WeightsError: The run holds static vectors.
            RunError: It cannot be used.
        """
        embedder = load_embedder(path)
        embedder.bilm()
        return cls(path, embedder)

    @property
    def network(self) -> BiLm:
        """The biLM."""
        return self.embedder.bilm()

    @property
    def file(self) -> dict[str, str]:
        """Name of the run, and fingerprint of its weights."""
        return {**describe_files([self.path / WEIGHTS_FILE])[0], "name": self.path.resolve().name}

    def vocabulary(self, given: Vocabulary | None, found: Vocabulary | None) -> Vocabulary | None:
        """The vocabulary to train with; None: it is to be built from the corpus.

        Args:
            given: What the user asked for.
            found: What else would be taken.

        Raises:
            ConfigError: Another one was given, and the weights have rows for the tokens of their own.
        """
        own = self.embedder.vocabulary
        if own is None:
            return given or found
        bound = self.network.vocabulary_size is not None
        if given is None or given.fingerprint() == own.fingerprint():
            return own
        if bound:
            raise ConfigError(
                f"--vocab has {len(given)} tokens, and {self.path} a vocabulary of its own, of {len(own)}",
                expected="the vocabulary that the weights were trained with",
                remedy="leave --vocab out",
            )
        return given

    def settings(self, experiment: Experiment) -> Experiment:
        """The experiment with the architecture of this run.

        Raises:
            ConfigError: It asks for static vectors to start from, too.
        """
        asked, own = experiment.model, self.network.settings
        if asked.init_embeddings is not None:
            raise ConfigError(
                "both --from and --init-embeddings say what the table starts from",
                expected="one of them",
                remedy="leave one of the two out",
            )
        taken = _OF_TRAINING + (() if self.network.softmax is not None else _OF_SOFTMAX)
        model = own.model_dump() | {name: getattr(asked, name) for name in taken} | {"init_embeddings": None}
        return experiment.model_copy(update={"model": ModelSettings.model_validate(model)})

    def copy_into(self, network: BiLm) -> None:
        """Give a fresh network of these settings the weights of the run."""
        fresh = {name: tensor for name, tensor in network.state_dict().items() if name.startswith("softmax.")}
        copy_tensors(network, fresh | self.network.state_dict(), self.path / WEIGHTS_FILE)

    def notices(self) -> Iterator[str]:
        """What the user should know, a sentence each."""
        name = self.path.resolve().name
        yield f"architecture and weights are those of {name}, whatever the settings of the model say"
        if self.network.softmax is None:
            yield f"{name} has no softmax: a new one begins at random"
