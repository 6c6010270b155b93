"""Options of pretraining: each against its formula, and each resumed to the bit."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from test_checkpoint import SENTENCES, StopAt, experiment, lasting

from elmo_cli.config import PRESETS, Experiment, ModelSettings, PretrainSettings, load_experiment
from elmo_cli.embedder import StreamBatch
from elmo_cli.errors import ConfigError
from elmo_cli.events import Event, Finished, Saved, Step, Stopped, Validation
from elmo_cli.model.bilm import BiLm
from elmo_cli.model.encoder import TokenIds
from elmo_cli.model.kernel.layer import LstmState
from elmo_cli.model.mode import EXACT, Mode
from elmo_cli.runs import Run
from elmo_cli.training.optimiser import Average, Schedule, make_optimiser
from elmo_cli.training.pretrain import pretrain_run
from elmo_cli.training.step import accumulate_gradients, parameter_groups, training_mode

WORDS, ROWS, STEPS = 9, 3, 6
OPTIONS: dict[str, Any] = {
    "pretrain.accumulate": 3,
    "pretrain.word_dropout": 0.2,
    "model.weight_dropout": 0.3,
    "pretrain.activation_penalty": 2.0,
    "pretrain.temporal_penalty": 1.0,
    "pretrain.average": 0.8,
}


def network(seed: int = 0, **model: Any) -> BiLm:
    torch.manual_seed(seed)
    given = {"hidden_size": 5, "projection_size": 4, "softmax": "full", "dropout": 0.0, **model}
    return BiLm(ModelSettings.model_validate(given), WORDS).train()


def windows(count: int) -> list[StreamBatch]:
    """Batches of random ids with some sentences' beginnings and a tail that is masked."""
    generator = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randint(1, WORDS + 1, shape, generator=generator)

    found = []
    for number in range(count):
        mask = torch.ones(ROWS, STEPS, dtype=torch.bool)
        if number == count - 1:
            mask[1, 2:] = False
        reset = torch.rand(ROWS, STEPS, generator=generator) < 0.3
        found.append(StreamBatch(TokenIds(draw(2, ROWS, STEPS)), draw(2, ROWS, STEPS), reset, mask))
    return found


def gradients(model: BiLm) -> dict[str, torch.Tensor]:
    return {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}


def backward(model: BiLm, batches: list[StreamBatch], state: Any = None, mode: Mode = EXACT) -> Any:
    model.zero_grad()
    return accumulate_gradients(model, batches, state, mode)


# Accumulation


def test_accumulated_windows_are_one_larger_batch() -> None:
    """Gradients stop at the edges of windows, so two of them are rows that go on from their own states."""
    model = network().double()
    first, second = windows(2)
    found = backward(model, [first, second])
    accumulated = gradients(model)
    with torch.no_grad():
        state = model.stream_loss(*first, None).state
    begun = tuple(LstmState(*(torch.cat([torch.zeros_like(part), part], dim=1) for part in layer)) for layer in state)
    pairs = list(zip(first, second, strict=True))
    together = StreamBatch(
        TokenIds(torch.cat([one.ids for one in pairs[0]], dim=1)),
        torch.cat(pairs[1], dim=1),
        torch.cat(pairs[2]),
        torch.cat(pairs[3]),
    )
    whole = backward(model, [together], begun)
    assert found.steps == whole.steps == 2 * ROWS * STEPS - 4
    torch.testing.assert_close(found.loss, whole.loss)
    torch.testing.assert_close(found.sums, whole.sums)
    torch.testing.assert_close(gradients(model), accumulated)
    alone = network().double()
    backward(alone, [second], state)
    assert not torch.allclose(gradients(alone)["softmax.bias"], accumulated["softmax.bias"])


