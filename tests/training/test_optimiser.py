"""One step of each loop against its formula: the schedule's rate, the clipped gradient, the optimiser's rule."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from test_checkpoint import experiment
from test_finetune import train
from tinyworld import SETTINGS, make_corpus, make_static, make_texts

from elmo_cli.config import ClassifySettings
from elmo_cli.embedder import Embedder, Feed
from elmo_cli.events import Finished
from elmo_cli.model.bilm import BiLm
from elmo_cli.model.classifier import Classifier
from elmo_cli.model.parameters import decay_groups
from elmo_cli.runs import Run
from elmo_cli.text.streams import Stream
from elmo_cli.training.cache import ActivationCache
from elmo_cli.training.finetune import FINAL_RATE
from elmo_cli.training.optimiser import Schedule, make_optimiser, set_rate
from elmo_cli.training.prepare import prepare_pretraining
from elmo_cli.training.pretrain import pretrain_run


def clipped(gradients: dict[str, np.ndarray], limit: float | None) -> dict[str, np.ndarray]:
    """Scale by min(1, limit / |all g|)."""
    norm = np.sqrt(sum(np.square(gradient).sum() for gradient in gradients.values()))
    factor = 1.0 if limit is None else min(1.0, limit / (norm + 1e-6))
    return {name: factor * gradient for name, gradient in gradients.items()}


# So small a limit is seen through AdamW, whose steps are else the same for any scale of the gradient.
@pytest.mark.parametrize("clip", [None, 1e-8])
def test_a_step_of_a_classifier_by_hand(clip: float | None) -> None:
    """A linear layer on mean vectors: dL/dW = (p - y)ᵀ x / N, and AdamW's first step is -rate · g / (|g| + 1e-8)."""
    corpus, rate, decay = make_corpus(make_texts(20)), 0.5, 0.1
    changes = {"hidden_size": 0, "batch_norm": False, "layer_norm": False, "dropout": 0.0, "pooling": "mean"}
    changes |= {"lambdas": "layer:0", "epochs": 1, "batch_size": 20, "learning_rate": rate, "weight_decay": decay}
    settings = ClassifySettings.model_validate({**SETTINGS.model_dump(), **changes, "clip_norm": clip})
    embedder, everything = make_static(), np.arange(20)
    begun = Classifier(embedder.network, settings, 2, seed=1).head[-1]
    weight, bias = begun.weight.detach().double().numpy(), begun.bias.detach().double().numpy()
    vectors = ActivationCache(embedder, corpus.corpus, settings, tokens=False).pooled(everything)[0].double().numpy()
    scores = np.exp(vectors @ weight.T + bias)
    wrong = scores / scores.sum(axis=1, keepdims=True) - np.eye(2)[corpus.labels]
    gradients = clipped({"weight": wrong.T @ vectors / 20, "bias": wrong.mean(axis=0)}, clip)
    # The only step of a training is at the end of its schedule.
    moves = {name: FINAL_RATE * rate * g / (np.abs(g) + 1e-8) for name, g in gradients.items()}
    trained = train(embedder, settings, corpus, parts=(everything, np.arange(4))).classifier.head[-1]
    expected = weight * (1 - FINAL_RATE * rate * decay) - moves["weight"]
    np.testing.assert_allclose(trained.weight.detach().numpy(), expected, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(trained.bias.detach().numpy(), bias - moves["bias"], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("clip", [None, 0.05])
def test_a_step_of_a_pretraining_by_hand(tmp_path: Path, clip: float | None) -> None:
    """Adagrad's first step is -rate · g / sqrt(1 + g²), and the only one of a training is at its final rate."""
    (tmp_path / "corpus.txt").write_text("a b c d\nb a d\nc c a\na d\n")
    rate, final = 0.5, 0.25
    flags = {"pretrain.epochs": 1, "pretrain.batch_size": 2, "pretrain.window": 50, "model.dropout": 0.0}
    flags |= {"pretrain.optimiser": "adagrad", "pretrain.learning_rate": rate, "pretrain.final_rate": final}
    flags |= {"pretrain.clip_norm": clip, "pretrain.warmup": 0.0, "model.softmax": "full"}
    settings = experiment(tmp_path, flags)
    job = prepare_pretraining(settings, [tmp_path / "corpus.txt"], None)
    torch.manual_seed(settings.seed)
    network = BiLm(settings.model, len(job.vocabulary))
    stream = Stream(job.corpus, settings.pretrain.batch_size, settings.pretrain.window, settings.seed)
    (window,) = stream.epoch(0)
    embedder = Embedder.of(network, job.vocabulary, job.vocabulary.tokenizer, "lm")
    batch = Feed(embedder, job.corpus).window(window)
    network.stream_loss(*batch, None).loss.backward()
    weights = dict(network.named_parameters())
    gradients = clipped({name: weight.grad.double().numpy() for name, weight in weights.items()}, clip)
    *_, last = pretrain_run(settings, [tmp_path / "corpus.txt"], device="cpu")
    assert isinstance(last, Finished)
    assert last.results["steps"] == 1
    for name, trained in Run.open(tmp_path / "lm").tensors().items():
        expected = weights[name].detach().double().numpy()
        expected = expected - final * rate * gradients[name] / np.sqrt(1 + np.square(gradients[name]))
        np.testing.assert_allclose(trained.numpy(), expected, rtol=1e-4, atol=1e-6)


def test_the_rate_rises_then_falls_along_a_cosine() -> None:
    schedule = Schedule(steps=100, warmup=0.1, final=0.2)
    assert [schedule.factor(step) for step in (1, 5, 10)] == pytest.approx([0.1, 0.5, 1.0])
    assert schedule.factor(55) == pytest.approx(0.6)  # halfway down from 1 to 0.2
    assert schedule.factor(100) == pytest.approx(0.2)
    assert Schedule(steps=4, warmup=0.0, final=0.0).factor(4) == pytest.approx(0.0)
    assert Schedule(steps=1, warmup=0.05, final=1.0).factor(1) == 1.0


def test_the_ends_of_a_schedule() -> None:
    schedule = Schedule(steps=100, warmup=0.1, final=0.2)
    quarter = 0.2 + 0.8 * (1 + math.cos(math.pi / 3)) / 2
    assert schedule.factor(40) == pytest.approx(quarter)
    assert schedule.factor(104) == pytest.approx(0.2)  # a later epoch had more windows than the first
    assert schedule.factor(10.5) == pytest.approx(1.0, abs=1e-3)  # time may be between two steps
    assert Schedule(steps=14, warmup=0.05, final=0.0).factor(1) == 1.0  # 0.7 of a step is one
    rising = Schedule(steps=4, warmup=1.0, final=0.2)
    assert [rising.factor(step) for step in (1, 4, 5)] == pytest.approx([0.25, 1.0, 0.2])


def test_biases_and_vectors_are_spared_the_decay() -> None:
    network = torch.nn.Module()
    network.weight = torch.nn.Parameter(torch.ones(2, 2))
    network.bias = torch.nn.Parameter(torch.ones(2, 2))
    network.scale = torch.nn.Parameter(torch.ones(2))
    network.fixed = torch.nn.Parameter(torch.ones(2, 2), requires_grad=False)
    optimiser = make_optimiser("adamw", decay_groups(network.named_parameters(), rate=0.5, weight_decay=0.1))
    set_rate(optimiser, 0.5)
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    # decoupled: w -= rate * decay * w, whatever the gradient
    assert network.weight.tolist() == [[pytest.approx(1 - 0.25 * 0.1)] * 2] * 2
    for untouched in (network.bias, network.scale, network.fixed):
        assert torch.equal(untouched, torch.ones_like(untouched))
