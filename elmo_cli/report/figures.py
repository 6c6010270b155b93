"""Figures of a report: what is drawn; `figure_files` makes inline SVG of them, or files for print.

A figure is told by more than colour: Okabe and Ito's palette, with a marker and a line style for each curve. matplotlib
is used through its objects, without pyplot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from elmo_cli.report.contrast import letters_on

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
WIDTH = 4.4  # inches: on a telephone the letters are then still those of small print
LONGEST_NAME = 26


@dataclass(frozen=True)
class Drawing:
    """A figure that can be drawn.

    Attributes:
        name: Begins the names of its files.
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
    """A line, with an interval around each value and (x, y) of the single runs behind it where there are any."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    bounds: Sequence[tuple[float, float]] | None = None
    runs: Sequence[tuple[Sequence[float], Sequence[float]]] = ()
    place: int | None = None  # of the row that it is of, by which it has its colour in all figures; None: its own place


@dataclass(frozen=True)
class Bar:
    """A bar, or with `differences` a point: share or difference with its 95 % interval, and what kind of row it is."""

    name: str
    value: float
    interval: tuple[float, float]
    kind: str
    place: int  # of the row, by which it has its colour in all figures


def shown(text: str, longest: int = LONGEST_NAME) -> str:
    """A name for a figure: on one line, without what cannot be printed, and not too long."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def bars(name: str, title: str, about: str, rows: Sequence[Bar]) -> Drawing:
    """Accuracies from 0 to 100 % as bars with their intervals."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for place, row in enumerate(rows):
            colour = PALETTE[row.place % len(PALETTE)]
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
            number = row.place % len(PALETTE)
            value, low, high = 100 * row.value, 100 * row.interval[0], 100 * row.interval[1]
            bounds, colour, marker = [[value - low], [high - value]], PALETTE[number], MARKERS[number]
            axes.errorbar(value, place, xerr=bounds, color=colour, marker=marker, markersize=7, capsize=4)
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
    """Lines over epochs, steps or texts, with the names of the axes and which of them are logarithmic, such as `xy`."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        _plot(axes, lines, logs)
        axes.set(xlabel=axis_names[0], ylabel=axis_names[1])
        _legend(figure, axes, len(lines))

    return Drawing(name, title, about, 2.8 + 0.17 * ((len(lines) + 1) // 2), draw)


def layer_weights(
    name: str, title: str, about: str, lambdas: Sequence[Curve], gamma: Curve | None, limits: tuple[float, float]
) -> Drawing:
    """λ of each layer over the epochs on an axis with these ends, and γ below where there is one.

    Colours are those of rows, so layers are told apart by their lines and markers alone.
    """

    def draw(figure: Figure) -> None:
        heights = (1,) if gamma is None else (2, 1)
        panels = figure.subplots(len(heights), sharex=True, squeeze=False, height_ratios=heights)[:, 0]
        _plot(panels[0], lambdas, "", INK)
        panels[0].set(ylabel="λ", ylim=limits)
        if gamma is not None:
            _plot(panels[1], [gamma], "", INK)
            panels[1].set(ylabel="γ")
        panels[-1].set(xlabel="epoch")
        _legend(figure, panels[0], len(lambdas))

    return Drawing(name, title, about, 2.8 if gamma is None else 3.7, draw)


def _plot(axes: Axes, lines: Sequence[Curve], logs: str, colour_of_all: str | None = None) -> None:
    """All curves, the single runs behind them first."""
    for number, line in enumerate(lines):
        place = number if line.place is None else line.place
        own, marker, style = (kinds[place % len(kinds)] for kinds in (PALETTE, MARKERS, LINES))
        colour = colour_of_all or own
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


def shares_of_classes(counts: Sequence[Sequence[int]]) -> list[list[float]]:
    """A confusion matrix with each count as a share of its true class."""
    return [[count / max(1, sum(row)) for count in row] for row in counts]


def confusion(name: str, title: str, about: str, classes: Sequence[str], counts: Sequence[Sequence[int]]) -> Drawing:
    """A confusion matrix: shade by the share of the true class, numbers as counts."""
    size = len(classes)

    def draw(figure: Figure) -> None:
        from matplotlib import colormaps

        axes = figure.subplots()
        shares = shares_of_classes(counts)
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
