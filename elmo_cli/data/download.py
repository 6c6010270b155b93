"""Data sets that are fetched on request, checked, and left as published; none is part of this project.

Proxies are those of the environment (`HTTPS_PROXY`, `NO_PROXY`). A file is put in place when it is whole; what came of
one before the connection broke, or Ctrl-C, waits beside it as `NAME.part`, and the next attempt goes on from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from elmo_cli.errors import DataError, ElmoError, nearest
from elmo_cli.events import Progress, Tell, silent


@dataclass(frozen=True)
class DataSet:
    """A data set that can be fetched."""

    name: str  # as the user writes it
    url: str  # of the folder that holds its files
    files: Mapping[str, str]  # name and checksum (`md5:...`) of each
    licence: str
    about: str


AG_NEWS = DataSet(
    "ag-news",
    "https://raw.githubusercontent.com/mhjabreel/CharCnn_Keras/master/data/ag_news_csv",
    {"train.csv": "md5:b1a00f826fdfbd249f79597b59e1dc12", "test.csv": "md5:d52ea96a97a2d943681189a97654912d"},
    "non-commercial use only",
    "120,000 + 7,600 news items in 4 classes: 1 World, 2 Sports, 3 Business, 4 Sci/Tech (Zhang et al. 2015)",
)
_CHUNK = 1 << 16  # bytes
_SECONDS = 30  # without an answer
_REASONS = {
    "ProxyError": "the proxy refuses",
    "SSLError": "its certificate is not trusted",
    "ConnectionError": "no connection",
    "ChunkedEncodingError": "the connection broke",
    **dict.fromkeys(("Timeout", "ConnectTimeout", "ReadTimeout"), "no answer in time"),
}
DATA_SETS = {one.name: one for one in (AG_NEWS,)}


@dataclass(frozen=True)
class Fetched:
    """A data set on disk."""

    folder: Path
    files: dict[str, int]  # bytes of each
    downloaded: tuple[str, ...]  # the files that were not there yet
    source: str  # the address of the folder that they come from
    licence: str
    about: str


def find_data_set(name: str) -> DataSet:
    """A data set by its name; a DataError says that there is none."""
    if name not in DATA_SETS:
        found = f"there is no data set '{name}' to fetch"
        raise DataError(found, expected=", ".join(DATA_SETS), remedy=nearest(name, DATA_SETS))
    return DATA_SETS[name]


def fetch(
    wanted: DataSet, folder: Path, *, mirror: str | None = None, overwrite: bool = False, tell: Tell = silent
) -> Fetched:
    """Fetch the files of a data set into a folder; those that are there already, and right, are not fetched again.

    Their checksums decide what is right. `mirror` is the address of another folder with the same files; `overwrite`
    replaces files of the same names that are something else.

    Raises:
        DataError: Another file is in the way.
        ElmoError: The network, the server or the disk refuses, or what came is not the file.
    """
    from pooch.hashes import hash_matches

    source, there = (mirror or wanted.url).rstrip("/"), [name for name in wanted.files if (folder / name).is_file()]
    right = [name for name in there if hash_matches(str(folder / name), wanted.files[name])]
    missing = [name for name in wanted.files if name not in right]
    for name in missing:
        if (folder / name).exists() and not overwrite:
            found, expected = f"exists and is not the {name} of {wanted.name}", "a new folder, or the file as published"
            remedy = "name another folder with --out, or give --overwrite to replace it"
            raise DataError(f"{folder / name} {found}", where=folder / name, expected=expected, remedy=remedy)
    try:
        for name in missing:
            _download(f"{source}/{name}", folder / name, wanted.files[name], tell)
    except BaseException:
        with suppress(OSError):  # it holds files, or was not even made
            folder.rmdir()
        raise
    sizes = {name: (folder / name).stat().st_size for name in wanted.files}
    return Fetched(folder, sizes, tuple(missing), source, wanted.licence, wanted.about)


def _download(url: str, path: Path, checksum: str, tell: Tell) -> None:
    import pooch
    from requests import RequestException

    pooch.get_logger().setLevel("ERROR")  # what it would log is said here
    part = path.with_name(path.name + ".part")
    try:
        pooch.retrieve(url, checksum, path.name, path.parent, downloader=partial(_resume, part, tell))
    except RequestException as error:  # before OSError, of which it is one
        begun = part.is_file() and part.stat().st_size > 0
        kept = f"; the same command goes on from {part.name}" if begun else ", or name a --mirror; whole files stay"
        remedy = f"check the network and the proxy (HTTPS_PROXY){kept}"
        raise ElmoError(f"{url} could not be fetched: {_reason(error)}", where=url, remedy=remedy) from error
    except ValueError as error:
        found = f"what came from {url} is not the file that was published: its checksum differs"
        remedy = "try again later, or name another --mirror; nothing was kept of it"
        raise ElmoError(found, where=url, expected=checksum, remedy=remedy) from error
    except OSError as error:
        part.unlink(missing_ok=True)
        found = f"{path.name} could not be written: {error.strerror or error}"
        remedy = "make room, or choose another --out; nothing was kept of it"
        raise ElmoError(found, where=path, remedy=remedy) from error


def _reason(error: Exception) -> str:
    """The one part of a long chain that a user can use."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"the server answered {response.status_code} {response.reason}".strip()
    return _REASONS.get(type(error).__name__, str(error))


def _resume(part: Path, tell: Tell, url: str, output_file: str, *pooch: object) -> None:
    """Fetch a file for pooch, and go on from what an attempt before it left in `part`, if the checksum agrees."""
    import requests

    done = part.stat().st_size if part.is_file() else 0
    asked = {"Accept-Encoding": "identity", **({"Range": f"bytes={done}-"} if done else {})}
    with requests.get(url, headers=asked, stream=True, timeout=_SECONDS) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:  # the server's file ends before
            part.unlink()
            _resume(part, tell, url, output_file)
            return
        response.raise_for_status()
        if response.status_code != requests.codes.partial_content:
            done = 0
        length = response.headers.get("Content-Length")
        total = done + int(length) if length else None
        with part.open("ab" if done else "wb") as file:
            for chunk in response.iter_content(_CHUNK):
                file.write(chunk)
                done += len(chunk)
                tell(Progress("fetching", done, total, in_bytes=True))
    part.replace(output_file)
