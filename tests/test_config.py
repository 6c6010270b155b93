"""Settings resolve in one order, and a mistake is named with its place and its remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from elmo_cli.config import PRESET_PURPOSES, PRESETS, CompareSettings, Experiment, PretrainSettings, load_experiment
from elmo_cli.config.loading import nest
from elmo_cli.errors import ConfigError, ElmoError, nearest, nearest_file


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(text: str, name: str = "elmo.yaml") -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("tokens", "rows"), [(0, 8), (94_000, 8), (921_599, 8), (921_600, 16), (3_686_400, 32), (10**11, 32)]
)
def test_the_corpus_decides_how_many_rows_the_stream_has(tokens: int, rows: int) -> None:
    assert PretrainSettings().for_corpus(tokens).batch_size == rows
    assert PretrainSettings(batch_size=5).for_corpus(tokens).batch_size == 5
    assert PretrainSettings().rows == 32


def test_defaults_are_the_small_preset() -> None:
    assert load_experiment() == Experiment.model_validate(PRESETS["small"])


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_valid_and_has_a_purpose(preset: str) -> None:
    assert load_experiment(flags={"preset": preset}).preset == preset
    assert set(PRESET_PURPOSES) == set(PRESETS)


def test_later_sources_win() -> None:
    write("preset: tiny\npretrain: {epochs: 3, window: 7}\nseed: 5\n")
    resolved = load_experiment(None, ["pretrain.epochs=4", "seed=6"], {"seed": 7, "pretrain.window": None})
    assert resolved.model.hidden_size == PRESETS["tiny"]["model"]["hidden_size"]
    assert (resolved.pretrain.epochs, resolved.pretrain.window, resolved.seed) == (4, 7, 7)


def test_a_preset_given_as_a_flag_replaces_that_of_the_file() -> None:
    write("preset: tiny\nseed: 5\n")
    resolved = load_experiment(flags={"preset": "base"})
    assert resolved.model.hidden_size == PRESETS["base"]["model"]["hidden_size"]
    assert resolved.seed == 5


def test_paths_of_a_settings_file_are_relative_to_it() -> None:
    path = write("data: {train: a.csv, corpus: [b.txt, c.txt], text: Text}\noutput: out\n", "deep/elmo.yaml")
    resolved = load_experiment(path)
    assert resolved.data.train == Path("deep/a.csv")
    assert resolved.data.corpus == (Path("deep/b.txt"), Path("deep/c.txt"))
    assert resolved.output == Path("deep/out")
    assert resolved.data.text == ("Text",)


def test_single_values_stand_for_lists() -> None:
    assert load_experiment(None, ["compare.baselines=w2v.txt"]).compare.baselines == (Path("w2v.txt"),)


def test_an_empty_settings_file_is_fine() -> None:
    write("# nothing yet\n")
    assert load_experiment() == load_experiment(flags={"preset": "small"})


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("pretrain:\n  epochs: 3\n  batchsize: 4\n", ["'pretrain.batchsize'", "line 3, column 3", "'batch_size'"]),
        ("pretrian:\n  epochs: 3\n", ["'pretrian'", "line 1, column 1", "'pretrain'"]),
        ("pretrain:\n  epochs: 0\n", ["pretrain.epochs is 0", "greater than or equal to 1", "line 2, column 3"]),
        ("pretrain:\n  epochs: many\n", ["pretrain.epochs is 'many'", "valid integer", "line 2"]),
        ("preset: smal\n", ["no preset 'smal'", "'small'"]),
        ("a: [1\nb: 2\n", ["not YAML", "line 2"]),
        ("- a\n- b\n", ["holds a list", "sections"]),
        (
            "classify: {lambdas: learned}\n",
            ["'learned'", "'trainable', 'frozen', 'function' or 'layer:N'", "line 1, column"],
        ),
        ("model: {tie: true, encoder: char}\n", ["tie needs encoder"]),
        ("seed: .nan\n", ["seed"]),
        ("pretrain:\n  epochs: 3\n  epochs: 4\n", ["'epochs' stands twice, first on line 2", "line 3, column 3"]),
        ("1: 3\n", ["unknown key '1'", "line 1, column 1", "choose from: preset"]),
        ("pretrain: 3\n", ["pretrain is 3", "a section with keys", "line 1, column 1"]),
        ("data:\n  train: 3\n", ["data.train is 3", "the path of a file", "labelled training file"]),
        ("model: {characters: {filters: [[1]]}}\n", ["model.characters.filters", "lacks a part", "(width, count)"]),
        ("model: {encoder: chars}\n", ["model.encoder is 'chars'", "did you mean 'char'?"]),
    ],
)
def test_mistakes_in_a_settings_file(text: str, fragments: list[str]) -> None:
    write(text)
    with pytest.raises(ConfigError) as caught:
        load_experiment()
    for fragment in fragments:
        assert fragment in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("assignment", "fragment"),
    [
        ("epochs", "expected: key=value"),
        ("pretrain.epoch=3", "'epochs'"),
        ("a={", "not a YAML value"),
        ("pretrain.epochs=0", "where: the command line"),
        ("pretrain.epochs.x=0", "where: the command line"),
        ("preset=tinny", "where: the command line"),
    ],
)
def test_mistakes_in_assignments(assignment: str, fragment: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_experiment(None, [assignment])
    assert fragment in str(caught.value)


def test_a_missing_or_unreadable_settings_file() -> None:
    with pytest.raises(ConfigError, match="no settings file"):
        load_experiment(Path("absent.yaml"))
    Path("latin.yaml").write_bytes(b"seed: \xff")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_experiment(Path("latin.yaml"))


def test_nesting_of_dotted_keys() -> None:
    assert nest({"a.b": 1, "a.c": 2, "d": 3, "e": None}) == {"a": {"b": 1, "c": 2}, "d": 3, "e": None}


def test_an_assignment_of_null_is_one(tmp_path: Path) -> None:
    write("preset: tiny\nmodel: {projection_size: 8}\n")
    assert load_experiment(None, ["model.cell_clip=null", "model.projection_size="]).model.cell_clip is None
    assert load_experiment(None, ["model.projection_size="]).model.projection_size is None
    with pytest.raises(ConfigError, match=r"pretrain\.epochs is None"):
        load_experiment(None, ["pretrain.epochs="])


def test_an_error_tells_what_where_and_what_to_do() -> None:
    error = ElmoError("it broke", where=Path("f.csv"), expected="a whole one", remedy="mend it")
    assert str(error) == "it broke\n  where: f.csv\n  expected: a whole one\n  what to do: mend it"
    assert str(ElmoError("it broke")) == "it broke"


def test_the_nearest_name() -> None:
    assert nearest("Epoch", ["epochs", "seed"]) == "did you mean 'epochs'?"
    assert nearest("zzz", ["epochs", "seed"]) == "choose from: epochs, seed"
    assert nearest("zzz", []) == "there is nothing to choose from"


def test_the_nearest_file_of_a_folder_without_any(tmp_path: Path) -> None:
    assert nearest_file(tmp_path / "zzz.txt") == f"there are no files in {tmp_path.resolve()}: check the path"
    (tmp_path / "a.txt").touch()
    assert nearest_file(tmp_path / "q") == "choose from: a.txt"
    (tmp_path / ".a.txt.lock").touch()
    assert nearest_file(tmp_path / "q") == "choose from: a.txt"
    assert nearest_file(tmp_path / ".a.txt.lok") == "did you mean '.a.txt.lock'?"
    hint = nearest_file(tmp_path / "zzz", folders=True)
    assert hint == f"there are no folders in {tmp_path.resolve()}: check the path"


@pytest.mark.parametrize("given", ["trainable,layer:1", ["trainable", "layer:1"], ["trainable, layer:1"]])
def test_modes_of_a_comparison_may_stand_with_commas(given: object) -> None:
    assert CompareSettings.model_validate({"lambdas": given}).lambdas == ("trainable", "layer:1")