def test_a_step_takes_so_many_windows(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join(SENTENCES) + "\n")
    steps = {}
    for count in (1, 3):
        flags = {"pretrain.accumulate": count, "pretrain.epochs": 1}
        *_, last = pretrain_run(experiment(tmp_path / str(count), flags), [corpus], device="cpu")
        assert isinstance(last, Finished)
        steps[count] = last.results["steps"], last.results["tokens"]
    assert steps[3][0] == -(-steps[1][0] // 3)
    assert steps[3][1] == steps[1][1]


# Dropout and penalties


def test_dropped_words_are_dropped_whole() -> None:
    model, mode = network(), Mode(word_dropout=0.5)
    vectors = torch.ones(2, 40, 50, 4)
    dropped = model.token_vectors(vectors, mode)
    values = dropped.unique().tolist()
    assert values == [0.0, 2.0]
    assert torch.equal(dropped.amin(dim=-1), dropped.amax(dim=-1))
    assert float((dropped == 0).float().mean()) == pytest.approx(0.5, abs=0.05)
    assert torch.equal(model.eval().token_vectors(vectors, mode), vectors)


def test_recurrent_weights_are_dropped_once_a_window() -> None:
    model = network(weight_dropout=0.5)
    (batch,) = windows(1)
    batch[2].fill_(False)
    losses = {float(model.stream_loss(*batch, None).loss.detach()) for _ in range(4)}
    assert len(losses) == 4
    model.stream_loss(*batch, None).loss.backward()
    layer = model.lstm_layers[0]
    share = float((layer.recurrent.grad == 0).float().mean())
    assert 0.3 < share < 0.7  # the same connections at every step, or none would be left without a gradient
    assert not (layer.input.grad == 0).any()
    model.eval()
    assert len({float(model.stream_loss(*batch, None).loss.detach()) for _ in range(2)}) == 1


def test_penalties_by_hand() -> None:
    model = network(layers=2)
    (batch,) = windows(1)
    tokens, _, reset, mask = batch
    plain = model.stream_loss(*batch, None)
    assert plain.penalty is None
    mode = training_mode(PretrainSettings(activation_penalty=2.0, temporal_penalty=3.0), "float32", False)
    found = model.stream_loss(*batch, None, mode)
    assert torch.equal(found.loss, plain.loss)
    top = model.run(model.token_vectors(tokens), reset=reset)[0][-1].detach()  # (2, B, T, P)
    squares, changes = [], []
    for direction, row, step in itertools.product(range(2), range(ROWS), range(STEPS)):
        here = top[direction, row, step]
        if mask[row, step]:
            squares += here.square().tolist()
            if step and not reset[row, step]:
                changes += (here - top[direction, row, step - 1]).square().tolist()
    assert found.penalty is not None
    assert float(found.penalty.detach()) == pytest.approx(2.0 * np.mean(squares) + 3.0 * np.mean(changes), rel=1e-5)
    torch.testing.assert_close(backward(model, [batch], None, mode).loss, plain.loss.detach())
    penalised = gradients(model)
    backward(model, [batch])
    assert not torch.allclose(gradients(model)["lstm_layers.0.input"], penalised["lstm_layers.0.input"])


def test_the_temporal_penalty_is_on_what_was_not_dropped() -> None:
    model = network(dropout=0.5)
    (batch,) = windows(1)
    mode = Mode(temporal_penalty=1.0)
    torch.manual_seed(4)
    penalties = []
    for _ in range(2):
        undropped: list[torch.Tensor] = []
        torch.manual_seed(4)
        outputs, _ = model.run(model.token_vectors(batch[0]), reset=batch[2], undropped=undropped)
        torch.manual_seed(4)
        penalties.append(float(model.stream_loss(*batch, None, mode).penalty.detach()))  # type: ignore[union-attr]
    assert (outputs[-1] == 0).any()
    assert not (undropped[-1] == 0).any()
    inside = batch[3][:, 1:] & ~batch[2][:, 1:]
    change = undropped[-1].diff(dim=2)[:, inside]
    assert penalties == [pytest.approx(float(change.square().mean().detach()), rel=1e-5)] * 2


# Optimiser and average


def test_adagrad_is_that_of_bilm_tf() -> None:
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    optimiser = make_optimiser("adagrad", [{"params": [weight], "lr": 0.2, "weight_decay": 0.0}])
    expected, total = np.array([1.0, -2.0]), np.ones(2)
    for gradient in ([3.0, 0.5], [-1.0, 0.0]):
        weight.grad = torch.tensor(gradient)
        optimiser.step()
        total += np.square(gradient)
        expected -= 0.2 * np.array(gradient) / np.sqrt(total)
    np.testing.assert_allclose(weight.detach().numpy(), expected, rtol=1e-6)


def test_adagrad_brings_its_own_defaults() -> None:
    for preset in PRESETS:
        training = load_experiment(None, [f"preset={preset}", "pretrain.optimiser=adagrad"]).pretrain
        assert (training.learning_rate, training.weight_decay, training.clip_norm) == (0.2, 0.0, 10.0)
        schedule = Schedule(100, training.warmup, training.final_rate)
        assert {schedule.factor(step) for step in range(1, 101)} == {1.0}
    asked = load_experiment(None, ["pretrain.optimiser=adagrad", "pretrain.final_rate=0.1"]).pretrain
    assert Schedule(100, asked.warmup, asked.final_rate).factor(100) == pytest.approx(0.1)
    adam = load_experiment(None, ["preset=original", "pretrain.optimiser=adamw"]).pretrain
    assert adam.learning_rate == PretrainSettings().learning_rate
    assert adam.batch_size == 128
    with pytest.raises(ConfigError, match=r"weight_decay is 0\.1, but needs optimiser: adamw"):
        load_experiment(None, ["pretrain.optimiser=adagrad", "pretrain.weight_decay=0.1"])
    again = Experiment.model_validate(load_experiment(None, ["preset=original"]).model_dump())
    assert again.pretrain.learning_rate == 0.2


def test_the_average_by_hand() -> None:
    module = torch.nn.Linear(1, 1, bias=False)
    module.frozen = torch.nn.Parameter(torch.ones(1), requires_grad=False)
    average = Average(module.named_parameters(), 0.5)
    assert set(average.values) == {"weight"}
    expected = float(module.weight.detach())
    for step, value in enumerate((2.0, 5.0, -1.0, 4.0, 8.0, 1.0, 0.0, 3.0, 6.0), start=1):
        with torch.no_grad():
            module.weight.fill_(value)
        average.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    with average.in_force():
        assert float(module.weight.detach()) == pytest.approx(expected, rel=1e-6)
    assert float(module.weight.detach()) == 6.0
    assert float(average.values["weight"]) == pytest.approx(expected, rel=1e-6)


def test_averaged_weights_are_kept(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join(SENTENCES) + "\n")
    events: dict[float, list[Event]] = {}
    for decay in (0.0, 0.9):
        flags = {"pretrain.average": decay, "pretrain.epochs": 1, "pretrain.learning_rate": 0.05}
        events[decay] = []
        for event in pretrain_run(experiment(tmp_path / str(decay), flags), [corpus], device="cpu"):
            events[decay].append(event)
            if isinstance(event, Saved):
                writing = Run.open(tmp_path / str(decay) / "lm", unfinished=True, locked_by_us=True)
                tensors = writing.tensors(json.loads((writing.path / "state" / "state.json").read_text())["tensors"])
    losses = [[event.loss for event in found if isinstance(event, Step)] for found in events.values()]
    assert losses[0] == losses[1]  # what is trained is not what is averaged
    scores = [next(event.mean for event in found if isinstance(event, Validation)) for found in events.values()]
    assert scores[0] != scores[1]
    run = Run.open(tmp_path / "0.9" / "lm")
    kept = run.tensors()
    assert all(torch.equal(tensors[f"average.{name}"], value) for name, value in kept.items())
    assert not torch.equal(tensors["network.softmax.bias"], kept["softmax.bias"])
    assert run.results()["validation"]["mean"] == scores[1]


@pytest.mark.parametrize("optimiser", ["adamw", "adagrad"])
def test_all_options_are_resumed_to_the_bit(tmp_path: Path, optimiser: str) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join(SENTENCES) + "\n")
    flags = {**OPTIONS, "pretrain.optimiser": optimiser, "pretrain.epochs": 3}
    whole, parted = experiment(tmp_path / "whole", flags), experiment(tmp_path / "parted", flags)
    *_, last = pretrain_run(whole, [corpus], device="cpu")
    assert isinstance(last, Finished)
    assert last.results["steps"] > 14
    parts = []
    for stop in (2, 4, 1):
        parts.append(list(pretrain_run(parted, [corpus], device="cpu", resume=bool(parts), stop=StopAt(stop)))[-1])
    assert [type(part) for part in parts] == [Stopped] * 3
    assert isinstance(list(pretrain_run(parted, [corpus], device="cpu", resume=True))[-1], Finished)
    assert lasting(tmp_path / "parted" / "lm") == lasting(tmp_path / "whole" / "lm")
    plain = experiment(tmp_path / "plain", {"pretrain.optimiser": optimiser, "pretrain.epochs": 3})
    list(pretrain_run(plain, [corpus], device="cpu"))
    assert lasting(tmp_path / "plain" / "lm")[0] != lasting(tmp_path / "whole" / "lm")[0]


