"""The classifier's loop: what it learns, that it repeats itself, and how often the embedder runs."""

from __future__ import annotations

import itertools
from collections.abc import Generator
from typing import Any

import numpy as np
import pytest
import torch
from tinyworld import SETTINGS, make_bilm, make_corpus, make_static, make_texts

from elmo_cli.config import ClassifySettings
from elmo_cli.embedder import Embedder
from elmo_cli.errors import ElmoError
from elmo_cli.events import EpochDone, Event, Step, Stopped
from elmo_cli.training.cache import make_cache, predict
from elmo_cli.training.finetune import Finetuned, FinetuningState, finetune
from elmo_cli.training.labelled import LabelledCorpus
from elmo_cli.training.objective import Validated
from elmo_cli.training.text_objective import TextObjective

TRAIN = make_corpus(make_texts(60))


def to_the_end(loop: Generator[Event, None, Finetuned | Stopped]) -> tuple[list[Event], Finetuned | Stopped]:
    """The events of a loop, and what it returns."""
    events: list[Event] = []
    while True:
        try:
            events.append(next(loop))
        except StopIteration as end:
            return events, end.value


def train(
    embedder: Embedder, settings: ClassifySettings = SETTINGS, corpus: LabelledCorpus = TRAIN, **options: Any
) -> Finetuned:
    _, found = to_the_end(finetune(embedder, corpus, settings, **{"seed": 1, **options}))
    assert isinstance(found, Finetuned)
    return found


