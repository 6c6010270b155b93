"""Pages that the site's build makes: of each command from its own help, of the settings, and of the public names.

They are made anew in each build and lie in no folder, so that they cannot say something else than the program.
"""

from __future__ import annotations

import html
import inspect
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import typer

import elmo_cli
from elmo_cli.commands.app import app
from elmo_cli.commands.options import COMMON
from elmo_cli.config import PRESET_PURPOSES, PRESETS, Experiment

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "&lt;"}
TYPES = {"integer": "integer", "number": "number", "boolean": "true, false", "string": "text", "null": "null"}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages of the commands into the navigation, where it says `commands`."""
    for part in config.nav or []:
        for pages in part.values():
            for entry in pages if isinstance(pages, list) else []:
                if entry == {"Commands": "commands"}:
                    entry["Commands"] = [
                        "reference/commands/index.md",
                        *({name: f"reference/{page_of(name)}"} for name, _ in commands()),
                    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    from mkdocs.structure.files import File

    made = {f"reference/{page_of(name)}": command_page(name, command) for name, command in commands()}
    made["reference/commands/index.md"] = commands_index()
    made["reference/settings.md"] = settings_page()
    made["reference/python.md"] = python_page()
    for path, text in made.items():
        files.append(File.generated(config, path, content=text))
    return files


def commands() -> Iterator[tuple[str, Any]]:
    """All commands in the order of the help, by the words they are typed with, such as `vocab build`."""
    context = typer.Context(typer.main.get_command(app))
    pending: list[tuple[str, Any]] = [("", context.command)]
    while pending:
        name, command = pending.pop(0)
        if hasattr(command, "commands"):
            inner = [(f"{name} {part}".strip(), command.commands[part]) for part in command.list_commands(context)]
            pending[:0] = inner
        else:
            yield name, command


def page_of(name: str) -> str:
    """Where the page of a command lies, beside the other pages of the reference."""
    return f"commands/{name.replace(' ', '-')}.md"


def commands_index() -> str:
    """A table of all commands."""
    rows = [(f"[`elmo {name}`]({page_of(name).split('/')[1]})", cell(summary(command))) for name, command in commands()]
    return "\n".join(
        [
            "# Commands\n",
            "What `elmo COMMAND --help` says, a page for each. Exit codes: 0 done, 1 a failure while running, 2 wrong "
            "usage or input, 130 or 143 stopped by Ctrl-C or SIGTERM.\n",
            *table(("Command", "What it does"), rows),
        ]
    )


def summary(command: Any) -> str:
    """The first sentence of a command's help."""
    return inspect.cleandoc(command.help).split("\n\n")[0].replace("\n", " ")


def command_page(name: str, command: Any) -> str:
    """Usage, description, examples and all arguments and options of a command."""
    about, _, examples = inspect.cleandoc(command.help).partition("Examples:\n")
    context = typer.Context(command, info_name=f"elmo {name}")
    usage = " ".join(command.collect_usage_pieces(context))
    parts = [f"# elmo {name}\n", about.strip(), f"\n```text\nelmo {name} {usage}\n```\n"]
    if examples:
        parts += ["## Examples\n", f"```bash\n{inspect.cleandoc(examples)}\n```\n"]
    shown = [parameter for parameter in command.get_params(context) if not getattr(parameter, "hidden", False)]
    arguments = [one for one in shown if one.param_type_name == "argument"]
    options = [one for one in shown if one.param_type_name == "option"]
    own = [one for one in options if getattr(one, "rich_help_panel", None) != COMMON]
    common = [one for one in options if one not in own]
    for title, group in (("Arguments", arguments), ("Options", own), (COMMON, common)):
        records = filter(None, (one.get_help_record(context) for one in group))
        rows = [(code(names), cell(help)) for names, help in records]
        if rows:
            parts += [f"## {title}\n", *table(("Given", "What it does"), rows), ""]
    parts.append(f"The keys of `--json`: [JSON](../json.md#elmo-{name.replace(' ', '-')}).")
    return "\n".join(parts)


def python_page() -> str:
    """The public names; mkdocstrings puts their docstrings in."""
    names = [name for name in elmo_cli.__all__ if not name.startswith("_")]
    names.sort(key=lambda name: (name.endswith("Error"), name[0].isupper(), name))
    return "\n\n".join(
        [
            "# Python",
            "`import elmo_cli` costs nothing: names are loaded on first use. What goes wrong with files, settings and "
            "runs is an `ElmoError`.",
            *(f"::: elmo_cli.{name}" for name in names),
        ]
    )