# Limited time


class Clock:
    """A clock on which every reading takes a tenth of a second."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.1
        return self.now


def test_the_time_decides_the_rate_and_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join(SENTENCES) + "\n")
    flags = {"pretrain.epochs": 500, "pretrain.patience": 500, "pretrain.max_minutes": 0.3}
    settings = experiment(tmp_path, flags)
    monkeypatch.setattr("elmo_cli.training.state.time", SimpleNamespace(perf_counter=Clock()))
    stopped = list(pretrain_run(settings, [corpus], device="cpu", stop=StopAt(12)))[-1]
    assert isinstance(stopped, Stopped)
    events = list(pretrain_run(settings, [corpus], device="cpu", resume=True))
    finished = events[-1]
    assert isinstance(finished, Finished)
    results = finished.results
    assert results["ended_by"] == "time"
    assert 0 < results["last_epoch_share"] <= 1
    assert 18 <= results["seconds"] < 25  # both sessions together
    assert results["epochs"] < 500
    validations = [event for event in events if isinstance(event, Validation)]
    assert validations[-1].epoch == results["epochs"]
    logged = [event["mean"] for event in Run.open(tmp_path / "lm").metrics() if "mean" in event]
    assert results["validation"]["mean"] == min(logged)
    steps = [event for event in events if isinstance(event, Step)]
    rates = [event.rate for event in steps]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.06 * settings.pretrain.learning_rate  # the cosine is at its end
    assert steps[-1].seconds_left == 0.0
    assert list(pretrain_run(settings, [corpus], device="cpu", resume=True))[-1] == finished  # nothing is left to do


def test_epochs_may_end_before_the_time(tmp_path: Path, run_elmo: Any) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join(SENTENCES) + "\n")
    arguments = ("pretrain", corpus, "--preset", "tiny", "--device", "cpu", "--out", tmp_path / "lm")
    done = run_elmo(*arguments, "--max-minutes", 60, "--optimiser", "adagrad", "--json")
    assert done.json["ended_by"] == "epochs"
    assert done.json["epochs"] == 2
    assert Run.open(tmp_path / "lm").settings["pretrain"]["optimiser"] == "adagrad"
    hurried = run_elmo(*arguments, "--max-minutes", 1e-6, "--overwrite")
    assert hurried.code == 0
    assert "the time it was given" in hurried.stdout
    results = Run.open(tmp_path / "lm").results()
    assert (results["steps"], results["epochs"], results["ended_by"]) == (1, 1, "time")
    refused = run_elmo(*arguments, "--max-minutes", 0, "--overwrite")
    assert refused.code == 2
    assert "max_minutes" in refused.stderr


def test_groups_of_all_optimisers_are_one_rule() -> None:
    model = network()
    groups = parameter_groups(model, PretrainSettings())
    assert [group["name"] for group in groups] == ["all", "all.bias"]
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
