"""`elmo report` through the entry point."""

from __future__ import annotations

from pathlib import Path


def test_report_of_all_runs_of_a_folder(road: Path, tmp_path: Path, elmo_in) -> None:
    done = elmo_in(road, "report", "--out", tmp_path / "page.html", "--json")
    assert done.code == 0, done.stderr
    assert done.json["runs"] == ["classify-frozen", "lm"]
    assert done.json["page"] == str(tmp_path / "page.html")
    assert done.json["warnings"] == []
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    for told in ("Validation perplexity", "Surest mistakes", "Layer weights", "Confusion matrices"):
        assert told in page
    again = elmo_in(road, "report", "--out", tmp_path / "page.html")
    assert again.code == 2
    assert "--overwrite" in again.stderr
    replaced = elmo_in(road, "report", "runs/lm", "--out", tmp_path / "page.html", "--overwrite")
    assert replaced.code == 0
    assert f"page  {tmp_path / 'page.html'}" in replaced.stdout


def test_figures_alone(road: Path, tmp_path: Path, elmo_in) -> None:
    done = elmo_in(road, "report", "runs/lm", "--figures", tmp_path / "figures")
    assert done.code == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == ["lm-perplexity.png", "lm-perplexity.svg"]
    assert done.stdout.split() == ["figures", "2"]
    assert not (road / "report.html").exists()


def test_what_is_wrong_is_said(road: Path, tmp_path: Path, elmo_in) -> None:
    absent = elmo_in(road, "report", "runs/lmm", "--out", tmp_path / "page.html")
    assert absent.code == 2
    assert "did you mean 'runs/lm'" in absent.stderr
    wrong = elmo_in(road, "report", "runs/vocab", "--out", tmp_path / "page.html")
    assert wrong.code == 2
    assert "runs/vocab is a vocabulary" in wrong.stderr
    nothing = elmo_in(tmp_path, "report")
    assert nothing.code == 2
    assert "there is nothing to report in runs" in nothing.stderr
    assert not list(tmp_path.iterdir())
