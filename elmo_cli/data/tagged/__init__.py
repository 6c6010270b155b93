"""Files of sentences with a tag for every token. To add a format, write its class and name it in `FORMATS`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from elmo_cli.config import ReadingSettings
from elmo_cli.data.files import OnBytes
from elmo_cli.data.formats import format_of
from elmo_cli.data.formats.delimited import Csv
from elmo_cli.data.tagged.columns import Conll, ConllU
from elmo_cli.data.tagged.fields import JsonSentences, ParquetSentences
from elmo_cli.data.tagged.format import TagColumns, TaggedFormat, TaggedSentence
from elmo_cli.errors import DataError

FORMATS: tuple[type[TaggedFormat], ...] = (Conll, ConllU, JsonSentences, ParquetSentences)

__all__ = ["FORMATS", "Conll", "TagColumns", "TaggedFormat", "TaggedSentence", "open_tagged", "read_tagged"]

USUAL = TagColumns()

_BY_ENDING = {ending: one for one in FORMATS for ending in one.endings}


def open_tagged(path: Path, reading: ReadingSettings, columns: TagColumns = USUAL) -> TaggedFormat:
    """A file in its format, by its name: CoNLL-U, JSON lines or Parquet, else columns.

    Raises:
        DataError: Files of this kind are not read.
    """
    ending = Path(path.name.lower().removesuffix(".gz")).suffix
    found = _BY_ENDING.get(ending)
    if found is None and format_of(path) is Csv:  # which says what is to be done with archives, sheets and the like
        raise DataError(
            f"{path.name} is read as a CSV file of texts, and a tagger wants a tag for every token",
            where=path,
            expected="columns as CoNLL has them, CoNLL-U (.conllu), JSON lines or Parquet",
            remedy="give such a file: for the data.test of an elmo.yaml that is for texts, another --test",
        )
    return (found or Conll)(path, reading, columns)


def read_tagged(
    path: Path,
    reading: ReadingSettings,
    columns: TagColumns = USUAL,
    *,
    tagged: bool = True,
    on_bytes: OnBytes | None = None,
) -> Iterator[TaggedSentence]:
    """Stream the sentences of a file.

    Args:
        path: CoNLL-U, JSON lines or Parquet by its name, or anything else as columns; all but Parquet also as `.gz`.
        reading: Encoding, and whether columns have a header.
        columns: Which hold tokens and tags.
        tagged: Whether tags are read; without them a file needs none.
        on_bytes: Told now and then how many bytes of the file were read.

    Raises:
        DataError: The file is missing, empty, in another encoding or broken; a column is missing; lines or lists
            differ in length; a sentence that needs tags has no token. The message names file and line.
    """
    return open_tagged(path, reading, columns).sentences(tagged=tagged, on_bytes=on_bytes)
