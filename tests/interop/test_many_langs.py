"""Models of ELMoForManyLangs: made-up ones against the oracle, and every way in which files can be wrong."""

from __future__ import annotations

import json
import pickle
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from bilm_files import Shape
from bilm_files import make as make_bilm
from many_langs_files import Made, make

from elmo_cli.config import TokenizerSettings
from elmo_cli.errors import WeightsError
from elmo_cli.inference.embed import EmbedOptions, embed_run, read_dump
from elmo_cli.interop.bilm_export import export_bilm_tf
from elmo_cli.interop.importing import import_run
from elmo_cli.runs import load_lm

WHITESPACE = TokenizerSettings(kind="whitespace")
SENTENCES = [
    "the cat naïve 猫 . ☃",
    "Donaudampfschifffahrt unseen Donaudampf the",  # as a word, the first is the third: both begin with ten letters
    "a",
    "the cat the q☃ zz",
]
MODELS: dict[str, dict[str, object]] = {
    "words and characters": {},
    "words": {"characters": 0},
    "characters": {"words": 0},
    "characters, features as wide as a token": {"words": 0, "size": 9},
    "cells as many as a projection is wide, tanh": {"cells": 8, "activation": "tanh"},
    "one layer, no clips": {"layers": 1, "clip": None},
    "clips of 0": {"clip": 0},
}


def embedded(run: Path, out: Path, **options: object) -> dict[int, np.ndarray]:
    embed_run(run, SENTENCES, out, EmbedOptions(tokenizer=WHITESPACE, **options))  # type: ignore[arg-type]
    return dict(read_dump(out))


@pytest.mark.parametrize("name", MODELS)
def test_layers_are_those_of_the_oracle(name: str, tmp_path: Path) -> None:
    made = make(**MODELS[name])  # type: ignore[arg-type]
    import_run(made.write(tmp_path / "model"), tmp_path / "run")
    found = embedded(tmp_path / "run", tmp_path / "out.hdf5")
    for index, sentence in enumerate(SENTENCES):
        expected, _ = made.layers(sentence)
        np.testing.assert_allclose(found[index], expected, atol=1e-5, err_msg=sentence)


def test_carried_states_are_those_of_the_oracle(tmp_path: Path) -> None:
    made = make()
    import_run(made.write(tmp_path / "model"), tmp_path / "run")
    found = embedded(tmp_path / "run", tmp_path / "out.hdf5", stateful=True, batch_size=1)
    state = None
    for index, sentence in enumerate(SENTENCES):
        expected, state = made.layers(sentence, state)
        np.testing.assert_allclose(found[index], expected, atol=1e-5)
    assert np.abs(expected - made.layers(SENTENCES[-1])[0]).max() > 1e-3


def test_what_the_oracle_is_sensitive_to(tmp_path: Path) -> None:
    """The order of the marks of a word, and the cut of a long word, would not go unnoticed."""
    made = make()
    swapped = make()
    begin, end = (swapped.characters.index(mark) for mark in ("<bow>", "<eow>"))
    swapped.characters[begin], swapped.characters[end] = "<eow>", "<bow>"
    assert np.abs(made.vector("cat") - swapped.vector("cat")).max() > 1e-2
    unknown = made.embedder["word_emb_layer.embedding.weight"]
    whole = made.vector("Donaudampfschifffahrt")
    made.words[made.words.index("Donaudampf")] = "other"
    assert np.abs(whole - made.vector("Donaudampfschifffahrt")).max() > 1e-2
    assert unknown.shape[0] == len(made.words)


@pytest.mark.parametrize("kind", ["folder", "old pickles", "zip", "tar.gz"])
def test_all_ways_to_pack_a_model_give_the_same(kind: str, tmp_path: Path) -> None:
    made = make()
    folder = path = made.write(tmp_path / "model", old=kind == "old pickles")
    if kind == "zip":
        path = tmp_path / "model.zip"
        with zipfile.ZipFile(path, "w") as packed:
            for file in folder.iterdir():
                packed.write(file, f"german/{file.name}")
    elif kind == "tar.gz":
        path = tmp_path / "model.tar.gz"
        with tarfile.open(path, "w:gz") as packed_tar:
            packed_tar.add(folder, "german")
    files = import_run(path, tmp_path / "run", kind="many-langs")
    assert (files.options, files.vocabulary) == (path / "arch.json", path / "word.dic")
    expected, _ = made.layers(SENTENCES[0])
    np.testing.assert_allclose(embedded(tmp_path / "run", tmp_path / "out.hdf5")[0], expected, atol=1e-5)


