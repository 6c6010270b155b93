"""Figures of a report: drawn once, as inline SVG for a page or as files for print.

A figure is told by more than colour: Okabe and Ito's palette, with a marker and a line style for each curve. On a page
its colours become CSS variables, so that it follows light and dark; its text stays text. The same input gives the same
bytes: no dates, no random identifiers. matplotlib is used through its objects, without pyplot.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from elmo_cli.comparison.shades import letters_on

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, GRID = "#1b1f24", "#d5dae1"
# Okabe and Ito's colours in the order of their contrast to white; their yellow has too little of it.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#737b86")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
# Seven colours and five styles: the 36th curve is the first to look like another.
LINES: tuple[str | tuple[int, tuple[float, ...]], ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
HATCHES = {"lm": "", "static": "////", "reference": "xxx"}
KINDS = {"lm": "ELMo", "static": "static vectors", "reference": "reference"}
# What the page calls the colours; its style sheet gives each a value for light and for dark.
VARIABLES = {
    INK: "currentColor",
    GRID: "var(--grid)",
    **{colour: f"var(--c{place})" for place, colour in enumerate(PALETTE)},
}
WIDTH = 4.4  # inches: on a telephone the letters are then still those of small print
LONGEST_NAME = 26
FORMATS = ("svg", "png")
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


@dataclass(frozen=True)
class Drawing:
    """A figure that can be drawn.

    Attributes:
        name: Of its files, and of its identifiers within a page.
        title: Headline.
        about: One sentence for who cannot see it, and as caption.
        height: In inches; the width is the same for all.
        draw: Fills an empty figure.
    """

    name: str
    title: str
    about: str
    height: float
    draw: Callable[[Figure], None]


@dataclass(frozen=True)
class Curve:
    """A line of a figure.

    Attributes:
        name: In the legend.
        x: Places.
        y: Values.
        bounds: Interval around each value, if there is one.
        runs: (x, y) of the single runs behind the line, drawn thin.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    bounds: Sequence[tuple[float, float]] | None = None
    runs: Sequence[tuple[Sequence[float], Sequence[float]]] = ()


@dataclass(frozen=True)
class Bar:
    """A bar, or with `differences` a point: share or difference with its 95 % interval, and what kind of row it is."""

    name: str
    value: float
    interval: tuple[float, float]
    kind: str


def shown(text: str, longest: int = LONGEST_NAME) -> str:
    """A name for a figure: on one line, without what cannot be printed, and not too long."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def bars(name: str, title: str, about: str, rows: Sequence[Bar]) -> Drawing:
    """Accuracies from 0 to 100 % as bars with their intervals."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for place, row in enumerate(rows):
            colour = PALETTE[list(HATCHES).index(row.kind)]
            width = 100 * row.value
            # Two bars: in SVG a hatch takes the whole colour of what is below it, not a lighter one.
            axes.barh(place, width, height=0.62, color=f"{colour}55")
            axes.barh(place, width, 0.62, color="none", edgecolor=colour, hatch=HATCHES[row.kind], linewidth=1.2)
            low, high = (100 * bound for bound in row.interval)
            axes.errorbar(width, place, xerr=[[width - low], [high - width]], color=INK, capsize=4, linewidth=1.4)
            axes.annotate(f"{width:.1f}", (high, place), (5, 0), textcoords="offset points", va="center")
        axes.set(xlim=(0, 112), xticks=range(0, 101, 20), xlabel="right, in % of the test texts")
        _names_at_left(axes, [row.name for row in rows])

    return Drawing(name, title, about, 0.9 + 0.42 * len(rows), draw)


