"""Pickles as data: a machine of our own runs their opcodes, and nothing else of them.

A pickle is a program for a stack machine. Python's own machine, told to look only safe names up, still lets a file fill
whatever such a name gives: NumPy's `dtype` takes a state that makes pointers of the file's bytes. Here a name gives a
stand-in that is ours, and NumPy is first asked when type, shape and bytes are known to fit.

Memory and time grow with the file alone: what it says of its own lengths is checked against what is there, a key is a
string or a number of 64 bits (a tuple of tuples takes forever to hash), and what is named twice is not copied.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from elmo_cli.errors import DataError, ElmoError, printable

COURSE = "a dictionary such as {'word_embeddings': (V, D) array, 'words_to_ind': {token: row}}"
NUMBERS = "numbers of the types f2 to f8, i1 to i8, u1 to u8 or b1"
SAFER = "save the vectors as word2vec text, which holds no program"

_NAMES = frozenset(("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"))
_STORAGES = {
    "Double": "f8", "Float": "f4", "Half": "f2", "BFloat16": "bfloat16", "Long": "i8", "Int": "i4", "Short": "i2",
    "Char": "i1", "Byte": "u1", "Bool": "b1",
}  # fmt: skip
_STOP = ord(".")


class UnfitError(ValueError):
    """A pickle holds something that is no data of ours; the message says what."""


@dataclass
class DtypeStandIn:
    """A type of NumPy, by its name and the order of its bytes."""

    name: str
    order: Literal["<", ">", "|", "="] = "="

    def fill(self, state: object) -> None:
        """Take the order from a state that has nothing else: no fields, sizes, flags or metadata."""
        match state:
            case (3, ("<" | ">" | "|" | "=") as order, None, None, None, -1, -1, 0):
                self.order = order
            case _:
                raise UnfitError(f"a dtype {self.name} with a state of its own")

    def read(self, content: object, count: int) -> NDArray[Any]:
        """So many numbers; they are not copied."""
        dtype = np.dtype(self.name).newbyteorder(self.order)
        if not isinstance(content, bytes | memoryview) or len(content) != count * dtype.itemsize:
            raise UnfitError(f"{count} numbers of type {self.name} in other bytes than they take")
        return np.frombuffer(content, dtype)


@dataclass
class ArrayStandIn:
    """An array of NumPy, empty until its state is known."""

    values: NDArray[Any] = field(default_factory=lambda: np.zeros(0, np.float32))

    def fill(self, state: object) -> None:
        """Take type, shape and numbers."""
        match state:
            case (1, shape, DtypeStandIn() as dtype, bool(fortran) | int(fortran), content):
                self.values = _shaped(content, dtype, shape, "F" if fortran else "C")
            case _:
                raise UnfitError("an array with a state that NumPy does not write")


@dataclass
class ObjectStandIn:
    """An object of gensim: its attributes, none of its code."""

    attributes: dict[str, object] = field(default_factory=dict)

    def fill(self, state: object) -> None:
        """Take the attributes."""
        if not isinstance(state, dict):
            raise UnfitError("an object whose state is no dictionary")
        self.attributes.update(state)


@dataclass(frozen=True)
class TensorStandIn:
    """A tensor of torch, by its place in a storage that lies beside the pickle.

    Attributes:
        dtype: Type of the numbers.
        key: Name of the storage.
        count: Numbers that the storage holds.
        offset: Where the tensor begins, in numbers.
        shape: Its sizes.
        strides: Numbers from one entry to the next, for each size.
    """

    dtype: str
    key: str
    count: int
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def itemsize(self) -> int:
        """Bytes of a number."""
        return 2 if self.dtype == "bfloat16" else int(self.dtype[1:])

    def read(self, storage: bytes | memoryview) -> NDArray[Any]:
        """The numbers, in the place and order that they have in the storage; they are not copied.

        Raises:
            UnfitError: The storage has other bytes than it should, or the tensor reaches beyond it or repeats it.
        """
        narrow = self.dtype == "bfloat16"  # the upper half of a float32
        numbers = DtypeStandIn("u2" if narrow else self.dtype, "<").read(storage, self.count)
        steps = [stride if size > 1 else 0 for size, stride in zip(self.shape, self.strides, strict=True)]
        last = self.offset + sum((size - 1) * step for size, step in zip(self.shape, steps, strict=True))
        if not 0 < math.prod(self.shape) <= self.count or last >= self.count:
            raise UnfitError(f"a tensor of shape {self.shape} in a storage of {self.count} numbers")
        if narrow:
            numbers = (numbers.astype("<u4") << 16).view("<f4")
        strides = [step * numbers.itemsize for step in steps]
        return np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, strides, writeable=False)


@dataclass(frozen=True)
class _Name:
    """What a name in a pickle stands for: a function of ours."""

    full: str
    make: Callable[..., object]


def _sizes(value: object) -> tuple[int, ...]:
    if not isinstance(value, tuple) or len(value) > 32 or not all(type(size) is int and size >= 0 for size in value):
        raise UnfitError("a shape that is none")
    return value


def _shaped(content: object, dtype: object, shape: object, order: object) -> NDArray[Any]:
    if not isinstance(dtype, DtypeStandIn) or (order != "C" and order != "F"):
        raise UnfitError("an array of no dtype or order")
    sizes = _sizes(shape)
    return dtype.read(content, math.prod(sizes)).reshape(sizes, order="F" if order == "F" else "C")


def _dtype(name: object, align: object = False, copy: object = True) -> DtypeStandIn:
    if name not in _NAMES:
        raise UnfitError(f"a dtype other than {NUMBERS}")
    return DtypeStandIn(str(name))


def _reconstruct(kind: object, shape: object, code: object) -> ArrayStandIn:
    if not isinstance(kind, _Name) or kind.full != "numpy.ndarray" or shape != (0,):
        raise UnfitError("an array of another kind")
    return ArrayStandIn()


def _scalar(dtype: object, content: object) -> int | float | bool:
    value: int | float | bool = _shaped(content, dtype, (1,), "C")[0].item()
    return value


def _encode(text: object, encoding: object) -> bytes:
    """How the older protocols write bytes."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise UnfitError("bytes in a text that is not latin1")
    return text.encode("latin1")


