"""The cells of each kind of result, made once for all outputs, which choose among them and write their own headings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from elmo_cli.report.cells import Cell, Cells, Interval, Mark, Name, Number, Table, select
from elmo_cli.report.records import (
    ComparisonResults,
    CurvePoint,
    PairRecord,
    PerplexityRecord,
    RowRecord,
    ScoresRecord,
    Summary,
    TextsRecord,
    UnknownTokens,
)

ROW_KINDS = {"lm": "ELMo", "static": "static vectors", "reference": "reference without embeddings"}
ROLES = {"train": "training", "test": "test"}
ROW_COLUMNS = (
    *("row", "kind", "lm", "mode", "tune", "accuracy", "sd", "low", "high", "macro_f1", "valid_accuracy"),
    *("difference", "difference_low", "difference_high", "p", "p_holm", "unknown_test_tokens"),
)
CURVE_COLUMNS = ("fraction", "texts", "row", "kind", "accuracy", "sd", "low", "high", "valid_accuracy")


@dataclass(frozen=True)
class LayerWeights:
    """How much a combiner takes of each layer.

    Attributes:
        name: The row or run that has the combiner.
        lambdas: λ in force, a mean over seeds where there are several.
        gamma: Scale of the mix, likewise; None where there is none.
    """

    name: str
    lambdas: Sequence[float]
    gamma: float | None


def row_cells(results: Summary) -> list[dict[str, Cell]]:
    """The rows of a comparison."""
    return [_row_cells(row, results) for row in results["rows"]]


def _row_cells(row: RowRecord, results: Summary) -> dict[str, Cell]:
    low, high = row["interval"]
    low_apart, high_apart = row["difference_interval"] or (None, None)
    return {
        "row": Name(row["name"], _marks(row, results), _tags(row, results)),
        "kind": row["kind"],
        "lm": row["lm"],
        "mode": row["mode"],
        "tune": row["tune"],
        "accuracy": Number(row["accuracy"], "share"),
        "sd": Number(row["sd"], "share"),
        "interval": Interval(row["interval"]),
        "low": Number(low, "share"),
        "high": Number(high, "share"),
        "macro_f1": Number(row["macro_f1"], "share"),
        "valid_accuracy": Number(row["valid_accuracy"], "share"),
        "difference": Number(row["difference"], "difference"),
        "difference_interval": Interval(row["difference_interval"], "difference"),
        "difference_low": Number(low_apart, "difference"),
        "difference_high": Number(high_apart, "difference"),
        "p": Number(row["p"], "p"),
        "p_holm": Number(row["p_holm"], "p"),
        "unknown_test_tokens": Number(unknown_rate(row["unknown"]), "rate"),
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
    return (f"{ROW_KINDS[row['kind']]}{trained}", *told, *_verdict(row))


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
            "accuracy": Number(row["accuracy"], "share"),
            "sd": Number(row["sd"], "share"),
            "low": Number(row["interval"][0], "share"),
            "high": Number(row["interval"][1], "share"),
            "valid_accuracy": Number(row["valid_accuracy"], "share"),
        }
        for point in results["curves"]
        for row in point["rows"]
    ]


def curve_table(points: Sequence[CurvePoint], corner: str, headings: Iterable[str]) -> Table:
    """Learning curves with a row for each row of the comparison.

    Args:
        points: The shares of the labelled texts.
        corner: Stands above the names.
        headings: Stands above each share.
    """
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


def classifier_cells(rows: Iterable[RowRecord]) -> list[dict[str, Cell]]:
    """Every classifier of a comparison."""
    return [
        {
            "classifier": f"{row['name']}, seed {one['seed']}",
            "accuracy": Number(one["accuracy"], "share"),
            "valid_accuracy": Number(one["valid"]["accuracy"], "share"),
            "best_epoch": f"{one['best_epoch']} of {one['epochs']}" if "best_epoch" in one else None,
            "seconds": Number(one["seconds"]),
        }
        for row in rows
        for one in row["seeds"]
    ]


def unknown_cells(rows: Iterable[RowRecord]) -> list[dict[str, Cell]]:
    """The tokens that each row has no vector for, and in the test file what the whole embedding file has none for."""
    return [
        {
            "row": row["name"],
            "train": Number(row["unknown"]["train"]["rate"], "share"),
            "test": Number(row["unknown"]["test"]["rate"], "share"),
            "whole": Number(_missing_from_file(row["unknown"]), "share"),
        }
        for row in rows
        if row["unknown"]
    ]


def _missing_from_file(unknown: UnknownTokens) -> float | None:
    if "file" not in unknown:
        return None
    whole = unknown["file"]["test"]
    return 1 - whole["tokens_found"] / max(1, whole["tokens"])


def data_table(files: Mapping[str, TextsRecord]) -> Table:
    """The data card of the labelled files, a column for each."""
    cards = [_data_cells(file) for file in files.values()]
    rows = [[name, *(card[name] for card in cards)] for name in cards[0]]
    known = [row for row in rows if any(cell != Number(None, "share") for cell in row[1:])]
    return Table(("", *(f"{ROLES[role]} file" for role in files)), known)


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


def perplexity_cells(name: str, scores: PerplexityRecord) -> dict[str, Cell]:
    """The perplexities of a language model on a text."""
    return {
        "run": name,
        "mean": Number(scores["mean"]),
        "forward": Number(scores["forward"]),
        "backward": Number(scores["backward"]),
        "tokens": Number(scores["tokens"]),
        "oov_rate": Number(scores["oov_rate"], "rate"),
    }


def class_table(scores: ScoresRecord, headings: Sequence[str], title: str = "") -> Table:
    """Precision, recall, F1 and number of texts of each class."""
    rows: list[Cells] = [
        {
            "label": one["label"],
            "precision": Number(one["precision"], "share"),
            "recall": Number(one["recall"], "share"),
            "f1": Number(one["f1"], "share"),
            "support": Number(one["support"]),
        }
        for one in scores["classes"]
    ]
    return select(rows, ("label", "precision", "recall", "f1", "support"), headings, title)
