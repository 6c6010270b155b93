"""What the settings of a classifier's training change: precision, loss, dropout, thawing, average."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from test_finetune import train
from tinyworld import SETTINGS, make_bilm, make_corpus, make_static, make_texts

from elmo_cli.config import ClassifySettings
from elmo_cli.errors import ElmoError
from elmo_cli.model.bilm import BiLm
from elmo_cli.model.mode import Mode
from elmo_cli.training.finetune import FinetuningState
from elmo_cli.training.objective import Validated
from elmo_cli.training.text_objective import class_weights


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"lambdas": "trainable"}, []),
        ({"lambdas": "function"}, [8 * 3 * 8 * 8]),  # texts, layers, and both widths of a layer
        ({"lambdas": "trainable", "tune": True}, [8 * 4 * 4 * 6]),  # texts, projection, gates of the cells
        ({"lambdas": "function", "tune": True}, [8 * 4 * 4 * 6, 8 * 3 * 8 * 8]),
    ],
)
def test_the_size_of_a_product_decides_its_precision(
    changes: dict[str, Any], expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def recording(choice: str, multiplications: int, device: Any) -> str:
        sizes.append(multiplications)
        return "float32"

    monkeypatch.setattr("elmo_cli.training.finetune.pick_precision", recording)
    train(
        make_bilm(),
        ClassifySettings.model_validate({**SETTINGS.model_dump(), **changes, "epochs": 1, "tune_epochs": 1}),
    )
    assert sizes == expected


def test_tuning_multiplies_in_the_precision_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = set()
    layers = BiLm.layers

    def watched(self: BiLm, *arguments: Any, **named: Any) -> Any:
        mode = named.get("mode", arguments[-1])
        seen.add((self.training, mode.precision))
        return layers(self, *arguments, **named)

    monkeypatch.setattr(BiLm, "layers", watched)
    results = {}
    for tune in (True, False):
        given = {**SETTINGS.model_dump(), "tune": tune, "tune_epochs": 1, "epochs": 1, "precision": "bfloat16"}
        results[tune] = train(make_bilm(), ClassifySettings.model_validate(given)).results.precision
    assert results == {True: "bfloat16", False: "float32"}
    assert seen == {(True, "bfloat16"), (False, "float32")}


def test_a_learned_function_multiplies_in_the_precision_of_the_settings() -> None:
    for precision in ("bfloat16", "float32"):
        given = {**SETTINGS.model_dump(), "lambdas": "function", "epochs": 1, "precision": precision}
        found = train(make_bilm(), ClassifySettings.model_validate(given))
        assert found.results.precision == precision
        assert found.classifier.combiner.precision == precision


def test_targets_are_smoothed_and_classes_weighted(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Any, float]] = []
    cross_entropy = torch.nn.functional.cross_entropy

    def watched(logits: torch.Tensor, targets: torch.Tensor, weight: Any = None, **options: float) -> torch.Tensor:
        seen.append((weight, options["label_smoothing"]))
        return cross_entropy(logits, targets, weight, **options)

    monkeypatch.setattr(torch.nn.functional, "cross_entropy", watched)
    corpus = make_corpus([*make_texts(30), *[("money", "bank")] * 30])  # 45 of money, 15 of sports
    parts = np.arange(60), np.arange(5)
    for given, expected in (
        (None, None),
        ("balanced", [60 / (2 * 45), 60 / (2 * 15)]),
        ("sports=3", [1.0, 3.0]),
        ({"money": 0.5}, [0.5, 1.0]),
    ):
        seen.clear()
        settings = ClassifySettings.model_validate(
            {**SETTINGS.model_dump(), "class_weights": given, "label_smoothing": 0.1, "epochs": 1}
        )
        train(make_static(), settings, corpus, parts=parts)
        weights, smoothing = seen[0]
        assert smoothing == 0.1
        assert weights is None if expected is None else weights.tolist() == pytest.approx(expected)
    wrong = SETTINGS.model_copy(update={"class_weights": {"sport": 2.0}})
    with pytest.raises(ElmoError, match=r"'sport', which train\.csv does not have") as caught:
        train(make_static(), wrong)
    assert "sports" in str(caught.value.remedy)


def test_a_class_without_texts_to_train_on_weighs_as_if_it_had_one() -> None:
    corpus = make_corpus([("money", "bank")] * 6 + [("sports", "goal")])
    fit = np.arange(6)
    settings = SETTINGS.model_copy(update={"class_weights": "balanced"})
    weights = class_weights(settings, corpus, fit, "cpu")
    assert weights is not None
    assert weights.tolist() == pytest.approx([6 / (2 * 6), 6 / (2 * 1)])


def test_words_are_dropped_only_while_tuning(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = set()
    layers = BiLm.layers

    def watched(self: BiLm, *arguments: Any, mode: Mode) -> Any:
        rates.add((self.training, mode.word_dropout, mode.dropout))
        return layers(self, *arguments, mode=mode)

    monkeypatch.setattr(BiLm, "layers", watched)
    embedder = make_bilm()
    train(embedder, SETTINGS.model_copy(update={"tune": True, "word_dropout": 0.4, "tune_epochs": 1}))
    assert rates == {(True, 0.4, SETTINGS.tune_dropout), (False, 0.0, None)}


def test_layers_thaw_epoch_by_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = make_bilm()
    before = {name: value.clone() for name, value in embedder.network.state_dict().items()}
    moved = []
    keep = FinetuningState.keep

    def watched(self: FinetuningState, valid: Validated, classifier: Any) -> bool:
        now = classifier.embedder.state_dict()
        moved.append({".".join(name.split(".")[:2]) for name in before if not torch.equal(now[name], before[name])})
        return keep(self, valid, classifier)

    monkeypatch.setattr(FinetuningState, "keep", watched)
    settings = SETTINGS.model_copy(update={"tune": True, "unfreeze": True, "tune_epochs": 5, "patience": 9})
    classifier = train(embedder, settings).classifier
    assert moved[:4] == [
        set(),
        {"lstm_layers.1"},
        {"lstm_layers.1", "lstm_layers.0"},
        {"lstm_layers.1", "lstm_layers.0", "encoder.table"},
    ]
    assert moved[4] == moved[3]
    assert all(weight.requires_grad for weight in classifier.embedder.parameters())


@pytest.mark.parametrize("tune", [False, True])
def test_the_average_is_what_is_kept(tune: bool) -> None:
    settings = SETTINGS.model_copy(update={"tune": tune, "epochs": 1, "tune_epochs": 1})
    plain = train(make_bilm(), settings).classifier.state_dict()
    averaged = train(make_bilm(), settings.model_copy(update={"average": 0.9})).classifier.state_dict()
    begun = train(make_bilm(), settings.model_copy(update={"average": 0.9999})).classifier.state_dict()
    name = "head.2.weight"
    assert not torch.equal(plain[name], averaged[name])
    assert not torch.equal(begun[name], plain[name])
    assert torch.equal(plain["embedder.softmax.bias"], averaged["embedder.softmax.bias"])
    assert torch.equal(plain["embedder.lstm_layers.0.bias"], averaged["embedder.lstm_layers.0.bias"]) is not tune
