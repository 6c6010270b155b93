"""The files of a finished comparison: results, examples, tables, card; and what a reader must know about them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import confusion_matrix

from elmo_cli.comparison.examples import telling_examples
from elmo_cli.comparison.job import Job
from elmo_cli.comparison.ngrams import Results, left_out
from elmo_cli.comparison.reference import GRID
from elmo_cli.comparison.rows import NGRAMS, REFERENCE, Row
from elmo_cli.comparison.statistics import RowResult, curve_point, summarise
from elmo_cli.comparison.subsets import WHOLE
from elmo_cli.comparison.tables import answers_csv, comparison_csv, comparison_latex, comparison_markdown, curves_csv
from elmo_cli.metrics.classification import classification_scores
from elmo_cli.report.records import ComparisonResults, FileRecord, MajorityRecord, TextsRecord
from elmo_cli.report.result_cells import MAJORITY, unknown_rate
from elmo_cli.runs import RESULTS_FILE, RunWriter
from elmo_cli.runs.cards import write_card
from elmo_cli.runs.directory import EXAMPLES_FILE
from elmo_cli.text.vocabulary import Vocabulary
from elmo_cli.training.labelled import LabelledCorpus, cut_note

LITTLE_COVERAGE = 0.25  # share of the test tokens without a vector, from which on it is said
LARGE_MAJORITY = 0.7  # share of the test texts in one class, from which on it is said
LITTLE_DIFFERENCE = 0.05  # between the share that a vocabulary lacks and that which a file lacks
FEW_FOR_VALIDATION = 100  # texts
CURVES_FILE = "curves.csv"


def write_results(job: Job, found: Results, writer: RunWriter) -> ComparisonResults:
    """Summarise the rows of each share, and write all files of the run; the results."""
    experiment = job.experiment
    train, test = job.texts
    rows = found[WHOLE]
    seed, resamples, against = experiment.seed, experiment.compare.bootstrap, experiment.compare.against
    summary = summarise(rows, test.labels, train.classes, seed=seed, resamples=resamples, against=against)
    for row, shown in zip(rows, summary["rows"], strict=True):
        shown["confusion"] = _confusions(row, train, test)
    curves = [
        curve_point(size, found[size.fraction], test.labels, seed=seed, resamples=resamples)
        for size in (reversed(job.sizes) if experiment.compare.fractions else ())
    ]
    majority = _majority(train, test)
    vocabulary = job.models[0].vocabulary
    results: ComparisonResults = {
        **summary,
        "majority": majority,
        "curves": curves,
        "seeds": list(job.seeds),
        "classes": list(train.classes),
        "data": {"train": _describe_texts(train, vocabulary), "test": _describe_texts(test, vocabulary)},
        "train": _describe_file(train),
        "test_file": _describe_file(test),
        "warnings": [
            *warnings_of(job),
            *_warnings_of_majority(majority, balanced=experiment.classify.class_weights is not None),
            *left_out(job, rows),
            *(
                f"The solver of {row.name} did not converge; its figures may be a little too low."
                for row in rows
                if not all(one.training.get("converged", True) for one in row.classifiers)
            ),
        ],
        "notes": _notes(job, rows),
    }
    writer.write_json(RESULTS_FILE, results)
    writer.write_json(EXAMPLES_FILE, telling_examples(rows, test))
    writer.write_text("comparison.csv", comparison_csv(results))
    writer.write_text("predictions.csv", answers_csv(rows, test))
    writer.write_text("comparison.md", comparison_markdown(results))
    writer.write_text("comparison.tex", comparison_latex(results))
    if curves:
        writer.write_text(CURVES_FILE, curves_csv(results))
    else:
        (writer.path / CURVES_FILE).unlink(missing_ok=True)  # of an earlier session
    _write_card(writer, results)
    return results


def _confusions(row: RowResult, train: LabelledCorpus, test: LabelledCorpus) -> dict[str, list[list[int]]]:
    """Counts summed over seeds, of all labelled texts (validation part included) and of the test texts.

    True classes are in rows, predicted ones in columns.
    """
    numbers = range(len(train.classes))
    each = {
        "train": [confusion_matrix(train.labels, one.train_predicted, labels=numbers) for one in row.classifiers],
        "test": [confusion_matrix(test.labels, one.predicted, labels=numbers) for one in row.classifiers],
    }
    return {role: sum(matrices).tolist() for role, matrices in each.items()}


def _majority(train: LabelledCorpus, test: LabelledCorpus) -> MajorityRecord:
    """How far one gets with the most frequent class of the training file, of equal ones the first."""
    most = int(np.bincount(train.labels, minlength=len(train.classes)).argmax())
    scores = classification_scores(test.labels, np.full(len(test), most), train.classes)
    return {
        "label": train.classes[most],
        "accuracy": scores.accuracy,
        "interval": list(scores.interval),
        "macro_f1": scores.macro.f1,
    }


def _warnings_of_majority(majority: MajorityRecord, *, balanced: bool) -> list[str]:
    """What accuracies are worth where most test texts are of one class."""
    if majority["accuracy"] < LARGE_MAJORITY:
        return []
    advice = "" if balanced else "; --set classify.class_weights=balanced weighs classes alike"
    share = f"{100 * majority['accuracy']:.0f} % of the test texts are of the class '{majority['label']}'"
    return [f"{share}: an accuracy means little beside that of the {MAJORITY}, macro F1 tells more{advice}."]


def _describe_file(texts: LabelledCorpus) -> FileRecord:
    return {"file": texts.path.name, "texts": len(texts), "cut": texts.cut}


def _describe_texts(texts: LabelledCorpus, vocabulary: Vocabulary | None) -> TextsRecord:
    lengths = texts.corpus.lengths
    counts = np.bincount(texts.labels, minlength=len(texts.classes)).tolist()
    return {
        **_describe_file(texts),
        "classes": dict(zip(texts.classes, counts, strict=True)),
        "tokens": texts.corpus.token_count,
        "lengths": {
            "mean": float(lengths.mean()),
            "median": float(np.median(lengths)),
            "p95": float(np.quantile(lengths, 0.95)),
            "max": int(lengths.max()),
        },
        "unknown_rate": vocabulary.oov(texts.corpus).rate if vocabulary else None,
    }


def warnings_of(job: Job) -> list[str]:
    """What a reader must know of a comparison, and what is known before anything is trained, a sentence each."""
    train, test = job.texts
    found = []
    if len(job.seeds) == 1:
        found.append(
            "One seed: the tests are of these very classifiers, and how much a seed alone changes is not known; "
            "--seeds 3 or more shows it."
        )
    for row in job.rows:
        rate = unknown_rate(row.unknown) or 0.0
        if row.note:
            found.append(f"{row.note}.")
        if rate > LITTLE_COVERAGE:
            found.append(f"{row.name} has no vector for {100 * rate:.0f} % of the test tokens{_lacking(row, rate)}.")
    seen = set(train.texts)
    if shared := sum(text in seen for text in test.texts):
        found.append(
            f"{shared} of {len(test)} test texts stand in the training file too: they favour rows that memorise."
        )
    if len(job.sizes[0].valid) < FEW_FOR_VALIDATION:
        found.append(
            f"Only {len(job.sizes[0].valid)} texts for validation, by which epochs, C, weights of n-grams, the best LM "
            "row and the strongest baseline are chosen."
        )
    if len({model.embedder.tokenizer for model in job.models}) > 1:
        found.append(
            "The LMs have different tokenizers, so each reads the texts cut in its own way; static rows and "
            f"{REFERENCE} read those of {job.models[0].name}."
        )
    return found


def _lacking(row: Row, rate: float) -> str:
    """Whether it is the vocabulary that lacks the tokens, where the file of a static row has vectors for them."""
    if "file" not in row.unknown:
        return ""
    whole = row.unknown["file"]["test"]
    lacked = 1 - whole["tokens_found"] / max(1, whole["tokens"])
    if rate - lacked < LITTLE_DIFFERENCE:
        return ""
    return f"; its file lacks {100 * lacked:.0f} %, the others are not in the vocabulary (--min-count)"


def _notes(job: Job, rows: Sequence[RowResult]) -> list[str]:
    """How the comparison was done, a sentence or two each."""
    settings, (train, test), whole = job.experiment.classify, job.texts, job.sizes[0]
    notes = [
        f"All rows share the same {len(whole.fit):,} of {len(train):,} labelled texts to train on and the same "
        f"{len(whole.valid):,} for validation, which choose the epoch; rows with embeddings share head and training "
        "budget too. No classifier and no vocabulary has seen a test text; what an embedding file was made from, it "
        "does not tell.",
        f"A classifier's seed ({', '.join(map(str, job.seeds))}) draws initial weights, dropout, order and frozen λ; "
        "the validation split does not change with it.",
        "Accuracy, macro F1 and validation are means over seeds; sd is over seeds, the 95 % interval over test texts.",
        "The baseline that rows are compared with and the best LM row were chosen on validation. Holm's correction is "
        "over all comparisons made: each row with that baseline, and the best LM row with each other row that is none.",
        f"A static row has vectors for those tokens of {job.models[0].name}'s vocabulary that its file holds"
        f"{', tuned as the LM is' if settings.tune else ', frozen as the LM is'}; all others share one unknown vector.",
        "Confusion matrices are summed over seeds; those of the training file include its validation part.",
    ]
    notes += [_reference_note(row) for row in rows if row.name == REFERENCE]
    if any(row.name == NGRAMS for row in rows):
        notes.append(
            f"A row with n-grams joins each of its classifiers' probabilities p with those of {NGRAMS}, q, to "
            "softmax(a ln p + b ln q), without training it anew; a and b are chosen on the validation part, which so "
            f"flatters these rows a little. {NGRAMS} are words, pairs of words and 2 to 5 characters within a word, "
            "lower-cased and weighted by sublinear TF-IDF, in a logistic regression that is fitted once on the same "
            "part as all rows, C chosen on the same validation part. Alone they are a reference, too."
        )
    if len(job.sizes) > 1:
        notes.append(
            "Learning curves: training and validation part shrink alike, in nested stratified subsets that are the "
            "same for all rows and seeds; test texts, LMs and embedding files stay the same, and so do epochs."
        )
    if any(one.training["activations"] == "float16" for row in rows for one in row.classifiers):
        notes.append("Layer activations were kept in float16, which rounds each by at most 0.05 %.")
    return [*notes, *(note for texts in (train, test) if (note := cut_note(texts, settings.max_tokens)))]


def _reference_note(row: RowResult) -> str:
    letters = row.classifiers[0].training.get("letters")
    found = "words, pairs and letters (2 to 5 in words)" if letters else "words and pairs of words, not letters"
    return (
        f"{row.name} is a reference, chosen neither as baseline nor as best row: sublinear TF-IDF of the same tokens "
        f"in a linear SVM, trained on the same part as all rows. The same validation part chose C, of "
        f"{', '.join(f'{value:g}' for value in GRID)}, and its features: {found}. Nothing in it is drawn, so one fit "
        "stands for all seeds, without an sd."
    )


def _write_card(writer: RunWriter, results: ComparisonResults) -> None:
    data = results["data"]
    write_card(
        writer,
        f"{writer.name}: a comparison of embeddings",
        results["conclusion"],
        {
            "training file": data["train"]["file"],
            "training texts": data["train"]["texts"],
            "test file": data["test"]["file"],
            "test texts": data["test"]["texts"],
            "seeds": ", ".join(map(str, results["seeds"])),
            "test of significance": results["test"],
        },
        {row["name"]: f"{100 * row['accuracy']:.2f} %" for row in results["rows"]},
        f'import json\n\nresults = json.load(open("{writer.name}/results.json"))',
    )
