"""How the results of each kind look as tables; the JSON form is the results as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from rich.console import Group, RenderableType
from rich.text import Text

from elmo_cli.commands import tag_views
from elmo_cli.commands.render import duration, facts, lambda_bars, number, table, table_of
from elmo_cli.data.formats import FORMATS
from elmo_cli.data.formats.delimited import NAMES
from elmo_cli.errors import plain
from elmo_cli.report.cells import select
from elmo_cli.report.records import ComparisonResults, ScoresRecord
from elmo_cli.report.result_cells import (
    class_table,
    curve_table,
    layer_weights,
    row_cells,
    score_cells,
)

Results = Mapping[str, Any]
MOST_CLASSES = 8  # of a confusion matrix that fits 80 columns
CONTEXT = 12  # tokens on each side that are shown of a long sentence
MOST_LABELS = 20  # of a table of classes
MOST_FILES, MOST_PROBLEMS = 3, 10  # files that are shown each by itself; problems of more
TITLES = {one.kind: one.title for one in FORMATS}


def pairs(document: Results) -> RenderableType:
    """Names and values of a document; nested names follow their parent's."""
    return facts(_flat(document))


def _flat(document: Results, prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in document.items():
        name = f"{prefix} {key}".strip().replace("_", " ")
        if isinstance(value, Mapping):
            yield from _flat(value, name)
        elif isinstance(value, list | tuple):
            yield name, "  ".join(map(number, value))
        else:
            yield name, Path(value) if key == "path" else value


def baseline(results: Results) -> RenderableType:
    """Static vectors that were trained: the files, and of what they were made."""
    files = [(f"window {file['window']}", Path(file["path"])) for file in results["files"]]
    unknown = _percent(results["unknown"] / results["tokens"])
    return facts(
        [
            *files,
            ("vectors", f"{number(results['vectors'])} of width {results['width']}, by {results['method']}"),
            ("vocabulary", str(results["vocabulary"] or "of this corpus")),
            ("tokens", f"{number(results['tokens'])}, {unknown} % unknown"),
            ("reproducible", results["reproducible"]),
        ]
    )


def vocabulary(results: Results) -> RenderableType:
    """A vocabulary that was built: what was counted, what is kept, and what that costs a model."""
    parts = " + ".join(f"{number(count)} {name}" for name, count in results["parameters"].items() if count)
    return facts(
        [
            ("wrote", Path(results["path"])),
            ("tokens", results["tokens"]),
            ("types", results["types"]),
            (
                "kept types",
                f"{number(results['kept'])}, with an id each ({number(results['size'])} with <S> </S> <UNK>)",
            ),
            ("coverage", f"{_percent(results['coverage'])} % of the tokens"),
            ("unknown tokens", f"{_percent(results['oov_rate'])} %"),
            ("model memory", f"{results['megabytes']:,.1f} MB: {parts} parameters"),
        ]
    )


def fetched(results: Results) -> RenderableType:
    """A data set that was fetched: the files, where they come from, and what may be done with them."""
    new = results["downloaded"]
    files = [
        (name, f"{size / 1e6:,.1f} MB, {'fetched' if name in new else 'there already'}, checksum right")
        for name, size in results["files"].items()
    ]
    about = [("what", results["about"]), ("licence", results["licence"]), ("source", results["source"])]
    return facts([("folder", Path(results["folder"])), *files, *about])


def inspection(results: Results) -> list[RenderableType]:
    """What is in files: of a few one after the other, of many a table of them with their problems."""
    if len(results["files"]) > MOST_FILES:
        return _summarised(results["files"])
    return [part for one in results["files"] for part in _inspected(one)]


def _summarised(files: Sequence[Results]) -> list[RenderableType]:
    """A line for each file, their sums, and the first of their problems."""
    rows: list[list[object]] = [
        [plain(one["path"]), one["texts"], one["tokens"], len(one["classes"]) or None, len(one["problems"])]
        for one in files
    ]
    sums = [sum(one[name] for one in files) for name in ("texts", "tokens")]
    labels = {label for one in files for label in one["classes"]}
    problems = [f"{plain(one['path'])}: {plain(problem)}" for one in files for problem in one["problems"]]
    rows.append([f"all {len(files)} files", *sums, len(labels) or None, len(problems)])
    shown = [Text(f"problem: {problem}") for problem in problems[:MOST_PROBLEMS]]
    if len(problems) > MOST_PROBLEMS:
        shown.append(Text(f"... {len(problems) - MOST_PROBLEMS} more; name a file to see its own"))
    columns = ("file", "texts", "tokens", "classes", "problems")
    return [table(columns, rows), Group(*(shown or [Text("no problems found")]))]


def _inspected(one: Results) -> list[RenderableType]:
    """Columns, counts, classes, the first texts, and problems of a file."""
    columns, lengths, count = one["columns"], one["lengths"], len(one["classes"])
    form = [TITLES[one["kind"]], one["encoding"], NAMES.get(one["delimiter"], one["delimiter"])]
    spread = f"{one['balance']:.1f} times as many texts in the largest as in the smallest" if one["balance"] else None
    head = [
        ("file", Path(one["path"])),
        ("form", ", ".join(part for part in form if part)),
        ("columns", _clipped(", ".join(columns["names"]), 65) or None),
        ("text", f"{' + '.join(columns['text'])}: {columns['text_reason']}" if columns["text"] else None),
        ("label", columns["label"] and f"{columns['label']}: {columns['label_reason']}"),
        ("texts", one["texts"]),
        ("tokens", one["tokens"]),
        (
            "a text",
            lengths and "mean {mean:.1f}, median {median:g}, 95 % up to {p95:g}, longest {longest:,}".format(**lengths),
        ),
        ("classes", f"{count}{': ' + spread if spread else ''}" if count else None),
    ]
    rows = [[label, texts, f"{100 * texts / one['texts']:.1f} %"] for label, texts in one["classes"].items()]
    shown: list[RenderableType] = [facts(head)]
    if rows:
        more = [[f"... {count - MOST_LABELS} more", None, None]] if count > MOST_LABELS else []
        shown.append(table(("class", "texts", "share"), [*rows[:MOST_LABELS], *more]))
    named = [f"{sample['label']}: " if sample["label"] else "" for sample in one["samples"]]
    samples = [_clipped(name + sample["text"], 78) for name, sample in zip(named, one["samples"], strict=True)]
    problems = [Text(f"problem: {plain(problem)}") for problem in one["problems"]] or [Text("no problems found")]
    return [*shown, Group(*map(Text, samples)), Group(*problems)]


def _clipped(text: str, width: int) -> str:
    shown = plain(text)
    return shown if len(shown) <= width else shown[: width - 4] + " ..."


_ENDINGS = {"time": "the time it was given", "patience": "no better validation perplexity"}


def language_model(results: Results) -> RenderableType:
    """A language model that was trained: how good, how long, and whether it is sound."""
    valid, leak = results["validation"], results.get("leak_test")
    return facts(
        [
            ("valid perplexity", valid["mean"]),
            ("forward", valid["forward"]),
            ("backward", valid["backward"]),
            ("unknown tokens", f"{_percent(valid['oov_rate'])} %"),
            ("best epoch", f"{results['best_epoch']} of {results['epochs']}"),
            ("ended by", _ENDINGS.get(results.get("ended_by", ""))),
            ("tokens", f"{number(results['tokens'])}, {results['tokens_per_second']:,.0f} a second"),
            ("parameters", results["parameters"]),
            ("leak test", None if leak is None else "passed" if leak["passed"] else "FAILED"),
        ]
    )


def classifier(results: Results) -> list[RenderableType]:
    """A classifier that was trained: how, its λ, and its scores on each file."""
    mode = f"{results['mode']}, tuned" if results["tune"] else results["mode"]
    head = facts(
        [
            ("combiner", mode),
            ("members", len(results.get("members", ())) or None),
            ("layers", lambda_bars(results["lambdas"], results["gamma"]) or None),
            ("epoch kept", f"{results['best_epoch']} of {results['epochs']}"),
            ("valid accuracy", _parts(results)),
        ]
    )
    files = {role: results[role] for role in ("train", "test") if role in results}
    shown: list[RenderableType] = [head, _accuracies("file", files)]
    last: ScoresRecord | None = results.get("test", results.get("train"))
    return shown + (_per_class(last) if last else [])


def _parts(results: Results) -> object:
    """Validation accuracy, and with n-grams beside it that of the parts and how much each counts."""
    ngrams = results["ngrams"]
    if not ngrams:
        return results["valid"]["accuracy"]
    together, embedder, counted = (ngrams["valid"][part]["accuracy"] for part in ("together", "embedder", "ngrams"))
    own, other = ngrams["weights"]
    return f"{together:.4f}; biLM alone {embedder:.4f}, n-grams alone {counted:.4f} (weights {own:.2f} and {other:.2f})"


def evaluation(results: Results | Sequence[Results]) -> list[RenderableType]:
    """Scores of one run in full, of several as a table. Averages are over classes unless said otherwise."""
    if isinstance(results, Mapping):
        written = Path(results["scores"]) if "scores" in results else None
        head = facts([("run", results["run"]), ("data", results["data"]), ("scores", written)])
        if results["kind"] == "lm":
            return [head, _perplexities([results])]
        if results["kind"] == "tagger":
            return [head, *tag_views.scores_tables("run", {results["run"]: results}), *tag_views.details(results)]
        scores = cast(ScoresRecord, results)
        return [head, _accuracies("run", {results["run"]: scores}), *_per_class(scores)]
    models = [one for one in results if one.get("kind") == "lm"]
    classifiers = {one["run"]: cast(ScoresRecord, one) for one in results if one.get("kind") == "classifier"}
    taggers = tag_views.scores_tables("run", {one["run"]: one for one in results if one.get("kind") == "tagger"})
    skipped = [Text(f"{one['run']} was left out: {plain(one['skipped'])}") for one in results if "skipped" in one]
    shown = [*([_perplexities(models)] if models else []), *([_accuracies("run", classifiers)] if classifiers else [])]
    return [*shown, *taggers, *skipped]


def minimal_pairs(results: Results) -> list[RenderableType]:
    """How often a language model prefers the better half of a pair."""
    low, high = results["interval"]
    shares = [(f"{name} alone", f"{_percent(results[name])} %") for name in ("forward", "backward")]
    preferred = f"{_percent(results['accuracy'])} % of {results['pairs']:,} (95 % interval {low:.3f}..{high:.3f})"
    head = [("run", results["run"]), ("data", results["data"]), ("better preferred", preferred)]
    return [facts([*head, *shares, ("ties", results["ties"])])]


def _perplexities(models: Sequence[Results]) -> RenderableType:
    scores = ("run", "mean", "forward", "backward", "tokens")
    counted = [{**one["reference"], "run": "5-grams of its text"} for one in models if "reference" in one]
    rows = [[*(one[name] for name in scores), _percent(one["oov_rate"])] for one in [*models, *counted]]
    return table(("run", "perplexity", "forward", "backward", "tokens", "unknown %"), rows)


def _accuracies(what: str, scores: Mapping[str, ScoresRecord]) -> RenderableType:
    names = ("name", "texts", "accuracy", "interval", "macro_f1", "macro_precision", "macro_recall")
    headings = (what, "texts", "accuracy", "95 % interval", "macro F1", "precision", "recall")
    return table_of(select(score_cells(scores), names, headings))


def _per_class(scores: ScoresRecord) -> list[RenderableType]:
    """Each class, the confusion matrix where it fits, and what there is to note."""
    names = [one["label"] for one in scores["classes"]]
    shown: list[RenderableType] = [table_of(class_table(scores, ("class", "precision", "recall", "f1", "support")))]
    if len(names) <= MOST_CLASSES:
        rows = ([name, *counts] for name, counts in zip(names, scores["confusion"], strict=True))
        shown.append(table(("true \\ predicted", *names), rows))
    return shown + [Text(f"note: {plain(note)}") for note in scores["notes"]]


def comparison(document: Results) -> list[RenderableType]:
    """The table of a comparison, the layer weights, learning curves, what to beware of, and the conclusion."""
    cells = ("row", "accuracy", "sd", "interval", "valid_accuracy", "difference", "p_holm", "unknown_test_tokens")
    headings = ("row", "acc", "sd", "95 % interval", "valid", "diff", "p", "unk %")
    legend = (
        "acc: on test; valid: on validation; diff, p (Holm): against the row marked *; unk: unknown test tokens; "
        "†: best LM row on validation; ‡: a reference without embeddings"
    )
    results = cast(ComparisonResults, document)
    points = results["curves"]
    return [
        table_of(select(row_cells(results), cells, headings)),
        facts((weights.name, lambda_bars(weights.lambdas)) for weights in layer_weights(results["rows"])),
        Text(legend, style="dim"),
        *([table_of(curve_table(points, "texts", (number(point["texts"]) for point in points)))] if points else []),
        *(Text(f"beware: {plain(warning)}") for warning in results["warnings"]),
        Text(plain(results["conclusion"])),
    ]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}"


