"""YAML that PyYAML itself does not survive, as a file and on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from elmo_cli.config import load_experiment
from elmo_cli.config.yaml_text import load_yaml
from elmo_cli.errors import ConfigError

LAUGHS = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{one}: &{one} [{', '.join([f'*{before}'] * 10)}]\n" for before, one in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("2026-13-45", "'2026-13-45' cannot be read"),
        ("0b_", "'0b_' cannot be read"),
        ("1" * 9999, "cannot be read"),
        ("[" * 9999, "nested too deeply"),
        ("&a [*a]", "within itself"),
        ("010", "leading zero"),
        ("1:99999999999:-", ""),
    ],
)
def test_values_that_are_none(tmp_path: Path, value: str, problem: str) -> None:
    path = tmp_path / "elmo.yaml"
    path.write_text(f"data:\n  limit: {value}\n")
    for config, assignments in ((path, []), (None, [f"data.limit={value}"])):
        with pytest.raises(ConfigError) as caught:
            load_experiment(config, assignments)
        assert problem in caught.value.message
        assert caught.value.where


@pytest.mark.parametrize("text", ["1:30", "190:20:30", "1:30.5", "-1:30"])
def test_what_yaml_counts_in_sixties_is_text(text: str) -> None:
    assert load_yaml(f"a: {text}\nb: 90\nc: 1.5\n") == {"a": text, "b": 90, "c": 1.5}
    with pytest.raises(ConfigError, match="max_minutes"):
        load_experiment(None, [f"pretrain.max_minutes={text}"])


def test_aliases_are_not_expanded_to_gigabytes() -> None:
    with pytest.raises(yaml.YAMLError, match="more than 1,000,000 values"):
        load_yaml(LAUGHS)
    assert load_yaml("a: &x {b: 1}\nc: {<<: *x, d: 2}\n") == {"a": {"b": 1}, "c": {"b": 1, "d": 2}}


@pytest.mark.parametrize("given", ["{yes: 2, 1.0: 3, 'a,b': 0.5}", "yes=2,1.0=3,a,b=0.5"])
def test_labels_are_text_as_weights(given: str) -> None:
    weights = load_experiment(None, [f"classify.class_weights={given}"]).classify.class_weights
    assert weights == {"yes": 2.0, "1.0": 3.0, "a,b": 0.5}
