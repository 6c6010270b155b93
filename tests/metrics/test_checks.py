"""The checks of a biLM, and that a network which breaks a rule fails the check of that rule."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from elmo_cli.config import CharacterSettings, ModelSettings, TokenizerSettings, VocabularySettings
from elmo_cli.embedder import Embedder, Feed
from elmo_cli.metrics.checks import (
    CheckResult,
    LeakResults,
    activation_leak_test,
    agreement,
    invariances,
    leak_test,
    stream_agreement,
)
from elmo_cli.model.bilm import BiLm
from elmo_cli.model.encoder import TokenIds
from elmo_cli.text.encoded import encode_tokens
from elmo_cli.text.vocabulary import Vocabulary

CORPUS = encode_tokens([["a", "b", "c", "a", "d", "e"], ["b"], [], ["e", "d", "c"], ["a", "a", "b", "c"]])
VOCABULARY = Vocabulary.build(CORPUS, VocabularySettings(min_count=2), TokenizerSettings(kind="whitespace"))
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "word": {"softmax": "full"},
    "projected, adaptive": {"hidden_size": 8, "projection_size": 5, "residual": True},
    "three layers, sampled": {"layers": 3, "softmax": "sampled", "samples": 4},
    "char": {"encoder": "char", "softmax": "full", "characters": CharacterSettings(dim=3, filters=((1, 4), (2, 5)))},
    "word+char": {"encoder": "word+char", "characters": CharacterSettings(dim=3, filters=((1, 4), (2, 5)))},
}


def embedder_of(network: BiLm) -> Embedder:
    return Embedder.of(network.eval(), VOCABULARY, VOCABULARY.tokenizer, "lm")


def make(**changes: Any) -> tuple[BiLm, Embedder]:
    torch.manual_seed(1)
    network = BiLm(ModelSettings(**{"hidden_size": 6, **changes}), len(VOCABULARY))
    return network, embedder_of(network)


def first_sentence(embedder: Embedder) -> TokenIds:
    return Feed(embedder, CORPUS).sentences(np.array([0]))[0]


def failed(results: Iterable[CheckResult]) -> set[str]:
    return {result.name for result in results if not result.passed}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_bilm_passes(name: str) -> None:
    network, embedder = make(**ARCHITECTURES[name])
    tokens = first_sentence(embedder)
    results = [
        *leak_test(network, tokens),
        *activation_leak_test(network, tokens),
        *invariances(embedder, CORPUS),
        *stream_agreement(embedder, CORPUS),
    ]
    assert not failed(results)
    sampled = network.settings.softmax == "sampled"
    assert ("stream losses" in {result.name for result in results}) is not sampled
    measured = [result for result in results if result.value is not None]
    assert all(result.tolerance == 1e-5 for result in measured if result.name != "context")


class Leaking(nn.Module):
    """A bidirectional LSTM scored on its own input: every place has read the whole sentence."""

    def __init__(self, sizes: int = 6) -> None:
        super().__init__()
        self.table = nn.Embedding(len(VOCABULARY) + 1, sizes)
        self.reader = nn.LSTM(sizes, sizes, num_layers=2, bidirectional=True, batch_first=True)
        self.scores = nn.Linear(2 * sizes, len(VOCABULARY))

    def read(self, tokens: TokenIds) -> Tensor:
        read: Tensor = self.reader(self.table(tokens.ids))[0]
        return read

    def distributions(self, tokens: TokenIds, lengths: Tensor) -> Tensor:
        chances = self.scores(self.read(tokens)).log_softmax(dim=-1)
        return torch.stack([chances[:, :-1], chances[:, 1:]])

    def layers(self, tokens: TokenIds, lengths: Tensor) -> tuple[Tensor, None]:
        vectors = self.table(tokens.ids)
        return torch.stack([torch.cat([vectors, vectors], dim=2), self.read(tokens)])[:, :, 1:-1], None


class ShiftedByOne(nn.Module):
    """A biLM's distributions with an off-by-one: each token is predicted from the place that has just read it."""

    def __init__(self, network: BiLm) -> None:
        super().__init__()
        self.network = network

    def distributions(self, tokens: TokenIds, lengths: Tensor) -> Tensor:
        right = self.network.distributions(tokens, lengths)
        return torch.stack([torch.cat([right[0, :, 1:], right[0, :, -1:]], dim=1), right[1]])


class Blind(nn.Module):
    """Predicts the same whatever it reads."""

    def distributions(self, tokens: TokenIds, lengths: Tensor) -> Tensor:
        return torch.zeros(2, 1, tokens.ids.shape[1] - 1, 4).log_softmax(dim=-1)


