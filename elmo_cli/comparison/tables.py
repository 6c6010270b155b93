"""A comparison as CSV, Markdown and LaTeX; learning curves as CSV."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from elmo_cli.comparison.examples import answers_of, mean_probabilities
from elmo_cli.comparison.statistics import RowResult
from elmo_cli.report.cells import MARKS, Cell, Number, Table, printed, select, value_of
from elmo_cli.report.records import ComparisonResults
from elmo_cli.report.result_cells import CURVE_COLUMNS, ROW_COLUMNS, curve_cells, curve_table, pair_cells, row_cells
from elmo_cli.runs.cards import in_markdown
from elmo_cli.runs.tables import to_csv
from elmo_cli.training.labelled import LabelledCorpus

_CELLS = ("row", "accuracy", "sd", "interval", "macro_f1", "valid_accuracy", "difference", "p_holm")
_HEADINGS = ("row", "accuracy", "sd", "95 % interval", "macro F1", "validation", "difference", "p (Holm)")
_PAIR_CELLS = ("first", "difference", "interval", "p", "p_holm", "second")
_PAIR_HEADINGS = ("row", "difference", "95 % interval", "p", "p (Holm)", "against")
LEGEND = (
    "Accuracy, sd, F1, validation and differences in per cent and points. *: the row that difference and p are "
    "against; †: the best LM row on validation; ‡: a reference without embeddings, counted among neither."
)
_LATEX = {
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    "[": "{[}",  # after the end of a row it would begin an option of that
    "]": "{]}",
    "`": r"\textasciigrave{}",
    '"': "''",
    "λ": r"$\lambda$",
    **dict(zip(MARKS.values(), (r"$^{*}$", r"$^{\dagger}$", r"$^{\ddagger}$"), strict=True)),
}


def comparison_csv(results: ComparisonResults) -> str:
    """The table as CSV; shares, not per cent."""
    return _csv(select(row_cells(results), ROW_COLUMNS))


def answers_csv(rows: Sequence[RowResult], test: LabelledCorpus) -> str:
    """What each row says of each test text: a line for each, with the probability of each class, means over seeds.

    Texts are told by their place in the file, from 0; a row without probabilities has none.
    """
    header = ("row", "text", "label", "predicted", *(f"p({name})" for name in test.classes))
    return to_csv(header, (line for row in rows for line in _predicted(row, test)))


def _predicted(row: RowResult, test: LabelledCorpus) -> Iterator[list[object]]:
    shares = mean_probabilities(row)
    none: list[object] = [None] * len(test.classes)
    for place, (true, answer) in enumerate(zip(test.labels.tolist(), answers_of(row).tolist(), strict=True)):
        told = none if shares is None else [f"{share:.4f}" for share in shares[place]]
        yield [row.name, place, test.classes[true], test.classes[answer], *told]


def curves_csv(results: ComparisonResults) -> str:
    """The learning curves as CSV, a line for each row and share of the labelled texts; shares, not per cent."""
    return _csv(select(curve_cells(results), CURVE_COLUMNS))


def comparison_markdown(results: ComparisonResults) -> str:
    """The tables as Markdown, in per cent, with the conclusion and how to read it."""
    points = results["curves"]
    sizes = [f"{point['texts']:,} texts ({100 * point['fraction']:g} %)" for point in points]
    names, headings = (*_CELLS, "unknown_test_tokens"), (*_HEADINGS, "unknown test tokens")
    rows = select(row_cells(results), names, headings)
    parts = ["# Comparison", in_markdown(results["conclusion"])]
    parts += [f"**Beware.** {in_markdown(warning)}" for warning in results["warnings"]]
    parts += [_markdown(rows), LEGEND]
    if results["pairs"]:
        parts += ["## All comparisons", _markdown(select(pair_cells(results), _PAIR_CELLS, _PAIR_HEADINGS))]
    if points:
        parts += ["## Learning curves", _markdown(curve_table(points, "row", sizes))]
    notes = "".join(f"- {in_markdown(note)}\n" for note in results["notes"])
    return "\n\n".join([*parts, "## How it was done", notes])


def comparison_latex(results: ComparisonResults) -> str:
    r"""The table for LaTeX with `\usepackage{booktabs}`, in per cent, its columns aligned in the source too."""
    content = select(row_cells(results), _CELLS, _HEADINGS)
    rows = [[_escaped(printed(name)), *map(_latex_figure, figures)] for name, *figures in content.rows]
    table = [[_escaped(name) for name in content.columns], *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    head, *body = (
        "  " + " & ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) + r" \\" for row in table
    )
    seeds, data = results["seeds"], results["data"]["test"]
    caption = f"{data['texts']:,} test texts, {len(seeds)} seed{'s' if len(seeds) > 1 else ''}. {LEGEND}"
    return "\n".join(
        [
            r"% needs \usepackage{booktabs}",
            r"\begin{table}",
            r"  \centering",
            f"  \\begin{{tabular}}{{l{'r' * (len(_HEADINGS) - 1)}}}",
            r"  \toprule",
            head,
            r"  \midrule",
            *body,
            r"  \bottomrule",
            r"  \end{tabular}",
            f"  \\caption{{{_escaped(caption)} p: {_escaped(results['test'])}, Holm's correction over "
            f"{results['comparisons']} comparisons.}}",
            r"\end{table}",
            "",
        ]
    )


def _csv(table: Table) -> str:
    return to_csv(table.columns, ([_csv_value(cell) for cell in row] for row in table.rows))


def _csv_value(cell: Cell) -> object:
    """The value of a cell, six digits of a share: more would be noise of the machine."""
    value = value_of(cell)
    rounded = isinstance(cell, Number) and cell.unit != "plain" and value is not None
    return f"{value:.6g}" if rounded else value


def _markdown(table: Table) -> str:
    kinds = ["---", *(["---:"] * (len(table.columns) - 1))]
    body = [[in_markdown(printed(cell)) for cell in row] for row in (table.columns, *table.rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in (body[0], kinds, *body[1:]))


def _latex_figure(cell: Cell) -> str:
    text = printed(cell)
    if text == "-":
        return "--"
    return f"$-${text[1:]}" if text.startswith("-") else _escaped(text)


def _escaped(text: str) -> str:
    """Text as LaTeX shows it: one line, and none of its signs a command."""
    apart = "".join(_LATEX.get(letter, letter if letter.isprintable() else " ") for letter in text)
    return re.sub(r"-(?=-)", "-{}", apart)  # or two become a longer dash
