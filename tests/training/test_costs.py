"""What a pretraining costs, before it starts; and which of the faster ways it therefore takes."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch

from elmo_cli.commands.options import Preset as PresetOption
from elmo_cli.config import (
    PRESET_PURPOSES,
    PRESETS,
    Experiment,
    ModelSettings,
    PretrainSettings,
    load_experiment,
)
from elmo_cli.errors import ConfigError
from elmo_cli.events import Event, Finished, Notice, Saved
from elmo_cli.model.bilm import BiLm
from elmo_cli.model.kernel import native_library
from elmo_cli.training import costs
from elmo_cli.training.costs import (
    estimate,
    memory_of,
    operations,
    pick_precision,
    refuse_too_large,
    step_multiplications,
    vocabulary_parameters,
)
from elmo_cli.training.pretrain import IN_TORCH, OTHER_BITS, pretrain_run

# Parameters of encoder and LSTM layers, without the tables of embedding and softmax: those grow with the vocabulary.
PRESET_SIZES = {"tiny": 33_280, "small": 2_101_248, "base": 9_453_568, "original": 93_600_864}
CHARACTERS = {"filters": [[1, 3], [2, 5]], "dim": 4}
MODELS: list[dict[str, Any]] = [
    {"softmax": "full"},
    {"softmax": "sampled", "embedding_size": 5, "projection_size": 6},
    {"softmax": "full", "tie": True, "layers": 3},
    {"softmax": "adaptive"},
    {"softmax": "adaptive", "cutoffs": [10, 30]},
    {"encoder": "char", "characters": CHARACTERS, "projection_size": 6},
    {"encoder": "char", "characters": CHARACTERS},  # as wide as the filters
    {"encoder": "word+char", "characters": CHARACTERS, "embedding_size": 3},
]


def settings(**model: Any) -> ModelSettings:
    return ModelSettings.model_validate({"hidden_size": 8, **model})


def parameter_count(model: ModelSettings, words: int) -> int:
    return estimate(model, PretrainSettings(), words).parameters


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("words", [50, 41_000])
def test_parameters_are_counted_without_building(model: dict[str, Any], words: int) -> None:
    network = BiLm(settings(**model), words)
    assert parameter_count(settings(**model), words) == sum(weight.numel() for weight in network.parameters())


@pytest.mark.parametrize(
    ("model", "embedding", "softmax"),
    [
        ({"softmax": "full"}, 51 * 8, 50 * 9),
        ({"softmax": "full", "tie": True}, 51 * 8, 50),
        ({"softmax": "full", "encoder": "char"}, 0, 50 * 9),
        ({"softmax": "full", "encoder": "word+char", "embedding_size": 3}, 51 * 3, 50 * 9),
        ({"cutoffs": [10]}, 51 * 8, 11 * 9 + 8 * 4 + 40 * 5),
    ],
)
def test_what_a_vocabulary_costs_counted_by_hand(model: dict[str, Any], embedding: int, softmax: int) -> None:
    assert vocabulary_parameters(settings(**model), 50) == {"embedding": embedding, "softmax": softmax}


@pytest.mark.parametrize("preset", PRESETS)
def test_sizes_of_the_presets_are_those_that_are_told(preset: str, run_elmo: Any) -> None:
    experiment = load_experiment(None, [f"preset={preset}"])
    model = experiment.model.model_copy(update={"softmax": "full"})
    words = 1000
    table = 0 if model.encoder == "char" else (words + 1) * model.token_size
    size = parameter_count(model, words) - table - words * (model.token_size + 1)
    assert size == PRESET_SIZES[preset]
    shown = f"{size / 1e6:.1f} M" if size > 1e6 else f"{size / 1e3:.0f} k"
    help_text = PresetOption.__metadata__[0].help
    assert f"{preset} {shown}" in help_text
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "pretrain.md").read_text(encoding="utf-8")
    assert f"| `{preset}` | {shown} |" in page
    assert PRESET_PURPOSES[preset].split(":")[0] in page


def test_the_original_is_that_of_bilm_tf() -> None:
    experiment = load_experiment(None, ["preset=original"])
    assert PRESET_SIZES["original"] == pytest.approx(93.6e6, rel=1e-4)  # as Peters et al. publish it
    assert sum(count for _, count in experiment.model.characters.filters) == 2048
    training = experiment.pretrain
    assert (training.optimiser, training.learning_rate, training.clip_norm) == ("adagrad", 0.2, 10.0)
    assert (training.window, training.batch_size, training.epochs, training.final_rate) == (20, 128, 10, 1.0)


def test_needs_by_hand() -> None:
    model, training = settings(softmax="full"), PretrainSettings(batch_size=2, window=3)
    count = parameter_count(model, 50)
    needs = estimate(model, training, 50)
    assert needs.weights == 4 * 4 * count  # weight, gradient and two moments
    assert needs.disk == 4 * (2 * count + 2 * 3 * count)
    places = 2 * 2 * 3
    layers = 2 * places * (4 * 8 + 2 * 8 + 2 * 8)
    assert needs.activations == 4 * (layers + places * 4 * 8 + 2**22 + 3 * places * 8)
    leaner = estimate(model, training.model_copy(update={"optimiser": "adagrad"}), 50)
    assert leaner.weights == 4 * 3 * count
    heavier = estimate(model, training.model_copy(update={"average": 0.9}), 50)
    assert heavier.weights == 4 * 5 * count
    frozen = estimate(settings(softmax="full", freeze_embeddings=True), training, 50)
    assert frozen.weights == 4 * (4 * count - 3 * 51 * 8)


def test_needs_of_characters_by_hand() -> None:
    """2 rows and 3 steps make 12 places of 7 characters, whose widest image is that of the 5 filters of 2."""
    characters = {"filters": [[1, 3], [2, 5]], "dim": 4, "max_characters": 7, "highway_layers": 2}
    given = {"encoder": "char", "characters": characters, "projection_size": 6, "softmax": "full", "layers": 1}
    model, training = settings(**given), PretrainSettings(batch_size=2, window=3)
    layer = 12 * (4 * 8 + 2 * 8 + 8 + 2 * 6)
    rest = 12 * 4 * 8 + 2**22 + 3 * 12 * 6

    def words(count: int) -> int:
        return count * (7 * 4 + 5 * 6 + (3 + 5) * 4 * 2)

    assert estimate(model, training, 50).activations == 4 * (layer + rest + words(12))
    assert estimate(model, training, 9).activations == 4 * (layer + rest + words(9))  # no more than there are
    needs = estimate(model, training, 50)
    assert needs.memory == needs.weights + needs.activations


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_what_does_not_fit_is_refused_before_the_work(
    tmp_path: Path, run_elmo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("a b c\nb c a\n" * 20)
    arguments = ("pretrain", corpus, "--preset", "tiny", "--device", "cpu", "--out", tmp_path / "lm")
    monkeypatch.setattr(costs, "memory_of", lambda device: 10_000_000)
    refused = run_elmo(*arguments)
    assert refused.code == 2
    assert "M parameters needs about" in refused.stderr
    assert "at most 10.0 MB" in refused.stderr
    assert "pretrain.batch_size" in refused.stderr
    monkeypatch.undo()
    monkeypatch.setattr(shutil, "disk_usage", lambda place: Usage(10**6, 10**6 - 1000, 1000))
    refused = run_elmo(*arguments)
    assert refused.code == 1
    assert "0.0 MB are free" in refused.stderr
    assert "--out" in refused.stderr
    assert not (tmp_path / "lm").exists()
    monkeypatch.undo()
    assert run_elmo(*arguments, "--epochs", 1).code == 0


def test_what_lies_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, training = settings(softmax="full"), PretrainSettings(batch_size=2, window=3)
    needs = estimate(model, training, 50)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: Usage(10**9, 0, needs.disk - 10))
    device = torch.device("cpu")
    out = tmp_path / "lm"
    with pytest.raises(costs.ElmoError, match="on the disk"):
        refuse_too_large(model, training, 50, out, device)
    out.mkdir()
    (out / "file").write_bytes(b"0123456789")
    refuse_too_large(model, training, 50, out, device)


@pytest.mark.parametrize(
    ("memory", "shown"),
    [(99_900_000, "99.9 MB"), (100_000_000, "0.1 GB"), (1_234_000, "1.2 MB"), (0, "0.0 MB")],
)
def test_what_fits_to_the_byte_is_let_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: int, shown: str
) -> None:
    model, training, device = (
        settings(softmax="full"),
        PretrainSettings(batch_size=5000, window=100),
        torch.device("cpu"),
    )
    needs = estimate(model, training, 50)
    for room in (needs.memory, None):
        monkeypatch.setattr(costs, "memory_of", lambda device, room=room: room)
        refuse_too_large(model, training, 50, tmp_path / "lm", device)
    for room, expected in ((needs.memory - 1, f"at most {needs.memory / 1e9:,.1f} GB"), (memory, f"at most {shown}")):
        monkeypatch.setattr(costs, "memory_of", lambda device, room=room: room)
        with pytest.raises(ConfigError, match="M parameters needs about") as caught:
            refuse_too_large(model, training, 50, tmp_path / "lm", device)
        assert caught.value.expected == f"{expected}, which cpu has"
    assert caught.value.message.startswith(f"training {needs.parameters / 1e6:,.1f} M parameters")
    assert f"{needs.weights / 1e6:,.1f} MB for weights" in caught.value.message


def test_the_smallest_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [tmp_path / name for name in ("none", "max", "small", "smaller")]
    for path, content in zip(limits[1:], ("max\n", "70000\n", "60000\n"), strict=True):
        path.write_text(content)
    monkeypatch.setattr("elmo_cli.cluster._CGROUPS", tuple(map(str, limits)))
    assert memory_of(torch.device("cpu")) == 60_000


def test_a_gpu_tells_its_memory_and_whether_it_multiplies_bfloat16_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(total_memory=12_345))
    assert memory_of(cuda) == 12_345
    for own, precision in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr(
            torch.cuda, "is_bf16_supported", lambda including_emulation, own=own: own or including_emulation
        )
        assert pick_precision("auto", 1, cuda) == precision


def test_this_machine_has_memory() -> None:
    memory = memory_of(torch.device("cpu"))
    assert memory is None or memory > 2**28


# Precision and the loop

SMALL, TINY = ModelSettings(hidden_size=256), ModelSettings(hidden_size=32)


def test_products_of_a_token_counted_by_hand() -> None:
    # input 4 -> 32, recurrent 4 -> 32, projection 8 -> 4; a multiplication and an addition each; 2 layers, 2 directions
    assert operations(ModelSettings(hidden_size=8, projection_size=4)) == 2 * 2 * 2 * (4 * 32 + 4 * 32 + 8 * 4)
    assert operations(ModelSettings(hidden_size=8, layers=1)) == 2 * 2 * (8 * 32 + 8 * 32)


@pytest.mark.parametrize("native", [True, False])
def test_a_precision_that_was_asked_for_is_taken(native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "bfloat16_is_native", lambda: native)
    for choice in ("float32", "bfloat16"):
        assert pick_precision(choice, step_multiplications(TINY, 32), "cpu") == choice


def test_auto_is_bfloat16_where_it_is_native_and_products_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "packing_pays", lambda device, dtype, count: count >= 1 << 20)
    monkeypatch.setattr(costs, "bfloat16_is_native", lambda: True)
    assert pick_precision("auto", step_multiplications(SMALL, 32), "cpu") == "bfloat16"
    assert pick_precision("auto", step_multiplications(TINY, 32), "cpu") == "float32"
    monkeypatch.setattr(costs, "bfloat16_is_native", lambda: False)
    assert pick_precision("auto", step_multiplications(SMALL, 32), "cpu") == "float32"


def run(folder: Path, resume: bool = False, steps: int | None = None) -> list[Event]:
    """Some steps of a training, then the rest of it on resuming."""
    corpus = folder / "corpus.txt"
    corpus.write_text("the cat sat on the mat\na dog saw one cat\n" * 20, encoding="utf-8")
    experiment = Experiment.model_validate(
        {
            "output": folder / "runs",
            "vocab": {"min_count": 1},
            "model": {"hidden_size": 16, "softmax": "full"},
            "pretrain": {"epochs": 1, "batch_size": 2, "window": 8, "valid_fraction": 0.1},
        }
    )
    left = [steps]

    def stop() -> bool:
        if left[0] is not None:
            left[0] -= 1
        return left[0] is not None and left[0] < 0

    return list(pretrain_run(experiment, [corpus], device="cpu", resume=resume, stop=stop))


@pytest.fixture
def wanted(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each step asked for the loop in C++."""
    asked = []

    def recording(self: BiLm, *arguments: Any) -> Any:
        *given, mode = arguments
        asked.append(mode.native_loop)
        return stream_loss(self, *given, replace(mode, precision="float32", native_loop=False))

    stream_loss = BiLm.stream_loss
    monkeypatch.setattr(BiLm, "stream_loss", recording)
    return asked


