"""Fetching a data set: from a server of this test, whole or not at all, and never twice."""

from __future__ import annotations

import errno
import hashlib
import socket
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from elmo_cli.config import ReadingSettings
from elmo_cli.data import download as datasets
from elmo_cli.data.download import AG_NEWS, DataSet, fetch, find_data_set
from elmo_cli.data.formats import open_file
from elmo_cli.errors import DataError, ElmoError

CONTENT = {
    "train.csv": b'"3","Oil up","Oil prices rose"\n"4","Chips","New chips"\n' * 3000,
    "test.csv": b'"1","Talks","They talk"\n"2","A draw","The match ended"\n',
}


class Server(ThreadingHTTPServer):
    """Serves `content`, in `ranges` if asked; notes what was asked; breaks off after `most` bytes of an answer."""

    content = CONTENT
    ranges = True
    most: int | None = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.began: list[int] = []  # at which byte each answer did

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/data/"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name = self.path.rsplit("/", 1)[-1]
        self.server.asked.append(self.path)
        if name not in self.server.content:
            self.send_error(404)
            return
        body, wanted = self.server.content[name], self.headers.get("Range")
        begin = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.server.ranges else 0
        if begin >= len(body):
            self.send_error(416)
            return
        self.server.began.append(begin)
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(body) - begin))
        self.end_headers()
        self.wfile.write(body[begin:][: self.server.most])

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def md5(content: bytes) -> str:
    return "md5:" + hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.fixture
def small() -> DataSet:
    """AG News with the checksums of what is served here."""
    return replace(AG_NEWS, files={name: md5(content) for name, content in CONTENT.items()})


