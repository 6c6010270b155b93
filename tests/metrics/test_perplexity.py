"""Perplexity against hand-computed values: a uniform model, and one that predicts by known frequencies."""

from __future__ import annotations

import math
from dataclasses import asdict

import numpy as np
import pytest
import torch

from elmo_cli.config import ModelSettings, TokenizerSettings
from elmo_cli.embedder import Embedder
from elmo_cli.errors import WeightsError
from elmo_cli.events import Event, Progress
from elmo_cli.metrics.perplexity import Nats, perplexity, sentence_scores, token_scores
from elmo_cli.model.bilm import BiLm
from elmo_cli.model.softmax import FullSoftmax
from elmo_cli.text.encoded import encode_tokens
from elmo_cli.text.vocabulary import Vocabulary

VOCABULARY = Vocabulary(["<S>", "</S>", "<UNK>", "a", "b"], tokenizer=TokenizerSettings())
CORPUS = encode_tokens([["a", "b", "a"], [], ["a", "x"], ["b"]])
# By id: <S>, </S>, <UNK>, a, b
PROBABILITIES = [0.125, 0.25, 0.0625, 0.5, 0.0625]


def embedder(network: BiLm) -> Embedder:
    return Embedder.of(network, VOCABULARY, VOCABULARY.tokenizer, "lm")


def context_free(probabilities: list[float]) -> Embedder:
    """A biLM whose hidden vectors count for nothing: p(k) is given."""
    torch.manual_seed(0)
    network = BiLm(ModelSettings(hidden_size=3, softmax="full", dropout=0.5), len(VOCABULARY))
    assert isinstance(network.softmax, FullSoftmax)
    with torch.no_grad():
        network.softmax.table.zero_()
        network.softmax.bias.copy_(torch.tensor(probabilities).log())
    return embedder(network)


def test_a_uniform_model_is_as_perplexed_as_its_vocabulary_is_large() -> None:
    scores = perplexity(context_free([0.2] * 5), CORPUS)
    assert scores.forward == pytest.approx(5, rel=1e-6)
    assert scores.backward == pytest.approx(5, rel=1e-6)
    assert scores.mean == pytest.approx(5, rel=1e-6)


@pytest.mark.parametrize("max_tokens", [1, 8, 4096])
def test_every_step_counts_once_and_no_padding(max_tokens: int) -> None:
    scores = perplexity(context_free(PROBABILITIES), CORPUS, max_tokens=max_tokens)
    # 3 a, 2 b and one <UNK>, in each direction; four </S> forward, four <S> backward
    words = 3 * math.log(2) + 3 * math.log(16)
    forward, backward = (words + 4 * math.log(4)) / 10, (words + 4 * math.log(8)) / 10
    assert scores.steps == 10
    assert scores.forward == pytest.approx(math.exp(forward), rel=1e-6)
    assert scores.backward == pytest.approx(math.exp(backward), rel=1e-6)
    assert scores.mean == pytest.approx(math.sqrt(scores.forward * scores.backward), rel=1e-9)
    assert (scores.tokens, scores.unknown) == (6, 1)
    assert scores.oov_rate == pytest.approx(1 / 6)
    assert set(asdict(scores)) == {"forward", "backward", "mean", "steps", "tokens", "unknown", "oov_rate"}


def test_sentences_are_scored_in_the_order_of_the_corpus() -> None:
    scorer = context_free(PROBABILITIES)
    scorer.network.train()
    scores = sentence_scores(scorer, CORPUS, max_tokens=6)
    assert scorer.network.training
    two, four, eight, sixteen = (math.log(number) for number in (2, 4, 8, 16))
    words = np.array([2 * two + sixteen, 0, two + sixteen, sixteen])
    np.testing.assert_allclose(scores, np.stack([words + four, words + eight], axis=1), rtol=1e-6)


def test_scores_of_a_sentence_do_not_depend_on_its_batch() -> None:
    torch.manual_seed(1)
    scorer = embedder(BiLm(ModelSettings(hidden_size=6, projection_size=4, dropout=0.5), len(VOCABULARY)))
    together = sentence_scores(scorer, CORPUS)
    alone = sentence_scores(scorer, CORPUS, max_tokens=1)
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert np.ptp(together[:, 0] / (CORPUS.lengths + 1)) > 1e-3


def test_batches_are_as_large_as_they_may_be_and_progress_is_told() -> None:
    """Cells of a batch count the frame: three sentences of three tokens are 15."""
    corpus = encode_tokens([["a", "b", "a"]] * 6)
    scorer = context_free(PROBABILITIES)
    for most, sizes in ((15, [3, 3]), (14, [2, 2, 2]), (1, [1] * 6)):
        assert [len(sentences) for sentences, _ in token_scores(scorer, corpus, max_tokens=most)] == sizes
    told: list[Event] = []
    sentence_scores(scorer, corpus, max_tokens=20, tell=told.append)
    assert told == [Progress("sentences", 4, 6), Progress("sentences", 6, 6)]


def test_nats_of_texts_add_up() -> None:
    first, second = Nats(1.0, 2.0, 3, 4, 5), Nats(10.0, 20.0, 30, 40, 50)
    assert first + second == Nats(11.0, 22.0, 33, 44, 55)
    assert first + Nats() == first


def test_one_step_is_its_own_mean_and_a_hopeless_one_infinite() -> None:
    scores = Nats(forward=math.log(3), backward=710.0, steps=1, tokens=1, unknown=1).perplexity()
    assert scores.forward == pytest.approx(3.0)
    assert scores.backward == math.inf  # exp(710) is beyond a double
    assert scores.mean == pytest.approx(math.exp((math.log(3) + 710) / 2))
    assert scores.oov_rate == 1.0
    assert Nats(forward=690.0, steps=1).perplexity().forward == math.exp(690.0)


def test_a_model_without_softmax_scores_nothing() -> None:
    network = BiLm(ModelSettings(hidden_size=3), len(VOCABULARY), softmax=False)
    with pytest.raises(WeightsError, match="no softmax"):
        perplexity(embedder(network), CORPUS)


def test_no_text_has_the_perplexity_of_nothing() -> None:
    scores = perplexity(context_free(PROBABILITIES), CORPUS.slice(0, 0))
    assert (scores.forward, scores.steps, scores.oov_rate) == (1.0, 0, 0.0)
