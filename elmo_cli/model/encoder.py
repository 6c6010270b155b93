"""Token ids to token vectors: an embedding table, the ELMo character CNN, or both side by side.

All map a `TokenIds` of any shape to vectors (..., P), so the biLM above does not know which one it stands on.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from elmo_cli.config import ModelSettings
from elmo_cli.errors import ConfigError
from elmo_cli.model.kernel.products import packing_pays

# beside the characters: a masked one, which is id 0, and five after them, of which padding is the last
# (docs/explanation/formats.md#character-ids)
MARKS = 6
WORDS_AT_ONCE = 512  # whose convolutions are in memory together where there are no gradients


class TokenIds(NamedTuple):
    """What an encoder reads.

    With an embedding table, `ids` are vocabulary ids. With a character CNN they index the rows of `characters`, which
    holds each distinct word of the batch once; row 0 is padding. With both, `words` has the vocabulary id of each row.
    """

    ids: Tensor  # any shape, int64
    characters: Tensor | None = None  # (U, C) int64
    words: Tensor | None = None  # (U,) int64

    def to(self, device: torch.device | str) -> TokenIds:
        """The same ids on another device."""
        return TokenIds(*(None if part is None else part.to(device) for part in self))  # type: ignore[arg-type]

    @staticmethod
    def from_numpy(
        ids: NDArray[np.integer],
        characters: NDArray[np.integer] | None,
        words: NDArray[np.integer] | None,
        device: torch.device | str,
    ) -> TokenIds:
        """Tensors of what an indexer returned."""
        given = (ids, characters, words)
        tensors = [None if part is None else torch.as_tensor(part, dtype=torch.int64, device=device) for part in given]
        return TokenIds(*tensors)  # type: ignore[arg-type]


class WordEncoder(nn.Module):
    """x = W table[id], with W absent where the table is as wide as a token vector (E = P).

    Row 0 of the table is padding, zero for good. A fresh table is drawn with a standard deviation of 1 / sqrt(E), so
    that a token vector has length one, which also suits a softmax that shares it.

    Args:
        vocabulary_size: V; the table has V + 1 rows.
        settings: Widths, and whether the table is trained.
    """

    def __init__(self, vocabulary_size: int, settings: ModelSettings) -> None:
        super().__init__()
        self.table = _word_table(vocabulary_size, settings)
        width = self.table.shape[1]
        self.projection = nn.Linear(width, settings.token_size, bias=False) if width != settings.token_size else None

    @property
    def word_table(self) -> nn.Parameter:
        """(V + 1, E) vectors by vocabulary id."""
        return self.table

    def forward(self, tokens: TokenIds) -> Tensor:
        """Look the ids up.

        Args:
            tokens: Vocabulary ids of any shape.

        Returns:
            (..., P) vectors; zero for padding.
        """
        vectors = functional.embedding(tokens.ids, self.table, padding_idx=0)
        return vectors if self.projection is None else self.projection(vectors)


def _word_table(vocabulary_size: int, settings: ModelSettings) -> nn.Parameter:
    """(V + 1, E) fresh vectors by vocabulary id."""
    width = settings.embedding_size or settings.token_size
    table = nn.Parameter(torch.randn(vocabulary_size + 1, width) * width**-0.5)
    table.requires_grad_(not settings.freeze_embeddings)
    with torch.no_grad():
        table[0] = 0.0
    return table


@torch.no_grad()
def initialise_table(table: nn.Parameter, matrix: Tensor, known: Tensor) -> None:
    """Start an embedding table from static vectors.

    Args:
        table: (V + 1, E), changed in place.
        matrix: (V + 1, E) vectors by id.
        known: (V + 1,) bool, true where `matrix` holds a vector. The other rows are drawn at random with the standard
            deviation of the known ones, so that no token stands out by its length.

    Raises:
        ConfigError: The vectors are not as wide as the table.
    """
    if matrix.shape != table.shape:
        raise ConfigError(
            f"the static vectors make a table of {tuple(matrix.shape)}",
            expected=f"(tokens + 1, width) = {tuple(table.shape)}",
            remedy=f"set model.embedding_size to {matrix.shape[-1]}, the width of the vectors",
        )
    if not known.any():
        return
    scale = float(matrix[known].std())
    fresh = torch.randn_like(table) * scale
    table.copy_(torch.where(known[:, None].to(fresh.device), matrix.to(fresh), fresh))
    table[0] = 0.0


class Highway(nn.Module):
    """g = sigmoid(W_carry x + b_carry), y = g * relu(W_transform x + b_transform) + (1 - g) * x.

    As in docs/explanation/formats.md#arithmetic.

    Args:
        size: F, the width of input and output.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.carry = nn.Linear(size, size)
        self.transform = nn.Linear(size, size)
        for layer, bias in ((self.carry, -2.0), (self.transform, 0.0)):  # a closed gate: begin near the identity
            nn.init.normal_(layer.weight, std=size**-0.5)
            nn.init.constant_(layer.bias, bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """(..., F) to (..., F)."""
        gate = torch.sigmoid(linear(inputs, self.carry))
        return torch.lerp(inputs, torch.relu(linear(inputs, self.transform)), gate)


def linear(inputs: Tensor, layer: nn.Linear) -> Tensor:
    """The layer's own result; without gradients in oneDNN, where that is the faster one (see `kernel.products`)."""
    multiplications = len(inputs) * layer.weight.numel()
    if torch.is_grad_enabled() or not packing_pays(inputs.device, inputs.dtype, multiplications):
        result: Tensor = layer(inputs)
    else:
        result = torch.ops.mkldnn._linear_pointwise(inputs, layer.weight, layer.bias, "none", [], "")
    return result


class CharacterEncoder(nn.Module):
    """x = W highway(act(max_t conv(characters)_t)) (Peters et al. 2018, section 3.4).

    As in docs/explanation/formats.md#arithmetic. Runs once for each distinct word of a batch. W is absent where the
    filters are together as wide as a token vector, unless characters are those of an alphabet.

    Args:
        settings: Widths, filters and highways.

    Raises:
        ConfigError: A filter is wider than a word may be long.
    """

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        chars = settings.characters
        self.widest = max(width for width, _ in chars.filters)
        if self.widest > chars.max_characters:
            raise ConfigError(
                f"model.characters.filters has a filter {self.widest} characters wide",
                expected=f"at most model.characters.max_characters = {chars.max_characters}",
                remedy="raise model.characters.max_characters, or leave the widest filter out",
            )
        self.padding = chars.codes + MARKS - 1
        self.table = nn.Parameter(torch.empty(chars.codes + MARKS, chars.dim).uniform_(-1.0, 1.0))
        self.token_size = settings.token_size
        self.convolutions = nn.ModuleList(nn.Conv1d(chars.dim, count, width) for width, count in chars.filters)
        size = sum(count for _, count in chars.filters)
        self.highways = nn.ModuleList(Highway(size) for _ in range(chars.highway_layers))
        self.projection = self._map(size, settings)
        self.activation = torch.relu if chars.activation == "relu" else torch.tanh
        with torch.no_grad():
            self.table[0] = 0.0

    def _map(self, size: int, settings: ModelSettings) -> nn.Linear | None:
        """W, from the features of a word to its vector."""
        always = settings.characters.alphabet is not None
        return nn.Linear(size, settings.token_size) if always or size != settings.token_size else None

    @property
    def word_table(self) -> nn.Parameter | None:
        """There is none."""
        return None

    def forward(self, tokens: TokenIds) -> Tensor:
        """Encode the distinct words, then look them up.

        Args:
            tokens: Row numbers of any shape, with the characters (U, C) of each row.

        Returns:
            (..., P) vectors; what padding gets is left open.
        """
        if tokens.characters is None:
            raise ValueError("a character encoder needs the characters of its tokens")
        return functional.embedding(tokens.ids, self.encode(tokens.characters, tokens.words))

    def encode(self, characters: Tensor, words: Tensor | None = None) -> Tensor:
        """Encode words; without gradients, some at a time and those of similar length together.

        Args:
            characters: (U, C) of each word.
            words: (U,) their vocabulary ids, for an encoder that has a table too.

        Returns:
            (U, P) vectors.
        """
        if torch.is_grad_enabled():
            return self._encode(characters, words)
        vectors = self.table.new_empty(len(characters), self.token_size)
        real = (characters != self.padding) & (characters != 0)
        lengths = real.to(torch.int16) * torch.arange(1, 1 + characters.shape[1], device=real.device, dtype=torch.int16)
        for some in torch.split(lengths.amax(dim=1).argsort(stable=True), WORDS_AT_ONCE):
            vectors[some] = self._encode(characters[some], None if words is None else words[some])
        return vectors

    def _encode(self, characters: Tensor, words: Tensor | None = None) -> Tensor:
        features = self._features(characters, words)
        return features if self.projection is None else linear(features, self.projection)

    def _features(self, characters: Tensor, words: Tensor | None) -> Tensor:
        """(U, F) of words."""
        inputs = functional.embedding(self._trim(characters), self.table, padding_idx=0).transpose(1, 2)  # (U, c, C)
        found = torch.cat([self.activation(self._largest(convolve, inputs)) for convolve in self.convolutions], dim=1)
        for highway in self.highways:
            found = highway(found)  # (U, F)
        return found

    def _largest(self, convolve: nn.Module, inputs: Tensor) -> Tensor:
        """The maximum over positions of a convolution, (U, c, C) to (U, n).

        As an image one pixel high the words lie as oneDNN likes them, channels last: several times faster than conv1d.
        """
        assert isinstance(convolve, nn.Conv1d)
        found = functional.conv2d(inputs[:, :, None], convolve.weight[:, :, None], convolve.bias).squeeze(2)
        # `max` keeps positions for its gradient and not, as `amax` would, the whole convolution
        return found.max(dim=2).values if found.requires_grad else found.amax(dim=2)

    def _trim(self, characters: Tensor) -> Tensor:
        """Cut the padding that no word needs; one window of padding alone stays, since the maximum sees it."""
        real = ((characters != self.padding) & (characters != 0)).any(dim=0).nonzero()
        longest = int(real[-1]) + 1 if len(real) else 0
        return characters[:, : longest + self.widest]


class WordCharacterEncoder(CharacterEncoder):
    """x = W [words[id]; highway(act(max_t conv(characters)_t))] + b: a table beside the character CNN.

    The table knows what a frequent word is, the CNN how a rare one is spelt.

    Args:
        vocabulary_size: V; the table of words has V + 1 rows, whose first is padding.
        settings: Widths, filters and highways, and whether the table is trained.
    """

    def __init__(self, vocabulary_size: int, settings: ModelSettings) -> None:
        super().__init__(settings)
        self.words = _word_table(vocabulary_size, settings)

    @property
    def word_table(self) -> nn.Parameter:
        """(V + 1, E) vectors by vocabulary id."""
        return self.words

    def _map(self, size: int, settings: ModelSettings) -> nn.Linear:
        return nn.Linear((settings.embedding_size or settings.token_size) + size, settings.token_size)

    def _features(self, characters: Tensor, words: Tensor | None) -> Tensor:
        """(U, E + F) of words."""
        if words is None:
            raise ValueError("this encoder needs the vocabulary ids of its tokens beside their characters")
        known = functional.embedding(words, self.words, padding_idx=0)
        return torch.cat([known, super()._features(characters, None)], dim=1)


Encoder = WordEncoder | CharacterEncoder | WordCharacterEncoder


def make_encoder(settings: ModelSettings, vocabulary_size: int | None) -> Encoder:
    """The token encoder of the settings; one of characters alone needs no vocabulary."""
    if settings.encoder == "char":
        return CharacterEncoder(settings)
    if settings.encoder == "word":
        return WordEncoder(vocabulary_size or 0, settings)
    return WordCharacterEncoder(vocabulary_size or 0, settings)
