"""Pickles as data: a machine of our own runs their opcodes, and nothing else of them.

A pickle is a program for a stack machine. Python's own machine, told to look only safe names up, still lets a file fill
whatever such a name gives: NumPy's `dtype` takes a state that makes pointers of the file's bytes. Here a name gives a
stand-in that is ours, and NumPy is first asked when type, shape and bytes are known to fit.

Memory and time grow with the file alone: what it says of its own lengths is checked against what is there, a key is a
string or a number of 64 bits (a tuple of tuples takes forever to hash), and what is named twice is not copied.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from elmo_cli.errors import DataError, ElmoError, printable
from elmo_cli.vectors.stand_ins import (
    KNOWN,
    NUMBERS,
    ArrayStandIn,
    DtypeStandIn,
    Name,
    ObjectStandIn,
    TensorStandIn,
    UnfitError,
    enter,
    make_object,
)

COURSE = "a dictionary such as {'word_embeddings': (V, D) array, 'words_to_ind': {token: row}}"
SAFER = "save the vectors as word2vec text, which holds no program"
_STOP = ord(".")


class Unpickler:
    """Reads pickles that lie one after the other in some bytes.

    Attributes:
        position: Where the next one begins.
        tensors: Those that were met so far.
    """

    def __init__(self, content: bytes, path: Path, position: int = 0) -> None:
        self.position = position
        self._content, self._view, self._path = content, memoryview(content), path
        self.tensors: list[TensorStandIn] = []
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._actions = self._table()

    def load(self) -> object:
        """What the next pickle holds: plain containers, strings, numbers, and stand-ins of this module.

        Raises:
            DataError: It is cut off or damaged, or asks for something other than data.
        """
        content, actions = self._content, self._actions
        self._stack, self._marks, self._memo = [], [], {}
        try:
            while (code := content[self.position]) != _STOP:
                self.position += 1
                action, argument = actions[code]
                action(argument)
            self.position += 1
            return self._stack.pop()
        except ElmoError:
            raise
        except UnfitError as error:
            raise unfit(self._path, error) from error
        except KeyError as error:
            found = f"{self._path} is a damaged pickle: byte {self.position - 1} is no opcode that data needs"
            raise DataError(found, where=self._path, remedy=f"save or fetch it again, or {SAFER}") from error
        except (IndexError, ValueError, TypeError, AttributeError) as error:
            found = f"{self._path} is a damaged pickle: it ends early, or byte {self.position} does not belong there"
            raise DataError(found, where=self._path, remedy="save or fetch it again") from error

    def _table(self) -> dict[int, tuple[Callable[[Any], object], Any]]:
        """What each opcode does, and with which argument."""
        push = self._push
        actions: dict[bytes, tuple[Callable[[Any], object], Any]] = {
            b"\x80": (self._bytes, 1), b"\x95": (self._bytes, 8),
            b"N": (push, None), b"\x88": (push, True), b"\x89": (push, False), b")": (push, ()),
            b"K": (self._number, 1), b"M": (self._number, 2), b"J": (self._number, -4),
            b"\x8a": (self._long, None), b"G": (self._float, None),
            b"X": (self._text, 4), b"\x8c": (self._text, 1), b"\x8d": (self._text, 8),
            b"T": (self._text, 4), b"U": (self._text, 1),
            b"B": (self._raw, 4), b"C": (self._raw, 1), b"\x8e": (self._raw, 8), b"\x96": (self._raw, 8),
            b"]": (self._new, list), b"}": (self._new, dict), b"\x8f": (self._new, list),
            b"(": (self._mark, None), b"t": (self._collect, tuple), b"\x91": (self._collect, tuple),
            b"l": (self._collect, list),
            b"\x85": (self._tuple, 1), b"\x86": (self._tuple, 2), b"\x87": (self._tuple, 3),
            b"a": (self._append, 1), b"e": (self._append, None), b"\x90": (self._append, None),
            b"s": (self._set, 2), b"u": (self._set, None),
            b"q": (self._keep, 1), b"r": (self._keep, 4), b"\x94": (self._keep, 0),
            b"h": (self._recall, 1), b"j": (self._recall, 4),
            b"0": (self._drop, None), b"1": (self._collect, None),
            b"c": (self._name, None), b"\x93": (self._stack_name, None),
            b"R": (self._call, None), b"\x81": (self._call, None), b"Q": (self._bytes, 0), b"b": (self._fill, None),
        }  # fmt: skip
        return {code[0]: action for code, action in actions.items()}

    def _push(self, value: object) -> None:
        self._stack.append(value)

    def _bytes(self, size: int) -> bytes:
        # fewer at the end: then the next opcode is missing
        start, self.position = self.position, self.position + size
        return self._content[start : self.position]

    def _size(self, width: int) -> int:
        return int.from_bytes(self._bytes(width), "little")

    def _number(self, width: int) -> None:
        self._stack.append(int.from_bytes(self._bytes(abs(width)), "little", signed=width < 0))

    def _long(self, _: None) -> None:
        width = self._size(1)
        if width > 16:
            raise UnfitError(f"a number of {width} bytes")
        self._number(-width)

    def _float(self, _: None) -> None:
        self._stack.append(struct.unpack(">d", self._bytes(8))[0])

    def _text(self, width: int) -> None:
        self._stack.append(self._bytes(self._size(width)).decode())

    def _raw(self, width: int) -> None:
        size = self._size(width)
        self._stack.append(self._view[self.position : self.position + size])
        self.position += size

    def _new(self, kind: type[list[object]] | type[dict[object, object]]) -> None:
        self._stack.append(kind())

    def _mark(self, _: None) -> None:
        self._marks.append(len(self._stack))

    def _marked(self) -> list[object]:
        mark = self._marks.pop()
        items = self._stack[mark:]
        del self._stack[mark:]
        return items

    def _collect(self, kind: Callable[[list[object]], object] | None) -> None:
        items = self._marked()
        if kind is not None:
            self._stack.append(kind(items))

    def _tuple(self, size: int) -> None:
        self._stack[-size:] = [tuple(self._stack[-size:])]

    def _append(self, single: int | None) -> None:
        items = [self._stack.pop()] if single else self._marked()
        if type(self._stack[-1]) is not list:
            raise UnfitError("a list that is none")
        self._stack[-1].extend(items)

    def _set(self, pair: int | None) -> None:
        items = [self._stack.pop(), self._stack.pop()][::-1] if pair else self._marked()
        if type(self._stack[-1]) is not dict:
            raise UnfitError("a dictionary that is none")
        for key, value in zip(items[::2], items[1::2], strict=True):
            enter(self._stack[-1], key, value)

    def _keep(self, width: int) -> None:
        # a dictionary: Python's own machine makes a list as long as the largest place, which the file names
        self._memo[self._size(width) if width else len(self._memo)] = self._stack[-1]

    def _recall(self, width: int) -> None:
        place = self._size(width)
        if place not in self._memo:
            raise UnfitError(f"a value {place} that was never kept")
        self._stack.append(self._memo[place])

    def _drop(self, _: None) -> None:
        self._stack.pop()

    def _name(self, _: None) -> None:
        middle = self._content.index(b"\n", self.position)
        end = self._content.index(b"\n", middle + 1)
        module, name = self._content[self.position : middle], self._content[middle + 1 : end]
        self.position = end + 1
        self._give(f"{module.decode()}.{name.decode()}")

    def _stack_name(self, _: None) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if type(name) is not str or type(module) is not str:
            raise UnfitError("a name that is no text")
        self._give(f"{module}.{name}")

    def _give(self, full: str) -> None:
        known = KNOWN.get(full)
        if known is None and full.rpartition(".")[0] == "gensim.models.keyedvectors":
            known = Name(full, make_object)
        if known is None:
            raise _refusal(self._path, full)
        self._stack.append(known)

    def _call(self, _: None) -> None:
        given, maker = self._stack.pop(), self._stack.pop()
        if not isinstance(maker, Name) or type(given) is not tuple:
            raise UnfitError("a call of something that is no function")
        made = maker.make(*given)
        if isinstance(made, TensorStandIn):
            self.tensors.append(made)
        self._stack.append(made)

    def _fill(self, _: None) -> None:
        state, target = self._stack.pop(), self._stack[-1]
        if isinstance(target, DtypeStandIn | ArrayStandIn | ObjectStandIn):
            target.fill(state)
        elif type(target) is not dict:  # what torch adds to an OrderedDict says nothing of vectors
            raise UnfitError("a state of something that has none")


def unfit(path: Path, error: UnfitError) -> DataError:
    """The error of a file that holds something unfit."""
    return DataError(
        f"{path} holds {error}; nothing of it was run",
        where=path,
        expected=f"plain containers, texts, and arrays and tensors of {NUMBERS} in a shape that fits their bytes",
        remedy=SAFER,
    )


def _refusal(path: Path, full: str) -> DataError:
    whole_model = full.startswith("gensim.models.") and "eyedVectors" not in full
    return DataError(
        f"{path} is a pickle that asks for {printable(full)}; it was not run, "
        "since a pickle can do anything on this machine",
        where=path,
        expected=f"{COURSE}, or gensim KeyedVectors: arrays, tensors and plain containers only",
        remedy="save the vectors alone: model.wv.save(...)" if whole_model else SAFER,
    )
