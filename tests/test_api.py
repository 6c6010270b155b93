"""Runs in Python: what the commands wrote, loaded in one line."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_runs import ROWS, full_comparison

import elmo_cli
from elmo_cli.comparison.tables import comparison_csv
from elmo_cli.config import ModelSettings, TokenizerSettings
from elmo_cli.errors import RunError, WeightsError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, run_elmo) -> Path:
    """A folder with runs/lm and runs/classify-trainable, made from a few lines."""
    folder = tmp_path_factory.mktemp("api")
    rows = [
        (kind, f"the {word} of {kind} number {n}") for n in range(12) for kind, word in (("up", "sky"), ("down", "sea"))
    ]
    with (folder / "train.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("label", "text"), *rows])
    (folder / "elmo.yaml").write_text("preset: tiny\noutput: runs\ndata:\n  train: train.csv\n", encoding="utf-8")
    for command in (["vocab", "build"], ["pretrain"], ["classify", "--set", "data.clean=ag-news"]):
        done = run_elmo(*command, "--config", folder / "elmo.yaml")
        assert done.code == 0, done.stderr
    return folder


def test_a_language_model_embeds_and_scores(folder: Path) -> None:
    model = elmo_cli.load(folder / "runs/lm")
    assert isinstance(model, elmo_cli.Elmo)
    assert model.tokens("The SKY, of") == ["the", "sky", ",", "of"]
    arrays = model.embed(["the sky", "the sea of up number", "", ["the", "sky"]])
    assert [array.shape for array in arrays] == [(3, 2, 64), (3, 5, 64), (3, 0, 64), (3, 2, 64)]
    assert arrays[0].dtype == np.float32
    np.testing.assert_allclose(arrays[0], arrays[3], atol=1e-6)
    assert not np.allclose(arrays[0][2, 0], arrays[1][2, 0])
    scores = model.perplexity(["the sky of up number 3"])
    assert scores.mean == pytest.approx((scores.forward * scores.backward) ** 0.5)
    assert scores.steps == 7
    assert model.embed([]) == []


def test_a_classifier_predicts(folder: Path) -> None:
    model = elmo_cli.load(str(folder / "runs/classify-trainable"), device="cpu")
    assert isinstance(model, elmo_cli.TextClassifier)
    assert model.classes == ["down", "up"]
    texts = ["the sky of up number 3", "the sea"]
    shares = model.predict_proba(texts)
    assert shares.shape == (2, 2)
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)
    assert model.predict(texts) == [model.classes[number] for number in shares.argmax(axis=1)]
    assert model.predict_proba([]).shape == (0, 2)
    assert sum(model.lambdas) == pytest.approx(1)
    # Cleaned as the training texts were: a backslash is a line break.
    np.testing.assert_allclose(model.predict_proba(["the\\sky"]), model.predict_proba(["the sky"]), atol=1e-6)


@pytest.mark.parametrize("run", ["lm", "classify-trainable"])
def test_one_string_is_not_a_list_of_texts(run: str, folder: Path) -> None:
    model = elmo_cli.load(folder / "runs" / run)
    with pytest.raises(TypeError, match="give a list of texts"):
        (model.embed if run == "lm" else model.predict)("the sky")


def test_a_comparison_becomes_a_frame(tmp_path: Path) -> None:
    comparison = elmo_cli.load(full_comparison(tmp_path / "compare"))
    assert isinstance(comparison, elmo_cli.Comparison)
    assert comparison.conclusion.startswith("With 2 seeds")
    frame = comparison.to_frame()
    assert frame["row"].tolist() == list(ROWS)
    best = frame.set_index("row").loc["lm frozen"]
    assert (best["kind"], best["mode"], best["tune"]) == ("lm", "frozen", False)
    figures = best[["accuracy", "low", "high", "unknown_test_tokens"]].tolist()
    assert figures == pytest.approx([0.82, 0.8, 0.84, 0.0625])
    assert frame.loc[1:, "p_holm"].tolist() == [0.00001] * 4  # not rounded as a table does
    assert frame.loc[0, ["difference", "difference_low", "p"]].isna().all()
    assert frame["difference"].dtype == np.float64
    # The CSV of the run has the same columns.
    written = pd.read_csv(io.StringIO(comparison_csv(comparison.results)))
    assert list(written.columns) == list(frame.columns)
    np.testing.assert_allclose(written["accuracy"], frame["accuracy"])


def test_what_cannot_be_loaded(folder: Path) -> None:
    with pytest.raises(elmo_cli.RunError, match="holds no model"):
        elmo_cli.load(folder / "runs/vocab")
    with pytest.raises(RunError, match="there is no run"):
        elmo_cli.load(folder / "runs/nothing")


def test_a_model_without_vocabulary_says_so() -> None:
    from elmo_cli.embedder import Embedder
    from elmo_cli.model.bilm import BiLm

    network = BiLm(ModelSettings(encoder="char", hidden_size=4), None, softmax=False)
    model = elmo_cli.Elmo(Embedder.of(network, None, TokenizerSettings(), "bare"), "cpu")
    assert model.embed(["any word"])[0].shape == (3, 2, 8)
    with pytest.raises(WeightsError, match="no vocabulary"):
        model.perplexity(["any word"])


def test_public_names() -> None:
    for name in elmo_cli.__all__:
        assert getattr(elmo_cli, name) is not None
    assert set(dir(elmo_cli)) == set(elmo_cli.__all__)
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        elmo_cli.lod  # noqa: B018