def checks(results: Sequence[Results]) -> list[RenderableType]:
    """Checks with what was measured."""
    rows = (
        [
            one["name"],
            "ok" if one["passed"] else "FAILED",
            "-" if one["value"] is None else f"{one['value']:.1e}",
            "-" if one["tolerance"] is None else f"{one['tolerance']:.0e}",
        ]
        for one in results
    )
    failed = [Text(f"{one['name']}: {plain(one['detail'])}") for one in results if not one["passed"]]
    return [table(("check", "", "measured", "limit"), rows), *failed]


def similar(results: Results) -> list[RenderableType]:
    """A token in its sentence, and the tokens nearest to it in theirs."""
    searched = f"{number(results['sentences'])} sentences, {number(results['searched'])} tokens"
    head = facts([("token", results["token"]), ("vectors", results["layer"]), ("searched", searched)])
    rows = ((_in_context(hit), plain(hit["token"]), hit["similarity"]) for hit in results["hits"])
    return [
        head,
        _in_context(results),
        *([table(("nearest in context", "token", "cosine"), rows)] if results["hits"] else []),
    ]


def _in_context(hit: Results) -> Text:
    """A sentence with one token highlighted; of a long one, what is around the token."""
    tokens, position = [plain(token) for token in hit["tokens"]], hit["position"]
    start, stop = max(0, position - CONTEXT), position + CONTEXT + 1
    before = [*(["…"] if start else []), *tokens[start:position]]
    after = [*tokens[position + 1 : stop], *(["…"] if stop < len(tokens) else [])]
    parts = [(" ".join(before), ""), (tokens[position], "bold reverse"), (" ".join(after), "")]
    return Text(" ").join(Text(words, style=style) for words, style in parts if words)


