"""The figures of each run: what its results and its `metrics.jsonl` have to draw."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from elmo_cli.report.figures import Bar, Curve, Drawing, bars, confusion, curves, differences, layer_weights
from elmo_cli.report.sources import Source

MOST_POINTS = 300
EPOCHS = ("epochdone", "epoch")
SEEDS = "The thick line is the mean over the seeds, as far as all of them went; the thin lines are the seeds."
Events = Sequence[Mapping[str, Any]]
Seeds = Mapping[int, Events]


def drawings(source: Source) -> dict[str, list[Drawing]]:
    """All figures of a run but its confusion matrices, by the part of the report that shows them."""
    made = {"lm": _of_lm, "classifier": _of_classifier, "comparison": _of_comparison}[source.kind](source)
    return {part: figures for part, figures in made.items() if figures}


def confusions(source: Source) -> list[tuple[str, str, list[list[int]]]]:
    """(row, `train` or `test`, counts) of each confusion matrix; a classifier run has one row, without name."""
    if source.kind == "comparison":
        owners = [(row["name"], row.get("confusion") or {}) for row in source.results.get("rows", ())]
    else:
        owners = [("", {role: one["confusion"] for role, one in source.results.items() if role in ("train", "test")})]
    return [
        (name, role, owned[role])
        for name, owned in owners
        for role in ("test", "train")
        if any(map(any, owned.get(role, ())))
    ]


def all_drawings(source: Source) -> list[Drawing]:
    """All figures of a run, those for files included."""
    classes = source.results.get("classes", ())
    return [
        *(figure for figures in drawings(source).values() for figure in figures),
        *(
            confusion(
                f"confusion-{role}{'-' if name else ''}{name}",
                f"{name or source.name}: confusion on {role}",
                "Shade: share of the true class.",
                classes,
                counts,
            )
            for name, role, counts in confusions(source)
        ),
    ]


def _of_comparison(source: Source) -> dict[str, list[Drawing]]:
    rows = source.results.get("rows", ())
    accuracies = [Bar(row["name"], row["accuracy"], tuple(row["interval"]), row["kind"]) for row in rows]
    against = [
        Bar(row["name"], row["difference"], tuple(row["difference_interval"]), row["kind"])
        for row in rows
        if row["difference"] is not None
    ]
    found: dict[str, list[Drawing]] = {"table": [], "epochs": [], "layers": []}
    if rows:
        found["table"].append(
            bars("comparison", "Accuracy on test", "Bars begin at 0; whiskers are 95 % intervals.", accuracies)
        )
    if against:
        about = "Whiskers are 95 % intervals, not corrected for the number of rows; the p values in the table are."
        found["table"].append(
            differences("differences", "Differences", about, against, str(source.results["reference"]))
        )
    found["learning"] = [_learning(source.results["curves"])] if source.results.get("curves") else []
    by_row = _epochs_by_row(source.events)
    found["epochs"] = list(_over_epochs(by_row))
    kinds = {row["name"]: row["kind"] for row in rows}
    for name, seeds in by_row.items():
        if kinds.get(name, "lm") == "lm":
            found["layers"] += _weights(f"lambdas-{name}", f"{name}: layer weights", seeds)
    return found


def _over_epochs(by_row: Mapping[str, Seeds]) -> Iterator[Drawing]:
    """Accuracy and losses of all rows, as far as they were logged."""
    for key, title, unit, scale in (
        ("valid_accuracy", "Validation accuracy", "right, in %", 100),
        ("valid_loss", "Validation loss", "nats a text", 1),
        ("loss", "Training loss", "nats a text", 1),
    ):
        lines = [line for name, seeds in by_row.items() if (line := _over_seeds(name, seeds, key, scale=scale))]
        if lines:
            about = f"{title} after each epoch. {SEEDS if any(line.runs for line in lines) else ''}".strip()
            yield curves(key.replace("_", "-"), title, about, lines, ("epoch", unit))


def _of_classifier(source: Source) -> dict[str, list[Drawing]]:
    seeds = {0: [event for event in source.events if event.get("event") in EPOCHS]}
    named = {"train_accuracy": "training, while it goes on", "valid_accuracy": "validation"}
    lines = [line for key, name in named.items() if (line := _over_seeds(name, seeds, key, scale=100))]
    about = "Accuracy after each epoch; the epoch that is best on validation is kept."
    return {
        "epochs": [curves("accuracy", "Accuracy", about, lines, ("epoch", "right, in %"))] if lines else [],
        "layers": _weights("lambdas", "Layer weights", seeds),
    }


def _of_lm(source: Source) -> dict[str, list[Drawing]]:
    step, steps, lines = 0, [], []
    scores: dict[str, list[tuple[float, float]]] = {"mean": [], "forward": [], "backward": []}
    for event in source.events:
        if event.get("event") == "step":
            step = event["step"]
            steps.append((step, event["loss"]))
        elif event.get("event") == "validation":
            for key, points in scores.items():
                points.append((step, event[key]))
    if steps:
        x, y = zip(*_binned(steps), strict=True)
        lines.append(Curve("training, estimate", x, y))
    names = {"mean": "validation, mean", "forward": "forward", "backward": "backward"}
    for key, points in scores.items():
        if finite := [point for point in points if math.isfinite(point[1])]:
            x, y = zip(*finite, strict=True)
            lines.append(Curve(names[key], x, y))
    about = (
        "Perplexity on a logarithmic scale. Validation is exact; training is the running mean of the training loss, "
        "with dropout, and with a sampled softmax an estimate."
    )
    figure = curves("perplexity", "Perplexity", about, lines, ("step", "perplexity"), logs="y")
    return {"perplexity": [figure] if lines else []}


def _binned(steps: Sequence[tuple[int, float]]) -> Iterator[tuple[float, float]]:
    """Step and perplexity, neighbours joined where there are too many to draw."""
    size = -(-len(steps) // MOST_POINTS)
    for start in range(0, len(steps), size):
        part = [one for one in steps[start : start + size] if math.isfinite(one[1])]
        if part:
            yield part[-1][0], math.exp(min(700.0, sum(loss for _, loss in part) / len(part)))


def _learning(points: Sequence[Mapping[str, Any]]) -> Drawing:
    """Test accuracy by the number of training texts."""
    names = dict.fromkeys(row["name"] for point in points for row in point["rows"])
    lines = []
    for name in names:
        own = [(point["texts"], row) for point in points for row in point["rows"] if row["name"] == name]
        lines.append(
            Curve(
                name,
                [texts for texts, _ in own],
                [100 * row["accuracy"] for _, row in own],
                [(100 * row["interval"][0], 100 * row["interval"][1]) for _, row in own],
            )
        )
    about = "Accuracy on the same test texts after training on a part of the training texts; whiskers: 95 % intervals."
    return curves(
        "learning-curves", "Learning curves", about, lines, ("training texts", "right on test, in %"), logs="x"
    )


def _epochs_by_row(events: Events) -> dict[str, dict[int, list[Mapping[str, Any]]]]:
    """Epochs of the full training texts by row and seed; of a classifier that was trained again the last training."""
    found: dict[str, dict[int, list[Mapping[str, Any]]]] = {}
    for event in events:
        if event.get("event") in EPOCHS and "row" in event and event.get("fraction") in (None, 1):
            epochs = found.setdefault(event["row"], {}).setdefault(event["seed"], [])
            if epochs and event["epoch"] <= epochs[-1]["epoch"]:
                epochs.clear()
            epochs.append(event)
    return found


def _over_seeds(name: str, seeds: Seeds, key: str, layer: int | None = None, scale: float = 1) -> Curve | None:
    """A curve of means over the seeds, up to where the first of them ends; None without values.

    Args:
        name: Of the curve.
        seeds: Epochs by seed.
        key: Of the value in an epoch.
        layer: Which of the values, where there is one for each layer.
        scale: Factor on the values.
    """
    runs: list[list[tuple[float, float]]] = []
    for epochs in seeds.values():
        values = [(one["epoch"], one.get(key)) for one in epochs]
        chosen = [(epoch, value if layer is None else value[layer]) for epoch, value in values if value is not None]
        runs.append([(epoch, scale * value) for epoch, value in chosen if math.isfinite(value)])
    together = min((len(run) for run in runs), default=0)
    if not together:
        return None
    x = [epoch for epoch, _ in runs[0][:together]]
    y = [sum(run[place][1] for run in runs) / len(runs) for place in range(together)]
    single = [([epoch for epoch, _ in run], [value for _, value in run]) for run in runs]
    return Curve(name, x, y, runs=single if len(runs) > 1 else ())


def _weights(name: str, title: str, seeds: Seeds) -> list[Drawing]:
    """λ and γ over the epochs, for a combiner of several layers that has any."""
    first = next((epochs[0] for epochs in seeds.values() if epochs), {})
    layers = len(first.get("lambdas") or ())
    if layers < 2:
        return []
    lines = [_over_seeds(f"layer {layer}", seeds, "lambdas", layer) for layer in range(layers)]
    gamma = _over_seeds("γ", seeds, "gamma")
    about = f"λ in force of each layer{' and the scale γ' if gamma else ''}, layer 0 the tokens alone. "
    about += SEEDS if len(seeds) > 1 else ""
    return [layer_weights(name, title, about.strip(), [line for line in lines if line], gamma)]
