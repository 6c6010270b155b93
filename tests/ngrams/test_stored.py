"""A branch as tensors: back as it was, and nothing that is not what it must be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ngramworld import CORPUS, fitted
from torch import Tensor

from elmo_cli.errors import WeightsError
from elmo_cli.ngrams.joint import NgramBranch
from elmo_cli.ngrams.stored import from_tensors, to_tensors
from elmo_cli.text.encoded import encode_tokens

WHERE = Path("run/ngrams.safetensors")
BRANCH = NgramBranch(fitted().classifier, (0.75, 0.5))


def test_a_branch_comes_back_as_it_was() -> None:
    back = from_tensors(to_tensors(BRANCH), 2, WHERE)
    shares = np.full((len(CORPUS), 2), 0.5, dtype=np.float32)
    np.testing.assert_array_equal(back.beside(shares, CORPUS), BRANCH.beside(shares, CORPUS))
    assert back.weights == BRANCH.weights
    assert back.classifier.features.words == BRANCH.classifier.features.words


def test_half_a_surrogate_pair_can_be_stored() -> None:
    corpus = encode_tokens([["\ud800x", "b"]] * 80)
    branch = NgramBranch(fitted(corpus=corpus).classifier, (0.5, 0.5))
    assert from_tensors(to_tensors(branch), 2, WHERE).classifier.features.words == ("\ud800x", "b")


def test_nothing_counted_can_be_stored() -> None:
    branch = NgramBranch(fitted(corpus=encode_tokens([[]] * 80)).classifier, (0.5, 0.5))
    assert len(from_tensors(to_tensors(branch), 2, WHERE).classifier.features) == 0


def put(name: str, change: Callable[[Tensor], Tensor]) -> Callable[[dict[str, Tensor]], object]:
    return lambda tensors: tensors.update({name: change(tensors[name])})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop("idf"), "lacks tensor idf"),
        (lambda tensors: tensors.update(more=torch.zeros(1)), "unknown tensor more"),
        (put("weights", Tensor.double), "weights of type torch.float64"),
        (put("weights", lambda old: old[:-1]), "weights of shape"),
        (put("weights", lambda old: old[:, :1]), "weights of shape"),
        (put("intercept", lambda old: old[None]), "intercept of shape"),
        (put("pairs", lambda old: old.flatten()), "pairs of shape"),
        (put("pairs", lambda old: old[0, 0]), "of shape"),
        (put("pairs", lambda old: old + 10_000), "pairs of words that are not there"),
        (put("pairs", lambda old: -old - 1), "pairs of words that are not there"),
        (put("pairs", lambda old: old.flip(0)), "out of order"),
        (put("idf", lambda old: old * torch.nan), "idf that are not finite"),
        (put("join", lambda old: -old), "weights -0.75 and -0.5"),
        (put("words", lambda old: torch.full_like(old, 255)), "words that are no UTF-8"),
        (put("words", lambda old: torch.cat([old, torch.zeros(1, dtype=torch.uint8), old])), "one of words twice"),
        (put("characters", lambda old: old[: int((old == 0).nonzero()[-1])]), "of shape"),
    ],
)
def test_what_does_not_fit_is_refused(change: Callable[[dict[str, Tensor]], object], message: str) -> None:
    tensors = to_tensors(BRANCH)
    change(tensors)
    with pytest.raises(WeightsError, match=message):
        from_tensors(tensors, 2, WHERE)
