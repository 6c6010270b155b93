"""README.md of a run: what it is, what it was made of, how good it is, how to load it."""

from __future__ import annotations

from collections.abc import Mapping

from elmo_cli.runs.writer import RunWriter

CARD_FILE = "README.md"

Fact = str | int | float | None


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
        f"# {title}\n\n{about}",
        _table("Made of", facts),
        _table("Results", results),
        f"## Use\n\n```python\n{use.strip()}\n```",
        "## Licence\n\nThe licence of the training text holds for what was learned from it: that is yours to settle.",
        f"Written by `{writer.description['command']}` with {versions}. Settings and data fingerprints: `run.yaml`.",
    ]
    writer.write_text(CARD_FILE, "\n\n".join(sections) + "\n")


def _table(headline: str, rows: Mapping[str, Fact]) -> str:
    lines = [f"| {name} | {_shown(value)} |" for name, value in rows.items() if value is not None]
    return "\n".join([f"## {headline}", "", "| | |", "|---|---|", *lines])


def _shown(value: str | int | float) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return value.replace("|", "\\|")  # which would begin another cell
