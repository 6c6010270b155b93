"""A token a line with its tags in columns, a blank line between sentences: CoNLL's form, and CoNLL-U.

The column is chosen by number or by name. Columns are named by a line `# global.columns = FORM TAG`, as CoNLL-U Plus
has it, or by a first line of names where `data.header` is yes; those of CoNLL-U have the names of its ten fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import ClassVar

from elmo_cli.data.files import OnBytes, read_lines
from elmo_cli.data.tagged.format import TaggedFormat, TaggedSentence
from elmo_cli.errors import DataError, nearest, printable

DOCUMENT = "-DOCSTART-"
_GLOBAL = re.compile(r"#\s*global\.columns\s*=\s*(.+)")
_FIELDS: Sequence[str] = ("ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")
_INNER_ID = re.compile(r"\d+[-.]\d+")  # a range of words that are written as one, or an empty node


class Conll(TaggedFormat):
    """Columns between tabs, if the first token's line has any, else between blanks; tokens first, tags last."""

    kind = "conll"
    endings: ClassVar[tuple[str, ...]] = (".conll", ".iob", ".bio", ".txt", ".tsv", "")
    usual_token, usual_tag = "1", "last"
    always_tabs = False

    def taken(self, *, tagged: bool) -> dict[str, str]:
        """See `TaggedFormat.taken`."""
        names, _, width, _ = self._form(read_lines(self.path, self.reading.encoding))
        token, tag = self._places(names, width, tagged)
        return {"tokens": names[token]} | ({"tags": names[tag]} if tagged else {})

    def sentences(self, *, tagged: bool, on_bytes: OnBytes | None = None) -> Iterator[TaggedSentence]:
        """A sentence for each block of lines; documents' first lines and comments are passed over."""
        return self.sentences_of(read_lines(self.path, self.reading.encoding, on_bytes), tagged=tagged)

    def sentences_of(self, lines: Iterable[str], *, tagged: bool) -> Iterator[TaggedSentence]:
        """The same of lines that come from elsewhere, such as a pipe: no further is read than sentences go."""
        names, tabs, width, numbered = self._form(lines)
        token, tag = self._places(names, width, tagged)
        skip = int(self.reading.header == "yes")
        tokens: list[str] = []
        tags: list[str] = []
        places: list[int] = []
        for number, line in chain(numbered, [(0, "")]):
            row = _split(line, tabs)
            if not line.strip() or row[0].startswith(DOCUMENT):
                if tokens:
                    yield TaggedSentence(tuple(tokens), tuple(tags), tuple(places), places[0])
                tokens, tags, places = [], [], []
                continue
            if number <= skip or self._is_passed(row, line, width):
                continue
            if len(row) != width:
                raise self._ragged(number, row, width)
            if not row[token].strip() or (tagged and not row[tag].strip()):
                raise self._blank(number, "token" if not row[token].strip() else "tag")
            tokens.append(row[token])
            places.append(number)
            if tagged:
                tags.append(row[tag])

    def _is_passed(self, row: Sequence[str], line: str, width: int) -> bool:
        """Whether a line is a comment: a `#` may be a token too, then with as many columns as all."""
        return line.startswith("#") and len(row) != width

    def _form(self, lines: Iterable[str]) -> tuple[Sequence[str], bool, int, Iterator[tuple[int, str]]]:
        """Names of the columns, whether tabs are between them, how many there are, and all lines with their numbers."""
        names: Sequence[str] = ()
        read: list[tuple[int, str]] = []
        numbered = ((number, line.rstrip("\r\n")) for number, line in enumerate(lines, start=1))
        for number, line in numbered:
            read.append((number, line))
            if found := _GLOBAL.match(line):
                names = found[1].split()
            elif number == 1 and self.reading.header == "yes":
                names = _split(line, "\t" in line)
            elif line.strip() and not line.startswith(("#", DOCUMENT)):
                tabs = self.always_tabs or "\t" in line
                width = len(_split(line, tabs))
                return (names if len(names) == width else self._names(width)), tabs, width, chain(read, numbered)
        raise self._no_tokens("a token a line, with its tag in a column")

    def _names(self, width: int) -> Sequence[str]:
        return [str(place) for place in range(1, width + 1)]

    def _places(self, names: Sequence[str], width: int, tagged: bool) -> tuple[int, int]:
        """The columns of tokens and of tags, counted from 0."""
        token = self._place(self.columns.tokens or self.usual_token, names, width, "tag.tokens")
        if not tagged:
            return token, token
        tag = self._place(self.columns.tags or self.usual_tag, names, width, "tag.tags")
        if token == tag:
            raise DataError(
                f"{self.path.name} has {'one column' if width == 1 else 'its tags'} where its tokens are",
                where=f"{self.path}, line 1",
                expected="a column of tokens and another one of tags",
                remedy="name them: elmo tag --tokens 1 --tags 2",
            )
        return token, tag

    def _place(self, wanted: str, names: Sequence[str], width: int, setting: str) -> int:
        if wanted == "last":
            return width - 1
        if wanted in names:
            return list(names).index(wanted)
        if wanted.isdecimal() and 1 <= int(wanted) <= width:
            return int(wanted) - 1
        named = [name for name in names if not name.isdecimal()]
        raise DataError(
            f"there is no column '{wanted}'",
            where=self.path,
            expected=f"a number from 1 to {width}" + (", or one of " + ", ".join(named) if named else ""),
            remedy=(nearest(wanted, named) if named else "the columns have no names") + f" (setting {setting})",
        )

    def _ragged(self, number: int, row: Sequence[str], width: int) -> DataError:
        found = f"the line has {len(row)} column{'s' if len(row) > 1 else ''}, the first token's line {width}"
        shown = printable(" ".join(row))
        return DataError(
            f"{found}: {shown}",
            where=f"{self.path}, line {number}",
            expected=f"{width} columns in every line, a blank line between sentences",
            remedy="correct the line; where lines are running text, elmo predict takes --text",
        )

    def _blank(self, number: int, what: str) -> DataError:
        where, remedy = f"{self.path}, line {number}", "fill it in, or remove the line"
        return DataError(f"the {what} is empty", where=where, expected="a token and its tag", remedy=remedy)


class ConllU(Conll):
    """Universal Dependencies: ten fields between tabs, comments, ranges of words (`3-4`), empty nodes (`3.1`).

    Tokens are the syntactic words, as the tags belong to them: of a range its words are read, not the range itself.
    """

    kind = "conllu"
    endings = (".conllu", ".conllup")
    usual_token, usual_tag = "FORM", "UPOS"
    always_tabs = True

    def _is_passed(self, row: Sequence[str], line: str, width: int) -> bool:
        return line.startswith("#") or _INNER_ID.fullmatch(row[0]) is not None

    def _names(self, width: int) -> Sequence[str]:
        return _FIELDS if width == len(_FIELDS) else super()._names(width)


def _split(line: str, tabs: bool) -> list[str]:
    return line.split("\t") if tabs else line.split() or [""]
