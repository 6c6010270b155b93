"""The bidirectional language model: token encoder, two independent LSTM stacks, one softmax.

Forward, layer l reads w_0 .. w_k and its top output predicts w_{k+1}; backward, it reads w_{n+1} .. w_k and predicts
w_{k-1} (Peters et al. 2018, section 3.1). w_0 = <S> and w_{n+1} = </S> are the frame. Both stacks run side by side as
directions 0 (forward) and 1 (backward) of one batched layer; no layer sees both.

Legend: B batch, T tokens without the frame (in a stream: steps), V vocabulary, P projection, L layers, D cells.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from elmo_cli.config import ModelSettings, Precision
from elmo_cli.errors import WeightsError
from elmo_cli.model.directions import flip, take
from elmo_cli.model.encoder import TokenIds, WordEncoder, make_encoder
from elmo_cli.model.kernel import native
from elmo_cli.model.kernel.dropout import drop_words, dropout
from elmo_cli.model.kernel.layer import LstmState, LstmWeights
from elmo_cli.model.kernel.lstm import lstm
from elmo_cli.model.mode import EXACT, Mode
from elmo_cli.model.softmax import AdaptiveSoftmax, Softmax, make_softmax

BiLmState = tuple[LstmState, ...]


class StreamLoss(NamedTuple):
    """What a window of the stream cost."""

    loss: Tensor  # () mean nats of a predicted step, both directions; carries gradients
    sums: Tensor  # (2,) nats by direction, detached
    steps: int  # predicted steps of each direction
    state: BiLmState  # after the last step, detached
    penalty: Tensor | None = None  # () on the activations, beside the loss; carries gradients


class BiLstmLayer(nn.Module):
    """One LSTM layer of both directions, with the arithmetic of `elmo_cli.model.kernel.lstm`.

    Recurrent weights start orthogonal gate by gate, the others at the scale that keeps variance; biases at zero (the
    forget gate's bias is added at run time).

    Args:
        settings: Sizes, clips and forget bias.
    """

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        size, cells = settings.token_size, settings.hidden_size
        self.cell_clip, self.projection_clip = settings.cell_clip, settings.projection_clip
        self.forget_bias = settings.forget_bias
        self.weight_dropout = settings.weight_dropout
        self.input = nn.Parameter(torch.empty(2, size, 4 * cells))
        self.recurrent = nn.Parameter(torch.empty(2, size, 4 * cells))
        self.bias = nn.Parameter(torch.zeros(2, 4 * cells))
        projected = settings.projection_size is not None
        self.projection = nn.Parameter(torch.empty(2, cells, size)) if projected else None
        with torch.no_grad():
            for direction in range(2):
                for gate in range(4):
                    block = slice(gate * cells, (gate + 1) * cells)
                    nn.init.xavier_uniform_(self.input[direction, :, block])
                    nn.init.orthogonal_(self.recurrent[direction, :, block])
                if self.projection is not None:
                    nn.init.xavier_uniform_(self.projection[direction])

    @property
    def weights(self) -> LstmWeights:
        """All of its weights, as the kernel takes them."""
        return LstmWeights(self.input, self.recurrent, self.bias, self.projection)

    def forward(
        self,
        inputs: Tensor,
        state: LstmState | None,
        reset: Tensor | None,
        lengths: Tensor | None,
        mode: Mode,
    ) -> tuple[Tensor, LstmState]:
        """(2, B, T, P) to (2, B, T, P) and the final state; see `elmo_cli.model.kernel.lstm.lstm`."""
        weights = self.weights
        if self.weight_dropout and self.training:
            # one draw for all steps (Merity et al. 2018)
            weights = weights._replace(recurrent=dropout(weights.recurrent, self.weight_dropout))
        return lstm(
            inputs,
            weights,
            state,
            reset=reset,
            lengths=lengths,
            cell_clip=self.cell_clip,
            projection_clip=self.projection_clip,
            forget_bias=self.forget_bias,
            precision=mode.precision,
            native_loop=mode.native_loop,
            prepared=mode.prepared,
        )


class BiLm(nn.Module):
    """The biLM, as a language model (`stream_loss`, `score`) and as an embedder network (`layers`).

    Args:
        settings: The architecture.
        vocabulary_size: V; None for a character model without a softmax.
        softmax: Whether it has a softmax; an imported one has none.

    Attributes:
        layer_count: L + 1.
        width: 2P, of a layer activation.
    """

    def __init__(self, settings: ModelSettings, vocabulary_size: int | None, *, softmax: bool = True) -> None:
        super().__init__()
        self.settings = settings
        self.vocabulary_size = vocabulary_size
        self.layer_count = settings.layers + 1
        self.width = 2 * settings.token_size
        if vocabulary_size is None and (softmax or settings.encoder != "char"):
            raise ValueError("a biLM without a vocabulary needs the character encoder and has no softmax")
        self.encoder = make_encoder(settings, vocabulary_size)
        tied = self.encoder if settings.tie and isinstance(self.encoder, WordEncoder) else None
        self.lstm_layers = nn.ModuleList(BiLstmLayer(settings) for _ in range(settings.layers))
        self.softmax = make_softmax(settings, vocabulary_size, tied) if softmax and vocabulary_size else None
        if isinstance(self.softmax, AdaptiveSoftmax):
            # A run holds the clusters that it was trained with, whatever the rule will be one day.
            self.settings = settings.model_copy(update={"cutoffs": self.softmax.edges[:-1]})

    def can_run_native(self, precision: Precision) -> bool:
        """Whether the LSTM's steps run in C++ with such products, where a mode allows it."""
        first = self.lstm_layers[0]
        assert isinstance(first, BiLstmLayer)
        return native.can_run(first.weights, torch.bfloat16 if precision == "bfloat16" else first.bias.dtype)

    def run(
        self,
        vectors: Tensor,
        *,
        reset: Tensor | None = None,
        lengths: Tensor | None = None,
        state: BiLmState | None = None,
        undropped: list[Tensor] | None = None,
        mode: Mode = EXACT,
    ) -> tuple[list[Tensor], BiLmState]:
        """Run the LSTM stacks.

        Args:
            vectors: (2, B, T, P) token vectors, each direction in its own order of time.
            reset: (B, T) bool, true where a sentence begins; see `lstm`.
            lengths: (B,) real steps of each row; None means all.
            state: State of each layer before the first step; None means zeros.
            undropped: Gets the outputs as they are before dropout, where someone wants them.
            mode: How.

        Returns:
            L outputs (2, B, T, P), from the lowest layer to the top, and each layer's final state.
        """
        outputs: list[Tensor] = []
        final: list[LstmState] = []
        for index, layer in enumerate(self.lstm_layers):
            hidden, last = layer(vectors, None if state is None else state[index], reset, lengths, mode)
            if self.settings.residual and index > 0:
                hidden = hidden + vectors
            if undropped is not None:
                undropped.append(hidden)
            vectors = self._drop(hidden, mode)
            outputs.append(vectors)
            final.append(last)
        return outputs, tuple(final)

    def stream_loss(
        self,
        tokens: TokenIds,
        targets: Tensor,
        reset: Tensor,
        mask: Tensor,
        state: BiLmState | None,
        mode: Mode = EXACT,
    ) -> StreamLoss:
        """Loss of a window of the stream.

        Args:
            tokens: Ids (2, B, T), each direction in its own order of time.
            targets: (2, B, T) vocabulary ids of what each step predicts.
            reset: (B, T) bool, true where a sentence begins.
            mask: (B, T) bool, false where nothing is left to predict.
            state: State after the window before; None at the start.
            mode: How.
        """
        undropped: list[Tensor] | None = [] if mode.temporal_penalty else None
        vectors = self.token_vectors(tokens, mode)
        outputs, final = self.run(vectors, reset=reset, state=state, undropped=undropped, mode=mode)
        penalty = None
        if mode.activation_penalty or mode.temporal_penalty:
            penalty = _penalty(outputs[-1], undropped[-1] if undropped else outputs[-1], reset, mask, mode)
        steps = int(mask.sum())
        hidden = outputs[-1]
        if steps < mask.numel():
            hidden, targets = hidden[:, mask], targets[:, mask]
        hidden, targets = hidden.reshape(2 * steps, hidden.shape[-1]), targets.reshape(-1)
        total, rows = self.require_softmax().loss(hidden, targets, mode.precision)
        detached = tuple(LstmState(layer.hidden.detach(), layer.cell.detach()) for layer in final)
        return StreamLoss(total / (2 * max(1, steps)), rows.view(2, steps).sum(dim=1), steps, detached, penalty)

    def token_vectors(self, tokens: TokenIds | Tensor, mode: Mode = EXACT) -> Tensor:
        """Ids of any shape to what the LSTM layers read, (..., P); vectors that are known are taken as they are."""
        vectors = tokens if isinstance(tokens, Tensor) else self.encoder(tokens)
        if mode.word_dropout and self.training:
            vectors = drop_words(vectors, mode.word_dropout)
        return self._drop(vectors, mode)

    def layers(
        self, tokens: TokenIds | Tensor, lengths: Tensor, state: BiLmState | None = None, mode: Mode = EXACT
    ) -> tuple[Tensor, BiLmState]:
        """Activations of whole sentences.

        Args:
            tokens: Ids (B, T + 2): each row is <S>, a sentence, </S>, padding. Or their vectors (B, T + 2, P), where
                they are known.
            lengths: (B,) tokens of each sentence, without the frame; may be 0.
            state: State to go on from, row by row; None means zeros.
            mode: How.

        Returns:
            (L + 1, B, T, 2P): layer 0 is the token vector twice, layer l is [forward; backward] of LSTM layer l;
            zero beyond a sentence. With it the state after each row's own last step, </S> forward and <S> backward.
        """
        vectors = self.token_vectors(tokens, mode)
        framed = vectors.shape[1]
        turned = flip(lengths + 2, framed)  # (B, T + 2)
        both = torch.stack([vectors, take(vectors, turned)])
        outputs, final = self.run(both, lengths=lengths + 2, state=state, mode=mode)
        inner = vectors[:, 1:-1]
        activations = [torch.cat([inner, inner], dim=2)]
        activations += [torch.cat([output[0, :, 1:-1], take(output[1], turned[:, 1:-1])], dim=2) for output in outputs]
        outside = torch.arange(framed - 2, device=lengths.device) >= lengths[:, None]
        return torch.stack(activations).masked_fill_(outside[:, :, None], 0.0), final

    def score(self, tokens: TokenIds, targets: Tensor, lengths: Tensor) -> Tensor:
        """Exact negative log-likelihood of every token of whole sentences, from both sides.

        Args:
            tokens: Ids (B, T + 2): each row is <S>, a sentence, </S>, padding.
            targets: (B, T + 2) vocabulary ids of the same tokens.
            lengths: (B,) tokens of each sentence, without the frame.

        Returns:
            (2, B, T + 1) nats: [0, b, k] scores framed token k + 1 from its left, [1, b, k] framed token k from its
            right; 0 for k > lengths[b].
        """
        hidden, real = self._predictors(tokens, lengths)
        wanted = torch.stack([targets[:, 1:][real], targets[:, :-1][real]])
        nll = self.require_softmax().nll(hidden.flatten(0, 1), wanted.flatten())
        scores = nll.new_zeros(2, *real.shape)
        scores[:, real] = nll.view(2, -1)
        return scores

    def distributions(self, tokens: TokenIds, lengths: Tensor) -> Tensor:
        """Exact log-probabilities behind `score`; for small inputs.

        Args:
            tokens: Ids (B, T + 2): each row is <S>, a sentence, </S>, padding.
            lengths: (B,) tokens of each sentence, without the frame.

        Returns:
            (2, B, T + 1, V): column v is the log-probability of vocabulary id v + 1, at the places of `score`.
        """
        hidden, real = self._predictors(tokens, lengths)
        chances = self.require_softmax().log_probabilities(hidden.flatten(0, 1))
        result = chances.new_zeros(2, *real.shape, chances.shape[1])
        result[:, real] = chances.view(2, -1, chances.shape[1])
        return result

    def _predictors(self, tokens: TokenIds, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Top outputs (2, N, P) that predict the tokens of `score`, and (B, T + 1) bool, true at these N places."""
        vectors = self.token_vectors(tokens)
        steps = vectors.shape[1] - 1
        # the last step of either direction, </S> or <S>, predicts nothing
        backward = take(vectors, flip(lengths + 2, steps + 1)[:, :steps])
        outputs, _ = self.run(torch.stack([vectors[:, :steps], backward]), lengths=lengths + 1)
        forward_top, backward_top = outputs[-1]
        real = torch.arange(steps, device=lengths.device) <= lengths[:, None]
        aligned = take(backward_top, flip(lengths + 1, steps))
        return torch.stack([forward_top[real], aligned[real]]), real

    def _drop(self, vectors: Tensor, mode: Mode) -> Tensor:
        rate = self.settings.dropout if mode.dropout is None else mode.dropout
        return dropout(vectors, rate) if rate and self.training else vectors

    def require_softmax(self) -> Softmax:
        """The softmax.

        Raises:
            WeightsError: There is none.
        """
        if self.softmax is None:
            raise WeightsError(
                "this biLM has no softmax, so it cannot score text",
                expected="a biLM trained with `elmo pretrain`; imported weights bring none",
                remedy="published weights come without one: train a model with `elmo pretrain` to score text",
            )
        return self.softmax


def _penalty(dropped: Tensor, undropped: Tensor, reset: Tensor, mask: Tensor, mode: Mode) -> Tensor:
    """α mean(d_t²) + β mean((h_t - h_(t-1))²): AR and TAR of Merity et al. 2018, section 4.7.

    h is the top layer's output and d the same after dropout, (2, B, T, P). Padding is left out, and so is the change
    from one sentence to the next.
    """
    total = dropped.new_zeros(())
    if mode.activation_penalty:
        kept = dropped[:, mask]
        total = total + mode.activation_penalty * kept.square().sum() / max(1, kept.numel())
    if mode.temporal_penalty:
        within = mask[:, 1:] & ~reset[:, 1:]
        change = (undropped[:, :, 1:] - undropped[:, :, :-1])[:, within]
        total = total + mode.temporal_penalty * change.square().sum() / max(1, change.numel())
    return total
