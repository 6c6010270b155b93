"""What models in Python answer, against the commands and by hand."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pythonworld import LABELS, TEXTS

from elmo_cli import ConfigError, Elmo, TextClassifier
from elmo_cli.errors import DataError
from elmo_cli.interop.hdf5 import Hdf5Reader


@pytest.fixture(scope="module")
def elmo(world: Path) -> Elmo:
    return Elmo.load(world / "runs/lm", device="cpu")


@pytest.fixture(scope="module")
def classifier(world: Path) -> TextClassifier:
    return TextClassifier.load(world / "runs/classify-frozen", device="cpu")


@pytest.mark.parametrize("layers", ["all", "top", "average", 1])
@pytest.mark.parametrize("pool", [None, "mean", "max"])
def test_layers_and_pooling_agree_with_the_whole(elmo: Elmo, layers: str | int, pool: str | None) -> None:
    texts = ["oil prices rose", "", ["the", "match"]]
    whole = elmo.embed(texts)
    choose = {"all": lambda a: a, "top": lambda a: a[-1], "average": lambda a: a.mean(axis=0), 1: lambda a: a[1]}[
        layers
    ]
    found = elmo.embed(texts, layers=layers, pool=pool)  # type: ignore[arg-type]
    assert isinstance(found, list) is (pool is None)
    for one, array in zip(found, map(choose, whole), strict=True):
        if pool:
            array = getattr(np, pool)(array, axis=-2) if array.shape[-2] else np.zeros_like(array.sum(axis=-2))
        np.testing.assert_allclose(one, array, atol=1e-6)
        assert one.dtype == np.float32


def test_embeddings_are_those_of_the_command(elmo: Elmo, world: Path, tmp_path: Path, run_elmo) -> None:
    texts = [*TEXTS[:5], " ".join(TEXTS)]
    out = tmp_path / "out.hdf5"
    command = ("embed", world / "runs/lm", "-", "--out", out, "--batch-tokens", 64, "--device", "cpu")
    done = run_elmo(*command, stdin="\n".join(texts))
    assert done.code == 0, done.stderr
    with Hdf5Reader(out, DataError, "") as file:
        for number, array in enumerate(elmo.embed(texts, batch_tokens=64)):
            np.testing.assert_array_equal(array, file.read(str(number)))


def test_nothing_embeds_to_nothing(elmo: Elmo) -> None:
    assert elmo.embed([]) == []
    assert elmo.embed([], pool="mean").shape == (0, 3, 64)  # type: ignore[union-attr]
    with pytest.raises(ConfigError, match="no layer 7"):
        elmo.embed(["a"], layers=7)


@pytest.mark.parametrize("per_token", [False, True])
def test_scores_are_those_of_the_command(elmo: Elmo, world: Path, tmp_path: Path, per_token: bool, run_elmo) -> None:
    file, out = tmp_path / "texts.txt", tmp_path / "scores.csv"
    file.write_text("\n".join(TEXTS), encoding="utf-8")
    options = ["--per-token"] if per_token else []
    done = run_elmo("evaluate", world / "runs/lm", file, "--scores", out, *options, "--device", "cpu")
    assert done.code == 0, done.stderr
    frame = elmo.score(TEXTS, per_token=per_token)
    pd.testing.assert_frame_equal(frame, pd.read_csv(out), check_dtype=False)
    assert list(elmo.score([]).columns) == list(elmo.score(TEXTS[:1]).columns)


def test_similar_names_the_text(elmo: Elmo) -> None:
    found = elmo.similar("oil prices fell", "oil", corpus=iter(["the match ended", "oil prices rose 1"]), top=2)
    assert found["text"].tolist()[0] == 1
    assert found["token"].tolist()[0] == "oil"
    assert found["tokens"].tolist()[0] == ["oil", "prices", "rose", "1"]
    assert found["similarity"].is_monotonic_decreasing


def test_evaluation_is_that_of_the_command(classifier: TextClassifier, world: Path, tmp_path: Path, run_elmo) -> None:
    labels = [*LABELS[1:], LABELS[0]]  # all wrong but for luck
    with (tmp_path / "test.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("label", "text"), *zip(labels, TEXTS, strict=True)])
    done = run_elmo("evaluate", world / "runs/classify-frozen", tmp_path / "test.csv", "--json", "--device", "cpu")
    assert done.code == 0, done.stderr
    found = classifier.evaluate(TEXTS, labels)
    assert found.accuracy == done.json["accuracy"]
    assert found.as_dict()["confusion"] == done.json["confusion"]
    with pytest.raises(ValueError, match=r"labels\[1\] is 'x'; the model knows 'Business', 'Sports'"):
        classifier.evaluate(["a", "b"], ["Sports", "x"])


def test_models_show_what_they_are(elmo: Elmo, classifier: TextClassifier) -> None:
    assert repr(elmo) == "Elmo(name='lm', layers=3, width=64, vocabulary=12, device='cpu')"
    assert repr(classifier) == (
        "TextClassifier(name='lm', classes=['Business', 'Sports'], lambdas='frozen', layers=3, width=64, "
        "vocabulary=12, device='cpu')"
    )
