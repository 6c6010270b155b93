"""What is shown of a training's loss: the mean over predicted steps, whatever windows and checkpoints cut it into."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from types import SimpleNamespace

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


class Clock:
    """Stands still until it is moved."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("elmo_cli.training.state.time", SimpleNamespace(perf_counter=lambda: self.now))


def test_speed_and_time_left_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    state = TrainingState(epoch=2, step=10, tokens=700, seconds=50.0)
    counter = StepCounter(state, steps=20, remedy=REMEDY, max_minutes=2.0)
    clock.now += 4.0
    count(counter, (1.0, 30), (1.0, 30))
    event = counter.event(rate=0.25)
    assert (event.epoch, event.step, event.steps, event.tokens, event.rate) == (3, 12, 20, 760, 0.25)
    assert event.tokens_per_second == 60 / 4.0  # of this session, since the event before
    assert event.seconds_left == 4.0 * 8 / 2  # 8 steps as fast as the 2 of this session
    clock.now += 2.0
    count(counter, (1.0, 30))
    event = counter.event(rate=0.25)
    assert event.tokens_per_second == 30 / 2.0
    assert event.seconds_left == 6.0 * 7 / 3
    clock.now += 44.0
    count(counter, (1.0, 30))
    assert counter.seconds_since_save == 50.0
    assert counter.time_share == (50.0 + 50.0) / 120.0
    assert counter.event(rate=0.25).seconds_left == pytest.approx(20.0)  # the time is up before the steps are
    counter.settle()
    assert (state.seconds, counter.seconds_since_save) == (100.0, 0.0)
    clock.now += 40.0
    count(counter, (1.0, 30))
    assert counter.event(rate=0.25).seconds_left == 0.0
    counter.settle()
    assert state.seconds == 140.0


def test_a_later_epoch_may_have_a_step_more(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    counter = StepCounter(TrainingState(), steps=1, remedy=REMEDY)
    count(counter, (1.0, 1), (1.0, 1))
    event = counter.event(rate=0.1)
    assert (event.steps, event.seconds_left) == (2, 0.0)
    assert clock.now == 1000.0
    assert math.isfinite(event.tokens_per_second)  # though no time has passed


def test_a_hopeless_loss_is_told_all_the_same() -> None:
    counter = StepCounter(TrainingState(), steps=1, remedy=REMEDY)
    count(counter, (5000.0, 1))
    event = counter.event(rate=0.1)
    assert event.loss == 5000.0
    assert math.isfinite(event.perplexity)


def test_time_without_a_limit_costs_no_share() -> None:
    assert StepCounter(TrainingState(seconds=1e9), 10, REMEDY).time_share == 0.0
    assert StepCounter(TrainingState(seconds=30.0), 10, REMEDY, 1.0).time_share == pytest.approx(0.5, abs=0.01)
