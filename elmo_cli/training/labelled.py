"""Labelled texts as numbers: read, checked against the classes, cut to length, split for validation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elmo_cli.config import ClassifySettings, DataSettings, Experiment, TokenizerSettings
from elmo_cli.data.columns import Columns
from elmo_cli.data.files import fingerprint
from elmo_cli.data.formats import open_file
from elmo_cli.data.records import read_labelled
from elmo_cli.errors import ConfigError, DataError
from elmo_cli.runs import Run
from elmo_cli.text.encoded import EncodedCorpus, encode
from elmo_cli.text.tokenizer import Tokenizer
from elmo_cli.training.cache import Indices
from elmo_cli.training.objective import Device
from elmo_cli.training.text_objective import TextObjective


@dataclass(frozen=True)
class LabelledCorpus:
    """Texts with a class each."""

    corpus: EncodedCorpus  # their tokens; row i belongs to label i
    texts: tuple[str, ...]  # as they were read
    labels: NDArray[np.int64]  # (N,) class numbers
    classes: tuple[str, ...]  # names by class number, those of the training file
    path: Path
    columns: Columns  # which of the file's were read
    cut: int  # texts that were longer than the limit and lost their end

    def __len__(self) -> int:
        """Number of texts."""
        return len(self.labels)

    def objective(
        self, settings: ClassifySettings, seed: int, parts: tuple[Indices, Indices] | None, device: Device
    ) -> TextObjective:
        """See `Learnable.objective`; of each class the same share is held out."""
        parts = parts or split(self.labels, settings.valid_fraction, seed, self.path)
        return TextObjective(self, settings, parts, device)


def read_corpus(
    path: Path,
    data: DataSettings,
    tokenizer: TokenizerSettings,
    max_tokens: int,
    classes: Sequence[str] | None = None,
) -> LabelledCorpus:
    """Read a labelled file, tokenise it as the embedder has it, and cut each text after `max_tokens`.

    Without `classes`, it is a training file: it defines them, and `data.limit` holds for it alone.

    Raises:
        DataError: The file cannot be read, has a label that training never saw, or (training) one class only.
    """
    read = read_labelled(path, data, data.limit if classes is None else None)
    if classes is None:
        classes = read.classes
        if len(classes) < 2:
            raise DataError(
                f"all {len(read.labels)} texts have the same label '{classes[0]}'",
                where=path,
                expected="at least two classes to tell apart",
                remedy="name the label column with --set data.label=COLUMN",
            )
    numbers = {label: number for number, label in enumerate(classes)}
    unseen = sorted(set(read.labels) - set(numbers))
    if unseen:
        raise _unseen_labels(unseen, classes, path)
    columns = open_file(path, data).columns(labelled=True)
    corpus, cut = cut_sentences(encode(read.texts, Tokenizer(tokenizer)), max_tokens)
    labels = np.fromiter((numbers[label] for label in read.labels), np.int64, len(read.labels))
    return LabelledCorpus(corpus, tuple(read.texts), labels, tuple(classes), path, columns, cut)


def read_train_and_test(
    experiment: Experiment, tokenizer: TokenizerSettings
) -> tuple[LabelledCorpus, LabelledCorpus | None]:
    """Training and test file of an experiment; None for a test file that there is not.

    Raises:
        ConfigError: There is no training file, or it is the test file too.
        DataError: A file cannot be used; see `read_corpus`.
    """
    data, most = experiment.data, experiment.classify.max_tokens
    if data.train is None:
        raise ConfigError(
            "no training file was given",
            expected="a labelled file as argument, or data.train in the settings",
            remedy="name a file, or write an elmo.yaml with `elmo init`",
        )
    if data.test is not None and data.test.resolve() == data.train.resolve():
        raise ConfigError(
            f"{data.test} is training and test file at once",
            where=data.test,
            expected="a test file that no model has learned from",
            remedy="give another --test, or none",
        )
    train = read_corpus(data.train, data, tokenizer, most)
    return train, read_corpus(data.test, data, tokenizer, most, train.classes) if data.test else None


def reading_notes(texts: LabelledCorpus, max_tokens: int) -> list[str]:
    """What the user should know of how a file was read: the columns that were taken, quotation marks, cut texts."""
    found = texts.columns
    doubt = f"{texts.path.name}: {found.quoting}" if found.quoting else None
    return [note for note in (found.taken(texts.path.name), doubt, cut_note(texts, max_tokens)) if note]


def described_columns(files: Iterable[LabelledCorpus]) -> dict[str, dict[str, Any]]:
    """The columns of text and label that were read, by the name of the file, for `run.yaml`."""
    return {one.path.name: {"text": list(one.columns.text), "label": one.columns.label} for one in files}


def refuse_seen_test(lm: Path, test: Path) -> None:
    """See that a biLM was not trained on the test file.

    Raises:
        DataError: It was.
    """
    prints = {
        file["fingerprint"]: role for role, files in Run.open(lm).description.get("data", {}).items() for file in files
    }
    if role := prints.get(fingerprint(test)):
        raise DataError(
            f"{test.name} is the test file, and the LM of {lm} has seen it as its {role} file",
            where=test,
            expected="test texts that no model has learned from",
            remedy="pretrain on other text, or give another --test",
        )


def cut_sentences(corpus: EncodedCorpus, max_tokens: int) -> tuple[EncodedCorpus, int]:
    """The corpus with at most the first `max_tokens` tokens of each sentence, and how many sentences were cut."""
    lengths = corpus.lengths
    cut = int((lengths > max_tokens).sum())
    if cut == 0:
        return corpus, 0
    positions = np.arange(len(corpus.tokens)) - np.repeat(corpus.offsets[:-1], lengths)
    offsets = np.concatenate([[0], np.cumsum(np.minimum(lengths, max_tokens))]).astype(np.int64)
    return replace(corpus, tokens=corpus.tokens[positions < max_tokens], offsets=offsets), cut


def cut_note(texts: LabelledCorpus, max_tokens: int) -> str | None:
    """What to tell the user about texts that were cut; None where none was."""
    if not texts.cut:
        return None
    return (
        f"{texts.cut} of {len(texts)} texts in {texts.path.name} are longer than {max_tokens} tokens and were cut "
        "there; raise classify.max_tokens to keep them whole"
    )


def split(
    labels: NDArray[np.int64], fraction: float, seed: int, path: Path | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Stratified split into training and validation: of each class the same share, at least one text of two.

    Args:
        labels: (N,) class numbers.
        fraction: Share for validation.
        seed: Draws the texts that are held out.
        path: The file, for the error.

    Returns:
        Indices for training and for validation, ascending.

    Raises:
        DataError: No class has two texts, so nothing can be held out.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    shuffled = labels[order]
    held = []
    for number in np.unique(labels):
        members = order[shuffled == number]
        if len(members) > 1:
            held.append(members[: max(1, round(fraction * len(members)))])
    if not held:
        raise DataError(
            f"{len(labels)} texts, no two of one class: none can be held out for validation",
            where=path,
            expected="at least two texts of some class",
            remedy="give more labelled texts, or check the label column (data.label)",
        )
    valid = np.sort(np.concatenate(held))
    return np.setdiff1d(np.arange(len(labels)), valid), valid


def _unseen_labels(unseen: Sequence[str], classes: Sequence[str], path: Path) -> DataError:
    """Labels of a test file that no training text has."""
    remedy = "check that the label column is the right one (data.label), or train with texts of these classes"
    if all(label.isdecimal() for label in unseen) != all(label.isdecimal() for label in classes):
        remedy = "one file has names for its labels and the other numbers: write them the same way in both"
    message = f"labels that training never saw: {_quoted(unseen, 5)}"
    return DataError(message, where=path, expected=_quoted(classes, 20), remedy=remedy)


def _quoted(labels: Sequence[str], most: int) -> str:
    """Labels in quotes; a long one is a text that was taken for a label, and its beginning tells which."""
    shown = ", ".join(f"'{label}'" if len(label) <= 40 else f"'{label[:39]}…'" for label in labels[:most])
    return shown + (f" and {len(labels) - most} more" if len(labels) > most else "")
