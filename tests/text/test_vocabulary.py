"""Vocabularies: order and ids by hand, files of ours and of others, and what is refused."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from elmo_cli.config import TokenizerSettings, VocabularySettings
from elmo_cli.errors import DataError
from elmo_cli.text.encoded import encode, encode_tokens
from elmo_cli.text.vocabulary import Totals, Vocabulary

WORDS = TokenizerSettings(kind="whitespace", lowercase=True)
ALL = VocabularySettings(min_count=1)


def build(text: str, settings: VocabularySettings = ALL) -> Vocabulary:
    return Vocabulary.build(encode([text], str.split), settings, WORDS)


def refuse(path: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        Vocabulary.load(path)
    return caught.value


def test_order_is_by_count_then_by_token() -> None:
    vocabulary = build("b b a a c c c d")
    assert vocabulary.tokens == ("<S>", "</S>", "<UNK>", "c", "a", "b", "d")
    assert vocabulary.counts == (0, 0, 0, 3, 2, 2, 1)
    assert len(vocabulary) == 7


def test_rare_tokens_are_counted_as_unknown() -> None:
    vocabulary = build("b b a a c c c d", VocabularySettings(min_count=2, max_size=5))
    assert vocabulary.tokens == ("<S>", "</S>", "<UNK>", "c", "a")
    assert vocabulary.counts == (0, 0, 3, 3, 2)
    assert vocabulary.totals == Totals(tokens=8, types=4, kept=2, coverage=5 / 8)


def test_special_tokens_in_the_text_stay_single() -> None:
    vocabulary = build("<S> a <UNK> <UNK> </S> !!!MAXTERMID a")
    assert vocabulary.tokens == ("<S>", "</S>", "<UNK>", "a")
    assert vocabulary.lookup(["", "<S>", "</S>", "<UNK>", "a", "!!!MAXTERMID", "z"]).tolist() == [0, 1, 2, 3, 4, 3, 3]
    assert vocabulary.counts == (1, 1, 3, 2)


def test_nothing_frequent_enough() -> None:
    with pytest.raises(DataError, match="no token occurs 2 times among 2 tokens"):
        build("a b", VocabularySettings(min_count=2))


@given(st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_order_of_the_text_does_not_matter(tokens: list[str], generator: random.Random) -> None:
    shuffled = tokens.copy()
    generator.shuffle(shuffled)
    one, other = (Vocabulary.build(encode_tokens([some]), ALL, WORDS) for some in (tokens, shuffled))
    assert one.tokens == other.tokens
    assert one.fingerprint() == other.fingerprint()


def test_hash_order_does_not_matter() -> None:
    code = (
        "from elmo_cli.config import TokenizerSettings, VocabularySettings\n"
        "from elmo_cli.text.encoded import encode\n"
        "from elmo_cli.text.vocabulary import Vocabulary\n"
        "corpus = encode(['the cat and the dog and a bird é'], str.split)\n"
        "print(Vocabulary.build(corpus, VocabularySettings(min_count=1), TokenizerSettings()).fingerprint())\n"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1


def test_fingerprint_tells_order() -> None:
    one = Vocabulary(["<S>", "</S>", "<UNK>", "a", "b"], tokenizer=WORDS)
    other = Vocabulary(["<S>", "</S>", "<UNK>", "b", "a"], tokenizer=WORDS)
    assert one.fingerprint() != other.fingerprint()


def test_oov_counts_tokens_and_types() -> None:
    vocabulary = build("a a b")
    corpus = encode(["a x x", "<UNK> b"], str.split)
    report = vocabulary.oov(corpus)
    assert (report.tokens, report.unknown, report.types, report.unknown_types) == (5, 3, 4, 2)
    assert report.rate == pytest.approx(0.6)
    assert vocabulary.oov(corpus.slice(0, 1)).types == 2  # types of other sentences are not counted
    assert vocabulary.oov(corpus.slice(0, 0)).rate == 0.0


def test_saved_folder_loads_the_same(tmp_path: Path) -> None:
    vocabulary = build("é é b \u2028 b a\u00a0c", VocabularySettings(min_count=1, max_size=6))
    vocabulary.save(tmp_path / "vocab")
    for path in (tmp_path / "vocab", tmp_path / "vocab" / "vocab.txt"):
        loaded = Vocabulary.load(path)
        assert loaded.tokens == vocabulary.tokens
        assert loaded.fingerprint() == vocabulary.fingerprint()
        assert (loaded.tokenizer, loaded.settings) == (WORDS, vocabulary.settings)
        assert loaded.totals == vocabulary.totals
    assert sorted(entry.name for entry in (tmp_path / "vocab").iterdir()) == ["vocab.txt", "vocab.yaml"]
    details = yaml.safe_load((tmp_path / "vocab" / "vocab.yaml").read_text(encoding="utf-8"))
    assert details["size"] == 6
    assert details["totals"]["tokens"] == 6


def test_files_are_on_the_disk_before_they_have_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def noting(name: str) -> None:
        actual = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *arguments: [calls.append(name), actual(*arguments)][1])

    noting("fsync")
    noting("replace")
    build("b b a").save(tmp_path)
    assert calls == ["fsync", "replace", "fsync"] * 2  # the file, its name, the names of the folder


def test_file_is_bilm_tf_s_with_ids_from_one(tmp_path: Path) -> None:
    build("b b a").save(tmp_path)
    assert (tmp_path / "vocab.txt").read_bytes() == b"<S>\n</S>\n<UNK>\nb\na\n"
    assert Vocabulary.load(tmp_path).lookup(["<S>", "b", "a"]).tolist() == [1, 4, 5]


@given(tokens=st.lists(st.text(alphabet=st.characters(codec="utf-8")), min_size=1, max_size=20))
def test_any_tokens_survive_the_file(tmp_path_factory: pytest.TempPathFactory, tokens: list[str]) -> None:
    folder = tmp_path_factory.mktemp("vocab")
    try:
        vocabulary = Vocabulary.build(encode_tokens([tokens]), ALL, WORDS)
    except DataError:
        return  # nothing but special tokens
    vocabulary.save(folder)
    assert Vocabulary.load(folder).tokens == vocabulary.tokens


@pytest.mark.parametrize("content", [b"<S>\n</S>\n<UNK>\nthe\n!!!MAXTERMID\n,\n", b"<S>\r\n</S>\r\n<UNK>\r\nthe\r\n,"])
def test_bare_file_of_another_project(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "vocab-2016-09-10.txt"
    path.write_bytes(content)
    vocabulary = Vocabulary.load(path)
    assert vocabulary.tokens == ("<S>", "</S>", "<UNK>", "the", ",")
    assert vocabulary.tokenizer.kind == "whitespace"
    assert (vocabulary.counts, vocabulary.settings, vocabulary.totals) == (None, None, None)


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        (b"<S>\n</S>\n<UNK>\na\nb\na\n", 6, "the token 'a' stands twice, first on line 4"),
        (b"<S>\n</S>\n<UNK>\na\n\nb\n", 5, "a line is empty"),
        (b"the\nof\n<S>\n", 1, "but with the, of, <S>"),
        (b"", 1, "but with nothing"),
        (b"<S>\n</S>\n<UNK>\n\xff\n", 4, "is not UTF-8"),
    ],
)
def test_no_vocabulary(tmp_path: Path, content: bytes, line: int, message: str) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    error = refuse(path)
    assert message in error.message
    assert error.where == f"{path}, line {line}"
    assert error.expected


def test_missing_vocabulary(tmp_path: Path) -> None:
    assert "elmo vocab build" in (refuse(tmp_path).remedy or "")
    assert "elmo vocab build" in (refuse(tmp_path / "none.txt").remedy or "")


def test_details_that_do_not_belong(tmp_path: Path) -> None:
    build("a b c").save(tmp_path)
    with (tmp_path / "vocab.txt").open("a", encoding="utf-8") as file:
        file.write("new\n")
    assert "holds 7 tokens, but vocab.yaml says 6" in refuse(tmp_path).message
    (tmp_path / "vocab.yaml").write_text("size: 7\ntokenizer: {kind: wrods}\n", encoding="utf-8")
    error = refuse(tmp_path)
    assert error.where == str(tmp_path / "vocab.yaml")
    assert "does not describe a vocabulary" in error.message
