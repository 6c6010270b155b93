"""Scores of tags: against seqeval in its default and its strict mode, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import accuracy_score, classification_report
from seqeval.scheme import IOB2

from elmo_cli.data.schemes import lenient_spans, write_tags
from elmo_cli.metrics.tagging import Confused, span_f1, tag_scores

TAGS = st.sampled_from(["O", "B-X", "I-X", "B-Y", "I-Y"])
PAIRS = st.lists(st.tuples(TAGS, TAGS), min_size=1, max_size=9)


def scores_of(truth: list[list[str]], predicted: list[list[str]], spans: bool = True):
    return tag_scores(truth, predicted, [np.ones(len(one), bool) for one in truth], spans=spans, resamples=100)


def check_against_seqeval(truth: list[list[str]], predicted: list[list[str]], **mode: object) -> None:
    ours = scores_of(truth, predicted)
    report = classification_report(truth, predicted, output_dict=True, zero_division=0, **mode)
    assert ours.accuracy == pytest.approx(accuracy_score(truth, predicted))
    micro = report.pop("micro avg", None)
    assert ours.spans is not None
    found = (ours.spans.precision, ours.spans.recall, ours.spans.f1)
    assert found == pytest.approx(tuple(micro[key] for key in ("precision", "recall", "f1-score")))
    assert span_f1(truth, predicted) == pytest.approx(micro["f1-score"])
    for one in ours.classes:
        theirs = report[one.label]
        assert (one.precision, one.recall, one.f1) == pytest.approx(
            (theirs["precision"], theirs["recall"], theirs["f1-score"])
        )
        assert one.support == theirs["support"]


@given(st.lists(PAIRS, min_size=1, max_size=4))
def test_spans_count_as_conlleval_counts_them(pairs: list[list[tuple[str, str]]]) -> None:
    truth, predicted = ([[pair[side] for pair in one] for one in pairs] for side in (0, 1))
    if any(lenient_spans(one) for one in (*truth, *predicted)):  # of none seqeval has no report
        check_against_seqeval(truth, predicted)
        # What is written keeps to its scheme, and of such tags the strict mode says the same.
        legal = [[write_tags(lenient_spans(one), len(one), "iob2") for one in side] for side in (truth, predicted)]
        check_against_seqeval(*legal, mode="strict", scheme=IOB2)


def test_scores_by_hand() -> None:
    truth = [["B-X", "I-X", "O", "B-Y"], ["O", "B-X"]]
    predicted = [["B-X", "I-X", "O", "B-X"], ["O", "O"]]
    known = [np.array([True, True, True, False]), np.array([True, False])]
    found = tag_scores(truth, predicted, known, spans=True)
    assert found.spans is not None
    assert (found.spans.right, found.spans.predicted, found.spans.true) == (1, 2, 3)
    assert found.spans.f1 == pytest.approx(0.4)
    assert (found.sentences, found.tokens, found.accuracy) == (2, 6, pytest.approx(4 / 6))
    assert (found.known.tokens, found.known.accuracy) == (4, 1.0)
    assert (found.unknown.tokens, found.unknown.accuracy) == (2, 0.0)
    assert [(one.label, one.support, one.recall) for one in found.classes] == [("X", 2, 0.5), ("Y", 1, 0.0)]
    assert found.confused == (Confused("B-Y", "B-X", 1), Confused("B-X", "O", 1))
    assert 0 <= found.interval[0] <= found.accuracy <= found.interval[1] <= 1


def test_plain_tags_have_classes_and_no_spans() -> None:
    found = scores_of([["DT", "NN"], ["NN"]], [["DT", "DT"], ["NN"]], spans=False)
    assert found.spans is None
    assert [(one.label, one.precision, one.recall) for one in found.classes] == [("DT", 0.5, 1.0), ("NN", 1.0, 0.5)]
    assert found.as_dict()["classes"][0]["label"] == "DT"


def test_intervals_are_of_sentences() -> None:
    """Sentences that are all right or all wrong spread more than their tokens would one by one."""
    right = [["NN"] * 20, ["DT"] * 20]
    truth, predicted = (
        right * 20,
        [[tag if number % 2 else "X" for tag in one] for number, one in enumerate(right * 20)],
    )
    low, high = scores_of(truth, predicted, spans=False).interval
    assert high - low > 0.2


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="differ"):
        scores_of([["NN"]], [["NN", "NN"]])
