"""The five commands of examples/ag_news, word by word, on a small data set in the form of the published one."""

from __future__ import annotations

import csv
import hashlib
import io
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from elmo_cli.config import load_experiment
from elmo_cli.data import download as datasets
from elmo_cli.data.sample import sample_news

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "examples" / "ag_news"
TINY = ["--set", "preset=tiny", "--set", "data.limit=80", "--set", "svd.dim=16"]
# What makes a command small; its words stay as they are.
SCALE = {
    "baseline": [*TINY, "--set", "word2vec.epochs=1"],
    "pretrain": [*TINY, "--epochs", "2"],
    "compare": [*TINY, "--seeds", "1", "--set", "classify.tune_epochs=1", "--set", "compare.bootstrap=100"],
}


def commands() -> list[list[str]]:
    section = (EXAMPLE / "README.md").read_text(encoding="utf-8").split("## Five commands")[1]
    block = re.search(r"```bash\n(.*?)```", section, re.DOTALL)
    assert block
    return [shlex.split(line, comments=True)[1:] for line in block[1].splitlines()]


def test_the_settings_with_more_text_differ_in_the_text_and_what_a_table_shows() -> None:
    plain, more = (load_experiment(EXAMPLE / name) for name in ("elmo.yaml", "unlabelled.yaml"))
    assert [file.name for file in more.data.corpus] == ["train.csv", "unlabelled.txt"]
    assert more.data.model_copy(update={"corpus": ()}) == plain.data
    for section in ("tokenizer", "vocab", "model", "pretrain", "classify", "word2vec", "svd"):
        assert getattr(more, section) == getattr(plain, section), section
    assert [file.name for file in more.compare.baselines] == ["svd.txt", "w2v.txt"]


def published() -> dict[str, bytes]:
    """No header; class, title and description in quotes; line breaks and entities as they were broken."""
    items = sample_news(size=150)
    classes = sorted({item.label for item in items})
    files = {}
    for name, part in (("train.csv", items[:120]), ("test.csv", items[120:])):
        file = io.StringIO()
        rows = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
        for item in part:
            title, _, description = item.text.partition(" ")
            rows.writerow((classes.index(item.label) + 1, title, f"{description}\\That #39;s all"))
        files[name] = file.getvalue().encode()
    return files


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def fetched_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`elmo data get ag-news` fetches a small data set from this machine."""
    folder, files = tmp_path / "server", published()
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    sums = {name: f"md5:{hashlib.md5(body, usedforsecurity=False).hexdigest()}" for name, body in files.items()}
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        small = replace(datasets.AG_NEWS, url=f"http://127.0.0.1:{server.server_address[1]}", files=sums)
        monkeypatch.setitem(datasets.DATA_SETS, "ag-news", small)
        yield
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("fetched_here")
def test_five_commands_lead_to_the_page(tmp_path: Path, elmo_in) -> None:
    folder = tmp_path / "ag_news"
    folder.mkdir()
    shutil.copy(EXAMPLE / "elmo.yaml", folder)
    given = commands()
    assert [arguments[0] for arguments in given] == ["data", "baseline", "baseline", "pretrain", "compare"]
    for arguments in given:
        done = elmo_in(folder, *arguments, *SCALE.get(arguments[0], []))
        assert done.code == 0, f"elmo {shlex.join(arguments)}: {done.stderr}"
        if arguments[0] == "data":
            assert "next:" not in done.stderr  # the settings are there already
    page = (folder / "runs/compare/report.html").read_text(encoding="utf-8")
    rows = ["svd.txt", "w2v.txt", "lm trainable", "lm frozen", "lm function", "TF-IDF + SVM"]
    for row in rows:
        for role in ("train", "test"):
            assert f"{row} on {role}" in page  # a confusion matrix
    for shown in ("Of the ways to mix the layers", "The λ that lm trainable learned", "Perplexity", "validation, mean"):
        assert shown in page
        assert "validation" not in shown or page.count(shown)  # the curve's own name, in the figure
    assert "points (95 % interval" in page