def differences(name: str, title: str, about: str, rows: Sequence[Bar], reference: str) -> Drawing:
    """Differences from a reference in points, with their intervals and a line at no difference."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.axvline(0, color=INK, linewidth=1, linestyle="--")
        for place, row in enumerate(rows):
            number = list(HATCHES).index(row.kind)
            value, low, high = 100 * row.value, 100 * row.interval[0], 100 * row.interval[1]
            axes.errorbar(
                value,
                place,
                xerr=[[value - low], [high - value]],
                color=PALETTE[number],
                marker=MARKERS[number],
                markersize=7,
                capsize=4,
            )
            axes.annotate(f"{value:+.1f}", (value, place), (0, 8), textcoords="offset points", ha="center")
        axes.margins(x=0.08)
        axes.set(xlabel=f"points more than {shown(reference)}")
        _names_at_left(axes, [row.name for row in rows])

    return Drawing(name, title, about, 0.95 + 0.5 * len(rows), draw)


def _names_at_left(axes: Axes, names: Sequence[str]) -> None:
    """Rows from top to bottom in their order."""
    axes.set(yticks=range(len(names)), yticklabels=[shown(name, 22) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.65)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def curves(
    name: str, title: str, about: str, lines: Sequence[Curve], axis_names: tuple[str, str], *, logs: str = ""
) -> Drawing:
    """Lines over epochs, steps or texts.

    Args:
        name: Of the drawing.
        title: Of the drawing.
        about: Of the drawing.
        lines: What to draw.
        axis_names: Below the figure, and beside it.
        logs: Which axes are logarithmic: `x`, `y`, `xy` or none.
    """

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        _plot(axes, lines, logs)
        axes.set(xlabel=axis_names[0], ylabel=axis_names[1])
        _legend(figure, axes, len(lines))

    return Drawing(name, title, about, 2.8 + 0.17 * ((len(lines) + 1) // 2), draw)


def layer_weights(name: str, title: str, about: str, lambdas: Sequence[Curve], gamma: Curve | None) -> Drawing:
    """λ of each layer over the epochs, and γ below where there is one."""

    def draw(figure: Figure) -> None:
        panels = figure.subplots(
            1 if gamma is None else 2, sharex=True, squeeze=False, height_ratios=(1,) if gamma is None else (2, 1)
        )[:, 0]
        _plot(panels[0], lambdas, "")
        panels[0].set(ylabel="λ")
        if gamma is not None:
            _plot(panels[1], [gamma], "", first=len(lambdas))
            panels[1].set(ylabel="γ")
        panels[-1].set(xlabel="epoch")
        _legend(figure, panels[0], len(lambdas))

    return Drawing(name, title, about, 2.8 if gamma is None else 3.7, draw)


def _plot(axes: Axes, lines: Sequence[Curve], logs: str, first: int = 0) -> None:
    """All curves, the single runs behind them first."""
    styles = islice(zip(cycle(PALETTE), cycle(MARKERS), cycle(LINES), strict=False), first, None)
    for line, (colour, marker, style) in zip(lines, styles, strict=False):
        for x, y in line.runs:
            axes.plot(x, y, color=colour, linestyle=style, linewidth=0.7, alpha=0.45)
        many = len(line.x) > 25
        error = None
        if line.bounds is not None:
            pairs = list(zip(line.y, line.bounds, strict=True))
            error = [[value - low for value, (low, _) in pairs], [high - value for value, (_, high) in pairs]]
        axes.errorbar(
            line.x,
            line.y,
            yerr=error,
            label=" " * line.name.startswith("_") + shown(line.name),  # matplotlib hides names with an underscore
            color=colour,
            linestyle=style,
            marker="" if many else marker,
            capsize=3,
        )
    _scales(axes, lines, logs)


def _scales(axes: Axes, lines: Sequence[Curve], logs: str) -> None:
    """Logarithmic axes with plain numbers, and whole epochs."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    if all(float(x).is_integer() for line in lines for x in line.x):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7, min_n_ticks=1))
    if "y" in logs:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    if "x" in logs:
        ticks = sorted({float(x) for line in lines for x in line.x})
        axes.set_xscale("log")
        axes.set_xticks(ticks, [f"{tick:,.10g}" for tick in ticks])
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.tick_params(axis="x", which="minor", length=0)


