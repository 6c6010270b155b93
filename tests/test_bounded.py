"""What descriptions may ask for: how deep, how long, how large."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from elmo_cli.config import load_experiment
from elmo_cli.config.bounded import load_json, read_text
from elmo_cli.config.yaml_text import load_yaml
from elmo_cli.errors import ConfigError, DataError


def test_aliases_do_not_make_what_is_flat_deep() -> None:
    names = [f"a{number}" for number in range(300)]
    chain = "a0: &a0 [1]\n" + "".join(f"{one}: &{one} [*{before}]\n" for before, one in pairwise(names))
    with pytest.raises(yaml.YAMLError, match="nested too deeply"):
        load_yaml(chain)
    assert load_yaml("[" * 90 + "]" * 90)


@pytest.mark.parametrize(
    "assignment",
    [
        "a." * 3000 + "b=1",
        "seed=" + "[" * 3000,
        "seed=" + "[" * 90 + "]" * 90,
        "seed=" + "{a: " * 90 + "}" * 90,
        "a" * 9999,
    ],
    ids=["dots", "open", "lists", "mappings", "no value"],
)
def test_an_assignment_that_is_deep_or_long_is_named_in_short(assignment: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_experiment(None, [assignment])
    assert len(str(caught.value)) < 1000
    assert caught.value.where == "the command line"


def test_a_message_is_no_file() -> None:
    error = DataError("a" * 10**6, where="b" * 10**6, expected="c" * 10**6, remedy="d" * 10**6)
    assert len(str(error)) < 20_000
    assert len(error.args[0]) < 5000


def test_json_that_is_deep_is_a_value_error() -> None:
    for text in ("[" * 100_000, '{"a":' * 100_000):
        with pytest.raises(ValueError, match="nested too deeply"):
            load_json(text)
    assert load_json(b'{"a": [1]}') == {"a": [1]}


def test_a_text_has_an_end(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"\xc3\xbc\r\nb")
    assert read_text(path, 5) == "ü\nb"
    with pytest.raises(OSError, match="more than 4 bytes"):
        read_text(path, 4)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("model.layers", 10**7), ("model.hidden_size", 10**12), ("model.projection_size", 10**12),
        ("model.embedding_size", 10**12), ("model.characters.highway_layers", 10**7),
        ("model.characters.max_characters", 10**9), ("model.characters.filters", "[[1, 1000000000000]]"),
        ("classify.hidden_size", 10**12), ("tag.lstm_size", 10**12),
    ],
)  # fmt: skip
def test_sizes_beyond_any_model_are_refused(setting: str, value: object) -> None:
    with pytest.raises(ConfigError, match="less than or equal to"):
        load_experiment(None, [f"{setting}={value}"])
