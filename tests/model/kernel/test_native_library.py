"""What is compiled, where it is kept, and what stands in the way."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from elmo_cli.model.kernel import native_library


@pytest.fixture
def anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str | None]]:
    """`obstacle` of a process that has not asked yet, with a cache folder of its own."""
    monkeypatch.setenv(native_library.CACHE, str(tmp_path / "cache"))
    monkeypatch.delenv(native_library.SWITCH, raising=False)
    native_library.library.cache_clear()
    yield native_library.obstacle
    native_library.library.cache_clear()


def test_it_can_be_done_without(anew: Callable[[], str | None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(native_library.SWITCH, "0")
    assert anew() == "ELMO_NATIVE is 0"


def test_without_a_compiler(anew: Callable[[], str | None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_library.shutil, "which", lambda name: None)
    assert anew() == "there is no C++ compiler (g++ or clang++) on the path"


def compiler(folder: Path, script: str) -> str:
    """A program that stands in the place of a compiler."""
    path = folder / "c++"
    path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo 1 && exit\n{script}\n', encoding="utf-8")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo no such processor >&2; exit 1", "no such processor"),
        ('for out; do :; done; echo rubbish > "$out"', "could not be had"),
    ],
)
def test_what_does_not_compile_leaves_nothing(
    anew: Callable[[], str | None], script: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", compiler(tmp_path, script))
    assert reason in (anew() or "")
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] in ([], [".lock"])


@pytest.mark.skipif(native_library.obstacle() is not None, reason=str(native_library.obstacle()))
def test_it_is_compiled_once(anew: Callable[[], str | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert anew() is None
    [made] = (tmp_path / "cache").glob("*.so")
    before = made.stat().st_mtime_ns
    native_library.library.cache_clear()
    monkeypatch.setattr(native_library, "_compile", lambda *given: pytest.fail("compiled again"))
    assert anew() is None
    assert made.stat().st_mtime_ns == before


def test_a_system_that_refuses_tiles_gets_what_does_without(
    anew: Callable[[], str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Library:
        def __init__(self, *flags: str) -> None:
            self.flags = flags

        def allowed(self) -> int:
            return int(native_library.NO_TILES in self.flags)

    monkeypatch.setenv("CXX", sys.executable)
    monkeypatch.setattr(native_library, "_loaded", lambda compiler, flags: Library(*flags))
    assert anew() is None
    assert native_library.NO_TILES in native_library.library()[0].flags


def test_a_folder_that_others_may_write_to_is_not_trusted(anew: Callable[[], str | None], tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o777)
    assert "others may write there" in (anew() or "")


def test_a_user_without_a_home_does_without(anew: Callable[[], str | None], monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in (native_library.CACHE, "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(native_library.Path, "home", nowhere)
    monkeypatch.setenv("CXX", sys.executable)  # has a version, as a compiler has
    assert "this user has no home folder; name one for it in ELMO_CACHE" in (anew() or "")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder in which nothing can be created")
def test_a_folder_that_takes_no_files_is_not_waited_for(
    anew: Callable[[], str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(native_library.CACHE, "/proc/self")
    monkeypatch.setenv("CXX", sys.executable)
    monkeypatch.setattr(native_library, "FileLock", lambda *given, **more: pytest.fail("waited"))
    assert "could not be had" in (anew() or "")
