"""Flags are settings: each by the setting's own name."""

from __future__ import annotations

from typing import get_type_hints

import pytest
from pydantic import BaseModel

from elmo_cli.commands.settings import Flags, resolve
from elmo_cli.config import Experiment
from elmo_cli.errors import ConfigError


def test_every_flag_names_a_setting() -> None:
    for section, flags in get_type_hints(Flags).items():
        settings = Experiment.model_fields[section].annotation
        if isinstance(settings, type) and issubclass(settings, BaseModel):
            assert set(get_type_hints(flags)) <= set(settings.model_fields), section


def test_flags_win_and_those_that_were_not_given_do_not() -> None:
    found = resolve(
        None, ["seed=3", "data.encoding=latin-1"], seed=7, preset="tiny", data={"text": [], "encoding": None}
    )
    assert (found.seed, found.preset, found.data.text, found.data.encoding) == (7, "tiny", (), "iso8859-1")


def test_a_flag_out_of_its_bounds_is_on_the_command_line() -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(None, None, classify={"label_smoothing": 2.0})
    assert caught.value.where == "the command line"
