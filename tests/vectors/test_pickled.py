"""Pickles that mean harm: nothing of theirs runs, no memory is theirs to shape, and each is refused in our words."""

from __future__ import annotations

import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from gensim.models import KeyedVectors
from pickle_parts import (
    LIST,
    NONE,
    STOP,
    array,
    call,
    course,
    dtype,
    keyed_vectors,
    name,
    put,
    raw,
    read_apart,
    tensor,
    write_archive,
)

from elmo_cli.errors import DataError
from elmo_cli.vectors.formats import read_vectors

TOKENS = ["a", "b"]
ROWS = {"a": 0, "b": 1}
# what NumPy takes for an array of objects that lie where bytes of the file say
OBJECTS = (3, "|", None, ("x",), {"x": (dtype("O8", (3, "|", None, None, None, -1, -1, 63)), 0)}, 8, 1, 27)


def plain(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def in_archive(path: Path, content: bytes) -> None:
    write_archive(path, content)


def in_old_torch(path: Path, content: bytes) -> None:
    """Torch's format from before its zip files, around a pickle."""
    head = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({"little_endian": True}, 2)
    path.write_bytes(head + content + pickle.dumps(["0"], 2) + struct.pack("<q", 4) + bytes(16))


DTYPES = {
    "a structure of objects": dtype("V8", OBJECTS),
    "a negative size": dtype("f4", (3, "<", None, -1, -1, 0)),
    "a subarray": dtype("V8", (3, "|", (dtype(), (2,)), None, None, 8, 1, 0)),
    "objects": dtype("O8", (3, "|", None, None, None, -1, -1, 63)),
    "another size": dtype("f4", (3, "<", None, None, None, 4096, 1, 0)),
    "flags": dtype("f4", (3, "<", None, None, None, -1, -1, 63)),
    "strings": dtype("U2", (3, "<", None, None, None, 8, 4, 8)),
    "a time with metadata": dtype("M8", (4, "<", None, None, None, -1, -1, 0, ({}, (b"s", 1, 1, 1)))),
    "no name": call("numpy.dtype", ("f4", (2,)), False, True),
    "a field": call("numpy.dtype", [("x", "O")], False, True),
}


def test_no_state_of_a_dtype_reaches_numpy(tmp_path: Path) -> None:
    paths = []
    for number, kind in enumerate(DTYPES.values()):
        given = array((2, 1), bytes(range(1, 17)), kind)
        row = call("numpy._core.multiarray.scalar", kind, raw(bytes(range(1, 9))))
        for place, write_as, content in (
            ("keyed", plain, keyed_vectors(TOKENS, given)),
            ("course", in_archive, course(given, ROWS)),
            ("old", in_old_torch, course(given, ROWS)),
            ("scalar", in_archive, course(array(), {"a": row})),
        ):
            paths.append(tmp_path / f"{number}-{place}")
            write_as(paths[-1], content)
    for outcome in read_apart(*paths):
        assert outcome.error == "DataError"
        assert "dtype" in outcome.text
        assert outcome.megabytes < 100


@pytest.mark.parametrize(
    "given",
    [
        array((2, 3)),
        array((2, -2)),
        array((2, 1 << 62)),
        array((2.0, 2)),
        array(4),
        array((2,) * 40),
        call("numpy._core.multiarray._reconstruct", name("numpy.dtype"), (0,), raw(b"b")),
        call("numpy._core.multiarray._reconstruct", name("numpy.ndarray"), (1 << 40,), raw(b"b")),
        call("numpy._core.numeric._frombuffer", raw(bytes(12)), dtype(), (2, 2), "C"),
        call("numpy._core.multiarray.scalar", dtype(), raw(bytes(3))),
        tensor((2, 3), (3, 1)),
        tensor((1 << 30, 2), (0, 0)),
        tensor((2, 2), (2, -1)),
        tensor((2, 2), (1 << 61, 1)),
        tensor(offset=1),
        tensor(offset=-1),
        tensor(count=5),
        tensor(count=1 << 62),
        tensor(key="1"),
        tensor(key="../0"),
        tensor(storage="torch.LongStorage"),
        tensor(storage="torch.UntypedStorage"),
        tensor((2, 2), (2,)),
    ],
)
def test_bytes_are_checked_against_the_shape(given: bytes, tmp_path: Path) -> None:
    for write in (in_archive, in_old_torch):
        path = tmp_path / write.__name__
        write(path, course(given, ROWS))
        with pytest.raises(DataError) as caught:
            read_vectors(path)
        assert caught.value.where is not None
        assert caught.value.remedy is not None


@pytest.mark.parametrize(
    "full",
    [
        "os.system",
        "builtins.eval",
        "builtins.getattr",
        "numpy.frombuffer",
        "numpy.ndarray.__setstate__",
        "numpy._core.multiarray.frombuffer",
        "torch._utils._rebuild_wrapper_subclass",
        "torch._utils._rebuild_device_tensor_from_numpy",
        "torch.load",
        "gensim.utils.unpickle",
        "elmo_cli.vectors.formats.read_vectors",
    ],
)
@pytest.mark.parametrize("write", [plain, in_archive, in_old_torch])
def test_only_known_names_are_given(write: Callable[[Path, bytes], None], full: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    write(path, b"\x80\x02" + call(full, "x") + STOP)
    with pytest.raises(DataError, match=r"asks for .*; it was not run"):
        read_vectors(path)


def test_no_name_becomes_something_of_numpy_or_torch(tmp_path: Path) -> None:
    """What a name stands for cannot be used in any other way than ours: not filled, not called again, not built."""
    for content in (
        name("numpy.dtype") + put({"x": 1}) + b"b",
        name("numpy.ndarray") + put(((2, 2),)) + b"R",
        name("numpy.ndarray") + b")\x81",
        name("torch.FloatStorage") + put((4,)) + b"R",
        name("collections.OrderedDict") + put({"__class__": 1}) + b"b",
        put("text") + put({"x": 1}) + b"b",
        array() + put(()) + b"R",
    ):
        path = tmp_path / "file"
        plain(path, b"\x80\x04" + content + STOP)
        with pytest.raises(DataError):
            read_vectors(path)


def doubled(pair: bytes) -> bytes:
    """A value that holds the one before it twice, 60 times over: small in memory, endless to walk through."""
    return b"".join(b"q" + bytes([n]) + pair.replace(b"?", b"h" + bytes([n])) for n in range(60))


BOMBS: dict[str, Callable[[Path], None]] = {
    "a place in the memo far out": lambda path: plain(path, b"\x80\x02]r\xff\xff\xff\x0f."),
    "a place in the memo far out, in an archive": lambda path: in_archive(path, b"\x80\x02]r\xff\xff\xff\x0f."),
    "bytes that are not there": lambda path: plain(path, b"\x80\x04\x8e" + struct.pack("<q", 1 << 40) + b"x."),
    "a frame that is not there": lambda path: plain(path, b"\x80\x04\x95" + struct.pack("<q", 1 << 40) + b"]."),
    "a key that is endless to hash": lambda path: plain(path, b"\x80\x04)" + doubled(b"??\x86") + b"}q\xff0h\xffN."),
    "a key that is a tuple of tuples": lambda path: plain(
        path, b"\x80\x04})" + doubled(b"??\x86") + NONE + b"s" + STOP
    ),
    "a row that is endless to show": lambda path: in_archive(
        path, course(array(), b"}" + put("a") + LIST + doubled(b"](??e") + b"s")
    ),
    "keys with one hash": lambda path: in_archive(
        path, b"\x80\x02}(" + b"".join(put(key * ((1 << 61) - 1)) + NONE for key in range(1, 60_000)) + b"u."
    ),
    "an archive that grows": lambda path: write_archive(
        path, b"\x80\x02" + b"]" * (1 << 26) + STOP, compression=zipfile.ZIP_DEFLATED
    ),
    "a tensor that repeats its storage": lambda path: in_archive(path, course(tensor((1 << 28, 2), (0, 0)), {"a": 1})),
}


def test_a_bomb_takes_neither_memory_nor_time(tmp_path: Path) -> None:
    for bomb, write in BOMBS.items():
        write(tmp_path / bomb)
    for outcome in read_apart(*(tmp_path / bomb for bomb in BOMBS)):
        assert outcome.error == "DataError"
        assert "what to do" in outcome.text
        assert len(outcome.text) < 1000
        assert outcome.megabytes < 100
        assert outcome.seconds < 5


@pytest.mark.parametrize("damage", ["cut", "flipped"])
@pytest.mark.parametrize("kind", ["KeyedVectors", "course", "old torch"])
def test_damage_anywhere_is_an_error_of_ours_or_does_not_matter(kind: str, damage: str, tmp_path: Path) -> None:
    path, broken = tmp_path / "whole", tmp_path / "broken"
    if kind == "KeyedVectors":
        vectors = KeyedVectors(2)
        vectors.add_vectors(TOKENS, np.eye(2, dtype=np.float32))
        vectors.save(str(path))
    else:
        content = {"word_embeddings": torch.eye(2), "words_to_ind": ROWS, "shape": np.int64(2)}
        torch.save(content, path, _use_new_zipfile_serialization=kind == "course")
    whole = path.read_bytes()
    for place in range(0, len(whole), 1 + len(whole) // 300):
        flipped = whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :]
        broken.write_bytes(whole[:place] if damage == "cut" else flipped)
        try:
            assert read_vectors(broken).matrix.size <= 4
        except DataError as error:
            assert error.remedy is not None  # noqa: PT017 -- many outcomes are right


def npy(shape: str = "(2, 2)", descr: str = "'<f4'", content: bytes = bytes(16)) -> bytes:
    head = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + content


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY\x01\x00\xff\xff",
        npy("(2, 500000000)"),
        npy("(2, 99999999999999999999)"),
        npy("(2, 2"),
        npy("(" * 5000),
        npy(descr="'|O'"),
        npy(descr="[('x', '<f4')]"),
        npy(content=bytes(15)),
        npy(content=bytes(17)),
    ],
)
def test_an_array_beside_is_checked_before_it_is_read(content: bytes, tmp_path: Path) -> None:
    vectors = KeyedVectors(2)
    vectors.add_vectors(TOKENS, np.eye(2, dtype=np.float32))
    vectors.save(str(tmp_path / "file"), separately=["vectors"])
    (tmp_path / "file.vectors.npy").write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_vectors(tmp_path / "file")
    assert caught.value.where == str(tmp_path / "file.vectors.npy")
    assert caught.value.remedy is not None


