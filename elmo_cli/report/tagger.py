"""What a page shows of a tagger: scores, curves, and test sentences with their spans in brackets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

from elmo_cli.data.schemes import lenient_spans
from elmo_cli.report.blocks import Answer, Block, Example
from elmo_cli.report.cells import Interval, printed
from elmo_cli.report.records import TagScoresRecord
from elmo_cli.report.reported import ReportedTagger, readable
from elmo_cli.report.result_cells import LayerWeights, weights_table
from elmo_cli.report.run_figures import tagger_figures
from elmo_cli.report.tag_cells import confused_tables, kind_table, span_tables, token_table

ROLES = {"test": "test", "valid": "validation", "train": "training"}
MOST_WRONG, MOST_RIGHT, MOST_CONFUSED = 20, 5, 20
_TOKENS = (
    "file",
    "tokens",
    "accuracy %",
    "95 % interval",
    "known words %",
    "unknown words %",
    "unknown words, share %",
)
_SPANS = ("file", "spans", "precision %", "recall %", "F1 %", "95 % interval of F1")


def tagger_blocks(run: ReportedTagger) -> tuple[list[str], list[Block]]:
    """The conclusion and the blocks of a tagger run."""
    results, figures = run.results, tagger_figures(run)
    scored: dict[str, TagScoresRecord] = {}
    weights: list[LayerWeights] = []
    lead = "This tagger has no results."
    if results is not None:
        scored = {told: results[f"{role}_scores"] for role, told in ROLES.items() if f"{role}_scores" in results}  # type: ignore[literal-required]
        trained = "trained along" if results["tune"] else "frozen"
        told = ", ".join(_told(role, one) for role, one in scored.items()) or "it was stopped early"
        model = f"Combiner {results['mode']} on the layers of {results['lm']}, biLM {trained}, head {results['head']}"
        lead = f"{model}: {told}."
        weights = [LayerWeights(run.name, results["lambdas"] or (), results["gamma"])]
    named = ("type", "spans") if any(one["spans"] for one in scored.values()) else ("tag", "tokens")
    headings = (named[0], "precision %", "recall %", "F1 %", named[1])
    confused = (confused_tables(one, MOST_CONFUSED, f"On {role}") for role, one in scored.items())
    sentences = list(read_predictions(run.predictions)) if run.predictions.exists() else []
    return [lead], [
        Block("Scores", tables=[token_table(scored, _TOKENS), *span_tables(scored, _SPANS)] if scored else []),
        Block(
            "Types" if named[0] == "type" else "Tags",
            tables=[kind_table(one, headings, f"On {role}") for role, one in scored.items()],
            closed=named[0] == "tag",
        ),
        Block("Confusions", tables=[*chain(*confused)], closed=True),
        Block("Training", figures=figures["epochs"]),
        Block("Layer weights", tables=weights_table(weights), figures=figures["layers"]),
        _sentences("Sentences with mistakes", run.name, sentences, right=False, most=MOST_WRONG),
        _sentences("Sentences without mistakes", run.name, sentences, right=True, most=MOST_RIGHT),
    ]


def _told(role: str, scores: TagScoresRecord) -> str:
    """The scores on a file within a sentence."""
    spans = scores["spans"]
    if spans is None:
        return f"{100 * scores['accuracy']:.2f} % of the {role} tokens right ({_bounds(scores['interval'])})"
    return f"F1 {100 * spans['f1']:.2f} % on {role} ({_bounds(spans['interval'])})"


def _bounds(interval: Sequence[float]) -> str:
    return f"95 % interval {printed(Interval(interval))}"


Sentence = tuple[Sequence[str], Sequence[str], Sequence[str]]  # tokens, true tags, predicted tags


def read_predictions(path: Path) -> Iterator[Sentence]:
    """The sentences of `predictions.conll`.

    Raises:
        RunError: It is not as `elmo` wrote it.
    """
    with readable(path):
        text = path.read_text(encoding="utf-8")
        sign = "\t" if "\t" in text else " "
        for block in text.split("\n\n"):
            if rows := [line.split(sign) for line in block.splitlines() if line]:
                tokens, true, predicted = zip(*rows, strict=True)
                yield tokens, true, predicted


def bracketed(tokens: Sequence[str], tags: Sequence[str]) -> str:
    """A sentence with its spans in brackets, such as `[NP The match] [VP ended] .`; of plain tags `The/DT match/NN`."""
    spans = lenient_spans(tags)
    if not spans and set(tags) != {"O"}:
        return " ".join(map("/".join, zip(tokens, tags, strict=True)))
    opened, closed = {span.start: f"[{span.type} " for span in spans}, {span.stop - 1 for span in spans}
    return " ".join(f"{opened.get(place, '')}{token}{']' * (place in closed)}" for place, token in enumerate(tokens))


def _sentences(title: str, name: str, sentences: Sequence[Sentence], *, right: bool, most: int) -> Block:
    """Test sentences whose tags are all right, or not, in the order of the file."""
    chosen = (one for one in sentences if (one[1] == one[2]) == right)
    examples = [
        Example(
            " ".join(tokens),
            bracketed(tokens, true),
            [Answer(name, bracketed(tokens, predicted), None)],
            what="true tags",
        )
        for tokens, true, predicted in islice(chosen, most)
    ]
    note = f"The first test sentences of which {'every tag is right' if right else 'some tag is wrong'}."
    return Block(title, notes=[note], examples=examples, closed=True)
