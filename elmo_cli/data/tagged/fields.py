"""Sentences as rows that hold lists: JSON lines and Parquet, one list of tokens and one of tags."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice

from elmo_cli.data.files import OnBytes
from elmo_cli.data.formats.fields import Fields, WithFields
from elmo_cli.data.formats.json_lines import JsonLines
from elmo_cli.data.formats.parquet import Parquet
from elmo_cli.data.tagged.format import TaggedFormat, TaggedSentence
from elmo_cli.errors import DataError, nearest, printable

# Names that data sets give these fields, the surest first.
_TOKENS = ("tokens", "words", "form")
_TAGS = ("tags", "labels", "ner_tags", "chunk_tags", "pos_tags", "upos", "xpos")


class _Lists(TaggedFormat):
    """A file of rows, of which one field is a list of tokens and another one a list of as many tags."""

    reader: type[WithFields]

    def taken(self, *, tagged: bool) -> dict[str, str]:
        """See `TaggedFormat.taken`."""
        rows = [row for _, row in islice(self._rows(), 20)]
        if not rows:
            raise self._no_tokens("a row for each sentence, with lists of tokens and tags")
        names = [name for name, value in rows[0].items() if isinstance(value, list)]
        found = {"tokens": self._find(self.columns.tokens, names, _TOKENS, "tokens", "tag.tokens")}
        if tagged:
            found["tags"] = self._find(self.columns.tags, names, _TAGS, "tags", "tag.tags")
        return found

    def sentences(self, *, tagged: bool, on_bytes: OnBytes | None = None) -> Iterator[TaggedSentence]:
        """A sentence for each row."""
        fields = self.taken(tagged=tagged)
        for number, row in self._rows(on_bytes):
            where = f"{self.path}, {self.reader.place} {number}"
            tokens = self._strings(row, fields["tokens"], where)
            tags = self._strings(row, fields["tags"], where) if tagged else ()
            if tagged and len(tags) != len(tokens):
                found = f"{len(tokens)} tokens have {len(tags)} tags"
                raise DataError(found, where=where, expected="a tag for each token", remedy="correct the row")
            if not tokens and tagged:
                raise self._empty_sentence(where)
            yield TaggedSentence(tokens, tags, (number,) * len(tokens), number)

    def _rows(self, on_bytes: OnBytes | None = None) -> Iterator[tuple[int, Fields]]:
        return self.reader(self.path, self.reading).rows((), on_bytes)

    def _find(self, given: str | None, names: Sequence[str], usual: Sequence[str], what: str, setting: str) -> str:
        found = [name for name in ((given,) if given is not None else usual) if name in names]
        if found:
            return found[0]
        raise DataError(
            f"{self.path.name} has no field of {what}" + (f" '{given}'" if given else ""),
            where=self.path,
            expected="a field that holds a list, of which there are " + (printable(", ".join(names)) or "none"),
            remedy=f"{nearest(given, names) if given else 'name it'} (setting {setting})",
        )

    def _strings(self, row: Fields, name: str, where: str) -> tuple[str, ...]:
        """The strings of a list."""
        values = row.get(name)
        if not isinstance(values, list) or not all(isinstance(one, str) and one.strip() for one in values):
            raise DataError(
                f"the field '{name}' holds no list of words",
                where=where,
                expected='a list of strings that are not empty, such as ["The", "match"]',
                remedy="correct the row",
            )
        return tuple(values)


class JsonSentences(_Lists):
    """JSON lines such as `{"tokens": ["The", "match"], "tags": ["DT", "NN"]}`."""

    kind = "jsonl"
    endings = JsonLines.endings
    reader = JsonLines


class ParquetSentences(_Lists):
    """Parquet, as Hugging Face's datasets have it: tags may be numbers of classes whose names the file has."""

    kind = "parquet"
    endings = Parquet.endings
    packed = False
    reader = Parquet

    def _rows(self, on_bytes: OnBytes | None = None) -> Iterator[tuple[int, Fields]]:
        """The rows with their numbers from 1, all lists of them, numbers of classes as their names."""
        from pyarrow import ArrowException, types

        reader = Parquet(self.path, self.reading)
        with reader.open() as file:
            schema = file.schema_arrow
            lists = [field.name for field in schema if types.is_list(field.type) or types.is_large_list(field.type)]
            classes = _class_names(schema.metadata or {})
            number = 0
            try:
                for batch in file.iter_batches(1024, columns=lists):
                    for row in reader.rows_of(batch, number):
                        number += 1
                        yield number, {name: _named(value, classes.get(name)) for name, value in row.items()}
            except (ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
                raise reader.broken(f"after row {number}: {error}") from error


def _class_names(metadata: dict[bytes, bytes]) -> dict[str, list[str]]:
    """Names of the classes of each sequence of ClassLabel, as Hugging Face's datasets write them into a file."""
    found: dict[str, list[str]] = {}
    with suppress(ValueError, TypeError, AttributeError, KeyError, RecursionError):  # what others wrote about it
        for name, feature in json.loads(metadata[b"huggingface"])["info"]["features"].items():
            inner = feature.get("feature") if isinstance(feature, dict) else feature[0]  # two ways to say a list
            if isinstance(inner, dict) and inner.get("_type") == "ClassLabel":
                found[name] = [str(one) for one in inner["names"]]
    return found


def _named(values: object, names: Sequence[str] | None) -> object:
    if names is None or not isinstance(values, list):
        return values
    return [names[one] if isinstance(one, int) and 0 <= one < len(names) else one for one in values]
