"""What README and docs show is run: every command block and the Python block, on a small corpus."""

from __future__ import annotations

import re
import shlex
import shutil
from contextlib import chdir
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent.parent
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
DOCS = sorted((REPOSITORY / "docs").glob("*.md"))
# Blocks that .ci/run takes from the README and runs in fresh environments.
COVERED = ("<!-- ci: main -->", "<!-- ci: tests -->")
# What makes a command small.
SCALE = {
    "init": ["--preset", "tiny"],
    "classify": ["--set", "classify.epochs=1", "--set", "classify.tune_epochs=1"],
    "compare": ["--set", "classify.epochs=1", "--seeds", "1", "--lambdas", "frozen"],
    "baseline": ["--set", "word2vec.epochs=1"],
}


def blocks(text: str, language: str) -> list[str]:
    """Fenced blocks of a language that no other run covers."""
    found = re.findall(rf"^(.*)\n```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [body for before, body in found if before not in COVERED]


def commands(text: str) -> list[list[str]]:
    """The arguments of each `elmo` command of the blocks, without comments and redirections."""
    lines = [line for body in blocks(text, "bash") for line in body.splitlines() if line.startswith("elmo ")]
    return [shlex.split(line.split(" > ")[0], comments=True)[1:] for line in lines]


@pytest.mark.parametrize("name", ["README.md", *(f"docs/{path.name}" for path in DOCS)])
def test_commands_and_code_run_in_their_order(name: str, road: Path, tmp_path: Path, elmo_in) -> None:
    text = (REPOSITORY / name).read_text(encoding="utf-8")
    for file in ("train.csv", "test.csv"):
        shutil.copy(road / file, tmp_path)
    (tmp_path / "new.txt").write_text("Shares fell on Monday\nThe striker scored\n", encoding="utf-8")
    for arguments in commands(text):
        done = elmo_in(tmp_path, *arguments, *SCALE.get(arguments[0], []))
        assert done.code == 0, f"elmo {shlex.join(arguments)}: {done.stderr}"
    for body in blocks(text, "python"):
        with chdir(tmp_path):
            exec(compile(body, name, "exec"), {})


def test_the_readme_shows_commands_and_code() -> None:
    ran = [arguments[0] for arguments in commands(README)]
    assert ran == ["init", "vocab", "pretrain", "classify", "classify", "evaluate", "baseline", "compare", "predict"]
    assert len(blocks(README, "python")) == 1
    assert len(README.splitlines()) < 250
    for mark in COVERED:
        assert mark in README


def test_links_lead_somewhere() -> None:
    for path in (REPOSITORY / "README.md", *DOCS):
        for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_the_page_of_files_names_what_is_there(road: Path) -> None:
    page = (REPOSITORY / "docs" / "files.md").read_text(encoding="utf-8")
    for run in ("vocab", "lm", "classify-frozen"):
        for path in (road / "runs" / run).iterdir():
            assert f"`{path.name}" in page, f"docs/files.md lacks {path.name} of runs/{run}"


def test_completion_is_offered(run_elmo) -> None:
    assert "--install-completion" in run_elmo("--help").stdout
    assert "elmo --install-completion" in README
