"""What is shown of a training's loss: the mean over predicted steps, whatever windows and checkpoints cut it into."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import pytest
import torch

from elmo_cli.errors import ElmoError
from elmo_cli.training.state import StepCounter, TrainingState

REMEDY = "lower the rate"


def count(counter: StepCounter, *steps: tuple[float, int]) -> None:
    for loss, tokens in steps:
        counter.count(torch.tensor(loss), tokens)


def test_a_step_weighs_as_much_as_it_predicts() -> None:
    """(99 · 2 + 1 · 4) / 100 = 2.02: the last window of an epoch, with one step in it, hardly counts."""
    counter = StepCounter(TrainingState(), steps=10, remedy=REMEDY)
    count(counter, (2.0, 99), (4.0, 1))
    event = counter.event(rate=0.1)
    assert event.loss == pytest.approx(2.02, rel=1e-12)
    assert event.perplexity == pytest.approx(math.exp(2.02), rel=1e-12)
    assert (event.step, event.tokens) == (2, 100)
    count(counter, (3.0, 7))  # what was shown before counts no more
    assert counter.event(rate=0.1).loss == 3.0


def test_a_checkpoint_between_steps_changes_no_bit() -> None:
    generator = torch.Generator().manual_seed(1)
    losses = (8 * torch.rand(9, generator=generator)).tolist()
    steps = list(zip(losses, [37, 41, 3, 40, 1, 39, 40, 38, 5], strict=True))
    whole = StepCounter(TrainingState(), steps=9, remedy=REMEDY)
    count(whole, *steps)
    expected = whole.event(rate=0.1).loss
    for place in range(1, 9):
        stopped = TrainingState()
        before = StepCounter(stopped, steps=9, remedy=REMEDY)
        count(before, *steps[:place])
        before.settle()
        resumed = StepCounter(TrainingState(**json.loads(json.dumps(asdict(stopped)))), steps=9, remedy=REMEDY)
        count(resumed, *steps[place:])
        assert resumed.event(rate=0.1).loss == expected


def test_a_loss_that_is_no_number_ends_the_training() -> None:
    counter = StepCounter(TrainingState(), steps=2, remedy=REMEDY)
    count(counter, (2.0, 5), (math.nan, 1))
    with pytest.raises(ElmoError, match="diverged: the loss before step 2 is nan") as caught:
        counter.event(rate=0.1)
    assert caught.value.remedy == REMEDY


def test_time_without_a_limit_costs_no_share() -> None:
    assert StepCounter(TrainingState(seconds=1e9), 10, REMEDY).time_share == 0.0
    assert StepCounter(TrainingState(seconds=30.0), 10, REMEDY, 1.0).time_share == pytest.approx(0.5, abs=0.01)
