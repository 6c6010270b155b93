"""Figures as inline SVG for a page, or as files for print.

On a page its colours become CSS variables, so that a figure follows light and dark; its text stays text. The same input
gives the same bytes: no dates, no random identifiers.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from elmo_cli.disk import write_atomically
from elmo_cli.report.figures import GRID, INK, PALETTE, WIDTH, Drawing, shown
from elmo_cli.report.fonts import lend_fonts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What the page calls the colours; its style sheet gives each a value for light and for dark.
VARIABLES = {
    INK: "currentColor",
    GRID: "var(--grid)",
    **{colour: f"var(--c{place})" for place, colour in enumerate(PALETTE)},
}
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "elmo",
    "text.parse_math": False,  # names are the user's: a dollar sign is one
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "legend.handlelength": 2.8,
    "hatch.linewidth": 0.8,
    "savefig.dpi": 200,
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
}


@contextmanager
def _rendered(drawing: Drawing, *, titled: bool) -> Iterator[Figure]:
    """The drawn figure, in our style whatever the user's own settings of matplotlib are."""
    # It would tell of its caches and settings, which are no concern of the user's.
    log = logging.getLogger("matplotlib")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        import matplotlib.style
        from matplotlib.figure import Figure

        with warnings.catch_warnings(), matplotlib.style.context(["default", _STYLE]):
            # A letter that the font lacks: on a page the browser has another font, and for files it is told.
            warnings.filterwarnings("ignore", message=".*[Gg]lyph")
            figure = Figure(figsize=(WIDTH, drawing.height + 0.3 * titled), layout="constrained")
            drawing.draw(figure)
            if titled:
                figure.suptitle(shown(drawing.title, 60), fontsize=11)
            yield figure
    finally:
        log.setLevel(level)


def paths_of(stem: Path) -> list[Path]:
    """The files of a figure: `STEM.svg` and `STEM.png`."""
    return [stem.with_name(f"{stem.name}.{kind}") for kind in ("svg", "png")]


def write_files(drawing: Drawing, stem: Path) -> frozenset[str]:
    """Write a figure with its title; its letters that no font of this machine has, which are boxes in the PNG file."""
    with _rendered(drawing, titled=True) as figure:
        from matplotlib.text import Text

        figure.draw_without_rendering()  # before, the names along the axes are not there
        absent = lend_fonts(figure.findobj(Text))
        for path in paths_of(stem):
            content = _saved(figure, path.suffix[1:])
            write_atomically(path, partial(Path.write_bytes, data=content))
    return absent


def _saved(figure: Figure, kind: str, transparent: bool = False) -> bytes:
    """The bytes of a file, without date, place and version."""
    memory = BytesIO()
    nothing = ("Date", "Creator") if kind == "svg" else ("Software",)
    figure.savefig(memory, format=kind, transparent=transparent, metadata=dict.fromkeys(nothing))
    return memory.getvalue()


def inline_svg(drawing: Drawing, identifier: str) -> str:
    """The figure as an `<svg>` element: no namespace, every id begins with the given one, colours are variables."""
    with _rendered(drawing, titled=False) as figure:
        saved = _saved(figure, "svg", transparent=True)
    # Parsed, not replaced in the text: a name must not look like markup.
    root = ElementTree.fromstring(saved)
    used = set(re.findall(r"(?:url\(|href=\")#([^)\"]+)", saved.decode()))
    for element in root.iter():
        for child in [one for one in element if _local(one.tag) in ("metadata", "style")]:
            element.remove(child)
        element.tag = _local(element.tag)
        attributes = {_local(key): value for key, value in element.attrib.items()}
        given = {key: _attribute(key, value, identifier, used) for key, value in attributes.items()}
        element.attrib = {key: value for key, value in given.items() if value}
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    root.attrib |= {"role": "img", "aria-labelledby": f"{identifier}-title"}
    title = ElementTree.Element("title", {"id": f"{identifier}-title"})
    title.text = f"{shown(drawing.title, 200)}. {shown(drawing.about, 1000)}"
    root.insert(0, title)
    return ElementTree.tostring(root, encoding="unicode")


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _attribute(key: str, value: str, identifier: str, used: set[str]) -> str:
    """An attribute's value within the page; empty for one that it does not need."""
    if key == "id":
        return f"{identifier}-{value}" if value in used else ""
    if key == "href":
        return value.replace("#", f"#{identifier}-", 1)
    if key in ("style", "clip-path", "fill", "stroke"):
        value = re.sub(r"font-family: [^;]*; ?", "", value.replace("url(#", f"url(#{identifier}-"))  # the page's own
        return re.sub(r"#[0-9a-f]{6}\b", lambda found: VARIABLES.get(found[0], found[0]), value)
    return value
