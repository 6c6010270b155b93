"""The cells and tables of each kind of result: cells where outputs choose among them and write their own headings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from elmo_cli.report.cells import Cell, Interval, Mark, Name, Number, Table
from elmo_cli.report.records import (
    BranchRecord,
    ComparisonResults,
    CurvePoint,
    MajorityRecord,
    PairRecord,
    RowFigures,
    RowRecord,
    ScoresRecord,
    Summary,
    TextsRecord,
    UnknownTokens,
)

ROW_KINDS = {"lm": "ELMo", "static": "static vectors", "reference": "reference without embeddings"}
MAJORITY = "majority class"  # the row that always answers with it
ROLES = {"train": "training", "test": "test"}
ROW_COLUMNS = (
    *("row", "kind", "lm", "mode", "tune", "accuracy", "sd", "low", "high", "macro_f1", "valid_accuracy"),
    *("difference", "difference_low", "difference_high", "p", "p_holm", "unknown_test_tokens"),
)
CURVE_COLUMNS = ("fraction", "texts", "row", "kind", "accuracy", "sd", "low", "high", "valid_accuracy")


@dataclass(frozen=True)
class LayerWeights:
    """λ of each layer and scale γ of the combiner of a row or run, means over seeds where there are several."""

    name: str
    lambdas: Sequence[float]
    gamma: float | None


def row_cells(results: Summary) -> list[dict[str, Cell]]:
    """The rows of a comparison, and beside them what the most frequent class alone is right on."""
    rows = [_row_cells(row, results) for row in results["rows"]]
    return [*rows, *([_majority_cells(results["majority"], tuple(rows[0]))] if "majority" in results else [])]


def _majority_cells(majority: MajorityRecord, names: Iterable[str]) -> dict[str, Cell]:
    low, high = majority["interval"]
    return {
        **dict.fromkeys(names),
        "row": Name(MAJORITY, ("reference",), (f"always '{majority['label']}'",)),
        "kind": "reference",
        "accuracy": Number(majority["accuracy"], "share"),
        "interval": Interval(majority["interval"]),
        "low": Number(low, "share"),
        "high": Number(high, "share"),
        "macro_f1": Number(majority["macro_f1"], "share"),
    }


def _row_cells(row: RowRecord, results: Summary) -> dict[str, Cell]:
    low, high = row["difference_interval"] or (None, None)
    return {
        "row": Name(row["name"], _marks(row, results), _tags(row, results)),
        "kind": row["kind"],
        "lm": row["lm"],
        "mode": row["mode"],
        "tune": row["tune"],
        **_figure_cells(row),
        "macro_f1": Number(row["macro_f1"], "share"),
        "difference": Number(row["difference"], "difference"),
        "difference_interval": Interval(row["difference_interval"], "difference"),
        "difference_low": Number(low, "difference"),
        "difference_high": Number(high, "difference"),
        "p": Number(row["p"], "p"),
        "p_holm": Number(row["p_holm"], "p"),
        "unknown_test_tokens": Number(unknown_rate(row["unknown"]), "rate"),
    }


def _figure_cells(row: RowFigures) -> dict[str, Cell]:
    low, high = row["interval"]
    return {
        "accuracy": Number(row["accuracy"], "share"),
        "sd": Number(row["sd"], "share"),
        "interval": Interval(row["interval"]),
        "low": Number(low, "share"),
        "high": Number(high, "share"),
        "valid_accuracy": Number(row["valid_accuracy"], "share"),
    }


def _marks(row: RowRecord, results: Summary) -> tuple[Mark, ...]:
    holds: dict[Mark, bool] = {
        "base": row["name"] == results["reference"],
        "best": row["name"] == results["best_row"],
        "reference": row["kind"] == "reference",
    }
    return tuple(mark for mark, there in holds.items() if there)


def _tags(row: RowRecord, results: Summary) -> tuple[str, ...]:
    trained = {True: ", tuned", False: ", frozen", None: ""}[row["tune"]]
    words: dict[Mark, str] = {"base": "compared with", "best": "best ELMo row on validation"}
    told = (words[mark] for mark in _marks(row, results) if mark in words)
    counted = ", with n-grams" if row.get("ngrams") and row["kind"] != "reference" else ""
    return (f"{ROW_KINDS[row['kind']]}{trained}{counted}", *told, *_verdict(row))


def _verdict(tested: RowRecord | PairRecord) -> tuple[str, ...]:
    """Whether the row, or the first of a pair, is better or worse by more than chance."""
    if not tested["significant"]:
        return ()
    return (f"significantly {'better' if (tested['difference'] or 0) > 0 else 'worse'}",)


def unknown_rate(unknown: UnknownTokens) -> float | None:
    """Share of the test tokens that a row has no vector for; None where that cannot be."""
    return unknown["test"]["rate"] if "test" in unknown else None


def pair_cells(results: Summary) -> list[dict[str, Cell]]:
    """The pairs of rows that were tested against each other."""
    return [
        {
            "pair": Name(f"{pair['first']} - {pair['second']}", tags=_verdict(pair)),
            "first": pair["first"],
            "second": pair["second"],
            "difference": Number(pair["difference"], "difference"),
            "interval": Interval(pair["interval"], "difference"),
            "p": Number(pair["p"], "p"),
            "p_holm": Number(pair["p_holm"], "p"),
        }
        for pair in results["pairs"]
    ]


def curve_cells(results: ComparisonResults) -> list[dict[str, Cell]]:
    """Each row at each share of the labelled texts."""
    kinds = {row["name"]: row["kind"] for row in results["rows"]}
    return [
        {
            "fraction": Number(point["fraction"]),
            "texts": Number(point["texts"]),
            "row": row["name"],
            "kind": kinds[row["name"]],
            **_figure_cells(row),
        }
        for point in results["curves"]
        for row in point["rows"]
    ]


def curve_table(points: Sequence[CurvePoint], corner: str, headings: Iterable[str]) -> Table:
    """Learning curves: `corner` stands above the names of the rows, a heading above each share of the texts."""
    by_row = zip(*(point["rows"] for point in points), strict=True)
    rows: list[list[Cell]] = [
        [each[0]["name"], *(Number(row["accuracy"], "share", row["sd"]) for row in each)] for each in by_row
    ]
    return Table((corner, *headings), rows)


def layer_weights(rows: Iterable[RowRecord]) -> list[LayerWeights]:
    """The mixes of the LM rows, means over seeds; a row whose combiner has no λ is left out."""
    found = []
    for row in rows:
        lambdas = [one["lambdas"] for one in row["seeds"] if one["lambdas"]]
        gammas = [one["gamma"] for one in row["seeds"] if one["gamma"] is not None]
        if row["kind"] == "lm" and lambdas:
            means = [_mean(values) for values in zip(*lambdas, strict=True)]
            found.append(LayerWeights(row["name"], means, _mean(gammas) if gammas else None))
    return found


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def weights_table(weights: Sequence[LayerWeights]) -> list[Table]:
    """λ and γ of several mixes; no table where all have but one layer."""
    layers = max((len(one.lambdas) for one in weights), default=0)
    rows: list[list[Cell]] = []
    for one in weights:
        missing = [None] * (layers - len(one.lambdas))
        rows.append([one.name, *(Number(value, "weight") for value in (*one.lambdas, *missing, one.gamma))])
    columns = ("row", *(f"λ layer {layer}" for layer in range(layers)), "γ")
    return [Table(columns, rows)] if layers > 1 else []


def branch_table(branch: BranchRecord) -> Table:
    """What vectors, counted n-grams and both are worth on validation, and how much each counts."""
    own, other = branch["weights"]
    parts: Sequence[tuple[str, Literal["embedder", "ngrams", "together"], float | None]] = (
        ("vectors alone", "embedder", own),
        ("n-grams alone", "ngrams", other),
        ("together", "together", None),
    )
    valid = branch["valid"]
    rows: list[list[Cell]] = [
        [name, Number(valid[part]["accuracy"], "share"), Number(valid[part]["loss"]), Number(weight, "weight")]
        for name, part, weight in parts
    ]
    return Table(("on validation", "accuracy %", "loss", "weight"), rows)


def classifiers_table(rows: Iterable[RowRecord]) -> list[Table]:
    """Every classifier of a comparison; no table without any."""
    lines = [
        [
            f"{row['name']}, seed {one['seed']}",
            Number(one["accuracy"], "share"),
            Number(one["valid"]["accuracy"], "share"),
            f"{one['best_epoch']} of {one['epochs']}" if "best_epoch" in one else None,
            Number(one["seconds"]),
        ]
        for row in rows
        for one in row["seeds"]
    ]
    return [Table(("classifier", "accuracy %", "validation %", "best epoch", "seconds"), lines)] if lines else []


def unknown_table(rows: Iterable[RowRecord]) -> list[Table]:
    """The tokens that each row has no vector for, and in the test file what its whole file has none for."""
    lines: list[list[Cell]] = []
    for row in rows:
        if unknown := row["unknown"]:
            whole = unknown["file"]["test"] if "file" in unknown else None
            missing = 1 - whole["tokens_found"] / max(1, whole["tokens"]) if whole else None
            rates = (unknown["train"]["rate"], unknown["test"]["rate"], missing)
            lines.append([row["name"], *(Number(rate, "share") for rate in rates)])
    columns = ("row", "training file", "test file", "test file, whole vectors")
    return [Table(columns, lines, "Tokens without a vector, in %")] if lines else []


def data_table(files: Mapping[str, TextsRecord]) -> list[Table]:
    """The data card of the labelled files, a column for each; no table without files."""
    cards = [_data_cells(file) for file in files.values()]
    lines = [[name, *(card[name] for card in cards)] for name in (cards[0] if cards else ())]
    known = [line for line in lines if any(cell != Number(None, "share") for cell in line[1:])]
    return [Table(("", *(f"{ROLES[role]} file" for role in files)), known)] if known else []


def _data_cells(file: TextsRecord) -> dict[str, Cell]:
    lengths = {"mean": "mean", "median": "median", "p95": "95 % have at most", "max": "longest"}
    total = max(1, sum(file["classes"].values()))
    return {
        "name": file["file"],
        "texts": Number(file["texts"]),
        "texts that were cut": Number(file["cut"]),
        "tokens": Number(file["tokens"]),
        **{f"tokens a text, {title}": Number(file["lengths"][key]) for key, title in lengths.items()},
        "unknown tokens, %": Number(file["unknown_rate"], "share"),
        **{f"class {name}": f"{count:,} ({100 * count / total:.1f} %)" for name, count in file["classes"].items()},
    }


def score_cells(scored: Mapping[str, ScoresRecord]) -> list[dict[str, Cell]]:
    """The scores of a classifier on each of some files, or of some classifiers on one, by name."""
    return [
        {
            "name": name,
            "texts": Number(one["examples"]),
            "accuracy": Number(one["accuracy"], "share"),
            "interval": Interval(one["interval"]),
            "macro_f1": Number(one["macro"]["f1"], "share"),
            "macro_precision": Number(one["macro"]["precision"], "share"),
            "macro_recall": Number(one["macro"]["recall"], "share"),
            "weighted_f1": Number(one["weighted"]["f1"], "share"),
        }
        for name, one in scored.items()
    ]


def class_scores(
    title: str, classes: Sequence[str], confusion: Mapping[str, Sequence[Sequence[int]]], fits: int = 1
) -> Table:
    """Precision, recall, F1 and number of texts of each class, on test and beside it on the training texts.

    Args:
        title: Of the table.
        classes: Their names.
        confusion: Of each file, by its role: texts by true and predicted class, summed over `fits` classifiers.
        fits: How many classifiers there are.
    """
    roles = sorted(confusion)  # test before training
    names = (f"{score}, {role}" for role in roles for score in ("precision %", "recall %", "F1 %", "texts"))
    rows: list[list[Cell]] = []
    for place, name in enumerate(classes):
        cells: list[Cell] = [name]
        for counts in (confusion[role] for role in roles):
            right, true, guessed = counts[place][place], sum(counts[place]), sum(row[place] for row in counts)
            shares = (right / max(1, guessed), right / max(1, true), 2 * right / max(1, guessed + true))
            cells += [*(Number(share, "share") for share in shares), Number(true // fits)]
        rows.append(cells)
    return Table(("class", *names), rows, title)


def class_table(scores: ScoresRecord, headings: Sequence[str], title: str = "") -> Table:
    """Precision, recall, F1 and number of texts of each class."""
    rows: list[list[Cell]] = []
    for one in scores["classes"]:
        shares = (one["precision"], one["recall"], one["f1"])
        rows.append([one["label"], *(Number(share, "share") for share in shares), Number(one["support"])])
    return Table(headings, rows, title)