def _ordered(pairs: object = ()) -> dict[object, object]:
    made: dict[object, object] = {}
    if not isinstance(pairs, list | tuple):
        raise UnfitError("an ordered dictionary of no pairs")
    for key, value in pairs:
        _enter(made, key, value)
    return made


def _tensor(storage: object, offset: object, shape: object, strides: object, *rest: object) -> TensorStandIn:
    sizes, steps = _sizes(shape), _sizes(strides)
    match storage:
        case ("storage", _Name(full=full), str(key), str(), int(count), *view) if view in ([], [None]):
            dtype = _STORAGES.get(full.removeprefix("torch.").removesuffix("Storage"), "")
        case _:
            raise UnfitError("a tensor without a storage beside it")
    if not key.isascii() or not key.isdecimal():
        raise UnfitError("a tensor whose storage has no number")
    if not dtype or type(offset) is not int or offset < 0 or count < 0 or len(sizes) != len(steps):
        raise UnfitError("a tensor whose storage, place and shape do not fit")
    return TensorStandIn(dtype, key, count, offset, sizes, steps)


def _object(*_: object) -> ObjectStandIn:
    return ObjectStandIn()


def _never(*_: object) -> object:
    raise UnfitError("a call of a class")


def _parameter(data: object, *_: object) -> object:
    return data


def _known() -> dict[str, _Name]:
    """What a pickle of vectors may ask for, by its name in NumPy 1 and 2 and in torch."""
    makers: dict[str, Callable[..., object]] = {
        "numpy.dtype": _dtype,
        "numpy.ndarray": _never,
        "_codecs.encode": _encode,
        "collections.OrderedDict": _ordered,
        "torch.Size": _sizes,
        "torch._utils._rebuild_tensor": _tensor,
        "torch._utils._rebuild_tensor_v2": _tensor,
        "torch._utils._rebuild_parameter": _parameter,
        "gensim.models.fasttext.FastTextKeyedVectors": _object,
    }
    for core in ("numpy.core", "numpy._core"):
        makers[f"{core}.multiarray._reconstruct"] = _reconstruct
        makers[f"{core}.multiarray.scalar"] = _scalar
        makers[f"{core}.numeric._frombuffer"] = lambda *given: ArrayStandIn(_shaped(*given))
    makers |= {f"torch.{kind}Storage": _never for kind in _STORAGES}
    return {full: _Name(full, make) for full, make in makers.items()}


_KNOWN = _known()


def _enter(target: dict[object, object], key: object, value: object) -> None:
    if type(key) is not str and (type(key) is not int or not -(1 << 63) <= key < 1 << 64):
        raise UnfitError(f"a key of type {type(key).__name__}")
    target[key] = value


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
            _enter(self._stack[-1], key, value)

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
        known = _KNOWN.get(full)
        if known is None and full.rpartition(".")[0] == "gensim.models.keyedvectors":
            known = _Name(full, _object)
        if known is None:
            raise _refusal(self._path, full)
        self._stack.append(known)

    def _call(self, _: None) -> None:
        given, maker = self._stack.pop(), self._stack.pop()
        if not isinstance(maker, _Name) or type(given) is not tuple:
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