def settings_page() -> str:
    """All settings, section by section."""
    schema = Experiment.model_json_schema()
    parts = [
        "# Settings\n",
        "What `elmo.yaml` may hold, and what is taken where it does not say so; any of it can be given as "
        "`--set section.key=value` too. Later wins: preset, `elmo.yaml`, `--set`, the command's own flags. Paths are "
        "relative to the file that they stand in.\n",
        "## Top level\n",
        *section_rows(schema, schema, ""),
        "",
    ]
    for name, one in schema["properties"].items():
        inner = resolved(one, schema)
        if "properties" in inner:
            parts += [f"## {name}\n", f"{capitalised(one.get('description', ''))}.\n"]
            parts += [*section_rows(inner, schema, f"{name}."), ""]
    parts += ["## Presets\n", "What each changes of the defaults above; `preset: small` unless another is named.\n"]
    for preset, purpose in PRESET_PURPOSES.items():
        parts += [f"### {preset}\n", f"For {purpose}.\n"]
        rows = [(code(key), code(str(value))) for key, value in flat(PRESETS[preset])]
        parts += [*table(("Setting", "Value"), rows), ""]
    return "\n".join(parts)


def section_rows(section: dict[str, Any], schema: dict[str, Any], prefix: str) -> list[str]:
    """A table of the settings of a section; those of a section within it stand there too, by their whole name."""
    return table(("Setting", "Values", "Default", "Meaning"), list(settings_of(section, schema, prefix)))


def settings_of(section: dict[str, Any], schema: dict[str, Any], prefix: str) -> Iterator[tuple[str, str, str, str]]:
    """Name, values, default and meaning of each setting of a section."""
    for name, one in section["properties"].items():
        inner = resolved(one, schema)
        if "properties" not in inner:
            meaning = cell(one.get("description", ""))
            yield code(prefix + name), values(one, schema), default_of(one), meaning
        elif prefix:
            yield from settings_of(inner, schema, f"{prefix}{name}.")


def default_of(one: dict[str, Any]) -> str:
    """The default of a setting as it would be written; nothing where it is absent or empty."""
    default = one.get("default")
    if isinstance(default, bool):
        return code(str(default).lower())
    text = ", ".join(map(str, default)) if isinstance(default, list) else default
    return "" if text in (None, "") else code(str(text))


def resolved(one: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A part of a schema, or the part it refers to."""
    if len(one.get("allOf", ())) == 1:  # how older pydantic writes a reference that has a description beside it
        one = one["allOf"][0]
    return schema["$defs"][one["$ref"].rpartition("/")[2]] if "$ref" in one else one


def values(one: dict[str, Any], schema: dict[str, Any]) -> str:
    """What a setting may be, in words."""
    one = resolved(one, schema)
    if "anyOf" in one:
        kinds = [values(part, schema) for part in one["anyOf"] if part.get("type") != "null"]
        return " or ".join(kinds)
    if "enum" in one or "const" in one:
        return ", ".join(code(value) for value in one.get("enum", [one.get("const")]))
    if one.get("format") == "path":
        return "path"
    kind = one.get("type", "")
    if kind == "array":
        parts = [values(part, schema) for part in one.get("prefixItems", ())]
        return f"({', '.join(parts)})" if parts else f"list of {values(one['items'], schema)}"
    if kind == "object":
        return "mapping"
    bounds = ", ".join(f"{sign} {one[key]:.12g}" for key, sign in BOUNDS.items() if key in one)
    return " ".join(filter(None, [TYPES.get(kind, kind), bounds]))


def flat(changes: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys of nested mappings."""
    for key, value in changes.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value).lower() if isinstance(value, bool) else value


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table."""
    return ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]


def cell(text: str) -> str:
    """Text for a cell, in one line, of which nothing is taken for markup."""
    return html.escape(" ".join(text.split()), quote=False).replace("|", "&#124;")


def code(text: str) -> str:
    """A name as it is typed, which may break after its dots, bars and underscores, and nowhere else."""
    return "<code>" + re.sub(r"(?<=[._,])|(?<=&#124;)", "<wbr>", cell(text)) + "</code>"


def capitalised(text: str) -> str:
    """Text with a capital first letter, the others as they are."""
    return text[:1].upper() + text[1:]
