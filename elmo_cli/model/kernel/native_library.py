"""The functions of native.cpp: compiled on first use, for the processor at hand, and kept for the next time.

What was compiled lies in the user's cache folder, under a digest of the source, the compiler, its flags and the
processor, so that a change of any of them compiles anew. It takes some seconds. Nothing is compiled where there is no
compiler: whoever calls asks `obstacle` first.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from elmo_cli.disk import write_atomically
from elmo_cli.errors import ElmoError

SWITCH = "ELMO_NATIVE"  # environment variable: 0 never compiles
CACHE = "ELMO_CACHE"  # environment variable: the folder of what was compiled
COMPILERS = ("g++", "clang++", "c++")
FLAGS = ("-O3", "-march=native", "-std=c++17", "-fno-exceptions", "-fno-rtti", "-shared", "-fPIC")
NO_TILES = "-mno-amx-bf16"  # where the processor has AMX and the system does not let a process use it
COMPILING_SECONDS = 120.0  # a compiler that hangs must not hang the training


def obstacle() -> str | None:
    """Why the functions of native.cpp cannot be had here, or None. The first call may compile them."""
    return f"{SWITCH} is 0" if os.environ.get(SWITCH) == "0" else library()[1]


def has(name: str, precision: torch.dtype) -> bool:
    """Whether there is such a function: this processor may not multiply every type by itself."""
    return hasattr(library()[0], f"{name}_{name_of(precision)}")


def function(name: str, precision: torch.dtype) -> Callable[..., None]:
    """A function of native.cpp for elements of a type."""
    function: Callable[..., None] = getattr(library()[0], f"{name}_{name_of(precision)}")
    return function


def lanes() -> int:
    """How many floats the vectors of native.cpp hold."""
    found = library()[0]
    assert found is not None
    count: int = found.lanes()
    return count


def name_of(precision: torch.dtype) -> str:
    """What the functions for elements of a type are called after it."""
    return str(precision).removeprefix("torch.")


def in_threads(work: Sequence[Callable[[], object]]) -> None:
    """Do some pieces of work side by side, in as many threads as torch uses; C++ lets go of Python's lock."""
    if torch.get_num_threads() == 1:
        for piece in work:
            piece()
    else:
        list(_threads(torch.get_num_threads()).map(lambda piece: piece(), work))


@functools.cache
def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="lstm")


@functools.cache
def library() -> tuple[ctypes.CDLL | None, str | None]:
    """The compiled loop, or why there is none; compiled where that was not done before."""
    compiler = next(
        (found for name in (os.environ.get("CXX"), *COMPILERS) if name and (found := shutil.which(name))), None
    )
    if compiler is None:
        return None, "there is no C++ compiler (g++ or clang++) on the path"
    try:
        loaded = _loaded(compiler, FLAGS)
        if not loaded.allowed():
            loaded = _loaded(compiler, (*FLAGS, NO_TILES))
        return loaded, None
    except (OSError, subprocess.SubprocessError, Timeout, ElmoError) as error:
        return None, f"the loop in C++ could not be had: {error}"


def _loaded(compiler: str, flags: Sequence[str]) -> ctypes.CDLL:
    """What a compiler makes with some flags, from the cache folder if it lies there."""
    source = resources.files("elmo_cli.model.kernel").joinpath("native.cpp").read_bytes()
    version = subprocess.run([compiler, "--version"], capture_output=True, check=True, timeout=COMPILING_SECONDS)
    folder = _folder()
    made = hashlib.sha256(b"\0".join([source, version.stdout, " ".join(flags).encode(), _processor()])).hexdigest()
    path = folder / f"lstm-{made[:32]}.so"
    lock = path.with_suffix(".lock")
    lock.touch()  # FileLock would wait in vain for a folder that takes no files
    with FileLock(lock, timeout=COMPILING_SECONDS):
        if not path.exists():
            write_atomically(path, lambda beside: _compile(compiler, flags, source, beside))
    try:
        loaded = ctypes.CDLL(str(path))
    except OSError:
        path.unlink(missing_ok=True)  # or it would stand in the way of a whole one forever
        raise
    for name in ("lanes", "allowed"):
        getattr(loaded, name).restype = ctypes.c_int64
    return loaded


def _compile(compiler: str, flags: Sequence[str], source: bytes, path: Path) -> None:
    command = [compiler, *flags, "-x", "c++", "-", "-o", str(path)]
    done = subprocess.run(command, input=source, capture_output=True, check=False, timeout=COMPILING_SECONDS)
    if done.returncode:
        raise OSError(f"{compiler} failed: {done.stderr.decode(errors='replace').strip()[:500]}")


def _folder() -> Path:
    """The folder of what was compiled: the user's own, since what lies there is run."""
    folder = _place()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if os.name == "posix":
        status = folder.stat()
        if status.st_uid != os.getuid() or status.st_mode & 0o022:
            raise OSError(f"{folder} belongs to someone else, or others may write there")
    return folder


def _place() -> Path:
    if named := os.environ.get(CACHE):
        return Path(named)
    if caches := os.environ.get("XDG_CACHE_HOME"):
        return Path(caches) / "elmo"
    try:
        return Path.home() / ".cache" / "elmo"
    except RuntimeError as error:  # as in a container that runs as a number that no user has
        raise OSError(f"this user has no home folder; name one for it in {CACHE}") from error


def _processor() -> bytes:
    """What tells processors apart for which a compiler makes different code."""
    try:
        lines = Path("/proc/cpuinfo").read_bytes().splitlines()
        return b"".join(sorted({line for line in lines if line.startswith((b"flags", b"Features", b"model name"))}))
    except OSError:
        return f"{platform.machine()} {platform.processor()} {platform.node()}".encode()
