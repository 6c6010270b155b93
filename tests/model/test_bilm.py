"""The biLM: streams and batches agree, sentences do not see each other, no token sees itself."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from elmo_cli.config import ModelSettings
from elmo_cli.errors import WeightsError
from elmo_cli.model.bilm import BiLm
from elmo_cli.model.encoder import TokenIds
from elmo_cli.model.mode import EXACT, Mode

VOCABULARY = 30


def make_model(seed=0, **changes):
    torch.manual_seed(seed)
    model = BiLm(ModelSettings(**{"hidden_size": 12, "projection_size": 8, "softmax": "full"} | changes), VOCABULARY)
    with torch.no_grad():
        for layer in model.lstm_layers:
            layer.bias.normal_()
        model.softmax.bias.normal_() if model.settings.softmax != "adaptive" else None
    return model.eval()


def make_sentences(lengths, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(4, VOCABULARY + 1, (length,), generator=generator).tolist() for length in lengths]


def frame(sentences, width=None):
    lengths = torch.tensor([len(sentence) for sentence in sentences])
    ids = torch.zeros(len(sentences), 2 + (width or int(lengths.max())), dtype=torch.int64)
    for row, sentence in enumerate(sentences):
        ids[row, : len(sentence) + 2] = torch.tensor([1, *sentence, 2])
    return ids, lengths


def score(model, sentences, width=None):
    """Scores (2, n + 1) of each sentence."""
    ids, lengths = frame(sentences, width)
    with torch.no_grad():
        scores = model.score(TokenIds(ids), ids, lengths)
    return [scores[:, row, : len(sentence) + 1] for row, sentence in enumerate(sentences)]


def activations(model, sentences, width=None):
    ids, lengths = frame(sentences, width)
    with torch.no_grad():
        layers, _ = model.layers(TokenIds(ids), lengths)
    return [layers[:, row, : len(sentence)] for row, sentence in enumerate(sentences)]


def stream(rows, window):
    """Windows of `rows` (each a list of sentences) laid end to end: ids, targets, reset, mask."""
    laid = []
    for sentences in rows:
        steps = []
        for sentence in sentences:
            left, right = [1, *sentence, 2], [2, *sentence[::-1], 1]
            steps += [(left[k], right[k], left[k + 1], right[k + 1], k == 0) for k in range(len(left) - 1)]
        laid.append(steps)
    longest = max(map(len, laid))
    total = window * math.ceil(longest / window)
    ids = torch.zeros(2, len(rows), total, dtype=torch.int64)
    targets, reset = ids.clone(), torch.zeros(len(rows), total, dtype=torch.bool)
    mask = reset.clone()
    for row, steps in enumerate(laid):
        for place, step in enumerate(steps):
            ids[:, row, place] = torch.tensor(step[:2])
            targets[:, row, place] = torch.tensor(step[2:4])
            reset[row, place], mask[row, place] = step[4], True
    for start in range(0, total, window):
        cut = slice(start, start + window)
        yield ids[:, :, cut], targets[:, :, cut], reset[:, cut], mask[:, cut]


@pytest.mark.parametrize("changes", [{}, {"softmax": "adaptive"}, {"residual": True, "layers": 3}])
@pytest.mark.parametrize("window", [1, 4, 50])
def test_stream_and_batch_agree(changes, window):
    model = make_model(**changes)
    rows = [make_sentences([3, 0, 6], 1), make_sentences([9, 1], 2), make_sentences([2, 2], 3)]
    expected = sum(scores.sum(dim=1) for sentences in rows for scores in score(model, sentences))
    state, sums, steps = None, torch.zeros(2), 0
    for ids, targets, reset, mask in stream(rows, window):
        result = model.stream_loss(TokenIds(ids), targets, reset, mask, state)
        assert float(result.loss.detach()) == pytest.approx(float(result.sums.sum()) / (2 * result.steps), abs=1e-5)
        state, sums, steps = result.state, sums + result.sums, steps + result.steps
    assert steps == sum(len(sentence) + 1 for sentences in rows for sentence in sentences)
    assert torch.allclose(sums / steps, expected / steps, rtol=0, atol=1e-5)


def test_each_step_of_a_stream_scores_as_in_the_batch():
    model = make_model()
    sentences = make_sentences([5, 3])
    found = [], []
    state = None
    for ids, targets, reset, mask in stream([sentences], 1):
        result = model.stream_loss(TokenIds(ids), targets, reset, mask, state)
        state = result.state
        for direction in range(2):
            found[direction].append(float(result.sums[direction]))
    scores = score(model, sentences)
    assert found[0] == pytest.approx(torch.cat([each[0] for each in scores]).tolist(), abs=1e-5)
    assert found[1] == pytest.approx(torch.cat([each[1].flip(0) for each in scores]).tolist(), abs=1e-5)


@pytest.mark.parametrize("softmax", ["full", "adaptive", "sampled"])
def test_bfloat16_products_round_the_loss_of_the_calls_that_ask_for_them(softmax):
    model = make_model(softmax=softmax, samples=9)
    (window,) = stream([make_sentences([9, 12])], 30)

    def loss(mode=EXACT):
        torch.manual_seed(0)
        result = model.stream_loss(TokenIds(window[0]), *window[1:], None, mode)
        gradients = torch.autograd.grad(result.loss, list(model.parameters()))
        return result.loss.detach(), torch.cat([gradient.flatten() for gradient in gradients])

    exact, gradient = loss()
    rounded, rough_gradient = loss(Mode("bfloat16"))
    assert torch.equal(loss()[0], exact)
    assert rounded.dtype == rough_gradient.dtype == torch.float32
    assert not torch.equal(rounded, exact)
    assert torch.allclose(rounded, exact, rtol=0, atol=0.02)
    assert float(torch.cosine_similarity(gradient, rough_gradient, dim=0)) > 0.999


def test_window_edges_cut_the_gradient_and_nothing_else():
    model = make_model(dropout=0.0).train()
    for ids, targets, reset, mask in stream([make_sentences([7])], 4):
        result = model.stream_loss(TokenIds(ids), targets, reset, mask, None)
        assert not any(tensor.requires_grad for layer in result.state for tensor in layer)
        assert result.loss.requires_grad
        assert not result.sums.requires_grad


@pytest.mark.parametrize("changes", [{}, {"softmax": "adaptive"}, {"projection_size": None}, {"tie": True}])
def test_a_sentence_does_not_depend_on_batch_padding_or_order(changes):
    model = make_model(**changes)
    sentences = make_sentences([4, 0, 7, 1])
    together, backwards, padded = (
        score(model, sentences),
        score(model, sentences[::-1])[::-1],
        score(model, sentences, 12),
    )
    for index, sentence in enumerate(sentences):
        alone = score(model, [sentence])[0]
        for other in (together, backwards, padded):
            assert torch.allclose(alone, other[index], rtol=0, atol=1e-5)
    together, padded = activations(model, sentences), activations(model, sentences, 12)
    for index, sentence in enumerate(sentences):
        assert torch.allclose(activations(model, [sentence])[0], together[index], rtol=0, atol=1e-5)
        assert torch.allclose(padded[index], together[index], rtol=0, atol=1e-5)


def test_padding_is_zero_and_layer_0_is_the_token_twice():
    model = make_model()
    ids, lengths = frame(make_sentences([3, 0, 1]), 5)
    with torch.no_grad():
        layers, _ = model.layers(TokenIds(ids), lengths)
        scores = model.score(TokenIds(ids), ids, lengths)
        vectors = model.encoder(TokenIds(ids))[:, 1:-1]
    assert layers.shape == (model.layer_count, 3, 5, model.width)
    real = torch.arange(5) < lengths[:, None]
    assert not layers[:, ~real].any()
    assert torch.equal(layers[0][real], torch.cat([vectors, vectors], dim=2)[real])
    assert not scores[:, torch.arange(6) > lengths[:, None]].any()
    assert (scores[:, torch.arange(6) <= lengths[:, None]] > 0).all()


def test_an_empty_batch_of_empty_sentences():
    model = make_model()
    ids, lengths = frame([[], []], 0)
    with torch.no_grad():
        assert model.layers(TokenIds(ids), lengths)[0].shape == (3, 2, 0, 16)
        assert model.score(TokenIds(ids), ids, lengths).shape == (2, 2, 1)


@pytest.mark.parametrize("softmax", ["full", "adaptive"])
def test_scores_are_taken_from_the_distributions(softmax):
    model = make_model(softmax=softmax)
    ids, lengths = frame(make_sentences([4, 2, 0]))
    with torch.no_grad():
        chances = model.distributions(TokenIds(ids), lengths)
        scores = model.score(TokenIds(ids), ids, lengths)
    real = torch.arange(5) <= lengths[:, None]
    assert torch.allclose(chances.exp().sum(dim=3)[:, real], torch.ones(()), atol=1e-5)
    wanted = torch.stack([ids[:, 1:], ids[:, :-1]])[:, real] - 1
    assert torch.allclose(-chances[:, real].gather(2, wanted[:, :, None])[:, :, 0], scores[:, real], atol=1e-5)


def moved(chances, ids, token):
    """How far the predictions moved with one token: (T + 1,) from the left and (T + 1,) from the right.

    `chances(ids)` are the scoring distributions (2, T + 1, V) of one framed sentence: [0, k] predicts framed token
    k + 1, [1, k] framed token k.
    """
    changed = ids.clone()
    changed[token] = ids[token] % (VOCABULARY - 3) + 4
    return (chances(changed) - chances(ids)).abs().amax(dim=2)


def leaks(chances, ids):
    """Whether some token moves the predictions of itself; fails if it does not move those of its neighbours."""
    found = False
    for token in range(1, len(ids) - 1):
        left, right = moved(chances, ids, token)
        found |= bool(left[token - 1] > 0) or bool(right[token] > 0)
        assert left[token] > 0
        assert right[token - 1] > 0
    return found


@pytest.mark.parametrize(
    "changes", [{}, {"softmax": "adaptive"}, {"residual": True, "layers": 3}, {"tie": True}, {"projection_size": None}]
)
def test_no_token_sees_itself(changes):
    model = make_model(**changes)

    def chances(ids):
        with torch.no_grad():
            return model.distributions(TokenIds(ids[None]), torch.tensor([len(ids) - 2]))[:, 0]

    assert not leaks(chances, frame(make_sentences([6]))[0][0])


def test_the_leak_test_finds_a_leak():
    torch.manual_seed(0)
    table, reader, softmax = nn.Embedding(VOCABULARY + 1, 8), nn.LSTM(8, 8, 2, bidirectional=True), nn.Linear(8, 30)

    def chances(ids):
        """A stacked bidirectional LSTM: the second layer of either direction has seen both sides."""
        with torch.no_grad():
            forward, backward = reader(table(ids))[0].split(8, dim=1)
            return torch.stack([softmax(forward[:-1]), softmax(backward[1:])]).log_softmax(dim=2)

    assert leaks(chances, frame(make_sentences([6]))[0][0])


def test_activations_before_a_token_stay_forward_and_after_it_backward():
    model = make_model()
    (sentence,) = make_sentences([6])
    before = activations(model, [sentence])[0]
    changed = [*sentence[:3], sentence[3] % 20 + 5, *sentence[4:]]
    shift = (activations(model, [changed])[0] - before).abs()[1:].amax(dim=0)
    size = model.width // 2
    assert not shift[:3, :size].any()
    assert not shift[4:, size:].any()
    assert (shift[3:, :size].amax(dim=1) > 0).all()
    assert (shift[:4, size:].amax(dim=1) > 0).all()


def test_a_uniform_model_needs_log_v_nats():
    for kind in ("full", "sampled"):
        model = make_model(softmax=kind, samples=5)
        with torch.no_grad():
            model.softmax.table.zero_()
            model.softmax.bias.zero_()
        for scores in score(model, make_sentences([3, 5])):
            assert torch.allclose(scores, torch.tensor(math.log(VOCABULARY)))


def test_dropout_acts_only_in_training():
    model = make_model(dropout=0.5).train()
    ids, lengths = frame(make_sentences([4]))
    first, second = (model.layers(TokenIds(ids), lengths)[0] for _ in range(2))
    assert not torch.equal(first, second)
    assert (first[1:] == 0).any()
    without = Mode(dropout=0.0)
    assert torch.equal(*(model.layers(TokenIds(ids), lengths, mode=without)[0] for _ in range(2)))
    model.eval()
    assert torch.equal(*(model.layers(TokenIds(ids), lengths, mode=Mode(dropout=0.9))[0] for _ in range(2)))


def test_every_parameter_trains():
    for changes in (
        {},
        {"embedding_size": 5},
        {"encoder": "char"},
        {"tie": True},
        {"softmax": "sampled", "samples": 9},
    ):
        model = make_model(**changes).train()
        generator = torch.Generator().manual_seed(3)
        characters = torch.randint(1, 261, (VOCABULARY + 1, 50), generator=generator)
        (window,) = stream([make_sentences([9, 12])], 30)
        ids, *rest = window
        tokens = TokenIds(ids, characters if model.settings.encoder == "char" else None)
        model.stream_loss(tokens, *rest, None).loss.backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name


def test_layers_pass_gradients_to_the_embedder():
    model = make_model().train()
    ids, lengths = frame(make_sentences([4, 2]))
    model.layers(TokenIds(ids), lengths)[0].square().sum().backward()
    for name, parameter in model.named_parameters():
        assert name.startswith("softmax.") or parameter.grad.abs().sum() > 0, name
    assert not model.encoder.table.grad[0].any()


def test_a_tied_table_is_saved_once_and_follows_copies():
    model = make_model(tie=True)
    state = model.state_dict()
    assert len({tensor.data_ptr() for tensor in state.values()}) == len(state)
    assert "softmax.table" not in state
    twin = copy.deepcopy(model)
    with torch.no_grad():
        twin.encoder.table[5] = 7.0
    assert (twin.softmax.weight[4] == 7.0).all()
    assert not (model.softmax.weight[4] == 7.0).any()
    loaded = make_model(seed=9, tie=True)
    loaded.load_state_dict(state)
    (sentence,) = make_sentences([5])
    assert torch.equal(score(loaded, [sentence])[0], score(model, [sentence])[0])


def test_a_model_without_softmax_says_so():
    model = BiLm(ModelSettings(encoder="char", hidden_size=8), None, softmax=False).eval()
    assert not any(name.startswith("softmax") for name in model.state_dict())
    ids, lengths = frame([[3, 4]])
    tokens = TokenIds(torch.zeros_like(ids), torch.full((1, 50), 261))
    assert model.layers(tokens, lengths)[0].shape == (3, 1, 2, 16)
    with pytest.raises(WeightsError, match="no softmax"):
        model.score(tokens, ids, lengths)


def test_a_fresh_model_is_about_uniform():
    torch.manual_seed(0)
    model = BiLm(ModelSettings(hidden_size=32, softmax="full"), VOCABULARY).eval()
    mean = torch.cat([each.flatten() for each in score(model, make_sentences([20, 20]))]).mean()
    assert float(mean) == pytest.approx(math.log(VOCABULARY), abs=0.1)
