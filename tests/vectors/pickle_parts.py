"""Pickles put together by hand, opcode by opcode: what no honest program writes."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

MARK, TUPLE, DICT, LIST, SETITEMS, APPENDS, REDUCE, BUILD, STOP = b"(", b"t", b"}", b"]", b"u", b"e", b"R", b"b", b"."
NONE, FALSE, TRUE, NEWOBJ, PERSISTENT = b"N", b"\x89", b"\x88", b"\x81", b"Q"


def put(value: object) -> bytes:
    """The opcodes that push a value; what is bytes already are opcodes."""
    if isinstance(value, bytes):
        return value
    if value is None or isinstance(value, bool):
        return {None: NONE, False: FALSE, True: TRUE}[value]
    if isinstance(value, int):
        return b"\x8a\x0c" + value.to_bytes(12, "little", signed=True)
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    if isinstance(value, str):
        return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
    if isinstance(value, tuple):
        return MARK + b"".join(map(put, value)) + TUPLE
    if isinstance(value, list):
        return LIST + MARK + b"".join(map(put, value)) + APPENDS
    assert isinstance(value, dict)
    return DICT + MARK + b"".join(put(key) + put(item) for key, item in value.items()) + SETITEMS


def raw(content: bytes) -> bytes:
    """A bytes object."""
    return b"B" + struct.pack("<I", len(content)) + content


def call(name: str, *arguments: object, state: object = b"") -> bytes:
    """What a function of this full name returns, and the state that is then given to it."""
    module, _, function = name.rpartition(".")
    made = f"c{module}\n{function}\n".encode() + put(arguments) + REDUCE
    return made + (put(state) + BUILD if state != b"" else b"")


def name(full: str) -> bytes:
    """A class or function of this full name."""
    return "c{}\n{}\n".format(*full.rsplit(".", 1)).encode()


def dtype(kind: str = "f4", state: object = (3, "<", None, None, None, -1, -1, 0)) -> bytes:
    """A dtype of NumPy and its state."""
    return call("numpy.dtype", kind, False, True, state=state)


def array(shape: object = (2, 2), content: bytes = bytes(16), kind: bytes | None = None) -> bytes:
    """An array of NumPy."""
    empty = call("numpy._core.multiarray._reconstruct", name("numpy.ndarray"), (0,), raw(b"b"))
    return empty + put((1, shape, dtype() if kind is None else kind, False, raw(content))) + BUILD


def tensor(
    shape: tuple[int, ...] = (2, 2),
    strides: tuple[int, ...] = (2, 1),
    count: int = 4,
    *,
    offset: int = 0,
    key: str = "0",
    storage: str = "torch.FloatStorage",
) -> bytes:
    """A tensor of torch, by the storage that lies beside the pickle."""
    stored = put(("storage", name(storage), key, "cpu", count)) + PERSISTENT
    return call("torch._utils._rebuild_tensor_v2", stored, offset, shape, strides, False, {})


def keyed_vectors(tokens: object, vectors: object) -> bytes:
    """Gensim's KeyedVectors."""
    state = {"index_to_key": tokens, "vectors": vectors}
    return b"\x80\x04" + name("gensim.models.keyedvectors.KeyedVectors") + b")" + NEWOBJ + put(state) + BUILD + STOP


def course(matrix: object, index: object) -> bytes:
    """The dictionary of a course."""
    return b"\x80\x02" + put({"word_embeddings": matrix, "words_to_ind": index}) + STOP


def write_archive(
    path: Path, content: bytes, storages: dict[str, bytes] | None = None, compression: int = zipfile.ZIP_STORED
) -> None:
    """A `.pt` file around a pickle."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("course/data.pkl", content)
        archive.writestr("course/byteorder", "little")
        for key, stored in (storages or {"0": bytes(16)}).items():
            archive.writestr(f"course/data/{key}", stored)


@dataclass(frozen=True)
class Outcome:
    """How reading a file went in a process of its own.

    Attributes:
        error: The class of the error, empty where there was none.
        text: The error, or the shape of what was read.
        megabytes: Resident memory that it took beyond what the process had before.
        seconds: How long it took.
    """

    error: str
    text: str
    megabytes: float
    seconds: float


_CHILD = """
import json, resource, sys, time
from pathlib import Path
from elmo_cli.errors import ElmoError
from elmo_cli.vectors.formats import read_vectors
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
outcomes = []
for path in sys.argv[1:]:
    before, start = peak(), time.process_time()
    try:
        error, text = "", str(read_vectors(Path(path)).matrix.shape)
    except ElmoError as caught:
        error, text = type(caught).__name__, str(caught)
    outcomes.append([error, text, peak() - before, time.process_time() - start])
print(json.dumps(outcomes))
"""


def read_apart(*paths: Path) -> list[Outcome]:
    """Read files of vectors in a process of their own, so that what crashes there crashes nothing here."""
    command = [sys.executable, "-c", _CHILD, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"the process ended with {done.returncode}\n{done.stderr[-2000:]}"
    return [Outcome(*outcome) for outcome in json.loads(done.stdout)]
