"""A run as bilm-tf's files: read by the oracle alone, read back by `elmo import`, and every refusal."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from bilm_files import Shape, make, read
from test_bilm_tf import character_ids

from elmo_cli.config import CharacterSettings, ClassifySettings, DataSettings, ModelSettings, TokenizerSettings
from elmo_cli.embedder import Embedder, Extractor
from elmo_cli.errors import RunError, WeightsError
from elmo_cli.events import Notice
from elmo_cli.interop import bilm_export
from elmo_cli.interop.bilm_export import export_bilm_tf
from elmo_cli.interop.importing import import_run
from elmo_cli.model.bilm import BiLm
from elmo_cli.model.classifier import Classifier
from elmo_cli.runs import RunWriter, load_embedder, load_lm, save_classifier, save_lm
from elmo_cli.text.encoded import encode_tokens
from elmo_cli.text.vocabulary import Vocabulary

TOKENIZER = TokenizerSettings(kind="whitespace", lowercase=True)
WORDS = ("<S>", "</S>", "<UNK>", "the", "café", "of", "match")
SENTENCES = [["the", "match", "of", "naïve", "café"], ["of"], ["the", "the"]]
CNN = CharacterSettings(dim=3, filters=((1, 3), (2, 5)), highway_layers=1)
SETTINGS = {
    "characters": ModelSettings(encoder="char", hidden_size=6, projection_size=4, residual=True, characters=CNN),
    "characters, nothing projected": ModelSettings(
        encoder="char", hidden_size=8, layers=3, projection_clip=0.01, cell_clip=None, characters=CNN
    ),
    "words": ModelSettings(hidden_size=6, projection_size=4, projection_clip=0.1, cell_clip=0.2),
    "words, a narrow table, another forget bias": ModelSettings(hidden_size=6, embedding_size=3, forget_bias=0.25),
    "one layer": ModelSettings(hidden_size=6, projection_size=4, layers=1, encoder="char", characters=CNN),
}


def make_embedder(settings: ModelSettings) -> Embedder:
    torch.manual_seed(5)
    network = BiLm(settings, len(WORDS)).eval()
    for name, parameter in network.named_parameters():
        if name.startswith("lstm_layers"):
            parameter.data += 0.3 * torch.randn_like(parameter)  # biases begin at zero, where a swap would not show
    return Embedder.of(network, Vocabulary(WORDS, tokenizer=TOKENIZER), TOKENIZER, "lm")


def save(embedder: Embedder, path: Path) -> Path:
    with RunWriter(path, "lm", "test") as writer:
        save_lm(writer, embedder.bilm(), embedder.vocabulary)
    return path


def layers_of(embedder: Embedder) -> np.ndarray:
    return next(Extractor(embedder).batches(encode_tokens(SENTENCES), [np.arange(len(SENTENCES))]))[1].numpy()


@pytest.mark.parametrize("name", SETTINGS)
def test_the_files_hold_the_model(name: str, tmp_path: Path) -> None:
    embedder = make_embedder(SETTINGS[name])
    report = export_bilm_tf(save(embedder, tmp_path / "run"), tmp_path / "out")
    assert report.difference < 1e-5
    assert report.files == ["options.json", "vocab.txt", "vocab.yaml", "weights.hdf5"]
    expected = layers_of(embedder)
    oracle = read(tmp_path / "out").oracle()
    lines = (tmp_path / "out" / "vocab.txt").read_text(encoding="utf-8").split()
    for row, sentence in enumerate(SENTENCES):
        framed = ["<S>", *sentence, "</S>"]
        if SETTINGS[name].encoder == "char":
            vectors = [oracle.characters(character_ids(token)) for token in framed]
        else:
            table = oracle.weights["encoder.table"]
            vectors = [table[1 + lines.index(token if token in lines else "<UNK>")] for token in framed]
        found, _ = oracle.layers(vectors, None)
        np.testing.assert_allclose(expected[:, row, : len(sentence)], found, atol=1e-5)
    import_run(tmp_path / "out", tmp_path / "back")
    back = load_lm(tmp_path / "back")
    np.testing.assert_allclose(layers_of(back), expected, atol=1e-5)
    assert back.tokenizer == TOKENIZER
    assert back.vocabulary is not None
    assert back.vocabulary.tokens == WORDS
    # what stands for a projection that there is none of is not taken for one
    assert back.bilm().settings.projection_size == SETTINGS[name].projection_size


def test_all_that_allennlp_asks_for_is_there(tmp_path: Path) -> None:
    export_bilm_tf(save(make_embedder(SETTINGS["characters, nothing projected"]), tmp_path / "run"), tmp_path / "out")
    made = read(tmp_path / "out")
    for name in ("CNN_proj/W_proj", *(f"{made.cell(way, layer)}/W_P_0" for way in (0, 1) for layer in range(3))):
        np.testing.assert_array_equal(made.arrays[name], np.eye(8))
    np.testing.assert_array_equal(made.arrays["CNN_proj/b_proj"], np.zeros(8))
    assert made.options["lstm"]["proj_clip"] is None


def test_a_map_that_changes_something_is_no_identity(tmp_path: Path) -> None:
    made = make(Shape(dim=9, projection=9, lstm={"cell_clip": 0.6}))
    name = f"{made.cell(1, 1)}/W_P_0"
    made.arrays[name] = np.eye(9, dtype=np.float32)
    import_run(made.write(tmp_path / "model"), tmp_path / "run")
    made.arrays[name][2, 3] = 0.1
    with pytest.raises(WeightsError, match="W_P_0 is a map of which the options do not speak"):
        import_run(made.write(tmp_path / "model"), tmp_path / "other")


def test_what_is_left_out_is_said_first(tmp_path: Path) -> None:
    run, said = save(make_embedder(SETTINGS["characters"]), tmp_path / "run"), []
    export_bilm_tf(run, tmp_path / "out", tell=said.append)
    messages = " ".join(event.message for event in said if isinstance(event, Notice))
    assert "softmax is left out" in messages
    assert "whitespace, lower-cased" in messages
    assert "AllenNLP" not in messages
    said.clear()
    export_bilm_tf(save(make_embedder(SETTINGS["words"]), tmp_path / "words"), tmp_path / "other", tell=said.append)
    assert any("AllenNLP reads character models alone" in event.message for event in said)


def test_the_bilm_of_a_classifier(tmp_path: Path) -> None:
    embedder = make_embedder(SETTINGS["characters"])
    settings = ClassifySettings(hidden_size=4)
    classifier = Classifier(embedder.network, settings, 2, seed=1)
    with RunWriter(tmp_path / "run", "classifier", "test") as writer:
        save_classifier(writer, [classifier], embedder, ["a", "b"], settings, DataSettings())
    said: list[object] = []
    export_bilm_tf(tmp_path / "run", tmp_path / "out", tell=said.append)
    assert any("mix of layers" in str(event) for event in said)
    import_run(tmp_path / "out", tmp_path / "back")
    np.testing.assert_allclose(layers_of(load_embedder(tmp_path / "back")), layers_of(embedder), atol=1e-6)


def test_words_beside_characters_are_refused(tmp_path: Path) -> None:
    settings = SETTINGS["characters"].model_copy(update={"encoder": "word+char"})
    with pytest.raises(WeightsError, match="words and characters side by side"):
        export_bilm_tf(save(make_embedder(settings), tmp_path / "run"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_files_are_not_replaced_unasked(tmp_path: Path) -> None:
    run = save(make_embedder(SETTINGS["words"]), tmp_path / "run")
    export_bilm_tf(run, tmp_path / "out")
    (tmp_path / "out" / "notes").write_text("mine")
    with pytest.raises(RunError, match=r"holds options\.json already"):
        export_bilm_tf(run, tmp_path / "out")
    export_bilm_tf(run, tmp_path / "out", overwrite=True)
    assert (tmp_path / "out" / "notes").read_text() == "mine"
    with pytest.raises(RunError, match="is a file"):
        export_bilm_tf(run, tmp_path / "out" / "notes")


def test_what_reads_back_otherwise_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = save(make_embedder(SETTINGS["words"]), tmp_path / "run")
    write = bilm_export._write

    def damaged(embedder: Embedder, folder: Path) -> int:
        count = write(embedder, folder)
        with h5py.File(folder / "weights.hdf5", "r+") as file:
            file["RNN_1/RNN/MultiRNNCell/Cell1/LSTMCell/B"][0] += 0.5
        return count

    monkeypatch.setattr(bilm_export, "_write", damaged)
    with pytest.raises(WeightsError, match="read back, activations differ"):
        export_bilm_tf(run, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]