class Broken(nn.Module):
    """Predicts NaN."""

    def distributions(self, tokens: TokenIds, lengths: Tensor) -> Tensor:
        return torch.full((2, 1, tokens.ids.shape[1] - 1, 4), float("nan"))


def test_leaks_are_found() -> None:
    network, embedder = make(softmax="full")
    tokens = first_sentence(embedder)
    torch.manual_seed(1)
    assert failed(leak_test(Leaking(), tokens)) == {"leak"}
    assert failed(activation_leak_test(Leaking(), tokens)) == {"leak"}
    assert failed(leak_test(ShiftedByOne(network), tokens)) == {"leak"}
    assert failed(leak_test(Blind(), tokens)) == {"context"}
    assert failed(leak_test(Broken(), tokens)) == {"leak", "context"}


def test_a_leak_test_needs_different_tokens() -> None:
    network, _ = make(softmax="full")
    with pytest.raises(ValueError, match="two different tokens"):
        leak_test(network, TokenIds(torch.tensor([[1, 4, 4, 2]])))


class Prescribed(nn.Module):
    """Activations or distributions whose cells move as it is written down, by so much for each step of an id.

    Args:
        moves: (2, ..., T) what the ids of the T tokens add to each cell of forward and backward direction.
    """

    def __init__(self, moves: Tensor) -> None:
        super().__init__()
        self.moves = moves

    def cells(self, tokens: TokenIds) -> Tensor:
        return self.moves @ tokens.ids[0, 1:-1].double()

    def layers(self, tokens: TokenIds, lengths: Tensor) -> tuple[Tensor, None]:
        forward, backward = self.cells(tokens)[:, :, None, :, None]
        return torch.cat([forward, backward], dim=3), None

    def distributions(self, tokens: TokenIds, lengths: Tensor) -> Tensor:
        return self.cells(tokens)[:, None, :, None]


SPELT = TokenIds(torch.tensor([[1, 5, 4, 5, 4, 2]]))  # two words in turn, so a change is always by one
LEGAL = 1e-3  # of what moves where it may


def expect(found: LeakResults, leaks: bool, misses: bool) -> None:
    assert failed(found) == {name for name, wrong in (("leak", leaks), ("context", misses)) if wrong}


def test_which_activations_may_move_and_which_must() -> None:
    """Cell by cell of 3 layers, 4 places and 4 tokens: what a token does to an activation of either direction."""
    moves = torch.zeros(2, 3, 4, 4, dtype=torch.float64)
    hidden, needed = {}, {}
    for direction, layer, place, token in np.ndindex(*moves.shape):
        before = place < token if direction == 0 else place > token
        hidden[direction, layer, place, token] = before or (layer == 0 and place != token)
        needed[direction, layer, place, token] = layer == 2 and place == token + (1, -1)[direction]
        if not hidden[direction, layer, place, token]:
            moves[direction, layer, place, token] = LEGAL
    expect(activation_leak_test(Prescribed(moves), SPELT), leaks=False, misses=False)
    for cell in np.ndindex(*moves.shape):
        more, less = moves.clone(), moves.clone()
        more[cell], less[cell] = 1.0, 0.0
        expect(activation_leak_test(Prescribed(more), SPELT), leaks=hidden[cell], misses=False)
        expect(activation_leak_test(Prescribed(less), SPELT), leaks=False, misses=needed[cell])


def test_which_predictions_may_move_and_which_must() -> None:
    """The same of scores: [0, k] predicts framed token k + 1 and has read those up to k, [1, k] those after k."""
    moves = torch.zeros(2, 5, 4, dtype=torch.float64)
    hidden, needed = {}, {}
    for direction, place, token in np.ndindex(*moves.shape):
        framed = token + 1
        hidden[direction, place, token] = place < framed if direction == 0 else place >= framed
        needed[direction, place, token] = place == framed - direction
        if not hidden[direction, place, token]:
            moves[direction, place, token] = LEGAL
    expect(leak_test(Prescribed(moves), SPELT), leaks=False, misses=False)
    for cell in np.ndindex(*moves.shape):
        more, less = moves.clone(), moves.clone()
        more[cell], less[cell] = 1.0, 0.0
        expect(leak_test(Prescribed(more), SPELT), leaks=hidden[cell], misses=False)
        expect(leak_test(Prescribed(less), SPELT), leaks=False, misses=needed[cell])


def test_differences_are_absolute_up_to_one_and_relative_beyond() -> None:
    def value(found: float, expected: float) -> CheckResult:
        return agreement("name", [torch.tensor([0.0, found])], [torch.tensor([0.0, expected])], 0.125, "this and that")

    assert value(0.75, 0.5).value == 0.25
    assert value(80.0, 64.0).value == 0.25
    assert value(-80.0, -64.0).value == 0.25
    assert value(1.125, 1.0).passed  # the tolerance itself is within it
    assert not value(1.25, 1.0).passed
    assert not value(float("nan"), 1.0).passed
    result = value(0.75, 0.5)
    assert (result.name, result.tolerance, result.detail) == ("name", 0.125, "difference between this and that")
    nothing = agreement("name", [torch.zeros(0)], [torch.zeros(0)], 0.125, "")
    assert (nothing.value, nothing.passed) == (0.0, True)


