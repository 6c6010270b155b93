"""Models in archives, and archives that want more than to be read."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from bilm_files import Shape, make

from elmo_cli.errors import WeightsError
from elmo_cli.interop import archives
from elmo_cli.interop.archives import unpacked
from elmo_cli.interop.bilm_tf import load_bilm_tf
from elmo_cli.interop.importing import import_run


@pytest.mark.parametrize("inner", ["", "elmo/"], ids=["flat", "in a folder"])
@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_packed_model_is_imported(kind: str, inner: str, tmp_path: Path) -> None:
    model, path = make(Shape()).write(tmp_path / "model"), tmp_path / f"model.{kind}"
    (model / "meta.json").write_text('{"id": 144}')
    (model / "run.py").write_text("raise SystemExit")
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as packed:
            for file in model.iterdir():
                packed.write(file, inner + file.name)
    else:
        with tarfile.open(path, "w:gz") as packed_tar:
            packed_tar.add(model, inner.rstrip("/") or ".")
    with unpacked(path) as folder:
        assert sorted(file.name for file in folder.iterdir()) == ["meta.json", "options.json", "weights.hdf5"]
        load_bilm_tf(folder / "options.json", folder / "weights.hdf5")
    assert not folder.exists()
    assert import_run(path, tmp_path / "run").weights == path / "weights.hdf5"


def zipped(name: str, content: bytes = b"{}", mode: int = 0o100644) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            info = zipfile.ZipInfo(name)
            info.external_attr, info.compress_type = mode << 16, zipfile.ZIP_DEFLATED
            packed.writestr(info, content)

    return write


def tarred(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with tarfile.open(path, "w:gz") as packed:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, link
            packed.addfile(info, io.BytesIO())

    return write


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (zipped("../options.json"), "leads out of its folder"),
        (zipped("/options.json"), "leads out of its folder"),
        (zipped("a\\..\\..\\options.json"), "leads out of its folder"),
        (zipped("C:/options.json"), "leads out of its folder"),
        (zipped("options.json", b"/etc/passwd", 0o120777), "is a link"),
        (tarred("elmo/../../options.json"), "leads out of its folder"),
        (tarred("options.json", tarfile.SYMTYPE, "/etc/passwd"), "is a link or a device"),
        (tarred("options.json", tarfile.LNKTYPE, "/etc/passwd"), "is a link or a device"),
        (tarred("options.json", tarfile.CHRTYPE), "is a link or a device"),
        (zipped("weights.hdf5", bytes(1 << 20)), "it grows to 1,048,576 bytes"),
        (lambda path: path.write_bytes(b"half a download"), "is no whole archive"),
    ],
)
def test_archives_that_are_refused(
    write: Callable[[Path], object], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "_ALWAYS", 1 << 16)
    path = tmp_path / "model.bin"
    write(path)
    with pytest.raises(WeightsError, match=message):
        import_run(path, tmp_path / "run")
    assert [file.name for file in tmp_path.iterdir()] == ["model.bin"]


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_half_an_archive_is_refused(kind: str, tmp_path: Path) -> None:
    model, path = make(Shape()).write(tmp_path / "model"), tmp_path / f"model.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as packed:
            packed.write(model / "weights.hdf5", "weights.hdf5")
    else:
        with tarfile.open(path, "w:gz") as packed_tar:
            packed_tar.add(model, ".")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(WeightsError, match="is no whole archive"):
        import_run(path, tmp_path / "run")


def test_a_size_that_is_a_lie_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.zip"
    zipped("weights.hdf5", bytes(1 << 20))(path)
    monkeypatch.setattr(archives, "_ALWAYS", 1 << 16)
    member = archives._Member("weights.hdf5", 10, lambda: io.BytesIO(bytes(1 << 20)))
    with pytest.raises(WeightsError, match="larger than it says"):
        archives._unpack(path, tmp_path / "out", iter([member]))