def bench(results: Results) -> list[RenderableType]:
    """Speeds of training and embedding, and what a corpus would take."""
    peaks = ", ".join(f"{number(round(peak))} in {name}" for name, peak in results["peaks"].items())
    timed = results["corpus"] is not None
    about = "about " if results["estimated"] else ""
    head = [
        ("model", results["model"]),
        ("device", f"{results['device']}, {results['threads']} threads, torch {results['torch']}"),
        ("best product", f"{peaks} (billion operations a second)"),
        (
            "training",
            f"{results['batch_size']} rows, windows of {results['window']} steps, by default in {results['precision']}"
            + (", steps in C++" if results["native_loop"] else ""),
        ),
        ("corpus", f"{results['corpus']}, {about}{number(results['corpus_tokens'])} tokens" if timed else None),
    ]
    rows = [
        [f"{one['task']}, {one['precision']}", round(one["tokens_per_second"]), f"{100 * one['share']:.0f} %"]
        + ([duration(one["corpus_seconds"])] if timed else [])
        for one in results["rows"]
    ]
    legend = "best product: by the operations of the LSTM's products alone"
    if timed:
        legend += f"; this corpus: {results['epochs']} epochs of training, or to embed it once"
    notes = [Text(f"note: {plain(note)}") for note in results["notes"]]
    columns = ("measured", "tokens/s", "of best product", *(["this corpus"] if timed else []))
    return [facts(head), table(columns, rows), Text(legend, style="dim"), *notes]