def test_tensors_that_were_saved_on_a_gpu_are_read(tmp_path: Path) -> None:
    made = make()
    folder = made.write(tmp_path / "model", old=True)
    for name in ("encoder.pkl", "token_embedder.pkl"):
        content = (folder / name).read_bytes()
        assert b"ctorch\nFloatStorage\n" in content
        (folder / name).write_bytes(content.replace(b"ctorch\nFloatStorage\n", b"ctorch.cuda\nFloatStorage\n"))
    import_run(folder, tmp_path / "run")
    expected, _ = made.layers(SENTENCES[0])
    np.testing.assert_allclose(embedded(tmp_path / "run", tmp_path / "out.hdf5")[0], expected, atol=1e-5)


def test_a_line_of_an_id_alone_is_that_of_a_wide_blank(tmp_path: Path) -> None:
    folder = make(words=0).write(tmp_path / "model")
    lexicon = folder / "char.dic"
    lines = lexicon.read_text(encoding="utf-8").splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("　"))
    lines[place] = lines[place].removeprefix("　")
    lexicon.write_text("\n".join(lines) + "\n", encoding="utf-8")
    import_run(folder, tmp_path / "run")
    alphabet = load_lm(tmp_path / "run").bilm().settings.characters.alphabet
    assert alphabet is not None
    assert "　" in alphabet


@pytest.mark.parametrize("where", ["configs/arch.json", "other.json"])
def test_the_architecture_is_found_whatever_path_config_names(where: str, tmp_path: Path) -> None:
    folder = make().write(tmp_path / "model")
    (folder / where).parent.mkdir(exist_ok=True)
    shutil.move(folder / "arch.json", folder / where)
    assert import_run(folder, tmp_path / "run").options == folder / where


def test_words_alone_go_to_bilm_tf_and_characters_do_not(tmp_path: Path) -> None:
    made = make(characters=0)
    import_run(made.write(tmp_path / "model"), tmp_path / "run")
    export_bilm_tf(tmp_path / "run", tmp_path / "out")
    import_run(make(words=0).write(tmp_path / "other"), tmp_path / "characters")
    with pytest.raises(WeightsError, match="Unicode characters of its own alphabet"):
        export_bilm_tf(tmp_path / "characters", tmp_path / "refused")
    assert not (tmp_path / "refused").exists()


def test_a_folder_of_two_models_asks_which(tmp_path: Path) -> None:
    folder = make().write(tmp_path / "model")
    make_bilm(Shape()).write(folder)
    with pytest.raises(WeightsError, match="bilm-tf and many-langs") as caught:
        import_run(folder, tmp_path / "run")
    assert "--format" in (caught.value.remedy or "")
    import_run(folder, tmp_path / "run", kind="many-langs")


def options(section: str, **changed: object) -> Callable[[Made, Path], None]:
    def change(made: Made, folder: Path) -> None:
        made.architecture[section] |= changed
        (folder / "arch.json").write_text(json.dumps(made.architecture))

    return change


def tensors(name: str, key: str, value: object) -> Callable[[Made, Path], None]:
    def change(made: Made, folder: Path) -> None:
        state = torch.load(folder / name, weights_only=True)
        if value is None:
            del state[key]
        else:
            state[key] = value
        torch.save(state, folder / name)

    return change


def content(name: str, given: bytes | None) -> Callable[[Made, Path], None]:
    def change(_: Made, folder: Path) -> None:
        if given is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(given)

    return change


class Program:
    """Pickles to a call, which must never happen."""

    def __reduce__(self) -> tuple[object, ...]:
        return exec, ("raise SystemExit",)


