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
    MAKERS,
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
    """Reads pickles that lie one after the other in some bytes."""

    def __init__(self, content: bytes, path: Path, position: int = 0) -> None:
        self.position = position  # where the next one begins
        self.tensors: list[TensorStandIn] = []  # those that were met so far
        self._content, self._view, self._path = content, memoryview(content), path
        self._stack: list[Any] = []
        self._marks: list[int] = []
        # a dictionary: Python's own machine makes a list as long as the largest place, which the file names
        self._memo: dict[int, Any] = {}
        self._actions = self._machine()

    def load(self) -> object:
        """What the next pickle holds: plain containers, strings, numbers, and stand-ins.

        Raises:
            DataError: It is cut off or damaged, or asks for something other than data.
        """
        content, actions = self._content, self._actions
        for memory in (self._stack, self._marks, self._memo):
            memory.clear()
        try:
            while (code := content[self.position]) != _STOP:
                self.position += 1
                actions[code]()
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

    def _machine(self) -> dict[int, Callable[[], object]]:
        """What each opcode does; those that are not here make no data."""
        stack, push, number, take, marked = self._stack, self._stack.append, self._number, self._take, self._marked

        def text(width: int) -> None:
            push(str(take(number(width)), "utf-8"))

        def raw(width: int) -> None:
            push(take(number(width)))

        actions: dict[bytes, Callable[[], object]] = {
            # version, frame, and the mark of a storage, whose tuple stays what it is
            b"\x80": lambda: take(1), b"\x95": lambda: take(8), b"Q": lambda: None,
            # constants and numbers
            b"N": lambda: push(None), b"\x88": lambda: push(True), b"\x89": lambda: push(False),
            b"K": lambda: push(number(1)), b"M": lambda: push(number(2)), b"J": lambda: push(number(4, signed=True)),
            b"\x8a": self._long, b"G": lambda: push(struct.unpack(">d", take(8))[0]),
            # texts and bytes, by the bytes that their length takes
            b"X": lambda: text(4), b"\x8c": lambda: text(1), b"\x8d": lambda: text(8),
            b"T": lambda: text(4), b"U": lambda: text(1),
            b"B": lambda: raw(4), b"C": lambda: raw(1), b"\x8e": lambda: raw(8), b"\x96": lambda: raw(8),
            # containers, sets as lists
            b")": lambda: push(()), b"]": lambda: push([]), b"}": lambda: push({}), b"\x8f": lambda: push([]),
            b"(": lambda: self._marks.append(len(stack)), b"1": marked,
            b"t": lambda: push(tuple(marked())), b"l": lambda: push(marked()), b"\x91": lambda: push(tuple(marked())),
            b"\x85": lambda: push(tuple(self._pop(1))), b"\x86": lambda: push(tuple(self._pop(2))),
            b"\x87": lambda: push(tuple(self._pop(3))),
            b"a": lambda: self._extend(self._pop(1)), b"e": lambda: self._extend(marked()),
            b"\x90": lambda: self._extend(marked()),
            b"s": lambda: self._enter(self._pop(2)), b"u": lambda: self._enter(marked()), b"0": stack.pop,
            # what is kept for later, and taken again
            b"q": lambda: self._keep(number(1)), b"r": lambda: self._keep(number(4)),
            b"\x94": lambda: self._keep(len(self._memo)),
            b"h": lambda: self._recall(number(1)), b"j": lambda: self._recall(number(4)),
            # names, calls and states
            b"c": self._name, b"\x93": lambda: self._give(*self._pop(2)),
            b"R": lambda: self._call(*self._pop(2)), b"\x81": lambda: self._call(*self._pop(2)),
            b"b": lambda: self._fill(*self._pop(1)),
        }  # fmt: skip
        return {code[0]: action for code, action in actions.items()}

    def _take(self, size: int) -> memoryview:
        """So many bytes, or fewer at the end: then the next opcode is missing."""
        start, self.position = self.position, self.position + size
        return self._view[start : self.position]

    def _number(self, width: int, *, signed: bool = False) -> int:
        return int.from_bytes(self._take(width), "little", signed=signed)

    def _long(self) -> None:
        width = self._number(1)
        if width > 16:
            raise UnfitError(f"a number of {width} bytes")
        self._stack.append(self._number(width, signed=True))

    def _pop(self, count: int) -> list[Any]:
        return [self._stack.pop() for _ in range(count)][::-1]

    def _marked(self) -> list[Any]:
        mark = self._marks.pop()
        items = self._stack[mark:]
        del self._stack[mark:]
        return items

    def _extend(self, items: list[Any]) -> None:
        if type(self._stack[-1]) is not list:
            raise UnfitError("a list that is none")
        self._stack[-1].extend(items)

    def _enter(self, items: list[Any]) -> None:
        if type(self._stack[-1]) is not dict:
            raise UnfitError("a dictionary that is none")
        for key, value in zip(items[::2], items[1::2], strict=True):
            enter(self._stack[-1], key, value)

    def _keep(self, place: int) -> None:
        self._memo[place] = self._stack[-1]

    def _recall(self, place: int) -> None:
        if place not in self._memo:
            raise UnfitError(f"a value {place} that was never kept")
        self._stack.append(self._memo[place])

    def _name(self) -> None:
        middle = self._content.index(b"\n", self.position)
        end = self._content.index(b"\n", middle + 1)
        module, name = self._content[self.position : middle], self._content[middle + 1 : end]
        self.position = end + 1
        self._give(module.decode(), name.decode())

    def _give(self, module: object, name: object) -> None:
        if type(name) is not str or type(module) is not str:
            raise UnfitError("a name that is no text")
        full, keyed = f"{module}.{name}", module == "gensim.models.keyedvectors"
        if full not in MAKERS and not keyed:
            raise _refusal(self._path, full)
        self._stack.append(Name(full, make_object if keyed else MAKERS[full]))

    def _call(self, maker: object, given: object) -> None:
        if not isinstance(maker, Name) or maker.make is None or type(given) is not tuple:
            raise UnfitError("a call of something that is no function")
        made = maker.make(*given)
        if isinstance(made, TensorStandIn):
            self.tensors.append(made)
        self._stack.append(made)

    def _fill(self, state: object) -> None:
        target = self._stack[-1]
        if isinstance(target, DtypeStandIn | ArrayStandIn | ObjectStandIn):
            target.fill(state)
        elif type(target) is not dict:  # what torch adds to an OrderedDict says nothing of vectors
            raise UnfitError("a state of something that has none")


def unfit(path: Path, error: UnfitError) -> DataError:
    """The error of a file that holds something unfit."""
    expected = f"plain containers, texts, and arrays and tensors of {NUMBERS} in a shape that fits their bytes"
    return DataError(f"{path} holds {error}; nothing of it was run", where=path, expected=expected, remedy=SAFER)


def _refusal(path: Path, full: str) -> DataError:
    whole_model = full.startswith("gensim.models.") and "eyedVectors" not in full
    asked = f"{path} is a pickle that asks for {printable(full)}"
    found = f"{asked}; it was not run, since a pickle can do anything on this machine"
    expected = f"{COURSE}, or gensim KeyedVectors: arrays, tensors and plain containers only"
    remedy = "save the vectors alone: model.wv.save(...)" if whole_model else SAFER
    return DataError(found, where=path, expected=expected, remedy=remedy)
