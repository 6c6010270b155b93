"""The tables of a comparison, from results made by hand."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies
from tinyworld import make_corpus

from elmo_cli.comparison.statistics import RowResult, Trained
from elmo_cli.comparison.tables import answers_csv, comparison_csv, comparison_latex, comparison_markdown, curves_csv


def make_row(name: str, kind: str, accuracy: float, **values: Any) -> dict[str, Any]:
    return {
        "name": name,
        "kind": kind,
        "lm": None,
        "mode": None,
        "tune": False,
        "accuracy": accuracy,
        "sd": 0.012,
        "interval": [accuracy - 0.02, accuracy + 0.02],
        "macro_f1": accuracy,
        "valid_accuracy": 0.9,
        "difference": None,
        "difference_interval": None,
        "p": None,
        "p_holm": None,
        "unknown": {},
        "significant": None,
        "seeds": [],
        **values,
    }


def make_results() -> dict[str, Any]:
    compared = {"difference": -0.0123, "difference_interval": [-0.02, -0.01], "p": 1e-9, "p_holm": 2e-9}
    compared |= {"significant": True}
    rows = [
        make_row("w|v_50%.txt", "static", 0.8, unknown={"test": {"rate": 0.125}}),
        make_row("lm frozen", "lm", 0.7877, **compared, lm="lm", mode="frozen"),
        make_row("TF-IDF + SVM", "reference", 0.81, sd=None, tune=None, **{**compared, "difference": 0.01}),
    ]
    points = [
        {"fraction": share, "texts": texts, "rows": [{**row, "sd": row["sd"]} for row in rows]}
        for share, texts in ((0.1, 100), (1.0, 1000))
    ]
    pair = {"first": "lm frozen", "second": "TF-IDF + SVM", "difference": -0.02, "interval": [-0.03, 0.01]}
    return {
        "rows": rows,
        "reference": "w|v_50%.txt",
        "best_row": "lm frozen",
        "pairs": [{**pair, "p": 0.04, "p_holm": 0.08, "significant": False}],
        "comparisons": 3,
        "test": "McNemar's exact test",
        "conclusion": "It is so.",
        "curves": points,
        "seeds": [1],
        "data": {"test": {"texts": 1000}},
        "warnings": ["One seed."],
        "notes": ["how it was done"],
    }


def test_csv_holds_shares() -> None:
    first, second, third = csv.DictReader(comparison_csv(make_results()).splitlines())
    assert (first["row"], first["p"], first["unknown_test_tokens"]) == ("w|v_50%.txt", "", "0.125")
    assert (second["lm"], second["mode"], float(second["difference"])) == ("lm", "frozen", -0.0123)
    assert (third["kind"], third["sd"], third["tune"]) == ("reference", "", "")


def test_markdown_marks_what_a_row_is() -> None:
    markdown = comparison_markdown(make_results())
    for line in (
        "| w\\|v_50%.txt * | 80.00 | 1.20 | 78.00 to 82.00 | 80.00 | 90.00 | - | - | 12.50 % |",
        "| lm frozen † | 78.77 | 1.20 | 76.77 to 80.77 | 78.77 | 90.00 | -1.23 | < 0.001 | - |",
        "| TF-IDF + SVM ‡ | 81.00 | - | 79.00 to 83.00 | 81.00 | 90.00 | +1.00 | < 0.001 | - |",
        "| lm frozen | -2.00 | -3.00 to +1.00 | 0.0400 | 0.0800 | TF-IDF + SVM |",
        "| row | 100 texts (10 %) | 1,000 texts (100 %) |",
        "| TF-IDF + SVM | 81.00 | 81.00 |",
        "| lm frozen | 78.77 ± 1.20 | 78.77 ± 1.20 |",
        "**Beware.** One seed.",
        "It is so.",
        "- how it was done",
    ):
        assert line in markdown.splitlines()


def test_without_curves_there_is_no_table_of_them() -> None:
    assert "Learning curves" not in comparison_markdown({**make_results(), "curves": []})


def test_curves_have_a_line_for_each_row_and_size() -> None:
    lines = list(csv.DictReader(curves_csv(make_results()).splitlines()))
    assert [(line["fraction"], line["texts"], line["kind"]) for line in lines] == [
        (share, texts, kind)
        for share, texts in (("0.1", "100"), ("1.0", "1000"))
        for kind in ("static", "lm", "reference")
    ]
    assert [lines[0][name] for name in ("accuracy", "low", "sd")] == ["0.8", "0.78", "0.012"]
    assert lines[2]["sd"] == ""


def test_latex_is_escaped_and_aligned() -> None:
    latex = comparison_latex(make_results())
    body = [line for line in latex.splitlines() if line.endswith(r"\\")]
    assert len(body) == 1 + 3
    assert {line.count("&") for line in body} == {7}
    places = [[place.start() for place in re.finditer("&", line.replace(r"\%", "__"))] for line in body]
    assert all(place == places[0] for place in places)
    assert body[1].startswith(r"  w$|$v\_50\%.txt $^{*}$")
    assert "$-$1.23" in body[2]
    assert "$<$ 0.001" in body[2]
    assert "lm frozen $^{\\dagger}$" in body[2]
    assert [cell.strip() for cell in body[3].split("&")][2] == "--"
    assert latex.count(r"\begin{") == latex.count(r"\end{") == 2
    for rule in ("toprule", "midrule", "bottomrule"):
        assert latex.count(f"\\{rule}") == 1
    assert latex.count("{") == latex.count("}") + 0
    # Nothing is left that LaTeX would trip over: specials are escaped, and what is not ASCII is told in commands.
    assert latex.isascii()
    assert not re.search(r"(?<!\\)[%#]", latex.split("\n", 1)[1])


NAMES = (
    "a\\b",
    "50% & more",
    "x_{1}^2",
    "~tilde#1$",
    "[a]",
    "*",
    "-",
    "a---b",
    "?`",
    "two\nlines",
    "%",
    "\\\\",
    "{",
    "}",
)
# What LaTeX reads as one letter, longest first, and the letter.
LETTERS = {
    **{f"\\{letter}": letter for letter in "&%$#_{}"},
    **{"\\textbackslash{}": "\\", "\\textasciitilde{}": "~", "\\textasciicircum{}": "^", "\\textasciigrave{}": "`"},
    **{"$<$": "<", "$>$": ">", "$|$": "|", "{[}": "[", "{]}": "]", "-{}": "-", "$^{*}$": "*", "''": '"'},
}


def read(latex: str) -> str:
    """The text that LaTeX shows; what it would take as a command, an option or a dash of its own is an error."""
    shown, place = "", 0
    while place < len(latex):
        known = next((one for one in LETTERS if latex.startswith(one, place)), latex[place])
        assert known in LETTERS or known not in "\\&%$#_{}^~[]`\n\t", f"{known!r} in {latex!r}"
        assert not latex.startswith("--", place)
        shown, place = shown + LETTERS.get(known, known), place + len(known)
    return shown


def rows_of(latex: str) -> list[list[str]]:
    """The cells of each row of the table, after its environments and braces were found whole."""
    open_ones: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", latex):
        if kind == "begin":
            open_ones.append(name)
        else:
            assert open_ones.pop() == name
    assert not open_ones
    bare = re.sub(r"\\[{}]", "", latex)
    depths = list(accumulate({"{": 1, "}": -1}.get(letter, 0) for letter in bare))
    assert min(depths) == depths[-1] == 0
    inside = latex.split("\\toprule\n")[1].split("\n  \\bottomrule")[0]
    lines = [line.strip() for line in inside.splitlines() if line.strip() != r"\midrule"]
    assert all(line.endswith(r" \\") for line in lines)
    columns = re.search(r"\\begin\{tabular\}\{([lcr]+)\}", latex)
    assert columns
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)&", line.removesuffix(r"\\"))] for line in lines]
    assert {len(row) for row in cells} == {len(columns[1])}
    return cells


def named(*names: str) -> dict[str, Any]:
    """Results whose rows have these names, and no marks."""
    results = make_results()
    row = {**results["rows"][1], "p_holm": 2e-9}
    return {**results, "reference": None, "best_row": None, "rows": [{**row, "name": name} for name in names]}


def test_latex_shows_names_as_they_are() -> None:
    head, *body = rows_of(comparison_latex(named(*NAMES)))
    assert head[3] == r"95 \% interval"
    assert [read(row[0]) for row in body] == [name.replace("\n", " ") for name in NAMES]
    for row in body:
        assert row[1:] == ["78.77", "1.20", "76.77 to 80.77", "78.77", "90.00", "$-$1.23", "$<$ 0.001"]


@settings(max_examples=100, deadline=None)
@given(strategies.text("\\&%$#_{}^~[]|<>`-*ab ", min_size=1, max_size=12).map(str.strip).filter(bool))
def test_latex_shows_any_name_as_it_is(name: str) -> None:
    _, row = rows_of(comparison_latex(named(name)))
    assert read(row[0]) == name


def test_latex_takes_the_table(tmp_path: Path) -> None:
    compiler = shutil.which("pdflatex")
    if compiler is None:
        pytest.skip("no pdflatex on the path")
    frame = "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n%s\n\\end{document}\n"
    (tmp_path / "table.tex").write_text(frame % comparison_latex(named(*NAMES)), encoding="utf-8")
    command = [compiler, "-interaction=nonstopmode", "-halt-on-error", "table.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "table.pdf").stat().st_size > 0


def test_predictions_as_csv() -> None:
    shares = [np.array([[0.75, 0.25], [0.25, 0.75]]), np.array([[0.5, 0.5], [0.125, 0.875]])]
    lm = RowResult(
        {"name": "lm", "kind": "lm"},
        [Trained(seed, one.argmax(1), {}, one.astype(np.float16)) for seed, one in enumerate(shares)],
    )
    counted = RowResult({"name": "SVM", "kind": "reference"}, [Trained(1, np.array([1, 1]), {})])
    text = answers_csv([lm, counted], make_corpus([("sports", "a goal"), ("money", "an oil")]))
    assert text.splitlines() == [
        "row,text,label,predicted,p(money),p(sports)",
        "lm,0,sports,money,0.6250,0.3750",
        "lm,1,money,sports,0.1875,0.8125",
        "SVM,0,sports,sports,,",
        "SVM,1,money,sports,,",
    ]
