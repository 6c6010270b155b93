"""The sentences under a comparison: what its figures allow to say, and what they do not."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

from elmo_cli.report.cells import Number, printed
from elmo_cli.report.records import PairRecord, RowRecord, Summary
from elmo_cli.report.result_cells import LayerWeights, layer_weights

NAMED = "named to compare with"


def conclude(summary: Summary, seeds: int, texts: int, *, named: bool) -> str:
    """What may be concluded from so many seeds and test texts, in plain sentences.

    Args:
        summary: Rows, choices and pairs of a comparison.
        seeds: Classifiers of a row.
        texts: Test texts.
        named: Whether the row that the others are compared with was named, not chosen on validation.
    """
    rows = {row["name"]: row for row in summary["rows"]}
    given = f"With {seeds} seed{'s' if seeds > 1 else ''} and {texts:,} test texts"
    base, best = summary["reference"], summary["best_row"]
    if len(rows) == 1:
        return f"{given}, {base} is right on {_percent(rows[base])}; there is no other row to compare it with."
    if best is not None and rows[base]["kind"] == "static":
        sentences = [f"{given}, {_of_best(summary, rows, best, named)}"]
    else:
        sentences = [f"{given}, {_of_strongest(summary, rows, named)}"]
    if best is not None:
        sentences += _of_mixes(summary, rows, best, seeds)
    references = [name for name, row in rows.items() if row["kind"] == "reference"]
    sentences += [_of_reference(summary, rows, best or base, name) for name in references]
    sentences += _of_ngrams(summary, rows)
    if not all(pair["significant"] for pair in summary["pairs"]):
        sentences.append("A difference that is not significant is not shown to be zero.")
    bounds = (
        "All this speaks of other test texts of this kind, with this training file and these embeddings, each trained "
        f"once and {'tuned with its classifiers' if rows[base]['tune'] else 'kept frozen'}; not of other data"
    )
    one_seed = ", and one seed does not show how much the seed alone changes"
    return " ".join([*sentences, f"{bounds}{one_seed if seeds == 1 else ''}."])


def in_short(summary: Summary, texts: int) -> list[str]:
    """The same in at most three short sentences: the best row, the mixes of its layers, counted words."""
    rows = {row["name"]: row for row in summary["rows"]}
    base, best = summary["reference"], summary["best_row"]
    subject = best if best is not None and rows[base]["kind"] == "static" else base
    first = f"{subject} is right on {_percent(rows[subject])} of {texts:,} test texts"
    if subject != base:
        pair = _pair(summary, subject, base)
        first += f", {base} on {_percent(rows[base])}: {100 * pair['difference']:+.1f} points, "
        first += f"{'more than chance' if pair['significant'] else 'which may be chance'} ({_p(pair)})"
    sentences = [f"{first}."]
    mixes = [row for row in rows.values() if best and row["kind"] == "lm" and row["lm"] == rows[best]["lm"]]
    if any(row.get("ngrams") for row in rows.values()):
        sentences.append(f"{summary['recommended']} is the row to use, of all rows the best on validation.")
    elif len(mixes) > 1:
        sentences.append(f"Of the ways to mix the layers {best} is best on validation.")
    for name in (name for name, row in rows.items() if row["kind"] == "reference" and name != subject):
        pair = _pair(summary, best or base, name)
        verdict = f"not shown to differ from {best or base}"
        if pair["significant"]:
            verdict = f"{'less' if pair['difference'] > 0 else 'more'} than {best or base} by more than chance"
        sentences.append(f"Counted words ({name}) are right on {_percent(rows[name])}, {verdict} ({_p(pair)}).")
    return sentences[:3]


def _of_best(summary: Summary, rows: Mapping[str, RowRecord], best: str, named: bool) -> str:
    """The best LM row against the static row that was named or is the strongest."""
    base = summary["reference"]
    pair = _pair(summary, best, base)
    count, chosen = summary["comparisons"], NAMED if named else "the strongest baseline on validation"
    sentence = (
        f"{best} (the LM row best on validation) is right on {_percent(rows[best])} and {base} ({chosen}) on "
        f"{_percent(rows[base])}: the difference of {_points(pair)} is "
        f"{'' if pair['significant'] else 'not '}significant at 5 % after Holm's correction over "
        f"{count} comparison{'s' if count > 1 else ''}"
    )
    if not pair["significant"]:
        return f"{sentence}, so neither is shown to be better."
    return f"{sentence}, so {best if pair['difference'] > 0 else base} is better by more than chance."


def _of_mixes(summary: Summary, rows: Mapping[str, RowRecord], name: str, seeds: int) -> list[str]:
    """How the ways to mix the layers of the best row's LM rank on validation, and what the learned λ listen to."""
    best = rows[name]
    of_model = [row for row in rows.values() if row["kind"] == "lm" and row["lm"] == best["lm"]]
    mixes = [row for row in of_model if row.get("ngrams") == best.get("ngrams")]
    ranked = sorted(mixes, key=lambda row: (row is not best, -row["valid_accuracy"]))
    told = [f"{row['name']} ({100 * row['valid_accuracy']:.1f} %)" for row in ranked]
    sentences = []
    if len(ranked) > 1:
        names = {row["name"] for row in mixes}
        tested = any({pair["first"], pair["second"]} <= names for pair in summary["pairs"])
        apart = "" if tested else "; they were not tested against each other"
        others = ", ".join(told[1:])
        sentences.append(f"Of the ways to mix the layers {told[0]} is best on validation, then {others}{apart}.")
        if best["mode"] == "function":
            sentences.append(
                "The learned function has more weights than a weighted sum: whether layers or weights make the "
                "difference, these rows cannot tell."
            )
    learned = layer_weights(row for row in of_model if row["mode"] == "trainable")
    return sentences + [_of_lambdas(weights, seeds) for weights in learned]


