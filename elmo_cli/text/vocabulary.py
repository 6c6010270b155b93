"""Which tokens have an id: `vocab.txt` in bilm-tf's form, with `vocab.yaml` beside it to say how it came about.

Line 1 of `vocab.txt` is id 1; id 0 is padding and stands in no file. `<S>`, `</S>` and `<UNK>` come first, the rest in
descending count, ties in the order of the tokens: the log-uniform and the adaptive softmax rely on it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import ValidationError

from elmo_cli.config import TokenizerSettings, VocabularySettings
from elmo_cli.config.bounded import read_text
from elmo_cli.config.yaml_text import load_yaml
from elmo_cli.data.files import refuse_pipe
from elmo_cli.disk import write_text
from elmo_cli.errors import DataError, printable
from elmo_cli.text.encoded import BOS_TOKEN, EOS_TOKEN, PAD, RESERVED_TYPES, UNK, UNK_TOKEN, EncodedCorpus
from elmo_cli.text.shards import StoredTypes

VOCABULARY_FILE = "vocab.txt"
DETAILS_FILE = "vocab.yaml"
SPECIAL_TOKENS = (BOS_TOKEN, EOS_TOKEN, UNK_TOKEN)
_LONGEST_LINE = 1 << 20  # bytes
SKIPPED_LINE = "!!!MAXTERMID"  # some published vocabularies hold it; it has no id


@dataclass(frozen=True)
class Totals:
    """What a vocabulary was counted on."""

    tokens: int  # of the corpus
    types: int  # distinct tokens of the corpus
    kept: int  # distinct tokens that have an id
    coverage: float  # share of the corpus' tokens that have an id


@dataclass(frozen=True)
class OovReport:
    """Tokens of a corpus that the vocabulary does not hold."""

    tokens: int  # of the corpus
    unknown: int  # those of them that have no id
    types: int  # distinct tokens of the corpus
    unknown_types: int

    @property
    def rate(self) -> float:
        """Unknown tokens over all tokens; 0 for an empty corpus."""
        return self.unknown / self.tokens if self.tokens else 0.0


class Vocabulary:
    """Tokens with ids from 1 to V."""

    def __init__(
        self,
        tokens: Sequence[str],
        *,
        tokenizer: TokenizerSettings,
        counts: Sequence[int] | None = None,
        settings: VocabularySettings | None = None,
        totals: Totals | None = None,
    ) -> None:
        self.tokens = tuple(tokens)  # the id is the index + 1
        self.counts = tuple(counts) if counts is not None else None  # how often each was seen; None of a file
        self.tokenizer = tokenizer  # how text becomes tokens for this vocabulary
        # which tokens were kept, and what they were counted on; None of a file without `vocab.yaml`
        self.settings, self.totals = settings, totals
        self._ids = {"": PAD} | {token: number for number, token in enumerate(self.tokens, start=1)}
        self._looked_up: tuple[Sequence[str], NDArray[np.int64]] | None = None

    def __len__(self) -> int:
        """V: ids run from 1 to V, so a table needs V + 1 rows."""
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        return token != "" and token in self._ids

    @classmethod
    def build(cls, corpus: EncodedCorpus, settings: VocabularySettings, tokenizer: TokenizerSettings) -> Vocabulary:
        """Count a corpus of training text, tokenised as `tokenizer` says, and keep its frequent tokens.

        Raises:
            DataError: No token is seen often enough.
        """
        counts, types = corpus.counts(), tuple(corpus.types)
        order = _by_frequency(types, counts, settings.min_count)
        if settings.max_size is not None:
            order = order[: settings.max_size - len(SPECIAL_TOKENS)]
        if not order:
            found = f"no token occurs {settings.min_count} times among {corpus.token_count} tokens"
            raise DataError(found, remedy="give more text, or lower --min-count")
        ordinary = [int(counts[number]) for number in order]
        special = [int(counts[number]) for number in (1, 2)]
        seen = corpus.token_count
        totals = Totals(seen, int(np.count_nonzero(counts)), len(order), sum(ordinary) / seen)
        tokens = [*SPECIAL_TOKENS, *(types[number] for number in order)]
        all_counts = [*special, seen - sum(ordinary) - sum(special), *ordinary]
        return cls(tokens, counts=all_counts, tokenizer=tokenizer, settings=settings, totals=totals)

    def lookup(self, types: Sequence[str]) -> NDArray[np.int64]:
        """(types,) the id of each token: `UNK` where it has none, 0 for the empty string. Not to be written to."""
        if self._looked_up is not None and self._looked_up[0] is types:
            return self._looked_up[1]

        def look_up() -> NDArray[np.int64]:
            return np.fromiter(map(self._ids.get, types, repeat(UNK)), dtype=np.int64, count=len(types))

        if isinstance(types, StoredTypes):
            ids = types.derive(f"ids-{self.fingerprint().removeprefix('sha256:')[:16]}", look_up)
        else:
            ids = look_up()
        ids.flags.writeable = False
        if not isinstance(types, list):  # one and the same list may hold other tokens the next time
            self._looked_up = types, ids
        return ids

    def oov(self, corpus: EncodedCorpus) -> OovReport:
        """How much of a corpus has no id."""
        counts = corpus.counts()
        unknown = self.lookup(corpus.types) == UNK
        types, unknown_types = int(np.count_nonzero(counts)), int(np.count_nonzero(counts[unknown]))
        return OovReport(corpus.token_count, int(counts[unknown].sum()), types, unknown_types)

    def fingerprint(self) -> str:
        """`sha256:...` of the tokens in their order: equal exactly when all ids are."""
        return "sha256:" + hashlib.sha256("\n".join(self.tokens).encode()).hexdigest()

    def save(self, folder: Path, *, kept: str = "nothing was kept") -> None:
        """Write `vocab.txt` and `vocab.yaml` into a folder, made where it is missing; see `write_atomically`."""
        details = {
            "size": len(self),
            "tokenizer": self.tokenizer.model_dump(mode="json"),
            "settings": self.settings.model_dump(mode="json") if self.settings else None,
            "totals": asdict(self.totals) if self.totals else None,
        }
        write_text(folder / VOCABULARY_FILE, "".join(token + "\n" for token in self.tokens), kept=kept)
        write_text(folder / DETAILS_FILE, yaml.safe_dump(details, sort_keys=False, allow_unicode=True), kept=kept)

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        """Read a vocabulary.

        Args:
            path: A folder that holds `vocab.txt`, or the file itself, which may be another project's. Where no
                `vocab.yaml` lies beside it, the text is taken to be split at whitespace, as bilm-tf takes it.

        Raises:
            DataError: The file is missing, is no vocabulary, or holds a token twice.
        """
        file = path / VOCABULARY_FILE if path.is_dir() else path
        tokens = _read_tokens(file)
        details_file = file.with_name(DETAILS_FILE)
        if file.name != VOCABULARY_FILE or not details_file.is_file():
            return cls(tokens, tokenizer=TokenizerSettings(kind="whitespace"))
        return _with_details(tokens, file, details_file)


def _by_frequency(types: Sequence[str], counts: NDArray[np.int64], min_count: int) -> list[int]:
    """Type numbers seen often enough, in descending count, ties in the order of the tokens."""
    taken = {*RESERVED_TYPES, UNK_TOKEN, SKIPPED_LINE}
    frequent = np.flatnonzero(counts >= min_count).tolist()
    # A user's regex may match line breaks, for which a file of a token a line has no room.
    numbers = [number for number in frequent if types[number] not in taken and "\n" not in types[number]]
    frequency = counts.tolist()
    return sorted(numbers, key=lambda number: (-frequency[number], types[number]))


def _read_tokens(path: Path) -> list[str]:
    """The tokens of a vocabulary file, checked."""
    try:
        refuse_pipe(path)
        lines = list(_lines(path))
    except FileNotFoundError as error:
        found = f"there is no vocabulary {path}"
        raise DataError(found, where=path, remedy="write one with `elmo vocab build`") from error
    except OSError as error:
        found, remedy = f"{path} cannot be read: {error.strerror}", "name a vocab.txt, or a run that holds one"
        raise DataError(found, where=path, expected="a vocabulary file", remedy=remedy) from error
    if lines and lines[0].endswith("\r"):
        lines = [line.removesuffix("\r") for line in lines]
    first_lines: dict[str, int] = {}
    for number, token in enumerate(lines, start=1):
        if token == SKIPPED_LINE:
            continue
        if not token or token in first_lines:
            found, expected, remedy = "a line is empty", "a token on every line", "remove the line"
            if token:
                found = f"the token '{printable(token)}' stands twice, first on line {first_lines[token]}"
                expected, remedy = "every token once", "remove the second"
            where, remedy = f"{path}, line {number}", f"{remedy}; ids of the tokens after it change"
            raise DataError(found, where=where, expected=expected, remedy=remedy)
        first_lines[token] = number
    tokens = list(first_lines)
    if tuple(tokens[:3]) != SPECIAL_TOKENS:
        shown = (token if len(token) <= 20 else f"{token[:19]}…" for token in tokens[:3])
        begins = ", ".join(map(printable, shown)) or "nothing"
        raise DataError(
            f"{path} does not begin as a vocabulary does, but with {begins}",
            where=f"{path}, line 1",
            expected="<S>, </S> and <UNK> on the first three lines, then a token a line by descending count",
            remedy="build one from text with `elmo vocab build`",
        )
    return tokens


def _lines(path: Path) -> Iterator[str]:
    """The lines of a vocabulary file without their ends, each of them bounded."""
    with path.open("rb") as file:
        for number, raw in enumerate(iter(partial(file.readline, _LONGEST_LINE + 1), b""), start=1):
            where, expected = f"{path}, line {number}", "a token a line, in UTF-8"
            if len(raw) > _LONGEST_LINE:
                found, remedy = f"the line has more than {_LONGEST_LINE:,} bytes", "give a vocabulary, no running text"
                raise DataError(found, where=where, expected=expected, remedy=remedy)
            try:
                yield raw.removeprefix(b"\xef\xbb\xbf" if number == 1 else b"").decode().removesuffix("\n")
            except UnicodeDecodeError as error:
                remedy = "convert it, or build one from text with `elmo vocab build`"
                raise DataError(f"{path} is not UTF-8", where=where, expected=expected, remedy=remedy) from error


def _with_details(tokens: list[str], file: Path, details_file: Path) -> Vocabulary:
    """The vocabulary with what `vocab.yaml` says of it."""
    try:
        details: Any = load_yaml(read_text(details_file))
        tokenizer = TokenizerSettings.saved(details["tokenizer"])
        settings = VocabularySettings.model_validate(details["settings"]) if details["settings"] else None
        totals = Totals(**details["totals"]) if details["totals"] else None
        size = details["size"]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, ValidationError) as error:
        found = f"{details_file} does not describe a vocabulary: {error}".splitlines()[0]
        expected = "the keys size, tokenizer, settings and totals, as `elmo vocab build` writes them"
        remedy = "build the vocabulary again with `elmo vocab build`, or restore the file"
        raise DataError(found, where=details_file, expected=expected, remedy=remedy) from error
    if size != len(tokens):
        found = f"{file} holds {len(tokens)} tokens, but {details_file.name} says {size}"
        remedy = "one of the two was changed: build the vocabulary again, or restore the file"
        raise DataError(found, where=file, remedy=remedy)
    return Vocabulary(tokens, tokenizer=tokenizer, settings=settings, totals=totals)