def test_files_are_fetched_once(server: Server, small: DataSet, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "ag_news"
    told: list[tuple[int, int | None]] = []
    found = fetch(small, folder, mirror=server.url, on_progress=lambda done, total: told.append((done, total)))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == CONTENT
    assert found.files == {name: len(content) for name, content in CONTENT.items()}
    assert found.downloaded == ("train.csv", "test.csv")
    assert found.licence == "non-commercial use only"
    assert server.asked == ["/data/train.csv", "/data/test.csv"]
    size = len(CONTENT["train.csv"])
    assert (size, size) in told
    assert all(total in map(len, CONTENT.values()) and done <= total for done, total in told)
    assert fetch(small, folder, mirror=server.url).downloaded == ()
    (folder / "test.csv").unlink()
    assert fetch(small, folder, mirror=server.url).downloaded == ("test.csv",)
    assert server.asked[2:] == ["/data/test.csv"]
    table = open_file(folder / "train.csv", ReadingSettings()).columns(labelled=True)
    assert (table.label, table.text) == ("1", ("2", "3"))


def test_another_file_is_in_the_way(server: Server, small: DataSet, tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("mine\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"test\.csv exists and is not the test\.csv of ag-news") as caught:
        fetch(small, tmp_path, mirror=server.url)
    assert "--overwrite" in (caught.value.remedy or "")
    assert (server.asked, [path.name for path in tmp_path.iterdir()]) == ([], ["test.csv"])
    fetch(small, tmp_path, mirror=server.url, overwrite=True)
    assert (tmp_path / "test.csv").read_bytes() == CONTENT["test.csv"]


def refused(wanted: DataSet, folder: Path, mirror: str) -> ElmoError:
    """The error of a fetch that leaves nothing behind."""
    with pytest.raises(ElmoError) as caught:
        fetch(wanted, folder, mirror=mirror)
    assert caught.value.exit_code == 1
    assert caught.value.remedy
    assert not folder.exists()
    return caught.value


def test_other_content_is_refused(server: Server, tmp_path: Path) -> None:
    error = refused(AG_NEWS, tmp_path / "a", server.url)
    assert "is not the file that was published: its checksum differs" in error.message
    assert error.expected == "md5:b1a00f826fdfbd249f79597b59e1dc12"


def test_what_the_server_lacks(server: Server, small: DataSet, tmp_path: Path) -> None:
    wanted = replace(small, files={"valid.csv": md5(b"")})
    assert "the server answered 404 Not Found" in refused(wanted, tmp_path / "a", server.url).message


def broken_off(server: Server, wanted: DataSet, folder: Path) -> int:
    """Fetch from a server that breaks off; how many bytes are there."""
    server.most = 70_000
    with pytest.raises(ElmoError, match="the connection broke") as caught:
        fetch(wanted, folder, mirror=server.url)
    assert "the same command goes on from train.csv.part" in (caught.value.remedy or "")
    assert [path.name for path in folder.iterdir()] == ["train.csv.part"]
    server.most = None
    content = (folder / "train.csv.part").read_bytes()
    assert CONTENT["train.csv"].startswith(content)
    return len(content)


def test_a_connection_that_breaks_is_taken_up_where_it_broke(server: Server, small: DataSet, tmp_path: Path) -> None:
    there = broken_off(server, small, tmp_path)
    assert 0 < there <= 70_000
    told: list[tuple[int, int | None]] = []
    fetch(small, tmp_path, mirror=server.url, on_progress=lambda done, total: told.append((done, total)))
    assert server.began == [0, there, 0]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == CONTENT
    assert min(done for done, total in told if total == len(CONTENT["train.csv"])) > there


def test_a_server_without_ranges_begins_anew(server: Server, small: DataSet, tmp_path: Path) -> None:
    broken_off(server, small, tmp_path)
    server.ranges = False
    fetch(small, tmp_path, mirror=server.url)
    assert server.began == [0, 0, 0]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == CONTENT


def test_a_part_of_another_file_is_given_up(server: Server, small: DataSet, tmp_path: Path) -> None:
    folder = tmp_path / "a"
    for content in (b"something else", b"longer" * len(CONTENT["train.csv"])):
        folder.mkdir()
        (folder / "train.csv.part").write_bytes(content)
        if len(content) < len(CONTENT["train.csv"]):
            assert "its checksum differs" in refused(small, folder, server.url).message
    fetch(small, folder, mirror=server.url)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == CONTENT


def test_no_network(small: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        assert "no connection" in refused(small, tmp_path / "a", url).message
    assert "could not be fetched" in refused(small, tmp_path / "a", "ftp.example").message


def test_a_full_disk(server: Server, small: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: object, target: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    error = refused(small, tmp_path / "a", server.url)
    assert error.message == "train.csv could not be written: No space left on device"


def test_unknown_data_sets_name_the_nearest() -> None:
    with pytest.raises(DataError, match="there is no data set 'agnews'") as caught:
        find_data_set("agnews")
    assert caught.value.remedy == "did you mean 'ag-news'?"


def test_the_command(server: Server, small: DataSet, tmp_path: Path, run_elmo, monkeypatch) -> None:
    folder = tmp_path / "news"
    arguments = ["data", "get", "ag-news", "--mirror", server.url, "--out", folder]
    done = run_elmo(*arguments)
    assert (done.code, "its checksum differs" in done.stderr, done.stdout) == (1, True, "")
    monkeypatch.setitem(datasets.DATA_SETS, "ag-news", small)
    done = run_elmo(*arguments)
    assert done.code == 0, done.stderr
    for shown in ("fetched, checksum right", "non-commercial use only", server.url.rstrip("/")):
        assert shown in done.stdout
    again = run_elmo(*arguments, "--json")
    assert again.json["downloaded"] == []
    assert again.json["files"] == {name: len(content) for name, content in CONTENT.items()}
    assert run_elmo("data", "get", "ag_news").code == 2
    found = run_elmo("init", folder, "--json").json["data"]
    assert (found["train"], found["test"]) == ("train.csv", "test.csv")


def test_the_checksum_is_that_of_the_published_file(shared: Path) -> None:
    content = (shared / "data/ag_news/original_test.csv").read_bytes()
    assert AG_NEWS.files["test.csv"] == md5(content)