def _of_lambdas(weights: LayerWeights, seeds: int) -> str:
    """Which layer a weighted sum that was learned listens to."""
    means = weights.lambdas
    layers = ["the token vectors (layer 0)", *(f"LSTM layer {layer}" for layer in range(1, len(means)))]
    told = ", ".join(f"{value:.2f} for {layer}" for value, layer in zip(means, layers, strict=True))
    most = layers[max(range(len(means)), key=lambda layer: means[layer])]
    mean = ", in the mean over seeds," if seeds > 1 else ""
    return f"The λ that {weights.name} learned are{mean} {told}: it listens most to {most}."


def _of_ngrams(summary: Summary, rows: Mapping[str, RowRecord]) -> list[str]:
    """The row to use, the best of all on validation, and what its parts are worth there; nothing without n-grams."""
    if not any(row.get("ngrams") for row in rows.values()):
        return []
    best = rows[summary["recommended"]]
    told = f"The row to use is {best['name']}, of all rows the best on validation ({_valid(best['valid_accuracy'])})"
    parts = [branch for one in best["seeds"] if (branch := one.get("ngrams"))]
    if not parts:
        lacked = "vectors" if best["kind"] == "reference" else "n-grams"
        return [f"{told}: no row with {lacked} was better there."]
    valid = {part: fmean(branch["valid"][part]["accuracy"] for branch in parts) for part in ("embedder", "ngrams")}
    own, other = (fmean(branch["weights"][place] for branch in parts) for place in (0, 1))
    return [
        f"{told}: the classifier on vectors alone has {_valid(valid['embedder'])} there and the n-grams alone have "
        f"{_valid(valid['ngrams'])}; their logarithms answer together with weights {own:.2f} and {other:.2f}."
    ]


def _valid(share: float) -> str:
    return f"{100 * share:.1f} %"


def _of_strongest(summary: Summary, rows: Mapping[str, RowRecord], named: bool) -> str:
    """Rows of one kind, or a row that was named: which of the others differ from it."""
    base = summary["reference"]
    told_of_it = f"{base} ({NAMED if named else 'best on validation'}) is right on {_percent(rows[base])}"
    others = [row for row in rows.values() if row["kind"] != "reference" and row["name"] != base]
    if not others:
        return f"{told_of_it}; there is no other row with embeddings to compare it with."
    clear = [row["name"] for row in others if row["significant"]]
    told = (
        f"{', '.join(clear)} differ{'s' if len(clear) == 1 else ''} from it significantly"
        if clear
        else "no other row with embeddings differs from it significantly"
    )
    return f"{told_of_it}; {told} at 5 % after Holm's correction over all {summary['comparisons']} comparisons."


def _of_reference(summary: Summary, rows: Mapping[str, RowRecord], subject: str, reference: str) -> str:
    """The best row with embeddings against one without."""
    pair = _pair(summary, subject, reference)
    sentence = (
        f"Against {reference}, a reference without embeddings that is right on {_percent(rows[reference])}, {subject} "
        f"differs by {_points(pair)}"
    )
    if not pair["significant"]:
        return f"{sentence}, which is not significant: it may not be concluded that these texts need embeddings."
    if pair["difference"] > 0:
        return f"{sentence}: it is better than counted words by more than chance."
    return f"{sentence}: counted words are better than it by more than chance."


def _pair(summary: Summary, first: str, second: str) -> PairRecord:
    """The comparison of two rows, as first minus second."""
    for pair in summary["pairs"]:
        if (pair["first"], pair["second"]) == (first, second):
            return pair
        if (pair["first"], pair["second"]) == (second, first):
            low, high = pair["interval"]
            return {**pair, "difference": -pair["difference"], "interval": [-high, -low]}
    raise KeyError(f"{first} and {second} were not compared")


def _points(pair: PairRecord) -> str:
    low, high = (100 * bound for bound in pair["interval"])
    return f"{100 * pair['difference']:+.1f} points (95 % interval {low:+.1f} to {high:+.1f}; {_p(pair)})"


def _p(pair: PairRecord) -> str:
    return f"p = {printed(Number(pair['p_holm'], 'p'))}".replace("= <", "<")


def _percent(row: RowRecord) -> str:
    return f"{100 * row['accuracy']:.1f} %"
