"""`elmo quickstart` runs what it says, and what it names to be run next can be run."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from elmo_cli.commands.invocation import program
from elmo_cli.commands.quickstart import PRESET, ROAD, SETTINGS
from elmo_cli.commands.signals import Stop
from elmo_cli.config import load_experiment
from elmo_cli.config.writing import settings_text

REPOSITORY = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def small_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    from elmo_cli.data.sample import sample_news

    monkeypatch.setattr("elmo_cli.data.sample.sample_news", lambda seed=1: sample_news(seed, 60))


@pytest.mark.usefixtures("small_sample")
def test_quickstart_runs_the_road(tmp_path: Path, elmo_in) -> None:
    done = elmo_in(tmp_path, "quickstart", "demo", "--preset", "tiny", "--device", "cpu", "--json")
    assert done.code == 0, done.stderr
    assert done.json["synthetic"] is True
    ran = [step["command"].split()[1] for step in done.json["steps"]]
    assert ran == [command[0] for command in ROAD]
    kinds = [row["kind"] for row in done.json["steps"][-1]["results"]["rows"]]
    assert kinds == ["static"] * 2 + ["lm"] * 6 + ["reference"] * 2  # n-grams beside each, and alone
    for step in done.json["steps"]:
        assert f"$ {step['command']}" in done.stderr
    assert "synthetic" in done.stderr
    assert (tmp_path / "demo/runs/compare/results.json").is_file()
    assert "page with figures: demo/runs/compare/report.html" in done.stderr
    told = done.stderr.splitlines()[-1]
    assert told == "next: elmo predict demo/runs/classify-frozen demo/test.csv"
    predicted = elmo_in(tmp_path, *shlex.split(told)[2:])
    assert predicted.code == 0, predicted.stderr
    assert len(predicted.stdout.splitlines()) > 10
    assert "Validation perplexity" in (tmp_path / "demo/runs/compare/report.html").read_text(encoding="utf-8")
    assert not (tmp_path / "elmo.yaml").exists()

    unknown = elmo_in(tmp_path, "quickstart", "other", "--preset", "huge")
    assert unknown.code == 2
    assert not (tmp_path / "other").exists()
    again = elmo_in(tmp_path, "quickstart", "demo")
    assert again.code == 2
    assert "--overwrite" in again.stderr
    # Commands of an overwriting quickstart overwrite; a stop in one of them stops it all.
    replaced = elmo_in(tmp_path, "quickstart", "demo", "--preset", "tiny", "--overwrite", "--seed", "3")
    assert replaced.code == 0, replaced.stderr
    assert "elmo compare --baseline w2v.txt --overwrite --seed 3" in replaced.stderr
    assert "lm function" in replaced.stdout


def test_a_stopped_quickstart_says_how_it_begins_anew(tmp_path: Path, elmo_in, monkeypatch) -> None:
    monkeypatch.setattr("elmo_cli.commands.quickstart.ROAD", (("pretrain",),))
    monkeypatch.setattr(Stop, "__call__", lambda self: setattr(self, "code", 130) or True)
    done = elmo_in(tmp_path, "quickstart", "a b", "--device", "cpu")
    assert done.code == 130
    resume, anew = done.stderr.splitlines()[-2:]
    assert "--resume" in resume
    assert anew.endswith("in a b; the quickstart begins anew: elmo quickstart 'a b' --overwrite")


def test_the_settings_of_quickstart_are_settings(tmp_path: Path) -> None:
    path = tmp_path / "elmo.yaml"
    path.write_text(settings_text(PRESET, SETTINGS), encoding="utf-8")
    experiment = load_experiment(path)
    assert experiment.preset == "tiny"
    assert experiment.model.hidden_size == experiment.word2vec.dim == SETTINGS["model"]["hidden_size"]


def test_readme_shows_the_road_as_quickstart_runs_it() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    for command in ROAD:
        if "--init-embeddings" not in command:
            assert "elmo " + " ".join(command) in readme


def place_script(folder: Path) -> Path:
    """An executable `elmo` as pip writes it, in a folder whose name a shell would split."""
    script = folder / "my venv/bin/elmo"
    script.parent.mkdir(parents=True)
    text = f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(REPOSITORY)!r})\n"
    script.write_text(text + "from elmo_cli.commands.app import main\nmain()\n", encoding="utf-8")
    script.chmod(0o755)
    return script


def test_what_is_named_next_runs_in_the_shell_of_the_user(tmp_path: Path) -> None:
    place_script(tmp_path)

    def run(line: str, **environment: str) -> str:
        done = subprocess.run(line, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    path = "/usr/bin:/bin"
    for line, expected in (
        ("'my venv/bin/elmo' init", "next: 'my venv/bin/elmo' vocab build, then"),
        ("'my venv/bin/elmo' init 'a b'", f"next: cd 'a b', then '{tmp_path}/my venv/bin/elmo' vocab build"),
    ):
        assert expected in run(line, PATH=path)
    assert "next: cd c, then elmo vocab build" in run("elmo init c", PATH=f"{tmp_path}/my venv/bin:{path}")
    module = shlex.join([sys.executable, "-m", "elmo_cli"])
    assert f"next: cd d, then {module} vocab build" in run(f"{module} init d", PATH=path, PYTHONPATH=str(REPOSITORY))
    assert "sage: elmo vocab show" in run("cd 'a b' && ../'my venv'/bin/elmo vocab show --help", PATH=path)


def test_called_from_python_the_program_is_elmo() -> None:
    assert program() == program(elsewhere=True) == "elmo"
