"""How the results of taggers look as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import RenderableType

from elmo_cli.commands.render import facts, lambda_bars, plain, table, table_of
from elmo_cli.report.cells import Interval, Number
from elmo_cli.report.result_cells import class_table

Results = Mapping[str, Any]
MOST_CONFUSED = 5


def tagger(results: Results) -> list[RenderableType]:
    """A tagger that was trained: how, its λ, and its scores on each file."""
    valid, mode = results["valid"], f"{results['mode']}, tuned" if results["tune"] else results["mode"]
    kind = "tags" if results["scheme"] == "plain" else "types of spans"
    head = facts(
        [
            ("combiner", mode),
            ("layers", lambda_bars(results["lambdas"], results["gamma"]) or None),
            ("head", results["head"]),
            (kind, len(results["tags"])),
            ("best epoch", f"{results['best_epoch']} of {results['epochs']}"),
            ("valid accuracy", valid["accuracy"]),
            ("valid F1", valid["f1"]),
        ]
    )
    files = {role: results[key] for role in ("train", "valid", "test") if (key := f"{role}_scores") in results}
    shown: list[RenderableType] = [head, *scores_tables("file", files)]
    last = files.get("test", files.get("train"))
    return shown + (details(last) if last else [])


def scores_tables(what: str, scores: Mapping[str, Results]) -> list[RenderableType]:
    """Scores of several files or runs: of tokens, and where there are any, of spans."""
    if not scores:
        return []
    tokens = [
        (
            name,
            one["tokens"],
            Number(one["accuracy"], "share"),
            Interval(one["interval"]),
            Number(one["known"]["accuracy"], "share"),
            Number(one["unknown"]["accuracy"], "share"),
            Number(_rate(one), "rate"),
        )
        for name, one in scores.items()
    ]
    spans = [
        (
            name,
            found["true"],
            *(Number(found[key], "share") for key in ("precision", "recall", "f1")),
            Interval(found["interval"]),
        )
        for name, one in scores.items()
        if (found := one["spans"])
    ]
    headings = (what, "tokens", "accuracy", "95 % interval", "known", "unknown", "unk %")
    shown: list[RenderableType] = [table(headings, tokens)]
    if spans:
        shown.append(table((what, "spans", "precision", "recall", "F1", "95 % interval"), spans))
    return shown


def details(scores: Any) -> list[RenderableType]:
    """Each type of span or each tag, and what was confused most often."""
    name, counted = ("type", "spans") if scores["spans"] else ("tag", "tokens")
    confused = [
        (f"{plain(one['true'])} taken for {plain(one['predicted'])}", one["tokens"])
        for one in scores["confused"][:MOST_CONFUSED]
    ]
    shown: list[RenderableType] = [table_of(class_table(scores, (name, "precision", "recall", "f1", counted)))]
    return shown + ([table(("confused most often", "tokens"), confused)] if confused else [])


def _rate(scores: Results) -> float:
    share: float = scores["unknown"]["tokens"] / scores["tokens"]
    return share
