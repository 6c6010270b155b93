"""A vector a type: the mean over contexts counted by hand, components, weights, and the file as `compare` reads it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tinyworld import MODEL, TOKENIZER, make_bilm, make_experiment, make_static

from elmo_cli.config import ClassifySettings, DataSettings
from elmo_cli.embedder import Embedder, Extractor
from elmo_cli.errors import ConfigError, DataError, RunError, WeightsError
from elmo_cli.events import Notice
from elmo_cli.inference import distil
from elmo_cli.inference.distil import StaticOptions, export_static, inverse_frequency, principal_components
from elmo_cli.model.bilm import BiLm
from elmo_cli.model.classifier import Classifier
from elmo_cli.runs import RunWriter, save_classifier, save_lm
from elmo_cli.text.encoded import encode_tokens
from elmo_cli.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from elmo_cli.vectors.formats import read_vectors

SENTENCES = [["the", "match", "the"], ["a", "team", "unheard"], [], ["unknown", "match"]]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    embedder = make_bilm()
    with RunWriter(tmp_path / "lm", "lm", "test") as writer:
        save_lm(writer, embedder.bilm(), embedder.vocabulary)
    (tmp_path / "corpus.txt").write_text("\n".join(" ".join(sentence) for sentence in SENTENCES) + "\n")
    return tmp_path / "lm"


def by_hand(embedder: Embedder, layer: int | None = None) -> dict[str, np.ndarray]:
    """Every activation of every token, one sentence after another, and then the mean."""
    met: dict[str, list[np.ndarray]] = {}
    for sentence in filter(None, SENTENCES):
        _, layers, _ = next(Extractor(embedder).batches(encode_tokens([sentence]), [np.arange(1)]))
        values = layers.numpy()[:, 0]
        for position, token in enumerate(sentence):
            known = token if token in embedder.vocabulary else "<UNK>"
            met.setdefault(known, []).append((values.mean(0) if layer is None else values[layer])[position])
    return {token: np.mean(values, axis=0) for token, values in met.items()}


@pytest.mark.parametrize(("layer", "number"), [("average", None), ("top", 2), (1, 1)])
@pytest.mark.parametrize("cells", [4096, 4], ids=["whole", "in windows"])
def test_a_vector_is_the_mean_of_its_contexts(
    layer: str | int, number: int | None, cells: int, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distil, "DEFAULT_BATCH_TOKENS", cells)
    said: list[object] = []
    report = export_static(
        make_experiment(tmp_path),
        run,
        [tmp_path / "corpus.txt"],
        tmp_path / "v.txt",
        StaticOptions(layer=layer),
        tell=said.append,
    )
    expected, found = by_hand(make_bilm(), number), read_vectors(tmp_path / "v.txt")
    assert set(found.tokens) == set(expected) == {"<UNK>", "the", "match", "a", "team"}
    for token, vector in expected.items():
        np.testing.assert_allclose(found.matrix[found.rows[token]], vector, atol=1e-6)
    assert (report.vectors, report.tokens, report.width) == (5, 8, 2 * MODEL.token_size)
    assert report.unseen == len(make_bilm().vocabulary) - 3 - 4
    assert any(isinstance(event, Notice) and "do not occur" in event.message for event in said)


def test_isolated_tokens_need_no_corpus(run: Path, tmp_path: Path) -> None:
    options = StaticOptions(isolated=True, binary=True)
    report = export_static(make_experiment(tmp_path), run, [], tmp_path / "v.bin", options)
    embedder, found = make_bilm(), read_vectors(tmp_path / "v.bin")
    assert found.tokens == list(embedder.vocabulary.tokens[3:])
    assert report.unseen == 0
    _, layers, _ = next(Extractor(embedder).batches(encode_tokens([["match"]]), [np.arange(1)]))
    np.testing.assert_allclose(found.matrix[found.rows["match"]], layers.numpy()[:, 0, 0].mean(0), atol=1e-6)


def test_components_keep_the_distances_of_what_lies_in_a_plane() -> None:
    generator = np.random.default_rng(1)
    plane = generator.normal(size=(20, 2)) @ generator.normal(size=(2, 7)) + 3.0
    reduced, kept = principal_components(plane, 2)
    assert kept == pytest.approx(1.0)
    np.testing.assert_allclose(reduced.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(
        np.linalg.norm(reduced[:1] - reduced, axis=1), np.linalg.norm(plane[:1] - plane, axis=1), atol=1e-9
    )
    assert reduced[:, 0].var() > reduced[:, 1].var()
    with pytest.raises(ConfigError, match="--pca is 8, of 20 vectors of 7 numbers"):
        principal_components(plane, 8)


def test_frequent_types_weigh_less(run: Path, tmp_path: Path) -> None:
    assert inverse_frequency(np.array([0.0, 0.1]), 0.1).tolist() == [1.0, 0.5]
    experiment, corpus = make_experiment(tmp_path), [tmp_path / "corpus.txt"]
    export_static(experiment, run, corpus, tmp_path / "plain.txt", StaticOptions(components=3))
    report = export_static(experiment, run, corpus, tmp_path / "sif.txt", StaticOptions(components=3, sif=0.25))
    plain, weighed = read_vectors(tmp_path / "plain.txt"), read_vectors(tmp_path / "sif.txt")
    assert report.width == plain.width == 3
    assert report.kept_variance is not None
    assert 0 < report.kept_variance <= 1
    for token, times in {"the": 2, "match": 2, "<UNK>": 2, "a": 1, "team": 1}.items():
        row = plain.rows[token]
        np.testing.assert_allclose(weighed.matrix[row], plain.matrix[row] * 0.25 / (0.25 + times / 8), rtol=1e-5)


def test_what_cannot_be_exported(run: Path, tmp_path: Path) -> None:
    experiment, corpus = make_experiment(tmp_path), [tmp_path / "corpus.txt"]
    with pytest.raises(ConfigError, match="there is no layer 3"):
        export_static(experiment, run, corpus, tmp_path / "v.txt", StaticOptions(layer=3))
    with RunWriter(tmp_path / "bare", "lm", "test") as writer:
        save_lm(writer, BiLm(MODEL, 3), Vocabulary(SPECIAL_TOKENS, tokenizer=TOKENIZER))
    with pytest.raises(DataError, match="no tokens to make vectors of"):
        export_static(experiment, tmp_path / "bare", [], tmp_path / "v.txt", StaticOptions(isolated=True))
    export_static(experiment, run, corpus, tmp_path / "v.txt")
    with pytest.raises(RunError, match="exists already"):
        export_static(experiment, run, corpus, tmp_path / "v.txt")
    embedder, settings = make_static(), ClassifySettings(hidden_size=4)
    with RunWriter(tmp_path / "c", "classifier", "test") as writer:
        classifier = Classifier(embedder.network, settings, 2, seed=1)
        save_classifier(writer, [classifier], embedder, ["a", "b"], settings, DataSettings())
    with pytest.raises(WeightsError, match="static vectors and no language model"):
        export_static(experiment, tmp_path / "c", corpus, tmp_path / "w.txt")


def test_a_file_that_reads_back_otherwise_is_not_kept(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = distil.write_word2vec
    monkeypatch.setattr(distil, "write_word2vec", lambda path, tokens, matrix, binary: write(path, tokens, -matrix))
    with pytest.raises(DataError, match="reads back otherwise"):
        export_static(make_experiment(tmp_path), run, [tmp_path / "corpus.txt"], tmp_path / "v.txt")
    assert not (tmp_path / "v.txt").exists()
