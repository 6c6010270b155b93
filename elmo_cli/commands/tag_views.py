"""How the results of taggers look as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import RenderableType

from elmo_cli.commands.render import facts, lambda_bars, table_of
from elmo_cli.report.tag_cells import confused_tables, kind_table, span_tables, token_table

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
            ("epoch kept", f"{results['best_epoch']} of {results['epochs']}"),
            ("valid accuracy", valid["accuracy"]),
            ("valid F1", valid["f1"]),
        ]
    )
    files = {role: results[key] for role in ("train", "valid", "test") if (key := f"{role}_scores") in results}
    shown: list[RenderableType] = [head, *scores_tables("file", files)]
    last = files.get("test", files.get("train"))
    return shown + (details(last) if last else [])


def scores_tables(what: str, scores: Mapping[str, Any]) -> list[RenderableType]:
    """Scores of several files or runs: of tokens, and where there are any, of spans."""
    if not scores:
        return []
    tokens = token_table(scores, (what, "tokens", "accuracy", "95 % interval", "known", "unknown", "unk %"))
    spans = span_tables(scores, (what, "spans", "precision", "recall", "F1", "95 % interval"))
    return [table_of(one) for one in (tokens, *spans)]


def details(scores: Any) -> list[RenderableType]:
    """Each type of span or each tag, and what was confused most often."""
    name, counted = ("type", "spans") if scores["spans"] else ("tag", "tokens")
    kinds = kind_table(scores, (name, "precision", "recall", "f1", counted))
    return [table_of(one) for one in (kinds, *confused_tables(scores, MOST_CONFUSED))]
