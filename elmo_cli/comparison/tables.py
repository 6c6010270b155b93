"""A comparison as CSV, Markdown and LaTeX; learning curves as CSV."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from elmo_cli.comparison.conclusion import p_value
from elmo_cli.runs.tables import to_csv

_COLUMNS = (
    *("row", "kind", "lm", "mode", "tune", "accuracy", "sd", "low", "high", "macro_f1", "valid_accuracy"),
    *("difference", "difference_low", "difference_high", "p", "p_holm", "unknown_test_tokens"),
)
_CURVE_COLUMNS = ("fraction", "texts", "row", "kind", "accuracy", "sd", "low", "high", "valid_accuracy")
_HEADINGS = ("row", "accuracy", "sd", "95 % interval", "macro F1", "validation", "difference", "p (Holm)")
MARKS = {"base": "*", "best": "†", "reference": "‡"}
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


def marks(row: Mapping[str, Any], results: Mapping[str, Any]) -> list[str]:
    """What is to be seen of a row at once: `base`, `best`, `reference`."""
    holds = {
        "base": row["name"] == results["reference"],
        "best": row["name"] == results["best_row"],
        "reference": row["kind"] == "reference",
    }
    return [mark for mark, there in holds.items() if there]


def comparison_csv(results: Mapping[str, Any]) -> str:
    """The table as CSV; shares, not per cent."""
    return to_csv(_COLUMNS, ([_cell(row, column) for column in _COLUMNS] for row in results["rows"]))


def curves_csv(results: Mapping[str, Any]) -> str:
    """The learning curves as CSV, a line for each row and share of the labelled texts; shares, not per cent."""
    kinds = {row["name"]: row["kind"] for row in results["rows"]}
    lines = []
    for point in results["curves"]:
        for row in point["rows"]:
            low, high = row["interval"]
            figures = (row["accuracy"], row["sd"], low, high, row["valid_accuracy"])
            about = (point["fraction"], point["texts"], row["name"], kinds[row["name"]])
            lines.append([*about, *("" if value is None else f"{value:.6g}" for value in figures)])
    return to_csv(_CURVE_COLUMNS, lines)


def comparison_markdown(results: Mapping[str, Any]) -> str:
    """The tables as Markdown, in per cent, with the conclusion and how to read it."""
    parts = ["# Comparison", results["conclusion"]]
    parts += [f"**Beware.** {warning}" for warning in results["warnings"]]
    rows = [[*cells, _unknown(row)] for row, cells in zip(results["rows"], _cells(results), strict=True)]
    parts += [_markdown_table([*_HEADINGS, "unknown test tokens"], rows), LEGEND]
    if results["pairs"]:
        parts += ["## All comparisons", _markdown_table(_PAIR_HEADINGS, [_pair_cells(one) for one in results["pairs"]])]
    if results["curves"]:
        parts += ["## Learning curves", _curve_table(results)]
    notes = "".join(f"- {note}\n" for note in results["notes"])
    return "\n\n".join([*parts, "## How it was done", notes])


def comparison_latex(results: Mapping[str, Any]) -> str:
    r"""The table for LaTeX with `\usepackage{booktabs}`, in per cent, its columns aligned in the source too."""
    rows = [[_escaped(name), *map(_latex_figure, figures)] for name, *figures in _cells(results)]
    table = [[_escaped(name) for name in _HEADINGS], *rows]
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


def _cell(row: Mapping[str, Any], column: str) -> object:
    low, high = row["interval"]
    apart = row["difference_interval"] or (None, None)
    special = {
        "row": row["name"],
        "low": low,
        "high": high,
        "difference_low": apart[0],
        "difference_high": apart[1],
        "unknown_test_tokens": row["unknown"].get("test", {}).get("rate"),
    }
    value = special[column] if column in special else row[column]
    return f"{value:.6g}" if isinstance(value, float) else value


def _cells(results: Mapping[str, Any]) -> list[list[str]]:
    """The cells under `_HEADINGS`."""
    found = []
    for row in results["rows"]:
        low, high = row["interval"]
        shown = " ".join([row["name"], *(MARKS[mark] for mark in marks(row, results))])
        found.append(
            [
                shown,
                f"{100 * row['accuracy']:.2f}",
                "-" if row["sd"] is None else f"{100 * row['sd']:.2f}",
                f"{100 * low:.2f} to {100 * high:.2f}",
                f"{100 * row['macro_f1']:.2f}",
                f"{100 * row['valid_accuracy']:.2f}",
                "-" if row["difference"] is None else f"{100 * row['difference']:+.2f}",
                "-" if row["p_holm"] is None else p_value(row["p_holm"]),
            ]
        )
    return found


def _unknown(row: Mapping[str, Any]) -> str:
    rate = row["unknown"].get("test", {}).get("rate")
    return "-" if rate is None else f"{100 * rate:.2f} %"


_PAIR_HEADINGS = ("row", "difference", "95 % interval", "p", "p (Holm)", "against")


def _pair_cells(pair: Mapping[str, Any]) -> list[str]:
    low, high = pair["interval"]
    return [
        pair["first"],
        f"{100 * pair['difference']:+.2f}",
        f"{100 * low:+.2f} to {100 * high:+.2f}",
        p_value(pair["p"]),
        p_value(pair["p_holm"]),
        pair["second"],
    ]


def _curve_table(results: Mapping[str, Any]) -> str:
    points = results["curves"]
    heads = ["row", *(f"{point['texts']:,} texts ({100 * point['fraction']:g} %)" for point in points)]
    by_row = zip(*(point["rows"] for point in points), strict=True)
    return _markdown_table(heads, [[each[0]["name"], *map(_accuracy, each)] for each in by_row])


def _accuracy(row: Mapping[str, Any]) -> str:
    return f"{100 * row['accuracy']:.2f}" + ("" if row["sd"] is None else f" ± {100 * row['sd']:.2f}")


def _markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    kinds = ["---", *(["---:"] * (len(heads) - 1))]
    lines = [[cell.replace("|", "\\|") for cell in row] for row in (heads, kinds, *rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _latex_figure(cell: str) -> str:
    if cell == "-":
        return "--"
    return f"$-${cell[1:]}" if cell.startswith("-") else _escaped(cell)


def _escaped(text: str) -> str:
    """Text as LaTeX shows it: one line, and none of its signs a command."""
    apart = "".join(_LATEX.get(letter, letter if letter.isprintable() else " ") for letter in text)
    return re.sub(r"-(?=-)", "-{}", apart)  # or two become a longer dash