def test_what_honest_programs_write_is_read(tmp_path: Path) -> None:
    """Types, orders, strides, containers and protocols that real files have."""
    matrix = np.arange(6, dtype=np.float32).reshape(2, 3)
    tensors = torch.from_numpy(matrix)
    module = torch.nn.Embedding(2, 3)
    module.weight.data = tensors.clone()
    contents: list[object] = [
        {"E": np.asfortranarray(matrix), "words": TOKENS},
        {"E": matrix.astype(">f8"), "words": TOKENS},
        {"E": matrix.astype(np.uint8), "words": tuple(TOKENS)},
        {"E": tensors.T.contiguous().T, "words": TOKENS},
        {"E": torch.cat([tensors, tensors])[2:], "words": TOKENS},
        {"E": tensors.to(torch.bfloat16), "words": TOKENS},
        {"E": tensors.half(), "words": TOKENS, "shape": tensors.shape, "seen": tensors.sum(), "flag": np.bool_(True)},
        {**module.state_dict(), "words": TOKENS},
        {"E": torch.nn.Parameter(tensors), "words_to_ind": {"b": np.int32(1), "a": torch.tensor(0).item()}},
    ]
    for content in contents:
        for zipped in (True, False):
            torch.save(content, tmp_path / "file", _use_new_zipfile_serialization=zipped)
            found = read_vectors(tmp_path / "file")
            assert found.tokens == TOKENS
            np.testing.assert_array_equal(found.matrix, matrix)
            assert found.matrix.flags.writeable
    vectors = KeyedVectors(3)
    vectors.add_vectors(TOKENS, matrix)
    for protocol in range(2, 6):
        (tmp_path / "file").write_bytes(pickle.dumps(vectors, protocol))
        np.testing.assert_array_equal(read_vectors(tmp_path / "file").matrix, matrix)


@pytest.mark.parametrize("kind", ["KeyedVectors", "EuclideanKeyedVectors"])
@pytest.mark.parametrize("beside", [False, True])
def test_vectors_of_gensim_before_version_three(tmp_path: Path, kind: str, beside: bool) -> None:
    vocab = {token: call("gensim.models.keyedvectors.Vocab", state={"count": 3, "index": 0}) for token in TOKENS}
    state = {"index2word": TOKENS, "vocab": vocab, "vector_size": 2, "syn0norm": None}
    matrix = np.arange(4, dtype="<f4").reshape(2, 2)
    if beside:
        state |= {"__numpys": ["syn0"], "syn0": None}
        np.save(tmp_path / "old.syn0.npy", matrix)
    else:
        state["syn0"] = array((2, 2), matrix.tobytes())
    made = name(f"gensim.models.keyedvectors.{kind}") + b")\x81" + put(state) + b"b"
    (tmp_path / "old").write_bytes(b"\x80\x02" + made + STOP)
    found = read_vectors(tmp_path / "old")
    assert found.tokens == TOKENS
    np.testing.assert_array_equal(found.matrix, matrix)
