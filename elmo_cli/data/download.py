"""Data sets that are fetched on request, checked, and left as published; none is part of this project.

Proxies are those of the environment (`HTTPS_PROXY`, `NO_PROXY`). A file is put in place when it is whole; what came of
one before the connection broke, or Ctrl-C, waits beside it as `NAME.part`, and the next attempt goes on from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from elmo_cli.errors import DataError, ElmoError, nearest
from elmo_cli.events import OnProgress


@dataclass(frozen=True)
class DataSet:
    """A data set that can be fetched.

    Attributes:
        name: As the user writes it.
        url: Address of the folder that holds its files.
        files: Name and checksum (`md5:...`) of each.
        licence: What may be done with it.
        about: What it is.
    """

    name: str
    url: str
    files: Mapping[str, str]
    licence: str
    about: str


AG_NEWS = DataSet(
    "ag-news",
    "https://raw.githubusercontent.com/mhjabreel/CharCnn_Keras/master/data/ag_news_csv",
    {"train.csv": "md5:b1a00f826fdfbd249f79597b59e1dc12", "test.csv": "md5:d52ea96a97a2d943681189a97654912d"},
    "non-commercial use only",
    "120,000 + 7,600 news items in 4 classes: 1 World, 2 Sports, 3 Business, 4 Sci/Tech (Zhang et al. 2015)",
)
DATA_SETS = {one.name: one for one in (AG_NEWS,)}


@dataclass(frozen=True)
class Fetched:
    """A data set on disk.

    Attributes:
        folder: Where it is.
        files: Bytes of each file.
        downloaded: The files that were not there yet.
        source: Where they come from.
        licence: What may be done with them.
        about: What they are.
    """

    folder: Path
    files: dict[str, int]
    downloaded: tuple[str, ...]
    source: str
    licence: str
    about: str


def find_data_set(name: str) -> DataSet:
    """A data set by its name.

    Raises:
        DataError: There is none.
    """
    if name not in DATA_SETS:
        raise DataError(
            f"there is no data set '{name}' to fetch", expected=", ".join(DATA_SETS), remedy=nearest(name, DATA_SETS)
        )
    return DATA_SETS[name]


def fetch(
    wanted: DataSet,
    folder: Path,
    *,
    mirror: str | None = None,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> Fetched:
    """Fetch the files of a data set into a folder; those that are there already, and right, are not fetched again.

    Args:
        wanted: What to fetch; its checksums decide what is right.
        folder: Made where it is missing.
        mirror: Address of another folder that holds the same files.
        overwrite: Replace files of the same names that are something else.
        on_progress: Told bytes fetched of the file under way, and its size where the server says it.

    Raises:
        DataError: Another file is in the way.
        ElmoError: The network, the server or the disk refuses, or what came is not the file.
    """
    source = (mirror or wanted.url).rstrip("/")
    missing = [name for name in wanted.files if not _is_right(folder / name, wanted.files[name])]
    for name in missing:
        if (folder / name).exists() and not overwrite:
            raise DataError(
                f"{folder / name} exists and is not the {name} of {wanted.name}",
                where=folder / name,
                expected="a new folder, or the file as published",
                remedy="name another folder with --out, or give --overwrite to replace it",
            )
    try:
        for name in missing:
            _download(f"{source}/{name}", folder / name, wanted.files[name], on_progress)
    except BaseException:
        with suppress(OSError):  # it holds files, or was not even made
            folder.rmdir()
        raise
    sizes = {name: (folder / name).stat().st_size for name in wanted.files}
    return Fetched(folder, sizes, tuple(missing), source, wanted.licence, wanted.about)


def _is_right(path: Path, checksum: str) -> bool:
    import pooch

    return path.is_file() and bool(pooch.hashes.hash_matches(str(path), checksum))


def _download(url: str, path: Path, checksum: str, on_progress: OnProgress | None) -> None:
    import pooch
    from requests import RequestException

    pooch.get_logger().setLevel("ERROR")  # what it would log is said here
    part = path.with_name(path.name + ".part")
    try:
        downloader = _Resuming(part, on_progress or (lambda done, total: None))
        pooch.retrieve(url, checksum, path.name, path.parent, downloader=downloader)
    except RequestException as error:  # before OSError, of which it is one
        begun = part.is_file() and part.stat().st_size > 0
        kept = f"; the same command goes on from {part.name}" if begun else ", or name a --mirror; whole files stay"
        raise ElmoError(
            f"{url} could not be fetched: {_reason(error)}",
            where=url,
            remedy=f"check the network and the proxy (HTTPS_PROXY){kept}",
        ) from error
    except ValueError as error:
        raise ElmoError(
            f"what came from {url} is not the file that was published: its checksum differs",
            where=url,
            expected=checksum,
            remedy="try again later, or name another --mirror; nothing was kept of it",
        ) from error
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ElmoError(
            f"{path.name} could not be written: {error.strerror or error}",
            where=path,
            remedy="make room, or choose another --out; nothing was kept of it",
        ) from error


_CHUNK = 1 << 16  # bytes
_SECONDS = 30  # without an answer


def _reason(error: Exception) -> str:
    """The one part of a long chain that a user can use."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"the server answered {response.status_code} {response.reason}".strip()
    kinds = {"ProxyError": "the proxy refuses", "SSLError": "its certificate is not trusted"}
    kinds |= {"Timeout": "no answer in time", "ConnectTimeout": "no answer in time", "ReadTimeout": "no answer in time"}
    kinds |= {"ConnectionError": "no connection", "ChunkedEncodingError": "the connection broke"}
    return kinds.get(type(error).__name__, str(error))


class _Resuming:
    """Fetches a file for pooch, and goes on from what an attempt before it left.

    What has come lies in a file of its own until it is whole, whose beginning nobody vouches for but the checksum.

    Args:
        part: That file.
        on_progress: See `fetch`.
    """

    def __init__(self, part: Path, on_progress: OnProgress) -> None:
        self._part, self._on_progress = part, on_progress

    def __call__(self, url: str, output_file: str, registry: object, check_only: bool = False) -> None:
        """What pooch calls: fetch `url` into `output_file`."""
        import requests

        done = self._part.stat().st_size if self._part.is_file() else 0
        asked = {"Accept-Encoding": "identity", **({"Range": f"bytes={done}-"} if done else {})}
        with requests.get(url, headers=asked, stream=True, timeout=_SECONDS) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable:  # the server's file ends before
                self._part.unlink()
                self(url, output_file, registry)
                return
            response.raise_for_status()
            if response.status_code != requests.codes.partial_content:
                done = 0
            length = response.headers.get("Content-Length")
            total = done + int(length) if length else None
            with self._part.open("ab" if done else "wb") as file:
                for chunk in response.iter_content(_CHUNK):
                    file.write(chunk)
                    done += len(chunk)
                    self._on_progress(done, total)
        self._part.replace(output_file)
