"""A tagger in Python: load it, then `predict`, `spans`, `save`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Self

from elmo_cli.api.folders import RunFolder
from elmo_cli.api.model import Model
from elmo_cli.data.schemes import Span, read_spans
from elmo_cli.inference.tag_stream import Tagged, tag_stream
from elmo_cli.runs import LoadedTagger, load_tagger


class TokenTagger(Model):
    """A tagger, which labels every token, on the layers of a language model.

    Attributes:
        tags: Types of spans, or the tags themselves where they are plain.
        scheme: How its tags mark spans: `iob1`, `iob2`, `bioes` or `bilou`, as in its training file; or `plain`.
    """

    def __init__(self, loaded: LoadedTagger, device: str = "auto", folder: RunFolder | None = None) -> None:
        super().__init__(device, folder)
        self.loaded, self.embedder = loaded, loaded.embedder
        self.tags, self.scheme = list(loaded.tag_set.kinds), loaded.tag_set.scheme

    @classmethod
    def _of(cls, folder: RunFolder, device: str) -> Self:
        return cls(load_tagger(folder.path), device, folder)

    @classmethod
    def load(cls, path: str | PathLike[str], device: str = "auto") -> Self:
        """Load a run of `elmo tag`.

        Raises:
            RunError: It is not a run of this kind.
            WeightsError: Its weights do not fit its settings.
        """
        return cls._of(RunFolder(Path(path)), device)

    @property
    def lambdas(self) -> list[float] | None:
        """Weights of the layers in force; None where the combiner has none."""
        return self.loaded.tagger.combiner.lambdas()

    def predict(self, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
        """The tags of sentences.

        Args:
            sentences: Each a list of tokens, as they stand.

        Returns:
            A tag for each token, in the scheme of the training file.
        """
        return [list(one.tags) for one in self._tagged(sentences)]

    def spans(self, sentences: Sequence[Sequence[str]]) -> list[list[Span]]:
        """The spans of sentences, `(start, stop, type)` in tokens; none where tags are plain."""
        if self.scheme == "plain":
            return [[] for _ in sentences]
        return [read_spans(one.tags, self.scheme) for one in self._tagged(sentences)]

    def _tagged(self, sentences: Sequence[Sequence[str]]) -> Iterator[Tagged]:
        for one in (sentences, *sentences[:1]):
            if isinstance(one, str):
                raise TypeError(f"sentences are lists of tokens; give such as [['The', 'match']], not {one[:20]!r}")
        return tag_stream(self.loaded, sentences, device=self.device)

    def _facts(self) -> dict[str, object]:
        return {"tags": self.tags, "scheme": f"'{self.scheme}'"}
