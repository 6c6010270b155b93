"""The tagger: scores do not depend on batch and padding, heads and their losses, long sentences by windows."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from tinyworld import make_bilm, make_static

from elmo_cli.config import TagSettings
from elmo_cli.data.tag_set import TagSet
from elmo_cli.embedder import Extractor
from elmo_cli.model.tagger import TokenLstm, make_tagger
from elmo_cli.text.encoded import encode_tokens
from elmo_cli.training.tag_objective import tag_sentences

SPANS, PLAIN = TagSet("iob2", ("X", "Y")), TagSet("plain", ("a", "b", "c"))


@pytest.mark.parametrize("lstm_size", [0, 5])
def test_a_sentence_is_scored_alike_in_any_batch(lstm_size: int) -> None:
    embedder = make_bilm()
    tagger = make_tagger(embedder.network, TagSettings(lstm_size=lstm_size), SPANS, seed=2).eval()
    layers, lengths = torch.randn(3, 3, 6, embedder.width), torch.tensor([6, 2, 0])
    with torch.no_grad():
        together = tagger.score_layers(layers, lengths)
        alone = tagger.score_layers(layers[:, 1:2, :2], lengths[1:2])
    assert together.shape == (3, 6, 9)
    assert torch.allclose(together[1, :2], alone[0], atol=1e-6)


def test_the_lstm_is_torchs() -> None:
    ours, theirs = TokenLstm(3, 4), torch.nn.LSTM(3, 4, bidirectional=True, batch_first=True)
    order = torch.tensor([0, 2, 1, 3])  # torch's gates are i, f, g, o; ours i, j, f, o
    for direction, suffix in enumerate(("", "_reverse")):
        for weights, name in ((ours.input, "weight_ih_l0"), (ours.recurrent, "weight_hh_l0")):
            reordered = weights.detach()[direction].T.view(4, 4, -1)[order].flatten(0, 1)
            getattr(theirs, name + suffix).data.copy_(reordered)
        getattr(theirs, "bias_ih_l0" + suffix).data.copy_(torch.tensor([0.0] * 4 + [1.0] * 4 + [0.0] * 8))
        getattr(theirs, "bias_hh_l0" + suffix).data.zero_()
    vectors = torch.randn(2, 5, 3)
    with torch.no_grad():
        assert torch.allclose(ours(vectors, torch.tensor([5, 5])), theirs(vectors)[0], atol=1e-6)


@pytest.mark.parametrize(("head", "tag_set", "has_crf"), [
    ("auto", SPANS, True), ("auto", PLAIN, False), ("linear", SPANS, False), ("crf", PLAIN, True),
])  # fmt: skip
def test_heads(head: str, tag_set: TagSet, has_crf: bool) -> None:
    tagger = make_tagger(make_static().network, TagSettings.model_validate({"head": head}), tag_set)
    assert (tagger.crf is not None) == has_crf


def test_without_a_crf_a_sentence_costs_what_its_tokens_cost() -> None:
    tagger = make_tagger(make_static().network, TagSettings(), PLAIN)
    scores, tags, lengths = torch.randn(2, 3, 3), torch.tensor([[0, 1, 2], [2, 9, 9]]), torch.tensor([3, 1])
    chances = scores.log_softmax(2)
    expected = [-(chances[0, 0, 0] + chances[0, 1, 1] + chances[0, 2, 2]), -chances[1, 0, 2]]
    assert torch.allclose(tagger.nll(scores, tags, lengths), torch.stack(expected))


def test_a_crf_gives_legal_tags_only() -> None:
    tagger = make_tagger(make_static().network, TagSettings(), SPANS)
    allowed = SPANS.allowed()
    for row in tagger.decode(torch.randn(50, 7, 9), torch.full((50,), 7)).tolist():
        path = [len(SPANS.names), *row, len(SPANS.names)]
        assert all(allowed[one][other] for one, other in pairwise(path))


def test_long_sentences_are_read_by_windows_and_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = make_bilm()
    generator = np.random.default_rng(1)
    words = [word for word in embedder.vocabulary.tokens if not word.startswith("<")]  # type: ignore[union-attr]
    sentences = [list(generator.choice(words, length)) for length in (40, 3, 0, 23)]
    corpus = encode_tokens(sentences)
    tagger = make_tagger(embedder.network, TagSettings(lstm_size=4), SPANS, seed=3)
    whole = tag_sentences(tagger, embedder, corpus)
    assert [len(one) for one in whole] == [40, 3, 0, 23]
    monkeypatch.setattr("elmo_cli.training.tag_objective.TOKENS_PER_BATCH", 8)
    monkeypatch.setattr("elmo_cli.training.tag_objective.CELLS_PER_BATCH", 8)
    for one, other in zip(whole, tag_sentences(tagger, embedder, corpus), strict=True):
        np.testing.assert_array_equal(one, other)


def test_windows_give_the_layers_of_the_whole() -> None:
    embedder = make_bilm()
    corpus = encode_tokens([["the", "match", "a", "goal", "team"] * 4, ["bank", "the"]])
    both = [np.array([0, 1])]
    ((_, whole, lengths),) = Extractor(embedder).batches(corpus, both)
    ((_, joined, again),) = Extractor(embedder).batches(corpus, both, max_cells=7)
    assert torch.equal(lengths, again)
    assert torch.allclose(whole, joined, atol=1e-6)
