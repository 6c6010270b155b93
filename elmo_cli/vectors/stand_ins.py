"""What stands in a pickle in the place of NumPy's, torch's and gensim's own things.

A stand-in takes only what honest programs write, and NumPy is first asked when type, shape and bytes are known to fit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

NUMBERS = "numbers of the types f2 to f8, i1 to i8, u1 to u8 or b1"

_NAMES = frozenset(("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"))
_STORAGES = {
    f"torch.{place}{kind}Storage": dtype
    for place in ("", "cuda.")
    for kind, dtype in {
        "Double": "f8", "Float": "f4", "Half": "f2", "BFloat16": "bfloat16", "Long": "i8", "Int": "i4", "Short": "i2",
        "Char": "i1", "Byte": "u1", "Bool": "b1",
    }.items()
}  # fmt: skip


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
    """A tensor of torch, by its place in a storage that lies beside the pickle."""

    dtype: str  # of the numbers, `bfloat16` included
    key: str  # name of the storage
    count: int  # numbers that the storage holds
    offset: int  # where the tensor begins, in numbers
    shape: tuple[int, ...]
    strides: tuple[int, ...]  # numbers from one entry to the next, for each size

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
class Name:
    """What a name in a pickle stands for: a function of ours."""

    full: str
    make: Callable[..., object] | None  # None of a class that is only named


def enter(target: dict[object, object], key: object, value: object) -> None:
    """Put an entry into a dictionary, if its key takes no time to hash."""
    if type(key) is not str and (type(key) is not int or not -(1 << 63) <= key < 1 << 64):
        raise UnfitError(f"a key of type {type(key).__name__}")
    target[key] = value


def make_object(*_: object) -> ObjectStandIn:
    """An object whose attributes follow, whatever it is called with."""
    return ObjectStandIn()


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
    if not isinstance(kind, Name) or kind.full != "numpy.ndarray" or shape != (0,):
        raise UnfitError("an array of another kind")
    return ArrayStandIn()


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
        enter(made, key, value)
    return made


def _tensor(storage: object, offset: object, shape: object, strides: object, *_: object) -> TensorStandIn:
    sizes, steps = _sizes(shape), _sizes(strides)
    match storage:
        case ("storage", Name(full=full), str(key), str(), int(count), *view) if view in ([], [None]):
            dtype = _STORAGES.get(full, "")
        case _:
            raise UnfitError("a tensor without a storage beside it")
    if not key.isascii() or not key.isdecimal():
        raise UnfitError("a tensor whose storage has no number")
    if not dtype or type(offset) is not int or offset < 0 or count < 0 or len(sizes) != len(steps):
        raise UnfitError("a tensor whose storage, place and shape do not fit")
    return TensorStandIn(dtype, key, count, offset, sizes, steps)


# what a pickle of vectors may ask for, by its name in NumPy 1 and 2 and in torch
MAKERS: dict[str, Callable[..., object] | None] = {
    "numpy.dtype": _dtype,
    "numpy.ndarray": None,
    "_codecs.encode": _encode,
    "collections.OrderedDict": _ordered,
    "torch.Size": _sizes,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": lambda data, *_: data,
    "gensim.models.fasttext.FastTextKeyedVectors": make_object,
    **dict.fromkeys(_STORAGES),
}
for _core in ("numpy.core", "numpy._core"):
    MAKERS |= {
        f"{_core}.multiarray._reconstruct": _reconstruct,
        f"{_core}.multiarray.scalar": lambda dtype, content: _shaped(content, dtype, (1,), "C")[0].item(),
        f"{_core}.numeric._frombuffer": lambda *given: ArrayStandIn(_shaped(*given)),
    }
