"""The tables of taggers: scores of tokens and of spans, by file or by run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from elmo_cli.report.cells import Cell, Interval, Number, Table
from elmo_cli.report.records import TagScoresRecord

Scored = Mapping[str, TagScoresRecord]  # by the name of the file or run


def token_table(scored: Scored, headings: Sequence[str]) -> Table:
    """Accuracy of all tokens, and of known and unknown words: name, tokens, four figures, share of unknown words."""
    rows = [
        (
            name,
            Number(one["tokens"]),
            Number(one["accuracy"], "share"),
            Interval(one["interval"]),
            Number(one["known"]["accuracy"], "share"),
            Number(one["unknown"]["accuracy"], "share"),
            Number((one["unknown"]["tokens"] or 0) / one["tokens"], "rate"),
        )
        for name, one in scored.items()
    ]
    return Table(headings, rows)


def span_tables(scored: Scored, headings: Sequence[str]) -> list[Table]:
    """Precision, recall and F1 of spans: name, true spans, four figures; no table where tags are plain."""
    rows = [
        (
            name,
            Number(found["true"]),
            Number(found["precision"], "share"),
            Number(found["recall"], "share"),
            Number(found["f1"], "share"),
            Interval(found["interval"]),
        )
        for name, one in scored.items()
        if (found := one["spans"]) is not None
    ]
    return [Table(headings, rows)] if rows else []


def kind_table(scores: TagScoresRecord, headings: Sequence[str], title: str = "") -> Table:
    """Each type of span, or each tag: name, precision, recall, F1, how many there are."""
    rows: list[list[Cell]] = []
    for one in scores["classes"]:
        shares = (one["precision"], one["recall"], one["f1"])
        rows.append([one["label"], *(Number(share, "share") for share in shares), Number(one["support"])])
    return Table(headings, rows, title)


def confused_tables(scores: TagScoresRecord, most: int, title: str = "") -> list[Table]:
    """The tags that were confused most often; no table where none was."""
    rows = [(f"{one['true']} taken for {one['predicted']}", Number(one["tokens"])) for one in scores["confused"][:most]]
    return [Table(("confused most often", "tokens"), rows, title)] if rows else []
