"""What a page shows of each run, as plain blocks that the templates lay out: no markup here, no figures there.

A block without content is left out; what a run could have held and does not is named once, at the end of its part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from elmo_cli.report.blocks import (
    Block,
    Cell,
    Example,
    Matrix,
    Part,
    Table,
    interval,
    number,
    p_value,
    percent,
    points,
)
from elmo_cli.report.drawings import confusions, drawings
from elmo_cli.report.sources import Source, as_written

KIND_TITLES = {"lm": "Language model", "classifier": "Classifier", "comparison": "Comparison"}
ROW_KINDS = {"lm": "ELMo", "static": "static vectors", "reference": "reference without embeddings"}


def part_of(source: Source) -> Part:
    """Everything that a page shows of a run.

    Raises:
        RunError: A file of the run is not as `elmo` wrote it.
    """
    build = {"lm": _language_model, "classifier": _classifier, "comparison": _comparison}[source.kind]
    with as_written(source):
        lead, blocks = build(source)
    shown = [block for block in blocks if not block.empty]
    return Part(
        source.name,
        KIND_TITLES[source.kind],
        lead,
        source.results.get("warnings", ()),
        [*shown, _settings(source)] if shown else [],
        [block.named for block in blocks if block.empty],
    )


def _comparison(source: Source) -> tuple[str, list[Block]]:
    results, figures = source.results, drawings(source)
    rows = results.get("rows", ())
    return results.get("conclusion", "This comparison has no results yet."), [
        Block("Accuracies", tables=[_rows_table(results)] if rows else [], figures=figures.get("table", ())),
        Block("Tested pairs", tables=_pairs(results), closed=True),
        Block("Learning curves", figures=figures.get("learning", ()), hint="elmo compare --fractions"),
        Block("Confusion matrices", matrices=_matrices(source), notes=[_SHADES, _SUMMED]),
        Block("Training", figures=figures.get("epochs", ())),
        Block("Every classifier", tables=_classifiers_table(rows), closed=True),
        Block("Layer weights", tables=_lambdas_table(rows), figures=figures.get("layers", ())),
        Block(
            "Hardest texts",
            notes=["The test texts that most rows get wrong; probabilities are means over the seeds."],
            examples=_examples(source.examples.get("hardest", ())),
            closed=True,
        ),
        Block(
            "Texts that only ELMo gets right",
            notes=["Test texts that every ELMo row gets right, and no static row."],
            examples=_examples(source.examples.get("only_lm", ())),
            closed=True,
        ),
        Block("Data", tables=_data_tables(results)),
        Block("How it was done", items=results.get("notes", ()), closed=True),
    ]


_SHADES = "True classes in rows, predicted ones in columns; the stronger the shade, the larger the share of the row."
_SUMMED = "Counts are summed over the seeds."


def _rows_table(results: Mapping[str, Any]) -> Table:
    columns = (
        *("row", "accuracy %", "sd", "95 % interval", "macro F1 %", "validation %"),
        *("difference", "its 95 % interval", "p (Holm)"),
    )
    rows: list[list[str | Cell]] = []
    for row in results["rows"]:
        tuned = {True: ", tuned", False: ", frozen"}.get(row["tune"], "")
        marks = (f"{ROW_KINDS[row['kind']]}{tuned}",)
        marks += ("compared with",) * (row["name"] == results["reference"])
        marks += ("best ELMo row on validation",) * (row["name"] == results["best_row"])
        marks += _verdict(row)
        rows.append(
            [
                Cell(row["name"], marks),
                percent(row["accuracy"]),
                percent(row["sd"]),
                interval(row["interval"]),
                percent(row["macro_f1"]),
                percent(row["valid_accuracy"]),
                points(row["difference"]),
                interval(row["difference_interval"], "+"),
                p_value(row["p_holm"]),
            ]
        )
    return Table(columns, rows)


def _verdict(tested: Mapping[str, Any]) -> tuple[str, ...]:
    if not tested["significant"]:
        return ()
    return (f"significantly {'better' if tested['difference'] > 0 else 'worse'}",)


def _pairs(results: Mapping[str, Any]) -> list[Table]:
    columns = ("pair", "difference in points", "95 % interval", "p", "p (Holm)")
    rows: list[list[str | Cell]] = [
        [
            Cell(f"{pair['first']} - {pair['second']}", _verdict(pair)),
            points(pair["difference"]),
            interval(pair["interval"], "+"),
            p_value(pair["p"]),
            p_value(pair["p_holm"]),
        ]
        for pair in results.get("pairs", ())
    ]
    return [Table(columns, rows)] if rows else []


def _matrices(source: Source) -> list[Matrix]:
    classes = source.results.get("classes", ())
    return [
        Matrix(
            f"{name or source.name} on {role}",
            classes,
            [[(count, count / max(1, sum(row))) for count in row] for row in counts],
            sum(row[place] for place, row in enumerate(counts)) / max(1, sum(map(sum, counts))),
        )
        for name, role, counts in confusions(source)
    ]


def _classifiers_table(rows: Sequence[Mapping[str, Any]]) -> list[Table]:
    columns = ("classifier", "accuracy %", "validation %", "best epoch", "seconds")
    found = [
        [
            f"{row['name']}, seed {one['seed']}",
            percent(one["accuracy"]),
            percent(one["valid"]["accuracy"]),
            f"{one['best_epoch']} of {one['epochs']}" if one.get("best_epoch") else "-",
            number(one.get("seconds")),
        ]
        for row in rows
        for one in row["seeds"]
    ]
    return [Table(columns, found)] if found else []


def _lambdas_table(rows: Sequence[Mapping[str, Any]]) -> list[Table]:
    """λ and γ of the kept epochs, means over the seeds."""
    found = []
    for row in rows:
        weights = [one.get("lambdas") for one in row["seeds"]]
        if row["kind"] == "lm" and all(weights):
            found.append((row["name"], _means(weights), _means([[one["gamma"]] for one in row["seeds"]])))
    layers = max((len(weights) for _, weights, _ in found), default=0)
    return [_weights_table(found, layers)] if layers > 1 else []


def _weights_table(rows: Sequence[tuple[str, Sequence[float], Sequence[float]]], layers: int) -> Table:
    columns = ("row", *(f"λ layer {layer}" for layer in range(layers)), "γ")
    shown = []
    for name, weights, scale in rows:
        cells = [f"{value:.3f}" for value in weights] + ["-"] * (layers - len(weights))
        shown.append([name, *cells, f"{scale[0]:.3f}" if scale else "-"])
    return Table(columns, shown)


def _means(runs: Sequence[Any]) -> list[float]:
    """Place by place; empty where a value is missing."""
    if any(value is None for run in runs for value in run):
        return []
    return [sum(values) / len(values) for values in zip(*runs, strict=True)]


def _examples(examples: Sequence[Mapping[str, Any]]) -> list[Example]:
    return [
        Example(
            one["text"],
            one["label"],
            [
                (name, told["predicted"], percent(told["probability"]), told["predicted"] == one["label"])
                for name, told in one["rows"].items()
            ],
        )
        for one in examples
    ]


def _data_tables(results: Mapping[str, Any]) -> list[Table]:
    """The data card; of an older comparison what it tells."""
    files = results.get("data") or {
        role: results[key] for role, key in (("train", "train"), ("test", "test_file")) if key in results
    }
    tables = [_data_table(files)] if files else []
    columns = ("row", "training file", "test file", "test file, whole vectors")
    unknown = []
    for row in results.get("rows", ()):
        found = row["unknown"]
        if not found:
            continue
        whole = found.get("file", {}).get("test")
        missing = 1 - whole["tokens_found"] / max(1, whole["tokens"]) if whole else None
        unknown.append([row["name"], *(percent(found[role]["rate"]) for role in ("train", "test")), percent(missing)])
    return [*tables, *([Table(columns, unknown, "Tokens without a vector, in %")] if unknown else [])]


_DATA: tuple[tuple[str, Callable[[Mapping[str, Any]], str]], ...] = (
    ("name", lambda file: str(file["file"])),
    ("texts", lambda file: number(file["texts"])),
    ("texts that were cut", lambda file: number(file.get("cut"))),
    ("tokens", lambda file: number(file.get("tokens"))),
    *(
        (f"tokens a text, {title}", lambda file, key=key: number((file.get("lengths") or {}).get(key)))
        for key, title in (("mean", "mean"), ("median", "median"), ("p95", "95 % have at most"), ("max", "longest"))
    ),
    ("unknown tokens, %", lambda file: percent(file.get("unknown_rate"))),
)


def _data_table(files: Mapping[str, Mapping[str, Any]]) -> Table:
    rows = [[name, *(tell(file) for file in files.values())] for name, tell in _DATA]
    classes = dict.fromkeys(name for file in files.values() for name in file.get("classes") or ())
    for name in classes:
        cells = []
        for file in files.values():
            counts = file.get("classes") or {}
            total = max(1, sum(counts.values()))
            cells.append(f"{counts.get(name, 0):,} ({100 * counts.get(name, 0) / total:.1f} %)" if counts else "-")
        rows.append([f"class {name}", *cells])
    kept = [row for row in rows if set(row[1:]) != {"-"}]
    return Table(("", *(f"{_ROLES.get(role, role)} file" for role in files)), kept)


_ROLES = {"train": "training"}


def _classifier(source: Source) -> tuple[str, list[Block]]:
    results, figures = source.results, drawings(source)
    scored = {role: results[role] for role in ("test", "train") if role in results}
    bilm = "trained along" if results["tune"] else "frozen"
    lead = f"Combiner {results['mode']} on the layers of {results['lm']}, biLM {bilm}: "
    told = (
        f"right on {100 * one['accuracy']:.1f} % of {one['examples']:,} {_ROLES.get(role, role)} texts (95 % interval "
        f"{interval(one['interval'])})"
        for role, one in scored.items()
    )
    lead += ", ".join(told) or f"{100 * results['valid']['accuracy']:.1f} % on validation; it was stopped early"
    mistakes = [
        Example(text, label, [(source.name, predicted, percent(share), False)])
        for text, label, predicted, share in source.mistakes
    ]
    notes = [note for one in scored.values() for note in one["notes"]]
    weights = results.get("lambdas") or []
    lambdas = [(source.name, weights, [] if results["gamma"] is None else [results["gamma"]])]
    return f"{lead}.", [
        Block("Scores", tables=[*_score_tables(scored)], items=notes),
        Block("Confusion matrices", matrices=_matrices(source), notes=[_SHADES]),
        Block("Training", figures=figures.get("epochs", ())),
        Block(
            "Layer weights",
            tables=[_weights_table(lambdas, len(weights))] if len(weights) > 1 else [],
            figures=figures.get("layers", ()),
        ),
        Block(
            "Surest mistakes",
            notes=["The wrong test predictions with the highest probability."],
            examples=mistakes,
            closed=True,
        ),
    ]


def _score_tables(scored: Mapping[str, Mapping[str, Any]]) -> Iterator[Table]:
    if scored:
        columns = ("file", "texts", "accuracy %", "95 % interval", "macro F1 %", "weighted F1 %")
        rows = [
            [
                _ROLES.get(role, role),
                number(one["examples"]),
                percent(one["accuracy"]),
                interval(one["interval"]),
                percent(one["macro"]["f1"]),
                percent(one["weighted"]["f1"]),
            ]
            for role, one in scored.items()
        ]
        yield Table(columns, rows)
    for role, one in scored.items():
        keys = ("precision", "recall", "f1")
        rows = [[row["label"], *(percent(row[key]) for key in keys), number(row["support"])] for row in one["classes"]]
        yield Table(("class", "precision %", "recall %", "F1 %", "texts"), rows, f"Classes, {_ROLES.get(role, role)}")


def _language_model(source: Source) -> tuple[str, list[Block]]:
    results, figures = source.results, drawings(source)
    valid = results.get("validation")
    if valid:
        lead = (
            f"Validation perplexity {number(valid['mean'])} (forward {number(valid['forward'])}, backward "
            f"{number(valid['backward'])}), after epoch {results['best_epoch']} of {results['epochs']}."
        )
    else:
        last = next((one for one in reversed(source.events) if one.get("event") == "validation"), None)
        told = f"the last validation perplexity is {number(last['mean'])}" if last else "it has no perplexity"
        lead = f"This language model has no final results: {told}."
    facts = []
    if valid:
        leak = results.get("leak_test")
        facts = [
            ["validation text", str(source.description.get("validation", "-"))],
            ["its tokens", number(valid["tokens"])],
            ["its unknown tokens, %", percent(valid["oov_rate"])],
            ["training steps", number(results["steps"])],
            ["tokens read in training", number(results["tokens"])],
            ["minutes", number(results["seconds"] / 60)],
            ["tokens a second", number(round(results["tokens_per_second"]))],
            ["parameters", number(results["parameters"])],
            ["vocabulary", number(results["vocabulary_size"])],
            ["leak test", "-" if leak is None else "passed" if leak["passed"] else "FAILED"],
        ]
    return lead, [
        Block("Perplexity", figures=figures.get("perplexity", ())),
        Block("Figures", tables=[Table(("", "value"), facts, words=True)] if facts else []),
    ]


def _settings(source: Source) -> Block:
    """Command, versions, files and settings, as in `run.yaml`."""
    description = source.description
    rows = [("command", str(description.get("command", "-")))]
    rows += [(f"version of {name}", str(value)) for name, value in (description.get("versions") or {}).items()]
    for role in description.get("data") or {}:
        rows += [(f"{role} file", f"{name} ({fingerprint})") for name, fingerprint in source.files(role)]
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
