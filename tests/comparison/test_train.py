"""Classifiers side by side: the same answers as one after the other, whatever becomes of the processes."""

from __future__ import annotations

import os
import signal
from concurrent.futures import BrokenExecutor
from multiprocessing import active_children
from typing import Any

import pytest
import torch
from compareworld import change

from elmo_cli.cluster import cores
from elmo_cli.comparison import train
from elmo_cli.comparison.compare import compare_run
from elmo_cli.config import Experiment
from elmo_cli.errors import ElmoError
from elmo_cli.events import ClassifierDone, Event, Finished, Notice, Stopped


def side_by_side(world: Experiment, **given: Any) -> list[Event]:
    return list(compare_run(change(world, "compare", jobs=2), **given))


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if key not in ("seconds", "created", "jobs")}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def results_of(events: list[Event]) -> Any:
    assert isinstance(events[-1], Finished)
    return without_times(events[-1].results)


def test_the_same_answers_as_one_after_the_other(world: Experiment) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, cores() // 2))  # as each process has
    try:
        single = results_of(list(compare_run(world, world.output / "single")))
    finally:
        torch.set_num_threads(threads)
    events = side_by_side(world)
    assert results_of(events) == single
    done = [event for event in events if isinstance(event, ClassifierDone)]
    assert [event.done for event in done] == list(range(1, 10))
    assert {event.total for event in done} == {9}


def test_a_process_that_is_lost_costs_nothing_but_time(world: Experiment) -> None:
    world = change(world, "compare", lambdas=("layer:0",))
    whole = results_of(side_by_side(world, out=world.output / "whole"))
    events, told = [], ""
    for event in compare_run(change(world, "compare", jobs=2)):
        events.append(event)
        if isinstance(event, ClassifierDone) and event.done == 1:
            os.kill(active_children()[0].pid, signal.SIGKILL)
        told += event.message if isinstance(event, Notice) else ""
    assert "ended early" in told
    assert results_of(events) == whole


def test_without_processes_the_classifiers_are_trained_here(world: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **more: object) -> None:
        raise BrokenExecutor("Resource temporarily unavailable")

    monkeypatch.setattr(train, "pool", refuse)
    assert isinstance(side_by_side(change(world, "compare", lambdas=("layer:0",), seeds=1))[-1], Finished)


def test_stopped_and_taken_up_again(world: Experiment) -> None:
    done = 0

    def stop() -> bool:
        return done >= 3

    events = []
    for event in compare_run(change(world, "compare", jobs=2), stop=stop):
        events.append(event)
        done += isinstance(event, ClassifierDone)
    assert isinstance(events[-1], Stopped)
    assert events[-1].step == done == 3
    events = side_by_side(world, resume=True)
    assert [event.done for event in events if isinstance(event, ClassifierDone)] == [4, 5, 6, 7, 8, 9]


def test_an_error_of_a_process_is_the_error_of_the_comparison(
    world: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a process reads the input anew, so it meets what has changed since
    start = train.pool

    def spoil(*arguments: Any, **more: Any) -> Any:
        assert world.data.test is not None
        world.data.test.write_text("label,text\nunknown,a b\n", encoding="utf-8")
        return start(*arguments, **more)

    monkeypatch.setattr(train, "pool", spoil)
    with pytest.raises(ElmoError, match="unknown"):
        side_by_side(world)
    assert not (world.output / "compare").exists()
