"""word2vec training: the same each time, on the biLM's vocabulary, never on test text."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from elmo_cli.config import DataSettings, Experiment, TokenizerSettings, VocabularySettings, Word2VecSettings
from elmo_cli.errors import ConfigError, DataError, RunError
from elmo_cli.text.encoded import EncodedCorpus, encode_tokens
from elmo_cli.text.vocabulary import Vocabulary
from elmo_cli.vectors.embedder import static_embedder
from elmo_cli.vectors.formats import read_vectors, table_for
from elmo_cli.vectors.word2vec import train_word2vec, word2vec_run

SETTINGS = Word2VecSettings(dim=8, window=2, epochs=3)


def corpus() -> EncodedCorpus:
    """Two topics whose words never meet, and rare words."""
    generator = np.random.default_rng(1)
    topics = [["cat", "dog", "fur", "paw"], ["stock", "bond", "bank", "rate"]]
    sentences = [[str(word) for word in generator.choice(topics[i % 2], 6)] for i in range(300)]
    return encode_tokens([*sentences, [], ["once"], ["never-again"]])


def vocabulary_of(encoded: EncodedCorpus) -> Vocabulary:
    return Vocabulary.build(encoded, VocabularySettings(min_count=2), TokenizerSettings(kind="whitespace"))


def test_words_of_a_topic_come_together() -> None:
    encoded = corpus()
    vocabulary = vocabulary_of(encoded)
    settings = Word2VecSettings(dim=8, window=3, epochs=20)
    vectors = train_word2vec(encoded, settings, vocabulary, seed=1)
    assert vectors.tokens == [token for token in vocabulary.tokens if token not in ("<S>", "</S>")]
    unit = vectors.matrix / np.linalg.norm(vectors.matrix, axis=1, keepdims=True)

    def similarity(one: str, other: str) -> float:
        return float(unit[vectors.rows[one]] @ unit[vectors.rows[other]])

    assert similarity("cat", "dog") > similarity("cat", "bank") + 0.3
    assert similarity("bond", "rate") > similarity("bond", "paw") + 0.3


def test_rare_words_are_trained_as_unknown() -> None:
    encoded = corpus()
    vectors = train_word2vec(encoded, SETTINGS, vocabulary_of(encoded), seed=1)
    assert "<UNK>" in vectors.rows
    assert "once" not in vectors.rows
    _, known = table_for(vocabulary_of(encoded), vectors, seed=1)
    assert known.tolist() == [False, False, False, *[True] * 9]  # padding, <S>, </S>; then <UNK> and the words


def test_progress_by_epoch() -> None:
    seen: list[tuple[int, int]] = []
    encoded = corpus()
    train_word2vec(encoded, SETTINGS, vocabulary_of(encoded), 1, lambda done, epochs: seen.append((done, epochs)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_nothing_is_lost_from_long_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = encode_tokens([["a", "b", "c"] * 7])
    vocabulary = vocabulary_of(whole)
    monkeypatch.setattr("elmo_cli.vectors.word2vec._LONGEST", 5)
    from elmo_cli.vectors.word2vec import _Sentences

    pieces = _Sentences(whole, vocabulary)
    assert [len(piece) for piece in pieces] == [5, 5, 5, 5, 1]
    assert pieces.count == 5
    assert pieces.counts() == {"a": 7, "b": 7, "c": 7}


def test_no_tokens_no_vectors() -> None:
    full = corpus()
    with pytest.raises(DataError, match="no tokens"):
        train_word2vec(encode_tokens([[]]), SETTINGS, vocabulary_of(full), seed=1)


def experiment(**data: object) -> Experiment:
    return Experiment(word2vec=SETTINGS, data=DataSettings.model_validate(data))


def write_corpus(path: Path) -> Path:
    encoded = corpus()
    lines = [" ".join(encoded.types[number] for number in encoded.sentence(i)) for i in range(len(encoded))]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("binary", [False, True])
def test_a_file_is_written_and_kept(binary: bool, tmp_path: Path) -> None:
    text, out = write_corpus(tmp_path / "corpus.txt"), tmp_path / "vectors" / "w2v"
    report = word2vec_run(experiment(), [text], out, binary)
    vectors = read_vectors(out)
    assert vectors.format == ("word2vec binary" if binary else "word2vec text")
    assert (report.vectors, report.width) == vectors.matrix.shape == (9, 8)
    assert report.unknown == 2
    assert report.tokens == 1802
    assert report.reproducible
    before = out.read_bytes()
    with pytest.raises(RunError, match="exists already"):
        word2vec_run(experiment(), [text], out, binary)
    word2vec_run(experiment(corpus=text), [], out, binary, overwrite=True)
    assert out.read_bytes() == before


def test_test_text_is_refused(tmp_path: Path) -> None:
    text, out = write_corpus(tmp_path / "corpus.txt"), tmp_path / "w2v"
    (tmp_path / "link.txt").symlink_to(text)
    with pytest.raises(ConfigError, match="is the test file"):
        word2vec_run(experiment(test=text), [tmp_path / "link.txt"], out)
    assert not out.exists()


def test_vectors_do_not_depend_on_hash_order(tmp_path: Path) -> None:
    text = write_corpus(tmp_path / "corpus.txt")
    code = (
        "import sys; from pathlib import Path; from elmo_cli.config import *; from elmo_cli.vectors.word2vec import *\n"
        "word2vec_run(Experiment(word2vec=Word2VecSettings(dim=4, epochs=1)), [Path(sys.argv[1])], Path(sys.argv[2]))"
    )
    written = []
    for seed in ("1", "2"):
        out = tmp_path / seed
        command = [sys.executable, "-c", code, str(text), str(out)]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"})
        written.append(out.read_bytes())
    assert written[0] == written[1]


def test_static_embedder_looks_vectors_up() -> None:
    import torch

    from elmo_cli.embedder import embed_batches

    encoded = corpus()
    vocabulary = vocabulary_of(encoded)
    vectors = train_word2vec(encoded, SETTINGS, vocabulary, seed=1)
    embedder = static_embedder(vectors, vocabulary, seed=1)
    text = encode_tokens([["cat", "bank"], ["dog"]])
    _, layers, lengths = next(embed_batches(embedder, text, [np.array([0, 1])]))
    assert layers.shape == (1, 2, 2, 8)
    assert lengths.tolist() == [2, 1]
    torch.testing.assert_close(layers[0, 0, 1], torch.from_numpy(vectors.matrix[vectors.rows["bank"]]))
    assert not layers[0, 1, 1].any()
    assert embedder.tokenizer == vocabulary.tokenizer
