"""Corpora on disk: the same as in memory, whole or absent, told apart by content, and never silently wrong."""

from __future__ import annotations

import mmap
import os
import signal
import time
from collections.abc import Generator, Iterator
from concurrent.futures import BrokenExecutor
from contextlib import closing
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elmo_cli.cluster import pool
from elmo_cli.config import Experiment, TokenizerSettings, VocabularySettings
from elmo_cli.errors import DataError
from elmo_cli.events import Notice, Progress
from elmo_cli.text import parallel, shards, sources
from elmo_cli.text.encoded import EncodedCorpus, encode, encode_tokens
from elmo_cli.text.parallel import encode_chunks
from elmo_cli.text.shards import Fingerprints, load_or_write, open_corpus, write_corpus
from elmo_cli.text.sources import encode_corpus
from elmo_cli.text.tokenizer import Tokenizer
from elmo_cli.text.vocabulary import Vocabulary

WHITESPACE = TokenizerSettings(kind="whitespace")
TEXTS = ["the cat sat", "", "ein Käfer , ein Haus", "the 猫 sat \U0001f600", "   ", "x the"] * 7
SIZES = st.lists(st.integers(1, 4), min_size=1, max_size=5)
SENTENCES = st.lists(st.lists(st.sampled_from(["a", "b", "ü", "<S>", "</S>", "猫"]), max_size=5), max_size=20)


def same(one: EncodedCorpus, other: EncodedCorpus) -> bool:
    arrays = zip((one.tokens, one.offsets, one.counts()), (other.tokens, other.offsets, other.counts()), strict=True)
    return tuple(one.types) == tuple(other.types) and all(
        np.array_equal(mine, theirs) and mine.dtype == theirs.dtype for mine, theirs in arrays
    )


def is_mapped(array: np.ndarray) -> bool:
    base = array
    while isinstance(base, np.ndarray) and base.base is not None:
        base = base.base
    return isinstance(base, mmap.mmap)


def experiment_in(folder: Path, **data: object) -> Experiment:
    return Experiment.model_validate({"output": folder / "runs", "tokenizer": WHITESPACE, "data": data})


