"""The figures of each run: what its results and its `metrics.jsonl` have to draw."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from elmo_cli.report.blocks import Matrix
from elmo_cli.report.figures import Bar, Curve, Drawing, bars, confusion, curves, differences, layer_weights
from elmo_cli.report.logged import ComparisonEpoch, LoggedEpoch
from elmo_cli.report.records import ComparisonResults, CurvePoint
from elmo_cli.report.reported import ReportedClassifier, ReportedComparison, ReportedLm, ReportedRun, ReportedTagger

MOST_POINTS = 300
SEEDS = "The thick line is the mean over the seeds, as far as all of them went; the thin lines are the seeds."
Seeds = Mapping[int, Sequence[LoggedEpoch]]  # the epochs of each seed
Figures = dict[str, list[Drawing]]  # by the part of the report that shows them


def all_figures(run: ReportedRun) -> list[Drawing]:
    """All figures of a run, those for files included."""
    found: list[Drawing] = []
    match run:
        case ReportedLm():
            found += lm_figures(run)
        case ReportedClassifier():
            found += chain(*classifier_figures(run).values())
        case ReportedTagger():
            found += chain(*tagger_figures(run).values())
        case ReportedComparison():
            found += chain(*comparison_figures(run).values())
    about = "Shade: share of the true class."
    for name, role, matrix in confusions(run):
        stem, title = "-".join(filter(None, ("confusion", role, name))), f"{name or run.name}: confusion on {role}"
        found.append(confusion(stem, title, about, matrix.classes, matrix.counts))
    return found


def confusions(run: ReportedRun) -> list[tuple[str, str, Matrix]]:
    """(row, `train` or `test`, matrix) of each confusion matrix; a classifier run has one row, without name."""
    owners: list[tuple[str, Mapping[str, Sequence[Sequence[int]]]]] = []
    classes: Sequence[str] = ()
    if isinstance(run, ReportedComparison):
        classes = run.results["classes"]
        owners = [(row["name"], row["confusion"]) for row in run.results["rows"]]
    elif isinstance(run, ReportedClassifier) and run.results:
        classes, results = run.results["classes"], run.results
        owners = [("", {role: results[role]["confusion"] for role in ("train", "test") if role in results})]
    return [
        (name, role, Matrix(f"{name or run.name} on {role}", classes, owned[role]))
        for name, owned in owners
        for role in ("test", "train")
        if role in owned
    ]


def comparison_figures(run: ReportedComparison) -> Figures:
    """Accuracies, differences, learning curves, epochs and layer weights."""
    by_row = _epochs_by_row(run.epochs)
    places = _places(run.results, by_row)
    limits = _limits(by_row.values())
    kinds = {row["name"]: row["kind"] for row in run.results["rows"]}
    points = run.results["curves"]
    return {
        "table": list(_of_rows(run.results)),
        "learning": [_learning(points)] if points else [],
        "epochs": list(_over_epochs(by_row, places)),
        "layers": [
            figure
            for name, seeds in by_row.items()
            if kinds.get(name, "lm") == "lm"  # a comparison that was stopped does not know them
            for figure in _weights(f"lambdas-{name}", f"{name}: layer weights", seeds, limits)
        ],
    }


def _places(results: ComparisonResults, by_row: Mapping[str, Seeds]) -> dict[str, int]:
    """The place of each row in the table, by which it has its colour; a stopped comparison has but its epochs."""
    names = [row["name"] for row in results["rows"]] or list(by_row)
    return {name: place for place, name in enumerate(names)}


def _limits(rows: Iterable[Seeds]) -> tuple[float, float]:
    """The ends of an axis for the λ of all rows: from 0, or the least below it, to a little above the largest."""
    values = [one for seeds in rows for epochs in seeds.values() for epoch in epochs for one in _lambdas_of(epoch)]
    return min([0.0, *values]), 1.05 * max([1e-6, *values])


def _lambdas_of(epoch: LoggedEpoch) -> Sequence[float]:
    """λ of several layers; none of a single one."""
    found = epoch["lambdas"] or ()
    return found if len(found) > 1 else ()


def _of_rows(results: ComparisonResults) -> Iterator[Drawing]:
    """The accuracy of each row, and its difference from the row that all are compared with."""
    rows = results["rows"]
    if rows:
        accuracies = [
            Bar(row["name"], row["accuracy"], _bounds(row["interval"]), row["kind"], place)
            for place, row in enumerate(rows)
        ]
        yield bars("comparison", "Accuracy on test", "Bars begin at 0; whiskers are 95 % intervals.", accuracies)
    apart = [
        Bar(row["name"], row["difference"], _bounds(row["difference_interval"]), row["kind"], place)
        for place, row in enumerate(rows)
        if row["difference"] is not None and row["difference_interval"] is not None
    ]
    if apart:
        about = "Whiskers are 95 % intervals, not corrected for the number of rows; the p values in the table are."
        yield differences("differences", "Differences", about, apart, results["reference"])


def _bounds(interval: Sequence[float], scale: float = 1) -> tuple[float, float]:
    low, high = interval
    return scale * low, scale * high


def _learning(points: Sequence[CurvePoint]) -> Drawing:
    """Test accuracy by the number of training texts."""
    texts = [point["texts"] for point in points]
    lines = []
    for row in zip(*(point["rows"] for point in points), strict=True):
        bounds = [_bounds(one["interval"], 100) for one in row]
        lines.append(Curve(row[0]["name"], texts, [100 * one["accuracy"] for one in row], bounds))
    about = "Accuracy on the same test texts after training on a part of the training texts; whiskers: 95 % intervals."
    axes = ("training texts", "right on test, in %")
    return curves("learning-curves", "Learning curves", about, lines, axes, logs="x")


def _epochs_by_row(epochs: Sequence[ComparisonEpoch]) -> dict[str, dict[int, list[LoggedEpoch]]]:
    """Epochs of the full training texts by row and seed; of a classifier that was trained again the last training."""
    found: dict[str, dict[int, list[LoggedEpoch]]] = {}
    for epoch in epochs:
        if epoch["fraction"] == 1:
            before = found.setdefault(epoch["row"], {}).setdefault(epoch["seed"], [])
            if before and epoch["epoch"] <= before[-1]["epoch"]:
                before.clear()
            before.append(epoch)
    return found


def _over_epochs(by_row: Mapping[str, Seeds], places: Mapping[str, int]) -> Iterator[Drawing]:
    """Accuracy and loss of all rows."""
    figures: tuple[tuple[str, str, str, Callable[[LoggedEpoch], float]], ...] = (
        ("valid-accuracy", "Validation accuracy", "right, in %", lambda one: 100 * one["valid_accuracy"]),
        ("loss", "Training loss", "nats a text", lambda one: one["loss"]),
    )
    for name, title, unit, value in figures:
        lines = [
            replace(line, place=places.get(row))
            for row, seeds in by_row.items()
            if (line := _over_seeds(row, seeds, value))
        ]
        if lines:
            about = f"{title} after each epoch. {SEEDS if any(line.runs for line in lines) else ''}".strip()
            yield curves(name, title, about, lines, ("epoch", unit))


def classifier_figures(run: ReportedClassifier) -> Figures:
    """Accuracies and layer weights over the epochs."""
    seeds = {0: run.epochs}
    values: dict[str, Callable[[LoggedEpoch], float]] = {
        "training, while it goes on": lambda one: 100 * one["train_accuracy"],
        "validation": lambda one: 100 * one["valid_accuracy"],
    }
    lines = [line for name, value in values.items() if (line := _over_seeds(name, seeds, value))]
    about = "Accuracy after each epoch; the epoch that is best on validation is kept."
    return {
        "epochs": [curves("accuracy", "Accuracy", about, lines, ("epoch", "right, in %"))] if lines else [],
        "layers": _weights("lambdas", "Layer weights", seeds, _limits([seeds])),
    }


def tagger_figures(run: ReportedTagger) -> Figures:
    """Accuracies, F1 of spans where there are any, and layer weights over the epochs."""
    seeds = {0: run.epochs}
    values: dict[str, Callable[[LoggedEpoch], float | None]] = {
        "tokens, training": lambda one: 100 * one["train_accuracy"],
        "tokens, validation": lambda one: 100 * one["valid_accuracy"],
        "F1 of spans, validation": lambda one: None if (f1 := one.get("valid_f1")) is None else 100 * f1,
    }
    lines = [line for name, value in values.items() if (line := _over_seeds(name, seeds, value))]
    about = "Share of the tokens that is right, and F1 of spans, after each epoch; the best on validation is kept."
    return {
        "epochs": [curves("scores", "Scores", about, lines, ("epoch", "in %"))] if lines else [],
        "layers": _weights("lambdas", "Layer weights", seeds, _limits([seeds])),
    }


def lm_figures(run: ReportedLm) -> list[Drawing]:
    """Perplexity over the steps; no figure without events."""
    steps: list[tuple[int, float]] = []
    scores: dict[str, list[tuple[int, float]]] = {"validation, mean": [], "forward": [], "backward": []}
    for event in run.events:
        if event["event"] == "step":
            steps.append((event["step"], event["loss"]))
        elif event["event"] == "validation":
            values = (event["mean"], event["forward"], event["backward"])
            for points, value in zip(scores.values(), values, strict=True):
                points.append((steps[-1][0] if steps else 0, value))
    lines = []
    for name, found in {"training, estimate": _binned(steps), **scores}.items():
        if finite := [point for point in found if math.isfinite(point[1])]:
            x, y = zip(*finite, strict=True)
            lines.append(Curve(name, x, y))
    about = (
        "Perplexity on a logarithmic scale. Validation is exact; training is the running mean of the training loss, "
        "with dropout, and with a sampled softmax an estimate."
    )
    figure = curves("perplexity", "Perplexity", about, lines, ("step", "perplexity"), logs="y")
    return [figure] if lines else []


def _binned(steps: Sequence[tuple[int, float]]) -> Iterator[tuple[float, float]]:
    """Step and perplexity, neighbours joined where there are too many to draw."""
    size = max(1, -(-len(steps) // MOST_POINTS))
    for start in range(0, len(steps), size):
        part = [one for one in steps[start : start + size] if math.isfinite(one[1])]
        if part:
            yield part[-1][0], math.exp(min(700.0, sum(loss for _, loss in part) / len(part)))


def _over_seeds(name: str, seeds: Seeds, value: Callable[[LoggedEpoch], float | None]) -> Curve | None:
    """A curve of means over the seeds, up to where the first of them ends; None without values."""
    runs: list[list[tuple[float, float]]] = []
    for epochs in seeds.values():
        found = [(epoch["epoch"], value(epoch)) for epoch in epochs]
        runs.append([(epoch, one) for epoch, one in found if one is not None and math.isfinite(one)])
    if not all(runs):
        return None
    together = list(zip(*runs, strict=False))
    x = [points[0][0] for points in together]
    y = [sum(one for _, one in points) / len(points) for points in together]
    single = [([epoch for epoch, _ in run], [one for _, one in run]) for run in runs]
    return Curve(name, x, y, runs=single if len(runs) > 1 else ())


def _weights(name: str, title: str, seeds: Seeds, limits: tuple[float, float]) -> list[Drawing]:
    """λ and γ over the epochs, for a combiner of several layers that has any; none of such as never change."""
    layers = next((len(epochs[0]["lambdas"] or ()) for epochs in seeds.values() if epochs), 0)
    changed = any(epoch["lambdas"] != epochs[0]["lambdas"] for epochs in seeds.values() for epoch in epochs)
    if layers < 2 or not changed:
        return []

    def of_layer(layer: int) -> Callable[[LoggedEpoch], float | None]:
        return lambda epoch: epoch["lambdas"][layer] if epoch["lambdas"] else None

    lines = [_over_seeds(f"layer {layer}", seeds, of_layer(layer)) for layer in range(layers)]
    gamma = _over_seeds("γ", seeds, lambda epoch: epoch["gamma"])
    about = f"λ in force of each layer{' and the scale γ' if gamma else ''}, layer 0 the tokens alone. "
    about += SEEDS if len(seeds) > 1 else ""
    return [layer_weights(name, title, about.strip(), [line for line in lines if line], gamma, limits)]
