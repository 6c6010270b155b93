"""Damage, chosen by a seeded generator: bytes that are lost, changed and repeated, numbers and words that are odd."""

from __future__ import annotations

import io
import random
import re
import zipfile
from collections.abc import Callable, Sequence

ODD = (
    b"", b"0", b"-1", b"1e999", b"NaN", b"Infinity", b"null", b"true", b"[]", b"{}", b'""', b"9" * 400,
    b"18446744073709551616", b"4294967295", b"10000000", b"[" * 2000, b'{"a":' * 500, b"&a [*a]", b"*a",
    b"!!python/name:os.system", b"2026-13-45", b"../x", b"/etc/passwd", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\r",
    b"\n", b"\n\n", b"\t", b" ", b'"', b"'", b"(a+)+$", b"{9999}", b"(?:", b"\xed\xa0\x80", "\u202e\u0301".encode(),
    b"a" * 70_000, b"a " * 5000,
)  # fmt: skip
_NUMBER = re.compile(rb"\d+(?:\.\d+)?")
_VALUE = re.compile(rb"(?<=: )[^\n,}\]]+")

Damage = Callable[[bytes, random.Random], bytes]


def _flip(content: bytes, draw: random.Random) -> bytes:
    place = draw.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << draw.randrange(8)]) + content[place + 1 :]


def _set(content: bytes, draw: random.Random) -> bytes:
    place, width = draw.randrange(len(content)), draw.choice((1, 2, 4, 8))
    value = draw.choice(
        (bytes(8), b"\xff" * 8, b"\x7f" + b"\xff" * 7, b"\0" * 3 + b"\x7f" + bytes(4), draw.randbytes(8))
    )
    return content[:place] + value[:width] + content[place + width :]


def _cut(content: bytes, draw: random.Random) -> bytes:
    return content[: draw.randrange(len(content))]


def _lose(content: bytes, draw: random.Random) -> bytes:
    place = draw.randrange(len(content))
    return content[:place] + content[place + draw.randint(1, 16) :]


def _repeat(content: bytes, draw: random.Random) -> bytes:
    start = draw.randrange(len(content))
    end = start + draw.randint(1, 64)
    return content[:end] + content[start:end] * draw.choice((1, 2, 50)) + content[end:]


def _insert(content: bytes, draw: random.Random) -> bytes:
    place = draw.randrange(len(content) + 1)
    return content[:place] + draw.choice(ODD) + content[place:]


def _replace(pattern: re.Pattern[bytes]) -> Damage:
    def damage(content: bytes, draw: random.Random) -> bytes:
        found = list(pattern.finditer(content))
        if not found:
            return _insert(content, draw)
        one = draw.choice(found)
        return content[: one.start()] + draw.choice(ODD) + content[one.end() :]

    return damage


def _move(content: bytes, draw: random.Random) -> bytes:
    start, other = draw.randrange(len(content)), draw.randrange(len(content))
    part = content[start : start + draw.randint(1, 32)]
    return content[:other] + part + content[other + len(part) :]


def _inside(content: bytes, draw: random.Random) -> bytes:
    """Of an archive a member, so that its checksums fit; of anything else a byte."""
    if not content.startswith(b"PK"):
        return _flip(content, draw)
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(packed, "w") as changed:
        names = archive.namelist()
        chosen = draw.choice(names)
        for name in names:
            member = archive.read(name)
            changed.writestr(name, mutate(member, draw) if name == chosen and member else member)
    return packed.getvalue()


DAMAGES: Sequence[Damage] = (
    _flip, _set, _set, _cut, _lose, _repeat, _insert, _replace(_NUMBER), _replace(_VALUE), _move,
)  # fmt: skip


def mutate(content: bytes, draw: random.Random) -> bytes:
    """A damaged copy."""
    if content.startswith(b"PK") and draw.random() < 0.7:
        return _inside(content, draw)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        if content:
            content = draw.choice(DAMAGES)(content, draw)
    return content
