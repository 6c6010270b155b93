"""HDF5 that leads elsewhere, or says more than it holds: refused wherever HDF5 is read, and nothing of it is copied."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from bilm_files import Shape, make

from elmo_cli.errors import DataError, InputError, WeightsError
from elmo_cli.inference.embed import read_dump
from elmo_cli.interop.hdf5 import Hdf5Reader
from elmo_cli.interop.importing import import_run

# a file of the user that a model may not carry away: its bytes are finite floats
SECRET = b"-----BEGIN PRIVATE KEY-----\n" * 112


def external(file: h5py.File, name: str, shape: tuple[int, ...]) -> None:
    size = int(np.prod(shape)) * 4
    file.create_dataset(name, shape, "f4", external=[(str(Path(file.filename).parent / "secret"), 0, size)])


def virtual(file: h5py.File, name: str, shape: tuple[int, ...]) -> None:
    layout = h5py.VirtualLayout(shape, "f4")
    layout[:] = h5py.VirtualSource(str(Path(file.filename).parent / "other.hdf5"), "x", shape=shape)
    file.create_virtual_dataset(name, layout)


def virtual_of_itself(file: h5py.File, name: str, shape: tuple[int, ...]) -> None:
    layout = h5py.VirtualLayout(shape, "f4")
    layout[:] = h5py.VirtualSource(".", "nowhere", shape=shape)
    file.create_virtual_dataset(name, layout, fillvalue=1)


def external_link(file: h5py.File, name: str, shape: tuple[int, ...]) -> None:
    file[name] = h5py.ExternalLink(str(Path(file.filename).parent / "other.hdf5"), "/x")


def soft_link(file: h5py.File, name: str, shape: tuple[int, ...]) -> None:
    file["0" if name != "0" else "1"] = np.ones(shape, np.float32)
    file[name] = h5py.SoftLink("/0" if name != "0" else "/1")


def hard_link(file: h5py.File, name: str, shape: tuple[int, ...]) -> None:
    file[name] = np.ones(shape, np.float32)
    file["7"] = file[name]


def circle(file: h5py.File, name: str, shape: tuple[int, ...]) -> None:
    file.create_group(name)["again"] = file["/"]


def unwritten(file: h5py.File, name: str, shape: tuple[int, ...]) -> None:
    file.create_dataset(name, shape, "f4", chunks=shape)


def enormous(file: h5py.File, name: str, shape: tuple[int, ...]) -> None:
    file.create_dataset(name, (*shape[:-1], 1 << 34), "f4", chunks=(*shape[:-1], 64))


def inflated(file: h5py.File, name: str, shape: tuple[int, ...]) -> None:
    size = (1 << 25) // int(np.prod(shape[:-1]))
    zeros = np.zeros((*shape[:-1], size), np.float32)
    file.create_dataset(name, data=zeros, compression="gzip", chunks=(*shape[:-1], size))


def other_filter(file: h5py.File, name: str, shape: tuple[int, ...]) -> None:
    file.create_dataset(name, data=np.ones(shape, np.float32), scaleoffset=2)


def strings(file: h5py.File, name: str, shape: tuple[int, ...]) -> None:
    file.create_dataset(name, shape, h5py.string_dtype())


def references(file: h5py.File, name: str, shape: tuple[int, ...]) -> None:
    file.create_dataset(name, shape, h5py.ref_dtype)


def structure(file: h5py.File, name: str, shape: tuple[int, ...]) -> None:
    file.create_dataset(name, data=np.zeros(shape, [("x", "f4")]))


def named_type(file: h5py.File, name: str, shape: tuple[int, ...]) -> None:
    file[name] = np.dtype("f4")


def nothing(file: h5py.File, name: str, shape: tuple[int, ...]) -> None:
    file[name] = h5py.Empty("f4")


WAYS = [
    external, virtual, virtual_of_itself, external_link, soft_link, hard_link, circle, unwritten, enormous, inflated,
    other_filter, strings, references, structure, named_type, nothing,
]  # fmt: skip


def model_with(way: Callable[[h5py.File, str, tuple[int, ...]], None], folder: Path) -> Path:
    made = make(Shape())
    shape = made.arrays.pop("char_embed").shape
    made.write(folder)
    (folder / "secret").write_bytes(SECRET)
    with h5py.File(folder / "other.hdf5", "w") as other:
        other["x"] = np.ones(shape, np.float32)
    with h5py.File(folder / "weights.hdf5", "a") as file:
        way(file, "char_embed", shape)
    return folder


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_import_takes_only_what_lies_whole_in_the_file(
    way: Callable[[h5py.File, str, tuple[int, ...]], None], tmp_path: Path
) -> None:
    folder = model_with(way, tmp_path / "model")
    with pytest.raises(WeightsError) as caught:
        import_run(folder, tmp_path / "run")
    assert caught.value.where == str(folder / "weights.hdf5")
    assert caught.value.remedy is not None
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_an_embedding_file_holds_its_numbers_itself(
    way: Callable[[h5py.File, str, tuple[int, ...]], None], tmp_path: Path
) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    with h5py.File(tmp_path / "other.hdf5", "w") as other:
        other["x"] = np.ones((3, 2, 4), np.float32)
    with h5py.File(tmp_path / "dump.hdf5", "w") as file:
        way(file, "0", (3, 2, 4))
    with pytest.raises(DataError) as caught:
        list(read_dump(tmp_path / "dump.hdf5"))
    assert caught.value.where == str(tmp_path / "dump.hdf5")
    assert caught.value.remedy is not None


def test_a_group_may_not_lead_elsewhere(tmp_path: Path) -> None:
    made = make(Shape())
    folder = made.write(tmp_path / "model")
    (folder / "weights.hdf5").rename(tmp_path / "whole.hdf5")
    with h5py.File(folder / "weights.hdf5", "w") as file:
        for name in ("RNN_0", "RNN_1", "CNN", "char_embed"):
            file[name] = h5py.ExternalLink(str(tmp_path / "whole.hdf5"), name)
    with pytest.raises(WeightsError, match="link"):
        import_run(folder, tmp_path / "run")


def test_sizes_are_compared_before_anything_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make(Shape()).write(tmp_path / "model")
    options = json.loads((folder / "options.json").read_text())
    read: list[str] = []
    monkeypatch.setattr(Hdf5Reader, "read", lambda self, name: read.append(name))
    for changed in ({"dim": 1 << 22}, {"projection_dim": 1 << 22}, {"n_layers": 10**9}, {"dim": 10**30}):
        (folder / "options.json").write_text(json.dumps({**options, "lstm": {**options["lstm"], **changed}}))
        with pytest.raises(WeightsError):
            import_run(folder, tmp_path / "run")
    for changed in ({"n_highway": 10**9}, {"max_characters_per_token": 10**9}, {"filters": [[1, 1 << 22]]}):
        (folder / "options.json").write_text(json.dumps({**options, "char_cnn": {**options["char_cnn"], **changed}}))
        with pytest.raises(WeightsError):
            import_run(folder, tmp_path / "run")
    assert read == []


@pytest.mark.parametrize("content", ["[" * 100_000, '{"lstm": ' * 20_000, "9" * 10_000, '{"lstm": {"dim": 1e999}}'])
def test_options_that_are_endless(content: str, tmp_path: Path) -> None:
    folder = make(Shape()).write(tmp_path / "model")
    (folder / "options.json").write_text(content)
    with pytest.raises(WeightsError) as caught:
        import_run(folder, tmp_path / "run")
    assert caught.value.remedy is not None


def test_files_beside_a_model_that_never_end(tmp_path: Path) -> None:
    folder = make(Shape()).write(tmp_path / "model")
    for name in ("a.json", "a.txt", "a.hdf5"):
        (folder / name).symlink_to("/dev/zero")
    assert import_run(folder, tmp_path / "run").vocabulary is None


_CHILD = """
import sys
from pathlib import Path
from elmo_cli.errors import InputError
from elmo_cli.interop.bilm_tf import load_bilm_tf
folder, places = Path(sys.argv[1]), map(int, sys.argv[2:])
whole = (folder / "weights.hdf5").read_bytes()
kinds = {"read": 0, "refused": 0}
for place in places:
    for broken in (whole[:place], whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :]):
        (folder / "broken.hdf5").write_bytes(broken)
        try:
            load_bilm_tf(folder / "options.json", folder / "broken.hdf5")
            kinds["read"] += 1
        except InputError as error:
            assert error.remedy
            kinds["refused"] += 1
print(kinds)
"""


def test_damage_anywhere_is_an_error_of_ours_or_does_not_matter(tmp_path: Path) -> None:
    folder = make(Shape()).write(tmp_path)
    size = (folder / "weights.hdf5").stat().st_size
    places = np.random.default_rng(1).choice(size, 60, replace=False).tolist()
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(folder), *map(str, places)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, f"the process ended with {done.returncode}\n{done.stderr[-2000:]}"


def test_only_files_are_opened(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(InputError):
            list(read_dump(path))