@pytest.mark.parametrize("way", [("bfloat16", True), ("float32", False)])
def test_a_resumed_training_goes_the_way_it_began(
    tmp_path: Path, wanted: list[bool], way: tuple[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    precision, in_cpp = way
    monkeypatch.setattr("elmo_cli.training.pretrain.pick_precision", lambda *given: precision)
    monkeypatch.setattr(BiLm, "can_run_native", lambda *given: in_cpp)
    assert isinstance(run(tmp_path, steps=3)[-2], Saved)
    monkeypatch.setattr("elmo_cli.training.pretrain.pick_precision", lambda *given: "float32")
    monkeypatch.setattr(BiLm, "can_run_native", lambda *given: not in_cpp)
    last = run(tmp_path, resume=True)[-1]
    assert isinstance(last, Finished)
    assert (last.results["precision"], last.results["native_loop"]) == way
    assert wanted == [in_cpp] * last.results["steps"]


@pytest.mark.usefixtures("wanted")
def test_what_stands_in_the_way_of_the_loop_in_cpp_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BiLm, "can_run_native", lambda *given: True)
    monkeypatch.setattr(native_library, "obstacle", lambda: None)
    said = [event.message for event in run(tmp_path, steps=3) if isinstance(event, Notice)]
    assert not [message for message in said if message.startswith(IN_TORCH)]
    monkeypatch.setattr(native_library, "obstacle", lambda: "there is no compiler")
    said = [event.message for event in run(tmp_path, resume=True) if isinstance(event, Notice)]
    assert f"{IN_TORCH}: there is no compiler" in said
    assert OTHER_BITS in said
