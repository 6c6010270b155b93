"""The built-in news corpus: synthetic, so that everything can be tried without data of one's own.

THE TEXT IS SYNTHETIC. The grammar of `grammar.yaml` generates it from a seed; every name in it is invented, nothing in
it happened, and a figure measured on it proves nothing about news.

It keeps of real agency news its four classes, its short texts (headline, dateline, sentence), many rare names that turn
up in all classes, and words of several senses. Its items are of two kinds:

* plain: the words of one class, among names, weekdays and numbers common to all;
* ambiguous: told by context or word order only. They come in pairs that hold the same story words, or nearly the same,
  each of another class, so that a bag of words narrows the label down to two classes at best:

  - *topics* ("cup match delayed by air strike", "air strike delayed by cup match"): heads of many senses (strike,
    match, cell, net, ...), whose class the word before decides, and two of them in an item. The label is the class of
    what the story is about: the subject of the main clause, or what somebody turns to. What is delayed, forgotten,
    left behind, denied, or does the deed in a passive, is the background.
  - *actors* ("banker sues chemist", "banker is sued by chemist"): the same rule; the label is the subject's class.
  - *twins* ("virus attacks cell in laboratory", "cell attacks virus laboratory"): words of several senses in another
    order, hence in another sense.

Only `random.Random(seed).random()` draws, since Python promises that sequence in all its versions.
"""

from __future__ import annotations

import csv
import io
import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import cycle, product
from pathlib import Path
from typing import TypeVar

import yaml

from elmo_cli.disk import write_text

SAMPLE_SIZE = 2500
AMBIGUOUS_SHARE = 0.44  # leaves a bag of words at about four fifths of the labels
TOKENS = (10, 30)  # shortest and longest item

_TRAIN_SHARE = 0.8
# Every two in a row cover all four classes, so that any even number of pairs is balanced.
_LABEL_PAIRS = ((0, 1), (2, 3), (0, 2), (1, 3), (0, 3), (1, 2))
_SLOT = re.compile(r"\{([^{}]+?)([1-9]?)\}")
_TOKEN = re.compile(r"\w+|[^\w\s]")
_T = TypeVar("_T")


Rules = dict[str, list[str]]  # alternatives by symbol


@dataclass(frozen=True)
class Grammar:
    """What the items are made of; `grammar.yaml` describes the form of its rules."""

    labels: tuple[str, ...]
    names: Mapping[str, tuple[list[str], int]]  # every invented name by symbol, and how many of them a corpus uses
    rules: Rules  # what the symbols of all texts stand for
    topics: Rules  # a head, and what makes it a matter of each class, in the order of the labels
    actors: Rules  # somebody of each class
    twins: Rules  # pairs of texts in two orders, by pair of classes
    topic_frames: list[str]
    actor_frames: list[str]


@cache
def load_grammar() -> Grammar:
    """The grammar that comes with the package."""
    text = resources.files("elmo_cli.data").joinpath("grammar.yaml").read_text(encoding="utf-8")
    read = yaml.safe_load(text)
    names = {
        symbol: (["".join(parts) for parts in product(*map(str.split, one["parts"]))], int(one["used"]))
        for symbol, one in read["names"].items()
    }
    parts = ("rules", "topics", "actors", "twins")
    rules, topics, actors, twins = (
        {symbol: [option.strip() for option in options.split("|")] for symbol, options in read[part].items()}
        for part in parts
    )
    frames = read["topic_frames"], read["actor_frames"]
    return Grammar(tuple(read["labels"]), names, rules, topics, actors, twins, *frames)


@dataclass(frozen=True)
class SampleItem:
    """A news item: its class, its text, and whether only context or word order can tell the class."""

    label: str
    text: str
    ambiguous: bool


def sample_news(seed: int = 1, size: int = SAMPLE_SIZE) -> list[SampleItem]:
    """Synthetic news items, balanced over the four classes, all distinct, in random order.

    The first four fifths and the rest are each balanced, and no pair of ambiguous items has one half in either, so
    that they can serve for training and test. The items depend on nothing but seed and size.
    """
    writer = _Writer(seed)
    train = round(size * _TRAIN_SHARE)
    return writer.items(train) + writer.items(size - train)


def write_sample(folder: Path, seed: int = 1) -> tuple[Path, Path]:
    """Write `train.csv` (2,000 items) and `test.csv` (500) with columns label and text; returns both paths.

    The folder is made if it is absent; files of these names in it are replaced.
    """
    items = sample_news(seed)
    split = round(len(items) * _TRAIN_SHARE)
    train, test = folder / "train.csv", folder / "test.csv"
    for path, part in ((train, items[:split]), (test, items[split:])):
        content = io.StringIO()
        rows = csv.writer(content, lineterminator="\n")
        rows.writerow(("label", "text"))
        rows.writerows((item.label, item.text) for item in part)
        write_text(path, content.getvalue())
    return train, test


