"""README.md of a run: what it is, what it was made of, how good it is, how to load it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from elmo_cli.errors import plain
from elmo_cli.runs.writer import RunWriter

CARD_FILE = "README.md"

Fact = str | int | float | None
# What begins a tag, an entity, a link, code or another cell; a name from a file is shown, not obeyed.
_MARKUP = re.compile(r"[\\`\[\]|]|<(?=[A-Za-z/!?])|&(?=#?\w+;)")


def in_markdown(text: str) -> str:
    """Text as Markdown shows it: on one line, and none of its signs markup."""
    return _MARKUP.sub(r"\\\g<0>", plain(text))


def write_card(
    writer: RunWriter,
    title: str,
    about: str,
    facts: Mapping[str, Fact],
    results: Mapping[str, Fact],
    use: str,
) -> None:
    """Write a model card: what the model is in a sentence or two, and what is worth knowing of it at a glance.

    All data and settings are in `run.yaml`, all figures in `results.json`; None leaves a line out. `use` are Python
    lines that load and use the run.
    """
    versions = ", ".join(f"{name} {number}" for name, number in writer.description["versions"].items())
    sections = [
        f"# {in_markdown(title)}\n\n{in_markdown(about)}",
        _table("Made of", facts),
        _table("Results", results),
        f"## Use\n\n```python\n{use.strip()}\n```",
        "## Licence\n\nThe licence of the training text holds for what was learned from it: that is yours to settle.",
        f"Written by `{writer.description['command']}` with {versions}. Settings and data fingerprints: `run.yaml`.",
    ]
    writer.write_text(CARD_FILE, "\n\n".join(sections) + "\n")


def _table(headline: str, rows: Mapping[str, Fact]) -> str:
    lines = [f"| {in_markdown(name)} | {_shown(value)} |" for name, value in rows.items() if value is not None]
    return "\n".join([f"## {headline}", "", "| | |", "|---|---|", *lines])


def _shown(value: str | int | float) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return in_markdown(value)
