"""Files of static vectors: every format read alike, every damage named with its place."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gensim.models import KeyedVectors, Word2Vec
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from elmo_cli.config import TokenizerSettings, VocabularySettings
from elmo_cli.data.files import read_lines
from elmo_cli.errors import DataError
from elmo_cli.text.encoded import encode_tokens
from elmo_cli.text.vocabulary import Vocabulary
from elmo_cli.vectors import formats, plain
from elmo_cli.vectors.formats import read_vectors, write_word2vec
from elmo_cli.vectors.static import StaticVectors, coverage, table_for

TOKENS = ["the", "naïve", "猫"]
MATRIX = np.array([[0.5, -1.25, 3e-8], [1.0, 2.0, 3.0], [-7.0, 0.0, 1e6]], dtype=np.float32)
LINES = [f"{token} {' '.join(str(x) for x in row)}" for token, row in zip(TOKENS, MATRIX.tolist(), strict=True)]


def word2vec_text(path: Path) -> None:
    path.write_text("3 3\n" + "\n".join(LINES) + "\n", encoding="utf-8")


def fasttext_text(path: Path) -> None:
    path.write_text("3 3\n" + " \n".join(LINES) + " \n", encoding="utf-8")


def glove(path: Path) -> None:
    path.write_text("\n".join(LINES), encoding="utf-8")


def glove_with_mark(path: Path) -> None:
    path.write_text("\n".join(LINES) + "\n\n", encoding="utf-8-sig")


def binary(path: Path, newline: bytes = b"\n") -> None:
    rows = zip(TOKENS, MATRIX.tolist(), strict=True)
    packed = [token.encode() + b" " + struct.pack("<3f", *row) + newline for token, row in rows]
    path.write_bytes(b"3 3\n" + b"".join(packed))


def binary_without_newlines(path: Path) -> None:
    binary(path, b"")


def course(path: Path) -> None:
    rows = {"猫": 2, "the": 0, "naïve": 1}
    torch.save({"word_embeddings": MATRIX.astype(np.float64), "words_to_ind": rows}, path)


def course_with_tensor(path: Path) -> None:
    matrix = torch.from_numpy(MATRIX)
    torch.save({"embeddings": matrix, "word2idx": {t: np.int64(i) for i, t in enumerate(TOKENS)}, "dim": 3}, path)


def course_of_old_torch(path: Path) -> None:
    content = {"vectors": torch.from_numpy(MATRIX), "ind_to_words": dict(enumerate(TOKENS))}
    torch.save(content, path, _use_new_zipfile_serialization=False)


def course_with_list(path: Path) -> None:
    torch.save({"E": MATRIX, "words": TOKENS}, path)


def gensim_native(path: Path) -> None:
    keyed(path).save(str(path))


def gensim_in_two_files(path: Path) -> None:
    keyed(path).save(str(path), separately=["vectors"])


def keyed(path: Path) -> KeyedVectors:
    vectors = KeyedVectors(3)
    vectors.add_vectors(TOKENS, MATRIX)
    return vectors


WRITERS = [
    word2vec_text,
    fasttext_text,
    glove,
    glove_with_mark,
    binary,
    binary_without_newlines,
    course,
    course_with_tensor,
    course_of_old_torch,
    course_with_list,
    gensim_native,
    gensim_in_two_files,
]


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_every_format_is_found_by_its_content(write: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "vectors.dat"
    write(path)
    vectors = read_vectors(path)
    assert vectors.tokens == TOKENS
    assert vectors.matrix.dtype == np.float32
    np.testing.assert_array_equal(vectors.matrix, MATRIX)
    assert vectors.rows["猫"] == 2
    assert vectors.width == 3
    assert vectors.source == path


@pytest.mark.parametrize("write", [word2vec_text, glove, binary, gensim_native], ids=lambda write: write.__name__)
def test_gzipped(write: Callable[[Path], None], tmp_path: Path) -> None:
    plain, path = tmp_path / "plain", tmp_path / "vectors"
    write(plain)
    path.write_bytes(gzip.compress(plain.read_bytes()))
    np.testing.assert_array_equal(read_vectors(path).matrix, MATRIX)


def test_tokens_with_spaces(tmp_path: Path) -> None:
    path = tmp_path / "glove.txt"
    path.write_text("the 1 2 3\n. . . 4 5 6\nat name@domain.com 7 8 9\n5 1 1 1\n")
    assert read_vectors(path).tokens == ["the", ". . .", "at name@domain.com", "5"]


def test_duplicates_keep_the_first_and_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text("4 2\na 1 2\nb 3 4\na 5 6\na 7 8\n")
    vectors = read_vectors(path)
    assert vectors.tokens == ["a", "b"]
    assert vectors.duplicates == 2
    np.testing.assert_array_equal(vectors.matrix, [[1, 2], [3, 4]])


@pytest.mark.parametrize(
    ("content", "message", "where"),
    [
        ("", "is empty", ""),
        (" \n\n", "is empty", ""),
        ("3 2\na 1 2\nb 3 4\n", "holds 2 vectors, but its header says 3", "line 1"),
        ("1 2\na 1 2\nb 3 4\n", "holds 2 vectors, but its header says 1", "line 1"),
        ("0 2\n", "0 vectors of width 2", "line 1"),
        ("2 3\na 1 2 3\nb 4 5\n", "the line has 3 fields", "line 3"),
        ("2 3\na 1 2 3\nb 4 5 6 7\n", "the line has 5 fields", "line 3"),
        ("a 1 2\nb 3 4\nc 5\nd 6 7\n", "the line has 2 fields", "line 3"),
        ("a 1 2\n\nc 5 6\n", "the line has 0 fields", "line 2"),
        ("a 1 2\nb 3 x4\n", "'x4' is not a number", "line 2"),
        ("a 1 2\nb 3 nan\n", "the vector holds nan", "line 2"),
        ("2 2\na 1 2\nb -inf 4\n", "the vector holds -inf", "line 3"),
        ("a 1 2\nb 3 1e99\n", "the vector holds inf", "line 2"),
        ("a story\nwithout numbers\n", "holds no vectors", "line 1"),
        (b"a 1 2\nb\xe9 3 4\n", "is not UTF-8", "line 2"),
        (b"2 2\na 1 2\nb\xe9 3 4\n", "is not UTF-8", "line 3"),
        ("20 5", "holds 0 vectors, but its header says 20", "line 1"),
        ("20 5\n", "holds 0 vectors, but its header says 20", "line 1"),
        ("5 99999999999999999999\na 1 2\n", "5 vectors of width 99999999999...", "line 1"),
        ("9" * 5000 + " 5\na 1 2\n", "99999999999... vectors of width 5", "line 1"),
        ("2 9999999999\na 1 2\n", "the line has 3 fields", "line 2"),
        (b"2 9999999999\na \x00\x00\x00\x00", "ends within vector 1", ""),
        ("a" + " 1" * (1 << 23), "the line has more than 16,777,216 bytes", "line 1"),
        (b"9 4\n" + b"\xff" * (1 << 23), "no space follows the token within 65,536 bytes", "vector 1"),
        (gzip.compress(b"\x80\x04B" + struct.pack("<I", 1 << 30) + bytes(1 << 25)), "grows to more than 100", ""),
        (b"\x89HDF\r\n", "is an HDF5 file", ""),
        (b"\xba\x16\x4f\x2f....", "is a fastText model", ""),
        (b"PK\x03\x04 no archive", "damaged torch file", ""),
        (b"\x80\x04 nothing", "damaged pickle", ""),
    ],
)
def test_damage_is_named_with_its_place(content: str | bytes, message: str, where: str, tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message) as caught:
        read_vectors(path)
    assert caught.value.where == (f"{path}, {where}" if where else str(path))


def test_a_gzip_of_short_lines_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, read = tmp_path / "vectors.gz", []
    path.write_bytes(gzip.compress(b"a 1\n" * (1 << 22)))
    monkeypatch.setattr(plain, "float", lambda field: read.append(field) or 1.0, raising=False)
    with pytest.raises(DataError, match="grows to more than 100 times"):
        read_vectors(path)
    assert len(read) < 1 << 19  # the lines of 2 MiB


def test_a_gzip_that_is_larger_than_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "vectors.gz"
    numbers = np.random.default_rng(1).normal(size=(100_000, 2)).tolist()
    path.write_bytes(gzip.compress("".join(f"{row} {x} {y}\n" for row, (x, y) in enumerate(numbers)).encode()))
    assert len(read_vectors(path).tokens) == len(numbers)
    monkeypatch.setattr(formats, "memory_here", lambda: 1 << 20)
    with pytest.raises(DataError, match="needs more memory than there is"):
        read_vectors(path)


def test_damaged_binaries(tmp_path: Path) -> None:
    path = tmp_path / "vectors.bin"
    binary(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    with pytest.raises(DataError, match="ends within vector 3, but its header says 3 vectors of width 3"):
        read_vectors(path)
    path.write_bytes(whole + b"more")
    with pytest.raises(DataError, match="goes on after the 3 vectors"):
        read_vectors(path)
    path.write_bytes(whole.replace(struct.pack("<f", 2.0), struct.pack("<f", float("nan"))))
    with pytest.raises(DataError, match="holds nan") as caught:
        read_vectors(path)
    assert caught.value.where == f"{path}, vector 2"
    path.write_bytes(whole.replace("猫".encode(), b"\xff\xfe\xff").replace(TOKENS[1].encode(), b"\xff\xfe"))
    with pytest.raises(DataError, match="is not UTF-8") as caught:
        read_vectors(path)
    assert caught.value.where == f"{path}, vector 2"


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "svd.txt").touch()
    for name, remedy in (
        ("w2v.txt", "elmo baseline word2vec --out"),
        ("svd-w5.txt", "elmo baseline svd --out"),
        ("svdd.txt", "did you mean 'svd.txt'?"),
        ("glove.vec", "elmo baseline word2vec --out"),
    ):
        with pytest.raises(DataError, match="there is no file") as caught:
            read_vectors(tmp_path / name)
        assert remedy in str(caught.value.remedy)
    with pytest.raises(DataError, match="there is no file"):
        read_vectors(tmp_path / "absent")
    with pytest.raises(DataError, match="is a folder"):
        read_vectors(tmp_path)
    cut = tmp_path / "cut.gz"
    cut.write_bytes(gzip.compress(b"a 1 2\n" * 500)[:-12])
    with pytest.raises(DataError, match="damaged gzip"):
        read_vectors(cut)


class Malicious:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("save", ["torch", "old torch", "pickle"])
def test_a_pickle_that_would_act_is_refused_and_does_not_act(save: str, tmp_path: Path) -> None:
    path, target = tmp_path / "course.pt", tmp_path / "made-by-a-pickle"
    content = {"word_embeddings": MATRIX, "words_to_ind": Malicious(target)}
    if save == "pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=save == "torch")
    with pytest.raises(DataError, match=r"asks for \w+\.mkdir; it was not run"):
        read_vectors(path)
    assert not target.exists()


def test_a_whole_gensim_model_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "model"
    model = Word2Vec([["a", "b"]], vector_size=2, min_count=1, epochs=1, workers=1)
    model.save(str(path))
    with pytest.raises(DataError, match=r"asks for gensim\.models\.word2vec\.Word2Vec") as caught:
        read_vectors(path)
    assert caught.value.remedy is not None
    assert "wv.save" in caught.value.remedy


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds a list"),
        ({"words_to_ind": {"a": 0}}, r"no single \(V, D\) array"),
        ({"word_embeddings": MATRIX}, "no single index of tokens"),
        ({"one": MATRIX, "two": MATRIX, "words_to_ind": {"a": 0}}, r"no single \(V, D\) array"),
        ({"word_embeddings": MATRIX, "words_to_ind": {"a": 3}}, "token 'a' has row 3"),
        ({"word_embeddings": MATRIX, "words_to_ind": {"a": -1}}, "token 'a' has row -1"),
        ({"word_embeddings": MATRIX, "words_to_ind": {"a": 0.5}}, "token 'a' has row 0.5"),
        ({"word_embeddings": MATRIX, "words": ["a", "b"]}, "has 2 tokens and 3 vectors"),
        ({"word_embeddings": MATRIX * np.float32("nan"), "words_to_ind": {"a": 1}}, "hold NaN"),
    ],
)
def test_dictionaries_that_hold_something_else(content: object, message: str, tmp_path: Path) -> None:
    path = tmp_path / "course.pt"
    torch.save(content, path)
    with pytest.raises(DataError, match=message):
        read_vectors(path)


def test_gensim_without_its_second_file(tmp_path: Path) -> None:
    path = tmp_path / "vectors.kv"
    gensim_in_two_files(path)
    (tmp_path / "vectors.kv.vectors.npy").unlink()
    with pytest.raises(DataError, match=r"needs vectors\.kv\.vectors\.npy"):
        read_vectors(path)


@pytest.mark.parametrize("binary", [False, True])
def test_gensim_reads_what_is_written(binary: bool, tmp_path: Path) -> None:
    path = tmp_path / "folder" / "vectors"
    write_word2vec(path, TOKENS, MATRIX, binary)
    vectors = KeyedVectors.load_word2vec_format(str(path), binary=binary)
    assert vectors.index_to_key == TOKENS
    np.testing.assert_array_equal(vectors.vectors, MATRIX)
    assert [entry.name for entry in path.parent.iterdir()] == ["vectors"]


def test_binary_numbers_that_look_like_text(tmp_path: Path) -> None:
    matrix = np.frombuffer("ᛂYᛂY".encode(), np.float32).reshape(1, 2)
    write_word2vec(tmp_path / "vectors", ["0"], matrix, binary=True)
    np.testing.assert_array_equal(read_vectors(tmp_path / "vectors").matrix, matrix)


@pytest.mark.parametrize("token", ["", " ", "a b", "a\tb", "a\n"])
def test_tokens_that_would_break_the_file_are_not_written(token: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        write_word2vec(tmp_path / "vectors", [token], MATRIX[:1])
    assert not (tmp_path / "vectors").exists()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda t: t.encode().split() == [t.encode()]),
        unique=True,
    )
    .filter(lambda tokens: bool(tokens))
    .flatmap(
        lambda tokens: st.tuples(
            st.just(tokens),
            arrays.arrays(
                np.float32, (len(tokens), 2), elements=st.floats(width=32, allow_nan=False, allow_infinity=False)
            ),
        )
    ),
    st.booleans(),
)
def test_what_is_written_reads_back_bit_for_bit(table: tuple[list[str], Any], binary: bool) -> None:
    import tempfile

    tokens, matrix = table
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vectors"
        write_word2vec(path, tokens, matrix, binary)
        vectors = read_vectors(path)
    assert vectors.tokens == tokens
    np.testing.assert_array_equal(vectors.matrix, matrix)


def vocabulary(sentences: list[list[str]], *, lowercase: bool = False) -> Vocabulary:
    settings = TokenizerSettings(kind="whitespace", lowercase=lowercase)
    return Vocabulary.build(encode_tokens(sentences), VocabularySettings(min_count=1), settings)


def test_table_for_a_vocabulary() -> None:
    vectors = StaticVectors(
        ["Paris", "PARIS", "cat", "paris-"], np.arange(8, dtype=np.float32).reshape(4, 2), Path("x")
    )
    words = vocabulary([["cat", "paris", "dog"]])
    table, known = table_for(words, vectors, seed=1)
    ids = dict(zip(words.tokens, range(1, len(words) + 1), strict=True))
    assert table.shape == (len(words) + 1, 2)
    assert known.sum() == 1
    np.testing.assert_array_equal(table[ids["cat"]], [4, 5])
    np.testing.assert_array_equal(table[0], 0)
    assert table[~known][1:].all()

    again, _ = table_for(words, vectors, seed=1)
    other, _ = table_for(words, vectors, seed=2)
    np.testing.assert_array_equal(again, table)
    assert (other[ids["dog"]] != table[ids["dog"]]).all()

    lowered = vocabulary([["cat", "paris", "dog"]], lowercase=True)
    table, known = table_for(lowered, vectors, seed=1)
    assert known.sum() == 2
    np.testing.assert_array_equal(table[ids["paris"]], [0, 1])


def test_an_exact_match_goes_before_a_lower_cased_one() -> None:
    vectors = StaticVectors(["Cat", "cat"], np.array([[1.0], [2.0]], dtype=np.float32), Path("x"))
    words = vocabulary([["cat"]], lowercase=True)
    table, _ = table_for(words, vectors, seed=1)
    assert table[words.tokens.index("cat") + 1, 0] == 2.0


def test_coverage_counts_types_and_tokens() -> None:
    vectors = StaticVectors(["a", "B"], np.ones((2, 1), dtype=np.float32), Path("x"))
    corpus = encode_tokens([["a", "a", "b"], [], ["c", "a"]])
    found = coverage(vectors, corpus)
    assert (found.types, found.types_found, found.tokens, found.tokens_found) == (3, 1, 5, 3)
    assert coverage(vectors, corpus, lowercase=True).tokens_found == 4
    assert coverage(vectors, encode_tokens([[]])).tokens == 0


VECTORS = {"the": (0.1, 0.2), "of": (0.5, 0.6)}


def test_a_broken_token_costs_its_vector_alone(tmp_path: Path) -> None:
    text, spaced, binary_file = (tmp_path / name for name in ("a.vec", "b.vec", "c.bin"))
    text.write_bytes(b"3 2\nthe 0.1 0.2\ncaf\xe9 0.3 0.4\nof 0.5 0.6\n")
    spaced.write_bytes(b"3 2\nthe 0.1 0.2\n  0.3 0.4\nof 0.5 0.6\n")
    parts = ((b"the", 0.1, 0.2), (b"caf\xe9", 0.3, 0.4), (b"of", 0.5, 0.6))
    binary_file.write_bytes(b"3 2\n" + b"".join(token + b" " + struct.pack("<2f", *pair) for token, *pair in parts))
    for path in (text, spaced, binary_file):
        vectors = read_vectors(path)
        assert vectors.tokens == list(VECTORS)
        np.testing.assert_array_equal(vectors.matrix, np.array(list(VECTORS.values()), np.float32))
        assert vectors.broken == 1
        assert "1 of 3 vectors" in (vectors.left_out or "")


@pytest.mark.parametrize("newline", [b"", b"\n"])
@pytest.mark.parametrize("phrase", [b"my name", b"cat and dog", b"in the year", b"New York City"])
def test_phrases_in_the_binary_format(tmp_path: Path, phrase: bytes, newline: bytes) -> None:
    path = tmp_path / "a.bin"
    parts = ((b"the", 0.1, 0.2), (phrase, 0.3, 0.4), (b"of", 0.0, 0.6))
    rows = (token + b" " + struct.pack("<2f", *pair) + newline for token, *pair in parts)
    path.write_bytes(b"3 2\n" + b"".join(rows))
    vectors = read_vectors(path)
    assert vectors.tokens == ["the", phrase.decode(), "of"]
    assert vectors.matrix[1].tolist() == np.float32([0.3, 0.4]).tolist()


def test_tokens_and_vectors_meet_in_one_form() -> None:
    decomposed = StaticVectors(["cafe\u0301", "E\u0301te\u0301"], np.eye(2, dtype=np.float32), Path("x"))
    for words, lowercase in (([["caf\u00e9"]], False), ([["cafe\u0301"]], False), ([["\u00e9t\u00e9"]], True)):
        _, known = table_for(vocabulary(words, lowercase=lowercase), decomposed, seed=1)
        assert known.sum() == 1
    composed = StaticVectors(["caf\u00e9"], np.ones((1, 2), dtype=np.float32), Path("x"))
    assert coverage(composed, encode_tokens([["cafe\u0301", "cafe"]])).tokens_found == 1


@pytest.mark.parametrize(
    ("packed", "problem"),
    [
        (bz2.compress(b"a 1 2\n"), "compressed with bzip2"),
        (lzma.compress(b"a 1 2\n"), "compressed with xz"),
        ("a 1 2\n".encode("utf-16"), "text in UTF-16"),
    ],
)
def test_what_is_packed_or_encoded_otherwise_is_named(tmp_path: Path, packed: bytes, problem: str) -> None:
    path = tmp_path / "v.txt"
    path.write_bytes(packed)
    with pytest.raises(DataError, match=problem):
        read_vectors(path)
    with pytest.raises(DataError, match=problem.removeprefix("text in ")):
        list(read_lines(path))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="is a pipe") as caught:
        read_vectors(tmp_path / "pipe")
    assert "COMMAND > FILE" in str(caught.value.remedy)