class _Writer:
    """Draws items; one generator serves all of them, so items of two parts differ."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._grammar = load_grammar()
        self._topics = list(self._grammar.topics.items())
        self._names = {symbol: self._shuffled(names)[:used] for symbol, (names, used) in self._grammar.names.items()}
        self._seen: set[str] = set()

    def items(self, size: int) -> list[SampleItem]:
        """`size` items, balanced over the classes, shuffled."""
        labels, items = self._grammar.labels, []
        for _, (first, second) in zip(range(int(size * AMBIGUOUS_SHARE / 4) * 2), cycle(_LABEL_PAIRS), strict=False):
            items += self._distinct(self._ambiguous_pair, (labels[first], labels[second]))
        for index in range(len(items), size):
            items += self._distinct(self._plain, (labels[index % len(labels)],))
        return self._shuffled(items)

    def _distinct(self, draw: Callable[[tuple[str, ...]], list[str]], labels: tuple[str, ...]) -> list[SampleItem]:
        """Draw until every text is new and of the right length: one a class."""
        while True:
            texts = draw(labels)
            lengths = [len(_TOKEN.findall(text)) for text in texts]
            fits = TOKENS[0] <= min(lengths) and max(lengths) <= TOKENS[1]
            if fits and len(set(texts) - self._seen) == len(labels):
                self._seen.update(texts)
                return [SampleItem(label, text, len(labels) > 1) for label, text in zip(labels, texts, strict=True)]

    def _plain(self, labels: tuple[str, ...]) -> list[str]:
        return [_tidy(self._expand("{" + label + "}", {})) for label in labels]

    def _ambiguous_pair(self, labels: tuple[str, ...]) -> list[str]:
        """Two texts of the same words, one of each class."""
        kind = self._random.random()
        if kind < 0.35:
            stories = self._pick(self._grammar.twins[" > ".join(labels)]).split(" > ")
        elif kind < 0.6:
            actors = [self._pick(self._grammar.actors[label]) for label in labels]
            stories = self._swapped(actors, self._grammar.actor_frames)
        else:
            stories = self._swapped([self._topic(label) for label in labels], self._grammar.topic_frames)
        names: dict[str, str] = {}
        before = "{lead1} ^" if self._random.random() < 0.25 else ""
        after = " ^{tail}" if before and self._random.random() < 0.5 else " {dateline} ^{tail}"
        return [_tidy(self._expand(f"{before}{story}{after}", names)) for story in stories]

    def _swapped(self, pair: Sequence[str], frames: Sequence[str]) -> list[str]:
        """One frame with either of the pair in front."""
        frame = self._pick(frames)
        return [frame.replace("{fore}", fore).replace("{back}", back) for fore, back in (pair, pair[::-1])]

    def _expand(self, text: str, names: dict[str, str]) -> str:
        """Replace slots until none is left; `names` remembers the numbered ones."""
        while match := _SLOT.search(text):
            slot, (symbol, number) = match[0], match.groups()
            if number and slot not in names:
                names[slot] = self._expand(self._fill(symbol), names)
            filled = names[slot] if number else self._fill(symbol)
            text = text[: match.start()] + filled + text[match.end() :]
        return text

    def _fill(self, symbol: str) -> str:
        if symbol in self._names:
            return self._skewed(self._names[symbol])
        if symbol == "demonym":
            return self._skewed(self._names["nation"]) + "n"
        if symbol == "n":
            return str(2 + int(self._random.random() * 98))
        if symbol == "small":
            return str(int(self._random.random() * 8))
        if symbol.endswith(".topic"):
            return self._topic(symbol.removesuffix(".topic"))
        return self._pick(self._grammar.rules[symbol])

    def _topic(self, label: str) -> str:
        head, modifiers = self._pick(self._topics)
        return f"{modifiers[self._grammar.labels.index(label)]} {head}"

    def _pick(self, options: Sequence[_T]) -> _T:
        return options[int(self._random.random() * len(options))]

    def _skewed(self, options: Sequence[_T]) -> _T:
        """Names are unevenly common, as in real text: the density falls along the list."""
        return options[int(self._random.random() ** 2 * len(options))]

    def _shuffled(self, values: Iterable[_T]) -> list[_T]:
        """Fisher and Yates, by hand, because `random.shuffle` may change between versions of Python."""
        shuffled = list(values)
        for last in range(len(shuffled) - 1, 0, -1):
            other = int(self._random.random() * (last + 1))
            shuffled[last], shuffled[other] = shuffled[other], shuffled[last]
        return shuffled


def _tidy(text: str) -> str:
    """One space between words; a capital at the beginning, after `^` and after the end of a sentence."""
    text = re.sub(r"\^ *", "^", " ".join(text.split()))
    return re.sub(r'(^\^?|\^|[.:] )("?\w)', lambda match: match[1].strip("^") + match[2].upper(), text)
