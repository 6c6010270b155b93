"""What README and docs show is run: every `bash` block of commands and every Python block, on a small corpus."""

from __future__ import annotations

import re
import shlex
import shutil
from contextlib import chdir
from pathlib import Path

import pandas as pd
import pytest
from tinyworld import make_texts

REPOSITORY = Path(__file__).resolve().parent.parent.parent
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
DOCS = sorted(str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "docs").rglob("*.md"))
BESIDE = ["CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "examples/ag_news/README.md", "examples/brown/README.md"]
# What makes a command small.
SCALE = {
    "init": ["--preset", "tiny"],
    "pretrain": ["--epochs", "1", "--set", "model.characters.filters=[[1,8],[2,8]]", "--overwrite"],
    "classify": ["--set", "classify.epochs=1", "--set", "classify.tune_epochs=1"],
    "tag": ["--set", "tag.epochs=1"],
    "compare": ["--set", "classify.epochs=1", "--seeds", "1", "--lambdas", "frozen"],
    "baseline": ["--set", "word2vec.epochs=1", "--set", "svd.dim=16"],
}
TAGGED = "".join(f"{name} B-LOC\nis O\n{word} O\n\n" for name in ("Rome", "Paris", "Oslo") for word in ("old", "cold"))


def read(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[list[str]]:
    """The arguments of each `elmo` command of the blocks, without comments and redirections."""
    lines = [line for body in blocks(text, "bash") for line in body.splitlines() if line.startswith("elmo ")]
    return [shlex.split(line.split(" > ")[0], comments=True)[1:] for line in lines]


@pytest.mark.parametrize("name", [name for name in ("README.md", *DOCS) if "\n```bash" in read(name)])
def test_commands_and_code_run_in_their_order(name: str, road: Path, tmp_path: Path, elmo_in) -> None:
    folder = tmp_path / "folder"
    if "how-to" in name:  # those begin with what a tutorial ends with
        shutil.copytree(road, folder)
    else:
        folder.mkdir()
        for file in ("train.csv", "test.csv"):
            shutil.copy(road / file, folder)
    for file in ("new", "news", "old-valid"):
        (folder / f"{file}.txt").write_text("Shares fell on Monday\nThe striker scored\n", encoding="utf-8")
    if name.endswith("tag.md"):  # files that a labelled corpus does not come with
        for file in ("train", "dev", "test", "other"):
            (folder / f"{file}.conll").write_text(f"{TAGGED}{file} O\n", encoding="utf-8")
        (folder / "new.conll").write_text("Rome\nis\nold\n", encoding="utf-8")
    for arguments in commands(read(name)):
        done = elmo_in(folder, *arguments, *SCALE.get(arguments[0], []))
        assert done.code == 0, f"elmo {shlex.join(arguments)}: {done.stderr}"
    rows = make_texts(48)
    texts, labels = [text for _, text in rows], [label for label, _ in rows]
    names = {"texts": texts, "labels": labels, "frame": pd.DataFrame({"text": texts, "label": labels})}
    for body in blocks(read(name), "python"):
        with chdir(folder):
            exec(compile(body, name, "exec"), names)


def test_the_readme_shows_commands_and_code() -> None:
    ran = [arguments[0] for arguments in commands(README)]
    assert ran == ["init", "vocab", "pretrain", "classify", "classify", "evaluate", "baseline", "compare", "predict"]
    assert len(blocks(README, "python")) == 1


@pytest.mark.parametrize("name", ["main", "tests"])
def test_the_first_commands_are_one_line_to_paste(name: str) -> None:
    block = re.search(rf"^<!-- ci: {name} -->\n```bash\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert block
    assert len(block[1].splitlines()) == 1
    assert block[1].startswith("python3 -m venv .venv && ")


@pytest.mark.parametrize("name", ["README.md", *BESIDE])
def test_links_lead_somewhere(name: str) -> None:
    """Those of the site's own pages are checked when it is built."""
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", read(name)):
        if "://" not in target:
            assert ((REPOSITORY / name).parent / target).exists(), f"{name} links to {target}"


def test_the_page_of_files_names_what_is_there(road: Path) -> None:
    page = read("docs/reference/files.md")
    for run in ("vocab", "lm", "classify-frozen"):
        for path in (road / "runs" / run).iterdir():
            assert f"`{path.name}" in page, f"docs/reference/files.md lacks {path.name} of runs/{run}"


def test_completion_is_offered(run_elmo) -> None:
    assert "--install-completion" in run_elmo("--help").stdout
    assert "elmo --install-completion" in README
