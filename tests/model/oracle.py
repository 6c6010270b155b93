"""A biLM in NumPy, float64, plain loops: written from the definitions, sharing nothing with the package.

One sentence, one direction, one step, one gate at a time. Weights are read off a state dict by name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


@dataclass(frozen=True)
class Cell:
    """One layer of one direction."""

    input: np.ndarray  # (I, 4D)
    recurrent: np.ndarray  # (P, 4D)
    bias: np.ndarray  # (4D,)
    projection: np.ndarray | None  # (D, P)


@dataclass(frozen=True)
class Oracle:
    """The biLM: `cells[direction][layer]`, and everything a mutation test may want to change."""

    cells: tuple[tuple[Cell, ...], tuple[Cell, ...]]
    weights: dict[str, np.ndarray]
    cell_clip: float | None
    projection_clip: float | None
    residual: bool
    forget_bias: float = 1.0
    gates: str = "ijfo"
    activation: str = "relu"

    @classmethod
    def of(cls, model) -> Oracle:
        """The oracle with the weights and settings of a `BiLm`."""
        weights = {name: tensor.detach().double().numpy() for name, tensor in model.state_dict().items()}
        settings = model.settings
        cells = []
        for direction in range(2):
            stack = []
            for layer in range(settings.layers):
                prefix = f"lstm_layers.{layer}."
                projection = weights.get(prefix + "projection")
                stack.append(
                    Cell(
                        weights[prefix + "input"][direction],
                        weights[prefix + "recurrent"][direction],
                        weights[prefix + "bias"][direction],
                        None if projection is None else projection[direction],
                    )
                )
            cells.append(tuple(stack))
        return cls(
            cells=tuple(cells),
            weights=weights,
            cell_clip=settings.cell_clip,
            projection_clip=settings.projection_clip,
            residual=settings.residual,
            forget_bias=settings.forget_bias,
            activation=settings.characters.activation,
        )

    def but(self, **changes) -> Oracle:
        return replace(self, **changes)

    # token vectors

    def word(self, number: int) -> np.ndarray:
        vector = self.weights["encoder.table"][number]
        mapping = self.weights.get("encoder.projection.weight")
        return vector if mapping is None else np.array([sum(row * vector) for row in mapping])

    def characters(self, ids, word=None) -> np.ndarray:
        """The vector of one word, given its shifted character ids, and its vocabulary id where there is a table too."""
        embedded = [self.weights["encoder.table"][number] for number in ids]
        features = []
        index = 0
        while f"encoder.convolutions.{index}.weight" in self.weights:
            kernel = self.weights[f"encoder.convolutions.{index}.weight"]  # (n, c, width)
            bias = self.weights[f"encoder.convolutions.{index}.bias"]
            for channel in range(len(kernel)):
                sums = []
                for start in range(len(embedded) - kernel.shape[2] + 1):
                    window = embedded[start : start + kernel.shape[2]]
                    sums.append(
                        sum(np.dot(kernel[channel, :, offset], window[offset]) for offset in range(len(window)))
                    )
                best = max(sums) + bias[channel]
                features.append(max(best, 0.0) if self.activation == "relu" else np.tanh(best))
            index += 1
        x = np.array(features)
        index = 0
        while f"encoder.highways.{index}.carry.weight" in self.weights:
            name = f"encoder.highways.{index}."
            gate = sigmoid(self.weights[name + "carry.weight"] @ x + self.weights[name + "carry.bias"])
            fresh = self.weights[name + "transform.weight"] @ x + self.weights[name + "transform.bias"]
            x = gate * np.maximum(fresh, 0.0) + (1.0 - gate) * x
            index += 1
        if word is not None:
            x = np.concatenate([self.weights["encoder.words"][word], x])
        if "encoder.projection.weight" in self.weights:
            x = self.weights["encoder.projection.weight"] @ x + self.weights["encoder.projection.bias"]
        return x

    # the LSTM

    def step(self, cell: Cell, x, hidden, memory):
        size = len(cell.bias) // 4
        total = x @ cell.input + hidden @ cell.recurrent + cell.bias
        gate = {name: total[place * size : (place + 1) * size] for place, name in enumerate(self.gates)}
        memory = sigmoid(gate["f"] + self.forget_bias) * memory + sigmoid(gate["i"]) * np.tanh(gate["j"])
        if self.cell_clip is not None:
            memory = np.minimum(np.maximum(memory, -self.cell_clip), self.cell_clip)
        hidden = sigmoid(gate["o"]) * np.tanh(memory)
        if cell.projection is not None:
            hidden = hidden @ cell.projection
            if self.projection_clip is not None:
                hidden = np.minimum(np.maximum(hidden, -self.projection_clip), self.projection_clip)
        return hidden, memory

    def direction(self, vectors, cells, state=None):
        """Outputs [layer][step] of one direction over vectors in its own order of time, and the final state."""
        inputs = list(vectors)
        outputs, final = [], []
        for layer, cell in enumerate(cells):
            hidden = np.zeros(cell.recurrent.shape[0]) if state is None else state[layer][0]
            memory = np.zeros(len(cell.bias) // 4) if state is None else state[layer][1]
            made = []
            for x in inputs:
                hidden, memory = self.step(cell, x, hidden, memory)
                made.append(hidden + x if self.residual and layer > 0 else hidden)
            outputs.append(made)
            final.append((hidden, memory))
            inputs = made
        return outputs, final

    def sentence(self, vectors, state=None):
        """Both directions over a framed sentence: outputs [direction][layer][framed position], final states."""
        forward, forward_state = self.direction(vectors, self.cells[0], None if state is None else state[0])
        backward, backward_state = self.direction(vectors[::-1], self.cells[1], None if state is None else state[1])
        return (forward, [made[::-1] for made in backward]), (forward_state, backward_state)

    def layers(self, vectors, state=None):
        """(L + 1, n, 2P) activations of the n tokens inside the frame, and the final states."""
        (forward, backward), final = self.sentence(vectors, state)
        rows = [[np.concatenate([x, x]) for x in vectors[1:-1]]]
        for left, right in zip(forward, backward, strict=True):
            rows.append([np.concatenate(pair) for pair in zip(left[1:-1], right[1:-1], strict=True)])
        return np.array(rows).reshape(len(rows), len(vectors) - 2, 2 * len(vectors[0])), final

    def score(self, vectors, targets):
        """(2, n + 1) nats of a full softmax: framed token k + 1 from its left, framed token k from its right."""
        (forward, backward), _ = self.sentence(vectors)
        steps = len(vectors) - 1
        left = [self.nll(forward[-1][place], targets[place + 1]) for place in range(steps)]
        right = [self.nll(backward[-1][place + 1], targets[place]) for place in range(steps)]
        return np.array([left, right])

    def nll(self, hidden, target):
        table = self.weights.get("softmax.table")
        if table is None:
            table = self.weights["encoder.table"][1:]
        logits = [np.dot(row, hidden) for row in table] + self.weights["softmax.bias"]
        largest = max(logits)
        return largest + np.log(sum(np.exp(logit - largest) for logit in logits)) - logits[target - 1]