@pytest.fixture
def corpus_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that counts as large."""
    monkeypatch.setattr(sources, "CACHED_FROM", 1)
    path = tmp_path / "corpus.txt"
    path.write_text("the cat sat\nthe dog\n", encoding="utf-8")
    return path


@settings(max_examples=30, deadline=None)
@given(SENTENCES, SIZES)
def test_parts_make_the_same_corpus_as_one_piece(sentences: list[list[str]], sizes: list[int]) -> None:
    from tempfile import TemporaryDirectory

    def parts() -> Iterator[EncodedCorpus]:
        start = 0
        while start < len(sentences):
            for size in sizes:
                yield encode_tokens(sentences[start : start + size])
                start += size

    with TemporaryDirectory() as folder:
        write_corpus(Path(folder, "corpus"), parts())
        assert same(open_corpus(Path(folder, "corpus")), encode_tokens(sentences))


def test_a_stored_corpus_is_mapped_and_its_types_are_a_sequence(tmp_path: Path) -> None:
    whole = encode(TEXTS, str.split)
    write_corpus(tmp_path / "corpus", [whole])
    stored = open_corpus(tmp_path / "corpus")
    assert is_mapped(stored.tokens)
    assert is_mapped(stored.offsets)
    assert is_mapped(stored.slice(0, 5).tokens)
    assert is_mapped(stored.split(30)[0].offsets)
    assert len(stored.types) == len(whole.types)
    assert [stored.types[number] for number in range(len(whole.types))] == list(whole.types)
    assert stored.types[-1] == whole.types[-1]
    assert stored.types[2:5] == whole.types[2:5]
    with pytest.raises(IndexError):
        stored.types[len(whole.types)]
    with pytest.raises(ValueError, match="read-only"):
        stored.tokens[0] = 1


def test_parts_of_a_split_are_counted(tmp_path: Path) -> None:
    whole = encode(TEXTS, str.split)
    write_corpus(tmp_path / "corpus", [whole])
    for at in (0, 3, 20, 40, len(whole)):
        for part, expected in zip(open_corpus(tmp_path / "corpus").split(at), whole.split(at), strict=True):
            assert part.counts().tolist() == np.bincount(expected.tokens, minlength=len(whole.types)).tolist()


def test_vocabulary_is_the_same_from_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = encode(TEXTS, str.split)
    write_corpus(tmp_path / "corpus", [whole])
    stored = open_corpus(tmp_path / "corpus")
    settings = VocabularySettings(min_count=8)
    vocabulary, expected = (Vocabulary.build(corpus, settings, WHITESPACE) for corpus in (stored, whole))
    assert (vocabulary.tokens, vocabulary.counts) == (expected.tokens, expected.counts)
    assert vocabulary.oov(stored) == expected.oov(whole)
    # Of many types, the ids are kept too; what is damaged of them is made again.
    monkeypatch.setattr(shards, "_TYPES_DERIVED_FROM", 1)
    for damage in (None, None, b"", b"nonsense"):
        fresh = Vocabulary(expected.tokens, tokenizer=WHITESPACE)
        assert fresh.lookup(open_corpus(tmp_path / "corpus").types).tolist() == expected.lookup(whole.types).tolist()
        (ids,) = (tmp_path / "corpus").glob("ids-*.npy")
        if damage is not None:
            ids.write_bytes(damage)
    other = Vocabulary([*expected.tokens, "x"], tokenizer=WHITESPACE)
    assert other.lookup(stored.types).tolist() == other.lookup(whole.types).tolist()


@pytest.mark.parametrize("name", ["tokens.int32", "offsets.int64", "counts.int64", "types.txt", "places.int64"])
@pytest.mark.parametrize("how", ["cut", "flip", "remove"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str, how: str) -> None:
    write_corpus(tmp_path / "corpus", [encode(TEXTS, str.split)])
    file = tmp_path / "corpus" / name
    content = bytearray(file.read_bytes())
    if how == "remove":
        file.unlink()
    else:
        content[len(content) // 2] ^= 1
        file.write_bytes(content if how == "flip" else content[:-3])
    with pytest.raises(DataError) as caught:
        load_or_write(tmp_path / "corpus", lambda: pytest.fail("nothing is written over it"))
    assert caught.value.where == str(file)
    assert f"delete the folder {tmp_path / 'corpus'}" in str(caught.value)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"files": {"tokens.int32": 3}}', '{"files": {}}', "\udc80"])
def test_a_damaged_header_is_named(tmp_path: Path, content: str) -> None:
    write_corpus(tmp_path / "corpus", [encode(TEXTS, str.split)])
    header = tmp_path / "corpus" / "header.json"
    header.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError) as caught:
        open_corpus(tmp_path / "corpus")
    assert caught.value.where == str(header)


def test_of_a_large_file_a_sample_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "_BLOCK", 16)
    monkeypatch.setattr(shards, "_BLOCKS_CHECKED", 3)
    write_corpus(tmp_path / "corpus", [encode(TEXTS, str.split)])
    tokens = tmp_path / "corpus" / "tokens.int32"
    content = tokens.read_bytes()
    for place in (0, len(content) - 1):
        changed = bytearray(content)
        changed[place] ^= 1
        tokens.write_bytes(changed)
        with pytest.raises(DataError, match=f"block {1 + place // 16} of"):
            open_corpus(tmp_path / "corpus")


def test_a_writing_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    def parts() -> Iterator[EncodedCorpus]:
        yield encode(TEXTS, str.split)
        raise DataError("line 7 is broken")

    with pytest.raises(DataError, match="line 7"):
        write_corpus(tmp_path / "cache" / "corpus", parts())
    assert list((tmp_path / "cache").iterdir()) == []


def test_of_two_writers_the_first_wins(tmp_path: Path) -> None:
    def slower() -> Generator[EncodedCorpus, None, None]:
        yield encode(TEXTS, str.split)
        write_corpus(tmp_path / "corpus", [encode(TEXTS, str.split)])
        (tmp_path / "corpus" / "first").touch()

    assert same(load_or_write(tmp_path / "corpus", slower), encode(TEXTS, str.split))
    assert (tmp_path / "corpus" / "first").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


def test_what_a_killed_process_left_is_removed_a_day_later(tmp_path: Path) -> None:
    old, young, file = tmp_path / "a-1.new", tmp_path / "b-2.new", tmp_path / ".fingerprint.json.3.new"
    for folder in (old, young):
        folder.mkdir()
        (folder / "tokens.int32").touch()
    file.touch()
    for path in (old / "tokens.int32", old, file):
        os.utime(path, (0, 0))
    write_corpus(tmp_path / "corpus", [encode(TEXTS, str.split)])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b-2.new", "corpus"]


def test_small_files_are_not_cached(tmp_path: Path) -> None:
    (tmp_path / "small.txt").write_text("the cat sat\n", encoding="utf-8")
    encode_corpus(experiment_in(tmp_path), [tmp_path / "small.txt"], WHITESPACE)
    assert not (tmp_path / "runs").exists()


def test_the_same_text_is_tokenised_once(corpus_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenised = []

    def counting(texts: Iterator[str], *arguments: object) -> Iterator[EncodedCorpus]:
        tokenised.append(1)
        return encode_chunks(texts, *arguments)

    monkeypatch.setattr(sources, "encode_chunks", counting)
    experiment, lower = experiment_in(corpus_file.parent), TokenizerSettings(kind="whitespace", lowercase=True)
    expected = encode(["the cat sat", "the dog"], str.split)
    for _ in range(2):
        assert same(encode_corpus(experiment, [corpus_file], WHITESPACE), expected)
    assert len(tokenised) == 1
    renamed = corpus_file.rename(corpus_file.with_name("renamed.txt"))
    encode_corpus(experiment_in(corpus_file.parent, text=["no matter in a text file"]), [renamed], WHITESPACE)
    assert len(tokenised) == 1
    limited = experiment_in(corpus_file.parent, train=renamed, limit=1)
    assert len(encode_corpus(limited, [renamed], WHITESPACE)) == 1
    encode_corpus(experiment, [renamed], lower)
    encode_corpus(experiment, [renamed, renamed], WHITESPACE)
    encode_corpus(experiment_in(corpus_file.parent, clean="ag-news"), [renamed], WHITESPACE)
    assert len(tokenised) == 5
    stamp = renamed.stat()
    renamed.write_text("the cat ran\nthe dog\n", encoding="utf-8")  # as long, and of the same time
    os.utime(renamed, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert "ran" in encode_corpus(experiment, [renamed], WHITESPACE).types
    assert len(tokenised) == 6


def test_a_table_is_cached_by_its_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "CACHED_FROM", 1)
    (tmp_path / "table.csv").write_text("title,text\na b,c d\ne f,g h\n", encoding="utf-8")
    for columns, expected in ((["title"], "abef"), (["text"], "cdgh"), (["title", "text"], "abcdefgh")):
        found = encode_corpus(experiment_in(tmp_path, text=columns), [tmp_path / "table.csv"], WHITESPACE)
        assert "".join(list(found.types)[3:]) == expected


def test_an_error_in_the_text_keeps_its_line_and_leaves_nothing(corpus_file: Path) -> None:
    corpus_file.write_bytes(b"the cat\nthe \xff dog\n")
    with pytest.raises(DataError) as caught:
        encode_corpus(experiment_in(corpus_file.parent), [corpus_file], WHITESPACE)
    assert "line 2" in (caught.value.where or "")
    assert list((corpus_file.parent / "runs" / ".cache").iterdir()) == []


def test_a_file_that_changes_while_it_is_read_is_refused(corpus_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def growing(texts: Iterator[str], *arguments: object) -> Iterator[EncodedCorpus]:
        yield from encode_chunks(texts, *arguments)
        corpus_file.write_text("the cat sat\nthe dog\nmore\n", encoding="utf-8")

    monkeypatch.setattr(sources, "encode_chunks", growing)
    with pytest.raises(DataError, match="changed while it was read"):
        encode_corpus(experiment_in(corpus_file.parent), [corpus_file], WHITESPACE)
    assert list((corpus_file.parent / "runs" / ".cache").iterdir()) == []


def test_without_a_place_for_the_cache_the_corpus_is_held_in_memory(corpus_file: Path) -> None:
    (corpus_file.parent / "runs").write_text("a file where the folder should be", encoding="utf-8")
    told: list[Notice | Progress] = []
    found = encode_corpus(experiment_in(corpus_file.parent), [corpus_file], WHITESPACE, tell=told.append)
    assert same(found, encode(["the cat sat", "the dog"], str.split))
    assert any(isinstance(event, Notice) and "cannot be kept" in event.message for event in told)


def test_fingerprints_of_large_settled_files_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = []
    actual = shards.fingerprint
    monkeypatch.setattr(shards, "fingerprint", lambda path: hashed.append(path) or actual(path))
    monkeypatch.setattr(shards, "_REMEMBERED_FROM", 4)
    file, cache = tmp_path / "corpus.txt", tmp_path / "cache"
    file.write_text("text", encoding="utf-8")
    assert Fingerprints(cache)(file) == Fingerprints(cache)(file) == actual(file)
    assert len(hashed) == 2  # written just now: it may change again within the same tick of the clock
    monkeypatch.setattr(shards, "_SETTLED", 0.0)
    time.sleep(0.02)
    assert Fingerprints(cache)(file) == Fingerprints(cache)(file) == actual(file)
    assert len(hashed) == 3
    stamp = file.stat()
    file.write_text("next", encoding="utf-8")
    os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # what betrays it is the time of the inode
    assert Fingerprints(cache)(file) == actual(file)
    assert len(hashed) == 4
    for memo in cache.iterdir():
        memo.write_text("{", encoding="utf-8")
    assert Fingerprints(cache)(file) == actual(file)
    with pytest.raises(DataError, match="no file"):
        Fingerprints(cache)(tmp_path / "absent.txt")


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "CHUNK_CHARACTERS", 30)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("settings", [WHITESPACE, TokenizerSettings(lowercase=True)])
def test_processes_make_the_same_corpus_as_one(tmp_path: Path, settings: TokenizerSettings) -> None:
    told: list[Notice | Progress] = []
    parts = list(encode_chunks(iter(TEXTS), settings, 2, told.append))
    assert len(parts) > 10
    write_corpus(tmp_path / "corpus", parts)
    assert same(open_corpus(tmp_path / "corpus"), encode(TEXTS, Tokenizer(settings)))
    assert not told


@pytest.mark.usefixtures("small_chunks")
def test_without_processes_the_work_is_done_here_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **more: object) -> None:
        raise BrokenExecutor("Resource temporarily unavailable")

    monkeypatch.setattr(parallel, "pool", refuse)
    told: list[Notice | Progress] = []
    parts = list(encode_chunks(TEXTS, WHITESPACE, 2, told.append))
    assert sum(part.token_count for part in parts) == encode(TEXTS, str.split).token_count
    assert "Resource temporarily unavailable" in str(told[0])


@pytest.mark.usefixtures("small_chunks")
def test_a_process_that_is_lost_loses_nothing(tmp_path: Path) -> None:
    told: list[Notice | Progress] = []
    many = TEXTS * 50  # so that it is missed before all is done
    parts = encode_chunks(many, WHITESPACE, 2, told.append)
    found = [next(parts)]
    os.kill(active_children()[0].pid, signal.SIGKILL)
    write_corpus(tmp_path / "corpus", [*found, *parts])
    assert same(open_corpus(tmp_path / "corpus"), encode(many, str.split))
    assert "ended early" in str(told[0])


@pytest.mark.usefixtures("small_chunks")
def test_few_chunks_are_read_ahead() -> None:
    read = []

    def texts() -> Iterator[str]:
        for number in range(1000):
            read.append(number)
            yield "as many characters as a chunk holds"

    with closing(encode_chunks(texts(), WHITESPACE, 2, print)) as parts:
        next(parts)
    assert len(read) < 10


def test_processes_that_tokenise_do_without_torch() -> None:
    with pool(2, threads=1) as executor:
        executor.submit(parallel._encode, ["a b"], WHITESPACE).result()
        assert "torch" not in executor.submit(eval, "[*__import__('sys').modules]").result()