def _legend(figure: Figure, axes: Axes, entries: int) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=min(2, entries))


def confusion(name: str, title: str, about: str, classes: Sequence[str], counts: Sequence[Sequence[int]]) -> Drawing:
    """A confusion matrix: shade by the share of the true class, numbers as counts."""
    size = len(classes)

    def draw(figure: Figure) -> None:
        from matplotlib import colormaps

        axes = figure.subplots()
        shares = [[count / max(1, sum(row)) for count in row] for row in counts]
        blues = colormaps["Blues"]
        axes.imshow(shares, cmap=blues, vmin=0, vmax=1)
        letters = 10 if size <= 6 else 8 if size <= 12 else 6
        for true, row in enumerate(counts):
            for guess, count in enumerate(row if size <= 24 else ()):
                colour = letters_on(blues(shares[true][guess])[:3])
                axes.text(guess, true, f"{count:,}", ha="center", va="center", color=colour, fontsize=letters)
        names = [shown(label, 16) for label in classes]
        axes.set_xticks(range(size), names, rotation=40, ha="right", rotation_mode="anchor", fontsize=letters)
        axes.set_yticks(range(size), names, fontsize=letters)
        axes.set(xlabel="predicted class", ylabel="true class")
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)

    return Drawing(name, title, about, WIDTH, draw)


@contextmanager
def _rendered(drawing: Drawing, *, titled: bool) -> Iterator[Figure]:
    """The drawn figure, in our style whatever the user's own settings of matplotlib are."""
    import matplotlib.style
    from matplotlib.figure import Figure

    with warnings.catch_warnings(), matplotlib.style.context(["default", _STYLE]):
        # A name in a script that the font lacks: on a page the browser has another font.
        warnings.filterwarnings("ignore", message=".*[Gg]lyph")
        figure = Figure(figsize=(WIDTH, drawing.height + 0.3 * titled), layout="constrained")
        drawing.draw(figure)
        if titled:
            figure.suptitle(shown(drawing.title, 60), fontsize=11)
        yield figure


def write_files(drawing: Drawing, stem: Path) -> list[Path]:
    """Write a figure beside others of its kind as `STEM.svg` and `STEM.png`, with its title.

    Returns:
        The files.
    """
    from elmo_cli.runs.files import write_atomically

    paths = []
    with _rendered(drawing, titled=True) as figure:
        for kind in FORMATS:
            paths.append(stem.with_name(f"{stem.name}.{kind}"))
            write_atomically(paths[-1], lambda beside, kind=kind: beside.write_bytes(_saved(figure, kind)))  # type: ignore[misc]
    return paths


def _saved(figure: Figure, kind: str) -> bytes:
    """The bytes of a file, without date, place and version."""
    memory = BytesIO()
    nothing = ("Date", "Creator") if kind == "svg" else ("Software",)
    figure.savefig(memory, format=kind, transparent=False, metadata=dict.fromkeys(nothing))
    return memory.getvalue()


def inline_svg(drawing: Drawing, identifier: str) -> str:
    """The figure as an `<svg>` element for a page: no namespace, no identifier but its own, colours by variables.

    Args:
        drawing: What to draw.
        identifier: Unlike that of any other figure of the page.
    """
    with _rendered(drawing, titled=False) as figure:
        memory = BytesIO()
        figure.savefig(memory, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    # Parsed, not replaced in the text: a name must not look like markup.
    root = ElementTree.fromstring(memory.getvalue())
    used = set(re.findall(r"(?:url\(|href=\")#([^)\"]+)", memory.getvalue().decode()))
    for element in root.iter():
        for child in [one for one in element if _local(one.tag) in ("metadata", "style")]:
            element.remove(child)
        element.tag = _local(element.tag)
        attributes = {_local(key): value for key, value in element.attrib.items()}
        element.attrib.clear()
        for key, value in attributes.items():
            if new := _attribute(key, value, identifier, used):
                element.set(key, new)
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
