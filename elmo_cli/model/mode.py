"""How a network is run for a call: passed down with it, so that no network keeps what another caller asked for."""

from __future__ import annotations

from dataclasses import dataclass

from elmo_cli.config import Precision
from elmo_cli.model.kernel.layer import Prepared


@dataclass(frozen=True, slots=True)
class Mode:
    """How a network is run; as it stands: exactly.

    What drops, drops only from a network in train mode, as everywhere in torch.

    Attributes:
        precision: Of the matrix products of LSTM and softmax.
        native_loop: Whether the LSTM's steps may run in C++; see `kernel.lstm.lstm`.
        prepared: Keeps the LSTM's matrices ready from call to call without gradients; None: nothing does.
        dropout: On token vectors and on each layer's output; None: that of the network's settings.
        word_dropout: Share of the tokens whose vectors are zero.
        activation_penalty: α of `StreamLoss.penalty`.
        temporal_penalty: β of `StreamLoss.penalty`.
    """

    precision: Precision = "float32"
    native_loop: bool = True
    prepared: Prepared | None = None
    dropout: float | None = None
    word_dropout: float = 0.0
    activation_penalty: float = 0.0
    temporal_penalty: float = 0.0


EXACT = Mode()