class CountingForwards:
    """Counts the texts that go through an embedder's network."""

    def __init__(self, embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
        self.texts = 0
        layers = embedder.network.layers

        def counted(tokens: Any, lengths: torch.Tensor, *further: Any, **named: Any) -> Any:
            self.texts += len(lengths)
            return layers(tokens, lengths, *further, **named)

        monkeypatch.setattr(embedder.network, "layers", counted)


@pytest.mark.parametrize("mode", ["trainable", "frozen", "function", "layer:1"])
def test_learns_what_words_tell(mode: str) -> None:
    embedder = make_bilm()
    finished = train(embedder, SETTINGS.model_copy(update={"lambdas": mode, "epochs": 12}))
    test = make_corpus(make_texts(40, seed=9))
    probabilities = predict([finished.classifier], embedder, test.corpus)
    assert probabilities.shape == (40, 2)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    assert (probabilities.argmax(1) == test.labels).mean() >= 0.9


def test_events_in_their_order() -> None:
    events, found = to_the_end(finetune(make_static(), TRAIN, SETTINGS, seed=1))
    assert isinstance(found, Finetuned)
    epochs = [event for event in events if isinstance(event, EpochDone)]
    assert found.epochs == tuple(epochs)
    assert [event.epoch for event in epochs] == list(range(1, len(epochs) + 1))
    assert isinstance(events[0], Step)
    results = found.results
    best = [event for event in epochs if event.best][-1]
    assert results.best_epoch == best.epoch
    assert results.valid.accuracy == best.valid_accuracy == max(event.valid_accuracy for event in epochs)
    assert results.valid.examples == 6
    assert results.epochs == len(epochs)


def test_lambdas_and_gamma_are_told_and_learned() -> None:
    embedder = make_bilm()
    epochs = train(embedder).epochs
    for event in epochs:
        assert event.lambdas is not None
        assert sum(event.lambdas) == pytest.approx(1, abs=1e-6)
    assert epochs[0].lambdas != pytest.approx([1 / 3] * 3, abs=1e-3)
    assert epochs[-1].gamma != 1.0
    frozen = train(embedder, SETTINGS.model_copy(update={"lambdas": "frozen"})).epochs
    assert len({event.lambdas for event in frozen}) == 1
    assert frozen[0].gamma == 1.0


@pytest.mark.parametrize("tune", [False, True])
def test_equal_seeds_give_equal_bits(tune: bool) -> None:
    settings = SETTINGS.model_copy(update={"tune": tune, "epochs": 2, "tune_epochs": 2})
    first, again, other = (train(make_bilm(), settings, seed=seed).classifier.state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["head.2.weight"], other["head.2.weight"])


def test_outside_random_numbers_change_nothing() -> None:
    def disturbed() -> Generator[Event, None, Finetuned | Stopped]:
        loop = finetune(make_static(), TRAIN, SETTINGS, seed=1)
        while True:
            try:
                event = next(loop)
            except StopIteration as end:
                return end.value
            if isinstance(event, EpochDone):
                torch.rand(7)
            yield event

    calm, (_, shaken) = train(make_static()).classifier, to_the_end(disturbed())
    assert isinstance(shaken, Finetuned)
    moved = shaken.classifier.state_dict()
    assert all(torch.equal(value, moved[name]) for name, value in calm.state_dict().items())


def test_frozen_embedder_runs_once_for_all_modes_and_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = make_bilm()
    before = {name: value.clone() for name, value in embedder.network.state_dict().items()}
    counter = CountingForwards(embedder, monkeypatch)
    cache = make_cache(embedder, TRAIN.corpus, SETTINGS)
    assert cache is not None
    assert counter.texts == len(TRAIN)
    for mode, seed in itertools.product(["trainable", "frozen", "function"], [1, 2]):
        train(embedder, SETTINGS.model_copy(update={"lambdas": mode}), seed=seed, cache=cache)
    assert counter.texts == len(TRAIN)
    assert all(torch.equal(value, before[name]) for name, value in embedder.network.state_dict().items())


def test_tuning_trains_a_copy() -> None:
    embedder = make_bilm()
    before = {name: value.clone() for name, value in embedder.network.state_dict().items()}
    settings = SETTINGS.model_copy(update={"tune": True})
    tuned = train(embedder, settings).classifier.embedder.state_dict()
    assert all(torch.equal(value, before[name]) for name, value in embedder.network.state_dict().items())
    moved = {name for name, value in before.items() if not torch.equal(tuned[name], value)}
    assert {name for name in before if not name.startswith("softmax.")} == moved


def test_empty_texts_are_classified() -> None:
    rows = [*make_texts(30), ("money", ""), ("sports", "")]
    for embedder in (make_bilm(), make_static()):
        corpus = make_corpus(rows)
        finished = train(embedder, corpus=corpus)
        assert np.isfinite(predict([finished.classifier], embedder, corpus.corpus)).all()
        lonely = make_corpus([("money", "")])
        assert np.isfinite(predict([finished.classifier], embedder, lonely.corpus)).all()


def test_predictions_do_not_depend_on_company() -> None:
    embedder = make_bilm()
    classifier = train(embedder).classifier
    together = predict([classifier], embedder, TRAIN.corpus)
    alone = np.concatenate([predict([classifier], embedder, TRAIN.corpus.slice(k, k + 1)) for k in range(8)])
    np.testing.assert_allclose(together[:8], alone, atol=1e-5)


def test_figures_of_an_epoch_by_hand() -> None:
    """At no rate to speak of, the loss of an epoch is that of the classifier that comes out of it."""
    still = {"learning_rate": 1e-12, "lambda_rate": 1e-12, "dropout": 0.0, "batch_norm": False}
    settings = ClassifySettings.model_validate({**SETTINGS.model_dump(), **still, "epochs": 1, "batch_size": 7})
    embedder, (fit, valid) = make_bilm(), (np.arange(5, 60), np.arange(5))
    found = train(embedder, settings, parts=(fit, valid))
    chances = predict([found.classifier], embedder, TRAIN.corpus)
    nats, right = -np.log(chances[np.arange(60), TRAIN.labels]), chances.argmax(axis=1) == TRAIN.labels
    (epoch,) = found.epochs
    assert epoch.loss == pytest.approx(nats[fit].mean(), rel=1e-4)
    assert epoch.train_accuracy == pytest.approx(right[fit].mean())
    assert (found.results.valid.examples, found.results.valid.accuracy) == (5, epoch.valid_accuracy)
    assert epoch.valid_accuracy == pytest.approx(right[valid].mean())
    assert found.results.valid.loss == pytest.approx(nats[valid].mean(), rel=1e-4)
    assert 0 <= found.results.seconds < 60


def test_steps_are_told_about_ten_times_an_epoch() -> None:
    settings = SETTINGS.model_copy(update={"batch_size": 2, "epochs": 2})
    parts = np.arange(4, 60), np.arange(4)  # 28 steps an epoch
    events, _ = to_the_end(finetune(make_static(), TRAIN, settings, seed=1, parts=parts))
    steps = [event for event in events if isinstance(event, Step)]
    assert [event.step for event in steps] == list(range(2, 57, 2))
    assert {event.steps for event in steps} == {56}
    few, _ = to_the_end(finetune(make_static(), TRAIN, SETTINGS.model_copy(update={"epochs": 1}), seed=1, parts=parts))
    assert [event.step for event in few if isinstance(event, Step)] == list(range(1, 8))


def test_batches_of_long_texts_are_as_large_as_those_of_short_ones() -> None:
    corpus = make_corpus([(label, " ".join(["goal"] * 12)) for label, _ in make_texts(32)])
    settings = SETTINGS.model_copy(update={"max_tokens": 12, "epochs": 1})
    for batch_size, steps in ((8, 4), (15, 2)):
        given = settings.model_copy(update={"batch_size": batch_size})
        parts = np.arange(2, 32), np.arange(2)
        events, _ = to_the_end(finetune(make_static(), corpus, given, seed=1, parts=parts))
        assert [event.steps for event in events if isinstance(event, Step)][-1:] == [steps]
        assert sum(isinstance(event, Step) for event in events) == steps


def test_the_rate_of_a_classifier_rises_and_falls() -> None:
    """Over a tenth of the steps up to its peak, and from there along a cosine to a twentieth of it."""
    settings = SETTINGS.model_copy(update={"batch_size": 2, "epochs": 2, "learning_rate": 0.1, "patience": 9})
    events, _ = to_the_end(finetune(make_static(), TRAIN, settings, seed=1, parts=(np.arange(10, 60), np.arange(10))))
    rates = {event.step: event.rate for event in events if isinstance(event, Step)}
    assert rates[2] == pytest.approx(0.1 * 2 / 5)
    assert max(rates.values()) < 0.1
    assert rates[50] == pytest.approx(0.1 * (0.05 + 0.95 * (1 + np.cos(np.pi)) / 2))
    middle = 0.05 + 0.95 * (1 + np.cos(np.pi * 23 / 45)) / 2
    assert rates[28] == pytest.approx(0.1 * middle)


def test_an_epoch_is_kept_unless_it_is_worse_by_more_than_chance() -> None:
    classifier = train(make_static(), SETTINGS.model_copy(update={"epochs": 1})).classifier
    state = FinetuningState()
    answers = []
    for accuracy in (
        0.0,
        0.6,
        0.56,
        0.54,
        0.56,
        0.7,
        0.66,
        0.65,
    ):  # of 100 texts, the standard error is 0.049, then 0.046
        state.epoch += 1
        answers.append(state.keep(Validated(100, accuracy, 1.0), classifier))
    assert answers == [True, True, True, False, True, True, True, False]
    assert state.best is not None
    assert (state.best_epoch, state.best_score, state.best.accuracy) == (7, 0.7, 0.66)
    assert state.best_weights["head.2.weight"].data_ptr() != classifier.state_dict()["head.2.weight"].data_ptr()
    assert not any(name.startswith("embedder.") for name in state.best_weights)


def test_patience_ends_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter((0.5, 0.8, 0.2, 0.8, 0.2, 0.3, 0.9))
    monkeypatch.setattr(TextObjective, "validate", lambda self, *given: Validated(100, next(scores), 1.0))
    results = train(make_static(), SETTINGS.model_copy(update={"epochs": 50, "patience": 2})).results
    assert (results.epochs, results.best_epoch) == (6, 4)


def test_tuning_takes_steps_enough() -> None:
    tuned = ClassifySettings(tune=True)
    assert [tuned.passes(batches) for batches in (1, 30, 60, 100, 150, 1000)] == [20, 20, 10, 6, 4, 4]
    assert ClassifySettings(tune=True, tune_epochs=2).passes(1) == 2
    assert ClassifySettings(epochs=7).passes(1) == 7


def test_stopping_keeps_the_best_epoch_or_says_that_there_is_none() -> None:
    answers = itertools.count()
    _, found = to_the_end(finetune(make_static(), TRAIN, SETTINGS, seed=1, stop=lambda: next(answers) >= 3))
    assert found == Stopped(3)
    answers = itertools.count()
    steps_per_epoch = 7  # 54 texts by 8
    finished = train(make_static(), stop=lambda: next(answers) >= steps_per_epoch + 2)
    assert finished.results.stopped is True
    assert finished.results.epochs == finished.results.best_epoch == 1


def test_divergence_is_an_error() -> None:
    settings = SETTINGS.model_copy(update={"learning_rate": 1e30, "clip_norm": None, "batch_norm": False})
    with pytest.raises(ElmoError, match="diverged"):
        train(make_static(), settings)