BIAS = "forward_layer_1.state_linearity.bias"
WRONG: dict[str, tuple[Callable[[Made, Path], None], str]] = {
    "no encoder": (content("encoder.pkl", None), r"holds no encoder\.pkl"),
    "no config": (content("config.json", None), r"holds no config\.json"),
    "no architecture": (content("arch.json", None), r"config\.json names arch\.json"),
    "no words": (content("word.dic", None), r"word\.dic cannot be read"),
    "half a download": (content("encoder.pkl", b"PK\x03\x04half"), "damaged torch file"),
    "nothing in it": (content("encoder.pkl", b""), "damaged torch file"),
    "a program": (content("token_embedder.pkl", pickle.dumps(Program())), "damaged torch file"),
    "a program in a file of torch": (tensors("token_embedder.pkl", "x", Program()), r"asks for __builtin__\.exec"),
    "a number among tensors": (tensors("encoder.pkl", BIAS, 3), "holds 'forward_layer_1.state_linearity.bias': int"),
    "a missing tensor": (tensors("encoder.pkl", BIAS, None), f"lacks {BIAS}"),
    "a tensor of another shape": (tensors("encoder.pkl", BIAS, torch.zeros(43)), r"of shape \(43,\)"),
    "a tensor of whole numbers": (tensors("encoder.pkl", BIAS, torch.zeros(44).long()), "type i8"),
    "a tensor too many": (tensors("encoder.pkl", "more", torch.zeros(2)), r"has more of shape \(2,\)"),
    "not a number": (tensors("encoder.pkl", BIAS, torch.full((44,), torch.nan)), f"NaN or infinity in {BIAS}"),
    "the variant of a character LSTM": (options("token_embedder", name="lstm"), "character-LSTM variant"),
    "the variant of a plain LSTM": (options("encoder", name="lstm"), "the encoder is lstm"),
    "no cells": (options("encoder", dim=0), r"encoder\.dim"),
    "more cells than memory": (options("encoder", dim=1 << 24), r"by the architecture|of shape"),
    "no input": (options("token_embedder", word_dim=0, char_dim=0), "neither words nor characters"),
    "a filter wider than a word": (options("token_embedder", filters=[[13, 2]]), "13 wide"),
    "a lexicon of other lines": (content("char.dic", b"a b c\n"), "the line is 'a b c'"),
    "an id twice": (content("char.dic", b"a\t0\nb\t0\n"), "stands twice"),
    "an id beyond the lines": (content("char.dic", b"a\t7\n"), "the line is"),
    "a lexicon that is no text": (content("word.dic", b"\xff\t0\n"), "is not UTF-8"),
    "a lexicon without marks": (content("word.dic", b"the\t0\n"), "lacks <bos>"),
    "another lexicon": (content("word.dic", b"<bos>\t0\n<eos>\t1\n<oov>\t2\n"), r"shape \(11, 6\)"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named_and_nothing_is_written(name: str, tmp_path: Path) -> None:
    made = make()
    folder = made.write(tmp_path / "model")
    change, message = WRONG[name]
    change(made, folder)
    with pytest.raises(WeightsError, match=message) as caught:
        import_run(folder, tmp_path / "run", kind="many-langs")
    error = caught.value
    assert str(folder) in (error.where or "")
    assert error.expected
    assert error.remedy
    assert not (tmp_path / "run").exists()


def test_a_config_that_names_nothing_is_enough_beside_one_architecture(tmp_path: Path) -> None:
    folder = make().write(tmp_path / "model")
    (folder / "config.json").write_text("[]")
    assert import_run(folder, tmp_path / "run").options == folder / "arch.json"


def test_a_name_that_no_file_can_have_is_one_that_is_not_there(tmp_path: Path) -> None:
    folder = make().write(tmp_path / "model")
    (folder / "config.json").write_text(json.dumps({"config_path": f"{'a' * 5000}.json"}))
    assert import_run(folder, tmp_path / "run").options == folder / "arch.json"


def test_an_alphabet_of_awkward_characters_survives_its_run(tmp_path: Path) -> None:
    made = make(words=0)
    awkward = "#:'\"\\-~!&*%@`|>?,[]{}=\u2060\ufeff\u00ad\x7f🙂"
    made.characters += [character for character in awkward if character not in made.characters]
    width = (len(made.characters), 5)
    values = np.random.default_rng(2).normal(size=width).astype(np.float32)
    made.embedder["char_emb_layer.embedding.weight"] = values
    import_run(made.write(tmp_path / "model"), tmp_path / "run")
    alphabet = load_lm(tmp_path / "run").bilm().settings.characters.alphabet
    assert alphabet == "".join(one for one in made.characters if len(one) == 1)