class Wrong(BiLm):
    """A biLM with one fault."""

    fault = ""

    def layers(self, tokens: TokenIds, lengths: Tensor, *further: Any) -> tuple[Tensor, Any]:
        layers, state = super().layers(tokens, lengths, *further)
        shift = torch.zeros(layers.shape[1])
        if self.fault == "batch":
            shift[:] = 1e-3 * len(lengths)
        elif self.fault == "padding":
            shift[:] = 1e-3 * tokens.ids.shape[1]
        elif self.fault == "order":
            shift += 1e-3 * torch.arange(len(lengths))
        return layers + shift[:, None, None], state

    def stream_loss(self, *arguments: Any) -> Any:
        loss = super().stream_loss(*arguments)
        return loss._replace(sums=loss.sums * 1.01) if self.fault == "stream losses" else loss

    def run(self, vectors: Tensor, **options: Any) -> Any:
        if self.fault == "stream activations" and options.get("reset") is not None:
            options["reset"] = torch.zeros_like(options["reset"])
        return super().run(vectors, **options)


@pytest.mark.parametrize(
    ("fault", "names"),
    [
        ("", set()),
        ("batch", {"batch", "stream activations"}),
        ("padding", {"batch", "padding", "stream activations"}),
        ("order", {"batch", "order", "stream activations"}),
        ("stream losses", {"stream losses"}),
        ("stream activations", {"stream activations", "stream losses"}),
    ],
)
def test_faults_are_found(fault: str, names: set[str]) -> None:
    torch.manual_seed(1)
    network = Wrong(ModelSettings(hidden_size=6, softmax="full"), len(VOCABULARY))
    network.fault = fault
    embedder = embedder_of(network)
    results = [*invariances(embedder, CORPUS), *stream_agreement(embedder, CORPUS)]
    assert failed(results) == names


def test_without_a_softmax_activations_are_checked() -> None:
    settings = ModelSettings(encoder="char", hidden_size=6, characters=ARCHITECTURES["char"]["characters"])
    network = BiLm(settings, None, softmax=False).eval()
    embedder = Embedder.of(network, None, VOCABULARY.tokenizer, "lm")
    results = [*invariances(embedder, CORPUS), *stream_agreement(embedder, CORPUS)]
    assert [result.name for result in results] == ["batch", "padding", "order", "stream activations"]
    assert not failed(results)


def test_a_softmax_without_a_vocabulary_is_not_scored() -> None:
    """The corpus has no targets for it; nor has a network with a vocabulary and without a softmax any scores."""
    settings = ModelSettings(encoder="char", hidden_size=6, characters=ARCHITECTURES["char"]["characters"])
    scoring = Embedder.of(BiLm(settings, len(VOCABULARY)).eval(), None, VOCABULARY.tokenizer, "lm")
    silent = embedder_of(BiLm(ModelSettings(hidden_size=6), len(VOCABULARY), softmax=False))
    for embedder in (scoring, silent):
        names = [result.name for result in (*invariances(embedder, CORPUS), *stream_agreement(embedder, CORPUS))]
        assert names == ["batch", "padding", "order", "stream activations"]


class Dearer(BiLm):
    """Scores nothing, and costs a quarter of a nat a step in the stream."""

    def score(self, *arguments: Any) -> Tensor:
        return torch.zeros_like(super().score(*arguments))

    def stream_loss(self, *arguments: Any) -> Any:
        loss = super().stream_loss(*arguments)
        return loss._replace(sums=torch.full_like(loss.sums, 0.25 * loss.steps))


def test_losses_are_compared_as_means_of_all_predicted_steps() -> None:
    network = Dearer(ModelSettings(hidden_size=6, softmax="full"), len(VOCABULARY))
    (result,) = [each for each in stream_agreement(embedder_of(network), CORPUS) if each.name == "stream losses"]
    assert result.value == pytest.approx(0.25, rel=1e-6)


def test_a_young_model_moves_little_and_passes() -> None:
    """What counts as movement is measured by the model's own numbers, which are small at first."""
    network, embedder = make(**ARCHITECTURES["char"])
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(0.3)
    tokens = first_sentence(embedder)
    context = activation_leak_test(network, tokens)[1]
    assert context.value is not None
    assert 0 < context.value < 1e-5
    assert context.passed
