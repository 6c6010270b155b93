"""Tagged sentences as texts: their tokens with spaces between them, for who reads text alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from elmo_cli.data.columns import Columns
from elmo_cli.data.files import OnBytes
from elmo_cli.data.formats.format import Format, Record, Refuse
from elmo_cli.errors import DataError

if TYPE_CHECKING:
    from elmo_cli.data.tagged import TaggedFormat


class ConllText(Format):
    """A token a line in CoNLL's columns or CoNLL-U; of its columns the usual one of tokens is read, and no other."""

    kind = "conll"
    title = "CoNLL"
    endings = (".conll", ".iob", ".bio", ".conllu", ".conllup")
    settings = frozenset({"encoding", "header", "clean"})

    def columns(self, *, labelled: bool) -> Columns:
        """None: a sentence is a text."""
        self._file().taken(tagged=False)
        return Columns()

    def records(self, *, labelled: bool, refuse: Refuse, on_bytes: OnBytes | None = None) -> Iterator[Record]:
        """A record for each sentence."""
        if labelled:
            found = f"{self.path.name} has a tag for every token, and no label for a text"
            expected = "a CSV, JSON lines or Parquet file with a text and a label column"
            raise DataError(found, where=self.path, expected=expected, remedy="learn the tags: elmo tag")
        for one in self._file().sentences(tagged=False, on_bytes=on_bytes):
            yield Record(" ".join(one.tokens), None, one.line)

    def _file(self) -> TaggedFormat:
        # Not above: files of tagged rows are read by the formats of this package.
        from elmo_cli.data.tagged import open_tagged

        return open_tagged(self.path, self.reading)
