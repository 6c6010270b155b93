"""Weights of bilm-tf: a made-up model against the oracle, and every way in which files can be wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest
from bilm_files import Made, Shape, make

from elmo_cli.config import TokenizerSettings
from elmo_cli.errors import DataError, ElmoError, RunError, WeightsError
from elmo_cli.inference.embed import EmbedOptions, embed_run, read_dump
from elmo_cli.interop.bilm_tf import find_files, load_bilm_tf
from elmo_cli.interop.importing import import_run
from elmo_cli.metrics.perplexity import perplexity
from elmo_cli.runs import load_lm
from elmo_cli.text.encoded import encode_tokens
from elmo_cli.text.vocabulary import Vocabulary

WHITESPACE = TokenizerSettings(kind="whitespace")
LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
SENTENCES = [
    "a naïve café , 猫 と 犬 🙂 .",
    LONG,
    "",
    f"{'x' * 47} {'x' * 48} {'x' * 49} {'é' * 25} end",
    "the same word the same",
]
SHAPES = {
    "projected": Shape(),
    "skip connections, three layers": Shape(
        layers=3, lstm={"use_skip_connections": True, "cell_clip": 3, "proj_clip": 0.3}
    ),
    "unprojected, filters as wide as a token": Shape(dim=9, projection=9, lstm={"cell_clip": 0.6, "proj_clip": 0.1}),
    "one layer by its short names, no clips": Shape(layers=None, lstm={}, one_layer_names=True),
    "one layer by its long names, clips of 0": Shape(layers=1, lstm={"cell_clip": 0, "proj_clip": 0}),
    "tanh, no highway, training file": Shape(highways=0, characters={"activation": "tanh", "n_characters": 261}),
}


def character_ids(token: str) -> list[int]:
    """By hand from docs/explanation/formats.md: marks, at most 48 bytes, padding; all shifted by one."""
    inner = {"<S>": [256], "</S>": [257]}.get(token) or list(token.encode())[:48]
    ids = [258, *inner, 259]
    return [number + 1 for number in ids + [260] * (50 - len(ids))]


def expected_layers(made: Made, sentences: Sequence[str], rows: int | None = None) -> list[np.ndarray]:
    """Activations by the oracle; with `rows`, states are carried as batches of so many sentences carry them."""
    oracle = made.oracle()
    vectors = {}
    states: dict[int, object] = {}
    layers = []
    for index, sentence in enumerate(sentences):
        framed = ["<S>", *sentence.split(), "</S>"]
        for token in framed:
            if token not in vectors:
                vectors[token] = oracle.characters(character_ids(token))
        row = None if rows is None else index % rows
        made_layers, state = oracle.layers(
            [vectors[token] for token in framed], states.get(row) if row is not None else None
        )
        if row is not None:
            states[row] = state
        layers.append(made_layers)
    return layers


@pytest.mark.parametrize("name", SHAPES)
def test_embeddings_are_those_of_the_oracle(name: str, tmp_path: Path) -> None:
    made = make(SHAPES[name])
    import_run(made.write(tmp_path / "model"), tmp_path / "run")
    report = embed_run(tmp_path / "run", SENTENCES, tmp_path / "out.hdf5", EmbedOptions(tokenizer=WHITESPACE))
    expected = expected_layers(made, SENTENCES)
    assert report.layers == (made.options["lstm"].get("n_layers") or 1) + 1
    found = dict(read_dump(tmp_path / "out.hdf5"))
    assert sorted(found) == list(range(len(SENTENCES)))
    for index, layers in enumerate(expected):
        assert found[index].dtype == np.float32
        np.testing.assert_allclose(found[index], layers, atol=2e-5, err_msg=SENTENCES[index])


def test_stateful_embeddings_are_those_of_the_oracle(tmp_path: Path) -> None:
    made = make(Shape(lstm={"use_skip_connections": True, "cell_clip": 1, "proj_clip": 1}))
    import_run(made.write(tmp_path / "model"), tmp_path / "run")
    options = {"tokenizer": WHITESPACE, "stateful": True, "batch_size": 2}
    embed_run(tmp_path / "run", SENTENCES, tmp_path / "out.hdf5", EmbedOptions(**options))
    found = dict(read_dump(tmp_path / "out.hdf5"))
    for index, layers in enumerate(expected_layers(made, SENTENCES, rows=2)):
        np.testing.assert_allclose(found[index], layers, atol=2e-5)
    assert np.abs(found[4][1:] - expected_layers(made, SENTENCES)[4][1:]).max() > 1e-3


def test_a_word_is_cut_after_48_bytes() -> None:
    oracle = make(Shape()).oracle()
    long, longer = (oracle.characters(character_ids("x" * count)) for count in (48, 49))
    np.testing.assert_array_equal(long, longer)


def test_word_id_models_need_their_vocabulary(tmp_path: Path) -> None:
    made = make(Shape())
    del made.options["char_cnn"]
    made.arrays = {name: values for name, values in made.arrays.items() if name.startswith("RNN")}
    table = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)
    made.arrays["embedding"] = table
    folder = made.write(tmp_path / "model")
    with pytest.raises(WeightsError, match="none is there"):
        import_run(folder, tmp_path / "run")
    (folder / "words.txt").write_text("<S>\n</S>\n<UNK>\nthe\n")
    with pytest.raises(WeightsError, match=r"words\.txt has 4"):
        import_run(folder, tmp_path / "run")
    (folder / "words.txt").write_text("<S>\n</S>\n<UNK>\nthe\ncat\n")
    import_run(folder, tmp_path / "run")
    embed_run(tmp_path / "run", ["cat the dog"], tmp_path / "out.hdf5", EmbedOptions(layers=0))
    np.testing.assert_array_equal(dict(read_dump(tmp_path / "out.hdf5"))[0], np.tile(table[[4, 3, 2]], 2))


def test_a_plain_word_list_is_no_vocabulary(tmp_path: Path) -> None:
    folder = make(Shape()).write(tmp_path / "model")
    (folder / "vocab_test.txt").write_text("the\n<S>\n</S>\n<UNK>\n")
    assert import_run(folder, tmp_path / "run").vocabulary is None
    assert "no softmax" in (tmp_path / "run" / "README.md").read_text()
    assert load_lm(tmp_path / "run").vocabulary is None
    (folder / "vocab.txt").write_text("<S>\n</S>\n<UNK>\nthe\n")
    assert import_run(folder, tmp_path / "run", overwrite=True).vocabulary == folder / "vocab.txt"
    vocabulary = load_lm(tmp_path / "run").vocabulary
    assert vocabulary is not None
    assert vocabulary.tokens == ("<S>", "</S>", "<UNK>", "the")
    (folder / "vocab.txt").write_text("<S>\n</S>\n<UNK>\nthe\nthe\n")
    with pytest.raises(DataError, match="stands twice"):
        import_run(folder, tmp_path / "run", overwrite=True)


def test_what_needs_a_softmax_says_so(tmp_path: Path) -> None:
    import_run(make(Shape()).write(tmp_path / "model"), tmp_path / "run")
    embedder = load_lm(tmp_path / "run")
    with pytest.raises(WeightsError, match="has no vocabulary"):
        perplexity(embedder, encode_tokens([["the"]]))
    embedder.vocabulary = Vocabulary(["<S>", "</S>", "<UNK>", "the"], tokenizer=WHITESPACE)
    with pytest.raises(WeightsError, match="has no softmax"):
        perplexity(embedder, encode_tokens([["the"]]))


def test_a_run_is_not_overwritten_unasked(tmp_path: Path) -> None:
    folder = make(Shape()).write(tmp_path / "model")
    import_run(folder, tmp_path / "run")
    with pytest.raises(RunError, match="exists already"):
        import_run(folder, tmp_path / "run")


def drop(name: str) -> Callable[[Made], object]:
    return lambda made: made.arrays.pop(name)


def put(name: str, values: np.ndarray) -> Callable[[Made], object]:
    return lambda made: made.arrays.update({name: values})


def option(section: str, **values: object) -> Callable[[Made], object]:
    return lambda made: made.options[section].update(values)


CELL = "RNN_1/RNN/MultiRNNCell/Cell0/LSTMCell"


@pytest.mark.parametrize(
    ("change", "message", "expected"),
    [
        (drop("char_embed"), "lacks char_embed", "(261, 3)"),
        (drop("CNN_high_1/b_carry"), "lacks CNN_high_1/b_carry", "(9,)"),
        (drop(f"{CELL}/W_P_0"), f"lacks {CELL}/W_P_0", "(6, 4)"),
        (put("softmax/W", np.zeros((2, 3), np.float32)), r"has softmax/W of shape \(2, 3\)", "no datasets but"),
        (put("CNN/W_cnn_0", np.zeros((1, 1, 3, 4), np.float32)), r"W_cnn_0 has shape \(1, 1, 3, 4\)", "(1, 1, 3, 3)"),
        (put("char_embed", np.zeros((262, 3), np.float32)), r"char_embed has shape \(262, 3\)", "(261, 3)"),
        (put(f"{CELL}/B", np.full(24, np.nan, np.float32)), f"{CELL}/B holds NaN", "finite"),
        (put(f"{CELL}/B", np.zeros(24, np.int32)), f"{CELL}/B holds int32", "floats"),
        (option("lstm", projection_dim=5), "char_embed|W_proj|W_0", "by the options"),
        (option("lstm", n_layers=3), "lacks RNN_0/RNN/MultiRNNCell/Cell2/LSTMCell/W_0", "(8, 24)"),
        (option("lstm", n_layers=1), "has RNN_0/RNN/MultiRNNCell/Cell1/LSTMCell/B", "no datasets but"),
        (option("lstm", dim="six"), r"lstm\.dim: .*'six'", "options"),
        (option("lstm", cell_clip=-1), r"lstm\.cell_clip: ", "options"),
        (option("lstm", peephole=True), r"lstm\.peephole: ", "options"),
        (option("char_cnn", n_characters=260), r"char_cnn\.n_characters: ", "options"),
        (option("char_cnn", filters=[[0, 4]]), r"char_cnn\.filters\.0\.0: ", "options"),
        (option("char_cnn", filters=[[51, 4]]), "a filter is 51 wide", "options"),
        (option("char_cnn", activation="gelu"), r"char_cnn\.activation: ", "options"),
        (lambda made: made.options.update(bidirectional=False), "bidirectional is false", "both directions"),
        (lambda made: made.options["lstm"].pop("dim"), r"lstm\.dim: Field required", "options"),
    ],
)
def test_what_does_not_fit_is_named(
    change: Callable[[Made], object], message: str, expected: str, tmp_path: Path
) -> None:
    made = make(Shape())
    change(made)
    folder = made.write(tmp_path / "model")
    with pytest.raises(WeightsError, match=message) as caught:
        load_bilm_tf(folder / "options.json", folder / "weights.hdf5")
    assert expected in (caught.value.expected or "")
    with pytest.raises(ElmoError):
        import_run(folder, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_options_that_are_too_wide_are_refused_by_their_numbers(tmp_path: Path) -> None:
    """Without building a network, not even one without memory: torch loads sympy for that, which takes seconds."""
    made = make(Shape())
    made.options["lstm"]["dim"] = 1 << 22
    folder = made.write(tmp_path)
    program = (
        "import sys; from pathlib import Path; from elmo_cli.errors import WeightsError;"
        "from elmo_cli.interop.bilm_tf import load_bilm_tf\n"
        "before = 'sympy' in sys.modules\n"
        "try: load_bilm_tf(Path('options.json'), Path('weights.hdf5'))\n"
        "except WeightsError as error: print(before, 'sympy' in sys.modules, error)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith("False False RNN_0/RNN/MultiRNNCell/Cell0/LSTMCell/W_0 has shape (8, 24)"), (
        done.stderr
    )


def test_training_options_are_no_obstacle(tmp_path: Path) -> None:
    made = make(Shape())
    made.options |= {"bidirectional": True, "dropout": 0.2, "all_clip_norm_val": 10.0, "n_tokens_vocab": 793471}
    made.options |= {"unroll_steps": 20, "learning_rate": 0.2, "sample_softmax": True}
    folder = made.write(tmp_path / "model")
    assert load_bilm_tf(folder / "options.json", folder / "weights.hdf5").settings.dropout == 0.2


def test_files_are_found_by_name_and_content(tmp_path: Path) -> None:
    folder = make(Shape()).write(tmp_path / "model")
    (folder / "sentences.json").write_text(json.dumps([["not", "options"]]))
    (folder / "broken.json").write_text("{")
    with h5py.File(folder / "lm_embeddings.hdf5", "w") as file:
        file["0"] = np.zeros((2, 3))
    (folder / "options.json").rename(folder / "elmo_2x_options.json")
    (folder / "weights.hdf5").rename(folder / "elmo_2x_weights.h5")
    files = find_files(folder)
    assert (files.options.name, files.weights.name) == ("elmo_2x_options.json", "elmo_2x_weights.h5")
    (folder / "options262.json").write_text((folder / "elmo_2x_options.json").read_text())
    with pytest.raises(WeightsError, match=r"may be the options: elmo_2x_options\.json, options262\.json"):
        find_files(folder)
    (folder / "options262.json").rename(folder / "options.json")
    assert find_files(folder).options.name == "options.json"


def test_folders_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="there is no folder"):
        find_files(tmp_path / "absent")
    with pytest.raises(WeightsError, match="holds no options"):
        find_files(tmp_path)
    folder = make(Shape()).write(tmp_path / "model")
    content = (folder / "weights.hdf5").read_bytes()
    (folder / "weights.hdf5").write_bytes(content[: len(content) // 2])
    with pytest.raises(WeightsError, match="holds no weights"):
        find_files(folder)
    with pytest.raises(WeightsError, match="is no whole HDF5 file"):
        load_bilm_tf(folder / "options.json", folder / "weights.hdf5")
    (folder / "options.json").write_text('{"lstm": {\n"dim": }}')
    with pytest.raises(WeightsError, match="is not JSON") as caught:
        load_bilm_tf(folder / "options.json", folder / "weights.hdf5")
    assert "line 2, column 8" in (caught.value.where or "")
