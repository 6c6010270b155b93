"""What a page shows of each run, as plain blocks that the templates lay out: no markup here, no figures there.

A block without content is left out; what a run could have held and does not is named once, at the end of its part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from elmo_cli.report.blocks import Answer, Block, Example, Part
from elmo_cli.report.cells import Cell, Interval, Number, Table, printed, select
from elmo_cli.report.records import ComparisonResults, ExampleRecord, LmResults, ScoresRecord
from elmo_cli.report.reported import (
    ReportedClassifier,
    ReportedComparison,
    ReportedLm,
    ReportedRun,
    ReportedTagger,
    as_written,
)
from elmo_cli.report.result_cells import (
    ROLES,
    LayerWeights,
    branch_table,
    class_scores,
    classifiers_table,
    data_table,
    layer_weights,
    pair_cells,
    row_cells,
    score_cells,
    unknown_table,
    weights_table,
)
from elmo_cli.report.run_figures import classifier_figures, comparison_figures, confusions, lm_figures
from elmo_cli.report.tagger import tagger_blocks

_SHADES = (
    "True classes in rows, predicted ones in columns: per cent of the texts of the true class, and how many texts "
    "that is; the stronger the shade, the larger the share."
)
_SUMMED = "Counts are summed over the seeds."
# Of each table the cells that it shows, and their headings.
Columns = tuple[Sequence[str], Sequence[str]]
_ROWS: Columns = (
    ("row", "accuracy", "sd", "interval", "macro_f1", "valid_accuracy", "difference", "difference_interval", "p_holm"),
    (
        *("row", "accuracy %", "sd", "95 % interval", "macro F1 %", "validation %", "difference"),
        *("its 95 % interval", "p (Holm)"),
    ),
)
_PAIRS: Columns = (
    ("pair", "difference", "interval", "p", "p_holm"),
    ("pair", "difference in points", "95 % interval", "p", "p (Holm)"),
)
_SCORES: Columns = (
    ("name", "texts", "accuracy", "interval", "macro_f1", "weighted_f1"),
    ("file", "texts", "accuracy %", "95 % interval", "macro F1 %", "weighted F1 %"),
)


def part_of(run: ReportedRun) -> Part:
    """Everything that a page shows of a run.

    Raises:
        RunError: A file of the run is not as `elmo` wrote it.
    """
    warnings: Sequence[str] = ()
    with as_written(run):
        match run:
            case ReportedComparison():
                kind, (lead, blocks), warnings = "Comparison", _comparison(run), run.results["warnings"]
            case ReportedClassifier():
                kind, (lead, blocks) = "Classifier", _classifier(run)
            case ReportedTagger():
                kind, (lead, blocks) = "Tagger", tagger_blocks(run)
            case ReportedLm():
                kind, (lead, blocks) = "Language model", _language_model(run)
    shown = [block for block in blocks if not block.empty]
    missing = [block.named for block in blocks if block.empty]
    return Part(run.name, kind, lead, warnings, [*shown, _settings(run)] if shown else [], missing)


def _comparison(run: ReportedComparison) -> tuple[list[str], list[Block]]:
    results, figures = run.results, comparison_figures(run)
    rows = results["rows"]
    full = (
        [Block("The conclusion in full", items=[results["conclusion"]], closed=True)] if "in_short" in results else []
    )
    return results.get("in_short", [results["conclusion"]]), [
        *full,
        Block("Accuracies", tables=_table_of(row_cells(results), _ROWS), figures=figures["table"]),
        Block("Tested pairs", tables=_table_of(pair_cells(results), _PAIRS), closed=True),
        Block("Learning curves", figures=figures["learning"], hint="elmo compare --fractions"),
        Block("Confusion matrices", matrices=[one for *_, one in confusions(run)], notes=[_SHADES, _SUMMED]),
        Block("Classes", tables=_classes_of_rows(results), closed=True),
        Block("Training", figures=figures["epochs"]),
        Block("Every classifier", tables=classifiers_table(rows), closed=True),
        Block("Layer weights", tables=weights_table(layer_weights(rows)), figures=figures["layers"]),
        Block(
            "Hardest texts",
            notes=["The test texts that most rows get wrong; probabilities are means over the seeds."],
            examples=_examples(run.examples["hardest"]),
            closed=True,
        ),
        Block(
            "Texts that only ELMo gets right",
            notes=["Test texts that every ELMo row gets right, and no other row."],
            examples=_examples(run.examples["only_lm"]),
            closed=True,
        ),
        Block(
            "Texts that only ELMo gets wrong",
            notes=["Test texts that every ELMo row gets wrong, and every other row right."],
            examples=_examples(run.examples.get("lm_wrong", [])),
            closed=True,
        ),
        Block("Data", tables=[*data_table(results["data"]), *unknown_table(rows)]),
        Block("How it was done", items=results["notes"], closed=True),
    ]


def _classes_of_rows(results: ComparisonResults) -> list[Table]:
    """Precision, recall and F1 of each class, of each row, on both files."""
    return [
        class_scores(row["name"], results["classes"], row["confusion"], len(row["seeds"]))
        for row in results["rows"]
        if row["confusion"]
    ]


def _table_of(rows: Sequence[Mapping[str, Cell]], columns: Columns) -> list[Table]:
    """The table of some cells; none without rows."""
    return [select(rows, *columns)] if rows else []


def _examples(examples: Sequence[ExampleRecord]) -> list[Example]:
    return [
        Example(one["text"], one["label"], [Answer(name, **answer) for name, answer in one["rows"].items()])
        for one in examples
    ]


def _classifier(run: ReportedClassifier) -> tuple[list[str], list[Block]]:
    results, figures = run.results, classifier_figures(run)
    scored: dict[str, ScoresRecord] = {}
    if results is None:
        lead, weights = "This classifier has no results.", []
    else:
        scored = {ROLES[role]: results[role] for role in ("test", "train") if role in results}
        lead = f"Combiner {results['mode']} on the layers of {results['lm']}, biLM "
        lead += f"{'trained along' if results['tune'] else 'frozen'}"
        lead += f"{', with counted n-grams beside it' if results.get('ngrams') else ''}: "
        valid = f"{100 * results['valid']['accuracy']:.1f} % on validation; it was stopped early"
        lead += f"{', '.join(_told(role, scores) for role, scores in scored.items()) or valid}."
        weights = [LayerWeights(run.name, results["lambdas"] or (), results["gamma"])]
    branch = results.get("ngrams") if results else None
    counted = [Block("Vectors and n-grams", tables=[branch_table(branch)])] if branch else []
    matrices = {role: one["confusion"] for role, one in scored.items()}
    classes = [class_scores("Classes", results["classes"], matrices)] if results and matrices else []
    return [lead], [
        Block(
            "Scores",
            tables=[*_table_of(score_cells(scored), _SCORES), *classes],
            items=[note for one in scored.values() for note in one["notes"]],
        ),
        Block("Confusion matrices", matrices=[one for *_, one in confusions(run)], notes=[_SHADES]),
        Block("Training", figures=figures["epochs"]),
        Block("Layer weights", tables=weights_table(weights), figures=figures["layers"]),
        *counted,
        Block(
            "Surest mistakes",
            notes=["The wrong test predictions with the highest probability."],
            examples=run.mistakes,
            closed=True,
        ),
    ]


def _told(role: str, scores: ScoresRecord) -> str:
    """The accuracy on a file within a sentence."""
    return (
        f"right on {100 * scores['accuracy']:.1f} % of {scores['examples']:,} {role} texts (95 % interval "
        f"{printed(Interval(scores['interval']))})"
    )


def _language_model(run: ReportedLm) -> tuple[list[str], list[Block]]:
    results = run.results
    if results:
        valid = results["validation"]
        mean, forward, backward = (printed(Number(one)) for one in (valid["mean"], valid["forward"], valid["backward"]))
        lead = (
            f"Validation perplexity {mean} (forward {forward}, backward {backward}), after epoch "
            f"{results['best_epoch']} of {results['epochs']}."
        )
    else:
        last = next((event["mean"] for event in reversed(run.events) if event["event"] == "validation"), None)
        told = "it has no perplexity" if last is None else f"the last validation perplexity is {printed(Number(last))}"
        lead = f"This language model has no final results: {told}."
    figures = [_lm_table(results, str(run.description.get("validation", "-")))] if results else []
    return [lead], [Block("Perplexity", figures=lm_figures(run)), Block("Figures", tables=figures)]


def _lm_table(results: LmResults, validation: str) -> Table:
    valid, leak = results["validation"], results["leak_test"]
    facts: dict[str, Cell] = {
        "validation text": validation,
        "its tokens": Number(valid["tokens"]),
        "its unknown tokens, %": Number(valid["oov_rate"], "share"),
        "training steps": Number(results["steps"]),
        "tokens read in training": Number(results["tokens"]),
        "minutes": Number(results["seconds"] / 60),
        "tokens a second": Number(round(results["tokens_per_second"])),
        "parameters": Number(results["parameters"]),
        "vocabulary": Number(results["vocabulary_size"]),
        "leak test": None if leak is None else "passed" if leak["passed"] else "FAILED",
    }
    return Table(("", "value"), list(facts.items()), words=True)


def _settings(run: ReportedRun) -> Block:
    """Command, versions, files and settings, as in `run.yaml`."""
    description = run.description
    rows = [("command", str(description.get("command", "-")))]
    rows += [(f"version of {name}", str(value)) for name, value in (description.get("versions") or {}).items()]
    for role in description.get("data") or {}:
        rows += [(f"{role} file", f"{name} ({fingerprint})") for name, fingerprint in run.files(role)]
    rows += [("language model", f"{one['name']} ({one['fingerprint']})") for one in description.get("lms") or ()]
    rows += list(_flat(description.get("settings") or {}))
    return Block("Settings and versions", tables=[Table(("setting", "value"), rows, words=True)], closed=True)


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            told = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            yield f"{prefix}{key}", "-" if value is None or value == [] else told
