"""`elmo report`: runs as one page that needs nothing but itself, and their figures as files.

No script, no request, no date: the page can be sent, printed and kept, and the same runs give the same bytes. Text of
the user is escaped wherever it stands. A comparison writes the page of itself when it is done.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from elmo_cli import __version__
from elmo_cli.disk import refuse_target, write_atomically
from elmo_cli.errors import ElmoError, RunError
from elmo_cli.events import Notice, Progress, Tell, silent
from elmo_cli.report.blocks import Part
from elmo_cli.report.cells import printed
from elmo_cli.report.contrast import cell_style
from elmo_cli.report.figure_files import inline_svg, paths_of, write_files
from elmo_cli.report.figures import Drawing
from elmo_cli.report.parts import part_of
from elmo_cli.report.reported import ReportedRun, as_written, find_runs, read_run, read_runs, warnings_between
from elmo_cli.report.run_figures import all_figures
from elmo_cli.runs import Run, RunWriter

PAGE_FILE = "report.html"
Made = TypeVar("Made")
MOST_LETTERS = 8  # of those that no font has, in a note
# Control characters are no text in HTML; tabs and line ends are.
_CONTROLS = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n\r"}


@dataclass(frozen=True)
class Report:
    """What was written of which runs.

    Attributes:
        page: None where only figures were asked for.
        warnings: What does not fit together in the runs, a sentence each.
        notices: What the figures lack, a sentence each.
    """

    page: Path | None
    figures: tuple[Path, ...]
    runs: tuple[str, ...]
    warnings: tuple[str, ...]
    notices: tuple[str, ...] = ()


def write_report(
    runs: Sequence[Path],
    out: Path | None = None,
    figures: Path | None = None,
    *,
    folder: Path = Path("runs"),
    overwrite: bool = False,
    tell: Tell = silent,
) -> Report:
    """Write the page of some runs, their figures, or both.

    Args:
        runs: LM, classifier and tagger runs and comparisons, in the order of the page; none stands for all in `folder`.
        out: The page; None: `report.html` here, or no page where `figures` is given.
        figures: Folder for the figures, each as SVG and as PNG.
        folder: Where the runs are, if none is named.
        overwrite: Replace files that are there.
        tell: Told how many runs and figures are done, and the warnings and notices.

    Raises:
        RunError: A run cannot be used, there is nothing to report, or a file is there.
    """
    page = out if out is not None or figures is not None else Path(PAGE_FILE)
    if page:
        refuse_target(page, overwrite)
    reported = read_runs(runs or find_runs(folder))
    parts = list(_counted("runs", (part_of(run) for run in reported), len(reported), tell))
    if not any(part.blocks for part in parts):
        raise RunError(
            f"there is nothing to report of {', '.join(part.name for part in parts)}",
            expected="a run with results.json or metrics.jsonl",
            remedy="let the command that wrote it come to its end, or name another run",
        )
    drawn = {figures / stem: drawing for stem, drawing in _by_stem(reported).items()} if figures else {}
    for path in (path for stem in drawn for path in paths_of(stem)):
        refuse_target(path, overwrite, "--figures")
    warnings = tuple(warnings_between(reported))
    if page:
        text = page_of(parts, warnings)
        write_atomically(page, lambda beside: beside.write_text(text, encoding="utf-8", errors="replace"))
    made = (write_files(drawing, stem) for stem, drawing in drawn.items())
    absent = frozenset[str]().union(*_counted("figures", made, len(drawn), tell))
    notices = _of_letters(absent)
    for message in (*warnings, *notices):
        tell(Notice(message))
    written = tuple(path for stem in drawn for path in paths_of(stem))
    return Report(page, written, tuple(run.name for run in reported), warnings, notices)


def _counted(what: str, made: Iterable[Made], total: int, tell: Tell) -> Iterator[Made]:
    """What is made, one by one, with how many of them are."""
    for done, one in enumerate(made, start=1):
        yield one
        tell(Progress(what, done, total))


def _of_letters(absent: frozenset[str]) -> tuple[str, ...]:
    """What to say of letters that no font has."""
    some = " ".join(sorted(absent)[:MOST_LETTERS]) + " …" * (len(absent) > MOST_LETTERS)
    told = f"no font of this machine has {some}: boxes in the PNG figures; install one that has, such as Noto"
    return (told,) if absent else ()


def _by_stem(runs: Sequence[ReportedRun]) -> dict[str, Drawing]:
    """All figures by their file names without ending: run and figure, in letters, digits and few signs."""
    found: dict[str, Drawing] = {}
    for run in runs:
        with as_written(run):
            drawings = all_figures(run)
        for drawing in drawings:
            plain = re.sub(r"[^\w.-]+", "-", f"{run.name}-{drawing.name}").strip("-.").lower()
            stems = (plain if number == 1 else f"{plain}-{number}" for number in count(1))
            found[next(stem for stem in stems if stem not in found)] = drawing
    return found


def page_of(parts: Sequence[Part], warnings: Sequence[str] = ()) -> str:
    """The page of some runs, with warnings that concern more than one of them."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FunctionLoader(_template),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: value.translate(_CONTROLS) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    numbers = count(1)
    values: dict[str, Any] = {
        "title": ", ".join(part.name for part in parts),
        "parts": parts,
        "warnings": warnings,
        "version": __version__,
        "style": Markup(_template("report.css")),
        "cell_style": cell_style,
        "printed": printed,
        "svg": lambda drawing: Markup(inline_svg(drawing, f"figure{next(numbers)}")),
    }
    text = environment.get_template("report.html.j2").render(values)
    return re.sub(r"\n\s*\n+", "\n", text) + "\n"


def _template(name: str) -> str:
    return files("elmo_cli.report").joinpath("templates", name).read_text(encoding="utf-8")


def add_page(writer: RunWriter, models: Sequence[Path] = ()) -> Iterator[Notice]:
    """Add the page of a finished comparison to its run; what goes wrong with it does no harm to the comparison.

    Args:
        writer: Writes the comparison, all other files of which are there.
        models: LM runs to show after it.

    Yields:
        A notice where there is no page.
    """
    try:
        run = Run(writer.path, {**writer.description, "status": "finished"})  # as it is once the writer is left
        reported = [read_run(run, writer.name), *read_runs(models)]
        writer.write_text(PAGE_FILE, page_of([part_of(one) for one in reported], warnings_between(reported)))
    except Exception as error:  # whatever it is: hours of training are worth more than a page
        told = error.message if isinstance(error, ElmoError) else f"{type(error).__name__}: {error}"
        yield Notice(f"{PAGE_FILE} could not be written ({told}); the results are complete")
