"""Networks into run directories and back, every tensor accounted for.

`run.yaml` says under `embedder` what to build; building comes first, copying the weights second. torch is imported
inside the functions: a vocabulary run needs none of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from elmo_cli.config import ClassifySettings, DataSettings, ModelSettings, TagSettings, TokenizerSettings
from elmo_cli.config.choices import Scheme
from elmo_cli.data.tag_set import TagSet
from elmo_cli.runs.directory import MEMBER_FILE, NGRAMS_FILE, WEIGHTS_FILE, WORDS_FILE, Run, steadily
from elmo_cli.runs.tensors import build, readable
from elmo_cli.runs.writer import RunWriter
from elmo_cli.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    from elmo_cli.embedder import Embedder
    from elmo_cli.model.bilm import BiLm
    from elmo_cli.model.classifier import Classifier
    from elmo_cli.model.static import StaticTable
    from elmo_cli.model.tagger import Tagger
    from elmo_cli.ngrams.joint import NgramBranch


@dataclass
class LoadedClassifier:
    """A classifier from a run."""

    embedder: Embedder
    classifier: Classifier  # in eval mode; the first of those that answer together
    classes: list[str]  # names in the order of the logits
    settings: ClassifySettings  # that the classifier was trained with
    data: DataSettings  # how its training file was read
    ngrams: NgramBranch | None = None  # counted n-grams that answer with it, where there are any
    others: tuple[Classifier, ...] = ()  # further members; their embedders are their own where it was tuned

    @property
    def members(self) -> tuple[Classifier, ...]:
        """All that answer together."""
        return (self.classifier, *self.others)


@dataclass
class LoadedTagger:
    """A tagger from a run."""

    embedder: Embedder
    tagger: Tagger  # in eval mode
    tag_set: TagSet
    settings: TagSettings  # that the tagger was trained with
    data: DataSettings  # how its training file was read
    words: frozenset[str]  # that it was trained on


def save_lm(
    writer: RunWriter, network: BiLm, vocabulary: Vocabulary | None, tokenizer: TokenizerSettings | None = None
) -> None:
    """Write a biLM and its vocabulary; see `describe_network`."""
    describe_network(writer, network, vocabulary, tokenizer)
    writer.write_tensors(WEIGHTS_FILE, network.state_dict())


def save_classifier(
    writer: RunWriter,
    members: Sequence[Classifier],
    embedder: Embedder,
    classes: Sequence[str],
    settings: ClassifySettings,
    data: DataSettings,
    ngrams: NgramBranch | None = None,
) -> None:
    """Write the classifiers that answer together, their embedder and, where there is one, their branch of n-grams."""
    describe_network(writer, embedder.network, embedder.vocabulary, embedder.tokenizer, embedder.name)
    writer.describe(extra={"classes": list(classes), "classify": settings, "reading": data, "members": len(members)})
    writer.write_tensors(WEIGHTS_FILE, members[0].state_dict())
    for number, member in enumerate(members[1:], start=2):
        own = {name: tensor for name, tensor in member.state_dict().items() if member.tune or not _shared(name)}
        writer.write_tensors(MEMBER_FILE.format(number), own)
    if ngrams is not None:
        from elmo_cli.ngrams.stored import to_tensors

        writer.describe(extra={"ngrams": NGRAMS_FILE})
        writer.write_tensors(NGRAMS_FILE, to_tensors(ngrams))


def save_tagger(
    writer: RunWriter,
    tagger: Tagger,
    embedder: Embedder,
    tag_set: TagSet,
    settings: TagSettings,
    data: DataSettings,
    words: Iterable[str],
) -> None:
    """Write a tagger, its embedder and the words that it was trained on included."""
    describe_network(writer, embedder.network, embedder.vocabulary, embedder.tokenizer, embedder.name)
    tags = {"scheme": tag_set.scheme, "kinds": list(tag_set.kinds)}
    writer.describe(extra={"tags": tags, "tag": settings, "reading": data})
    writer.write_json(WORDS_FILE, sorted(words))
    writer.write_tensors(WEIGHTS_FILE, tagger.state_dict())


@steadily
def load_lm(path: Path) -> Embedder:
    """The biLM of a run, in eval mode.

    Raises:
        RunError: The run or its vocabulary cannot be used.
        WeightsError: The weights do not fit the settings in `run.yaml`, or are not finite.
    """
    run = Run.open(path, "lm")
    described = _Described(run)
    return described.embedder(build(run, described.network))


@steadily
def load_classifier(path: Path) -> LoadedClassifier:
    """The classifier of a run, in eval mode; raises what `load_lm` does."""
    from elmo_cli.model.classifier import Classifier

    run = Run.open(path, "classifier")
    described = _Described(run)
    with readable(run):
        classes = [str(name) for name in run.description["classes"]]
        settings = ClassifySettings.model_validate(run.description["classify"])
        data = DataSettings.model_validate(run.description["reading"])
        count = int(run.description.get("members", 1))
        if count < 1:
            raise ValueError("members")

    def make(network: BiLm | StaticTable) -> Classifier:
        return Classifier(network, settings, len(classes), seed=0)  # every weight of it is overwritten

    members = [build(run, lambda: make(described.network()))]
    embedder = described.embedder(members[0].embedder)
    shared = {name: one for name, one in members[0].state_dict().items() if _shared(name) and not settings.tune}

    def make_other() -> Classifier:
        return make(described.network() if settings.tune else embedder.network)

    members += [build(run, make_other, MEMBER_FILE.format(number), shared) for number in range(2, count + 1)]
    ngrams = _load_ngrams(run, len(classes))
    return LoadedClassifier(embedder, members[0], classes, settings, data, ngrams, tuple(members[1:]))


def _shared(name: str) -> bool:
    """Whether a tensor is of the embedder, which members have in common unless it was tuned."""
    return name.startswith("embedder.")


def _load_ngrams(run: Run, classes: int) -> NgramBranch | None:
    """The branch of n-grams of a classifier; None where it has none, as those of an earlier elmo."""
    if "ngrams" not in run.description:
        return None
    from elmo_cli.ngrams.stored import from_tensors

    return from_tensors(run.tensors(NGRAMS_FILE), classes, run.path / NGRAMS_FILE)


@steadily
def load_tagger(path: Path) -> LoadedTagger:
    """The tagger of a run, in eval mode; raises what `load_lm` does."""
    from elmo_cli.model.tagger import make_tagger

    run = Run.open(path, "tagger")
    described = _Described(run)
    with readable(run):
        tags = run.description["tags"]
        if tags["scheme"] not in get_args(Scheme):
            raise KeyError("scheme")
        tag_set = TagSet(tags["scheme"], tuple(map(str, tags["kinds"])))
        settings = TagSettings.model_validate(run.description["tag"])
        data = DataSettings.model_validate(run.description["reading"])
    # every weight of it is overwritten
    tagger = build(run, lambda: make_tagger(described.network(), settings, tag_set))
    return LoadedTagger(described.embedder(tagger.embedder), tagger, tag_set, settings, data, run.words())


def load_embedder(run: Path) -> Embedder:
    """The embedder of an LM run, a classifier run or a tagger run.

    Raises:
        RunError: The run holds none.
    """
    match Run.open(run).kind:
        case "classifier":
            return load_classifier(run).embedder
        case "tagger":
            return load_tagger(run).embedder
        case _:
            return load_lm(run)


def describe_network(
    writer: RunWriter,
    network: BiLm | StaticTable,
    vocabulary: Vocabulary | None,
    tokenizer: TokenizerSettings | None = None,
    name: str | None = None,
) -> None:
    """Note in `run.yaml` how to build an embedder's network, and write its vocabulary.

    Args:
        writer: Writes the run.
        network: The network.
        vocabulary: None for an imported character model that brought none.
        tokenizer: How the training text was cut, where there is no vocabulary to tell it.
        name: What the embedder is called, where it is not by its run.
    """
    from elmo_cli.model.bilm import BiLm

    if tokenizer is None:
        tokenizer = vocabulary.tokenizer if vocabulary else TokenizerSettings()
    description: dict[str, Any] = {"tokenizer": tokenizer, **({"name": name} if name else {})}
    if isinstance(network, BiLm):
        description |= {
            "kind": "bilm",
            "model": network.settings,
            "vocabulary_size": network.vocabulary_size,
            "softmax": network.softmax is not None,
        }
    else:
        description |= {"kind": "static", "width": network.width}
    writer.describe(extra={"embedder": description})
    if vocabulary is not None:
        writer.write_vocabulary(vocabulary)


class _Described:
    """The embedder that `run.yaml` describes, of which the vocabulary is there and the network can be made."""

    def __init__(self, run: Run) -> None:
        self._vocabulary = run.vocabulary()
        with readable(run):
            description = run.description["embedder"]
            self._tokenizer = TokenizerSettings.saved(description["tokenizer"])
            self._name = str(description.get("name", run.path.resolve().name))
            self._is_bilm = description["kind"] == "bilm"
            if self._is_bilm:
                self._settings = ModelSettings.model_validate(description["model"])
                self._softmax = bool(description["softmax"])
                self._rows: int | None = description["vocabulary_size"]
                known = None if self._vocabulary is None else len(self._vocabulary)
                if self._rows is not None and self._rows != known:  # a token would have no row
                    raise KeyError("vocabulary_size")
            else:
                if self._vocabulary is None:  # without which no row has a meaning
                    raise KeyError("vocabulary")
                self._width = int(description["width"])

    def network(self) -> BiLm | StaticTable:
        """The network, its weights yet to be copied."""
        import torch

        from elmo_cli.model.bilm import BiLm
        from elmo_cli.model.static import StaticTable

        if self._is_bilm:
            return BiLm(self._settings, self._rows, softmax=self._softmax)
        assert self._vocabulary is not None
        return StaticTable(torch.zeros(len(self._vocabulary) + 1, self._width))

    def embedder(self, network: BiLm | StaticTable) -> Embedder:
        """The embedder with its network."""
        from elmo_cli.embedder import Embedder

        return Embedder.of(network, self._vocabulary, self._tokenizer, self._name)
