from __future__ import annotations

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

from elmo_cli.data.sample import SampleItem, load_grammar, sample_news, write_sample
from elmo_cli.errors import ElmoError


@pytest.fixture(scope="module")
def items() -> list[SampleItem]:
    return sample_news()


def accuracy(train: Sequence[SampleItem], test: Sequence[SampleItem], longest: int) -> float:
    """Of a linear SVM on n-grams up to `longest` words."""
    vectorizer = TfidfVectorizer(ngram_range=(1, longest), sublinear_tf=True, token_pattern=r"\b\w+\b")
    svm = LinearSVC(random_state=0).fit(
        vectorizer.fit_transform([item.text for item in train]), [item.label for item in train]
    )
    predicted = svm.predict(vectorizer.transform([item.text for item in test]))
    return float(np.mean(predicted == np.array([item.label for item in test])))


def test_the_same_seed_gives_the_same_items_on_every_python(items):
    text = "\n".join(f"{item.label}\t{item.text}\t{item.ambiguous}" for item in items)
    assert (
        hashlib.sha256(text.encode()).hexdigest() == "4ee1183066ad2ee84e0d59ed9ed5689c09197f2fbeccd647eb206bfa141ab03e"
    )
    assert sample_news(seed=2) != items


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("train.csv", "c258c569eeed4927679797287b3217d4857c2609bb84e97463af5a62a419da66"),
        ("test.csv", "61f59a9c0cc91ccc8cf45f41ba34da883a23a6f24bcb221c4e44a36b034d8f16"),
    ],
)
def test_the_files_are_the_same_to_the_byte(tmp_path: Path, name: str, digest: str) -> None:
    write_sample(tmp_path, seed=7)
    assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("size", [2500, 403, 40, 1])
def test_size_and_balance(size):
    items = sample_news(size=size)
    assert len(items) == size
    for part in (items[: round(0.8 * size)], items[round(0.8 * size) :]):
        counts = Counter(item.label for item in part)
        assert all(abs(counts[label] - len(part) / 4) < 1 for label in load_grammar().labels)


def test_items_are_distinct_and_of_news_length(items):
    assert len({item.text for item in items}) == 2500
    lengths = [len(re.findall(r"\w+|[^\w\s]", item.text)) for item in items]
    assert min(lengths) >= 10
    assert max(lengths) <= 30
    assert 20 < np.mean(lengths) < 28


def test_vocabulary_is_large_and_text_is_clean(items):
    words = Counter(word for item in items for word in re.findall(r"\w+", item.text.lower()))
    assert 2500 <= len(words) <= 4000
    for item in items:
        assert not re.search(r"[{}^|>]|  |^\W?[a-z]|\. [a-z]| $", item.text), item.text


def test_at_least_a_third_of_each_class_is_ambiguous_in_train_and_test(items):
    for part in (items[:2000], items[2000:]):
        for label in load_grammar().labels:
            assert np.mean([item.ambiguous for item in part if item.label == label]) >= 1 / 3


def test_names_turn_up_in_all_classes(items):
    classes: dict[str, set[str]] = {}
    for item in items:
        for name in re.findall(r"\w+", item.text):
            classes.setdefault(name, set()).add(item.label)
    frequent = Counter(word for item in items for word in re.findall(r"\b[A-Z]\w+", item.text)).most_common(150)
    assert np.mean([len(classes[name]) == 4 for name, _ in frequent]) > 0.6


def test_topics_and_actors_cover_every_class_once():
    grammar = load_grammar()
    assert all(len(modifiers) == len(grammar.labels) for modifiers in grammar.topics.values())
    symbols = set(grammar.rules) | {
        *("surname", "given", "place", "nation", "firm", "demonym", "n", "small"),
        *(f"{label}.topic" for label in load_grammar().labels),
    }
    alternatives = [
        *chain(*grammar.rules.values(), *grammar.twins.values()),
        *grammar.topic_frames,
        *grammar.actor_frames,
    ]
    used = re.findall(r"\{([^}]+?)[1-9]?\}", " ".join(alternatives))
    assert set(used) - {"fore", "back"} <= symbols


def test_the_halves_of_a_pair_stay_on_one_side_of_the_split():
    ambiguous = [(item, number < 2000) for number, item in enumerate(sample_news(seed=3)) if item.ambiguous]
    weights = TfidfVectorizer().fit_transform([re.split(r' - |" ', item.text)[0] for item, _ in ambiguous])
    shared = (weights @ weights.T).toarray()
    labels = np.array([item.label for item, _ in ambiguous])
    train = np.array([side for _, side in ambiguous])
    shared[labels[:, None] == labels] = 0
    twin = shared.argmax(axis=1)  # the item of another class with the most, or the rarest, words in common
    assert np.mean(~train[twin][~train]) > 0.8  # 0.2 if pairs were torn apart by chance


def test_order_tells_what_words_do_not(items):
    train, test = items[:2000], items[2000:]
    assert 0.70 < accuracy(train, test, 1) < 0.88
    ambiguous = [[item for item in part if item.ambiguous] for part in (train, test)]
    unigrams, bigrams = accuracy(*ambiguous, 1), accuracy(*ambiguous, 2)
    assert unigrams < 0.6
    assert bigrams > unigrams + 0.08


def test_write_sample(tmp_path: Path, items):
    train, test = write_sample(tmp_path / "new", seed=1)
    rows = []
    for path, size in ((train, 2000), (test, 500)):
        with path.open(encoding="utf-8", newline="") as file:
            header, *body = csv.reader(file)
        assert header == ["label", "text"]
        assert len(body) == size
        rows += body
    assert rows == [[item.label, item.text] for item in items]
    assert sorted(path.name for path in train.parent.iterdir()) == ["test.csv", "train.csv"]


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch):
    (tmp_path / "train.csv").write_text("mine")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(ElmoError, match="disk full"):
        write_sample(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["train.csv"]
    assert (tmp_path / "train.csv").read_text() == "mine"
