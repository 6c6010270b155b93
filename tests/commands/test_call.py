"""A command's options become settings, each by the setting's own name; those that all commands have are theirs."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from elmo_cli.commands.app import app
from elmo_cli.commands.call import Call
from elmo_cli.commands.options import COMMON
from elmo_cli.commands.render import Output
from elmo_cli.config import Experiment
from elmo_cli.errors import ConfigError

COMMANDS = sorted((Path(__file__).resolve().parent.parent.parent / "elmo_cli" / "commands").glob("*.py"))


def call(*assignments: str) -> Call:
    made = Call(typer.main.get_command(app))
    made.config, made.assignments = None, assignments
    return made


def flags_of(path: Path) -> Iterator[tuple[str, ...]]:
    """Section and name of all that a module hands over as settings."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "settings":
            for given in node.keywords:
                if isinstance(given.value, ast.Dict):
                    yield from ((str(given.arg), ast.literal_eval(key)) for key in given.value.keys if key)
                else:
                    yield (str(given.arg),)


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.stem)
def test_every_flag_names_a_setting(path: Path) -> None:
    for flag in flags_of(path):
        fields = Experiment.model_fields
        for name in flag[:-1]:
            fields = fields[name].annotation.model_fields
        assert flag[-1] in fields, flag


def test_flags_are_found() -> None:
    found = {flag for path in COMMANDS for flag in flags_of(path)}
    assert {("seed",), ("pretrain", "max_minutes"), ("compare", "against"), ("svd", "weighting")} <= found


def test_flags_win_and_those_that_were_not_given_do_not() -> None:
    found = call("seed=3", "data.encoding=latin-1").settings(seed=7, preset="tiny", data={"text": [], "encoding": None})
    assert (found.seed, found.preset, found.data.text, found.data.encoding) == (7, "tiny", (), "iso8859-1")


def test_a_flag_out_of_its_bounds_is_on_the_command_line() -> None:
    with pytest.raises(ConfigError) as caught:
        call().settings(classify={"label_smoothing": 2.0})
    assert caught.value.where == "the command line"


def test_a_note_is_said_as_the_library_says_it(capsys: pytest.CaptureFixture[str]) -> None:
    made = call()
    for made.output in (Output(quiet=True), Output(json=True)):
        made.note("two\nlines", "and more")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "note: two\\nlines\nnote: and more\n")


def test_the_page_that_help_points_to_is_there(run_elmo) -> None:
    pages = re.findall(r"docs/\S+\.md", " ".join(run_elmo("pretrain", "--help").stdout.replace("│", " ").split()))
    assert pages
    assert all((COMMANDS[0].parent.parent.parent / page).is_file() for page in pages)


def common_options(*words: str) -> list[str]:
    command = typer.main.get_command(app)
    for word in words:
        command = command.commands[word]
    return [option.opts[0] for option in command.params if getattr(option, "rich_help_panel", None) == COMMON]


def test_all_commands_have_the_common_options() -> None:
    assert common_options("import") == ["--config", "--set", "--json", "--quiet", "--debug"]
    assert common_options("vocab", "build") == ["--seed", "--config", "--set", "--json", "--quiet", "--debug"]


def test_commands_that_read_no_settings_take_none() -> None:
    assert common_options("init") == common_options("data", "get") == ["--json", "--quiet", "--debug"]
