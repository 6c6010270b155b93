"""Letters on shaded cells: what stands in them can be read, whatever share they are shaded by, in light and dark."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from elmo_cli.report.blocks import Block, Matrix, Part
from elmo_cli.report.contrast import BLACK, WHITE, cell_style, colour, contrast, letters_on
from elmo_cli.report.figures import confusion
from elmo_cli.report.page import page_of

READABLE = 4.5
SHARES = [number / 500 for number in range(501)]


def test_contrast_by_hand() -> None:
    """The bounds of the scale, and the grey that WCAG's readers know as the lightest on white: #767676 with 4.54."""
    assert contrast(colour(BLACK), colour(WHITE)) == pytest.approx(21)
    assert contrast(colour(WHITE), colour(WHITE)) == 1
    assert contrast(colour("#767676"), colour(WHITE)) == pytest.approx(4.54, abs=0.005)
    assert contrast(colour("#ff0000"), colour(WHITE)) == pytest.approx(1.05 / (0.2126 + 0.05))
    assert (letters_on(colour("#ffff00")), letters_on(colour("#0000ff"))) == (BLACK, WHITE)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_cells_of_a_page_can_be_read(scheme: str) -> None:
    letters = set()
    for share in SHARES:
        style = dict(one.split(":") for one in cell_style(share).split(";"))
        ground, ink = style[f"--{scheme}"], style[f"--on-{scheme}"]
        assert contrast(colour(ground), colour(ink)) >= READABLE
        letters.add(ink)
    assert letters == {BLACK, WHITE}


def test_the_page_uses_these_colours_and_prints_the_light_ones() -> None:
    matrix = Matrix("m", ("a", "b"), ((0, 8), (1, 1)))
    text = page_of([Part("run", "classifier", (), (), [Block("Confusion", matrices=[matrix])])])
    assert text.count(f'<td style="{cell_style(0.5)}">50.0<br><small>1</small></td>') == 2
    assert f'<td style="{cell_style(1.0)}">100.0<br><small>8</small></td>' in text
    style = files("elmo_cli.report").joinpath("templates/report.css").read_text(encoding="utf-8")
    rules = re.findall(r"^(.*)\.heat td \{(.*?)\}", style, re.MULTILINE)
    for (place, rule), scheme in zip(rules[1:], ("light", "dark"), strict=True):
        assert f"background: var(--{scheme}); color: var(--on-{scheme})" in rule
        assert place == ("" if scheme == "light" else "@media screen and (prefers-color-scheme: dark) { ")


def test_cells_of_a_figure_can_be_read() -> None:
    counts = [[1000 - share, share] for share in range(0, 1001, 40)]
    figure = Figure()
    confusion("m", "", "", ["a", "b"], counts).draw(figure)
    (axes,) = figure.axes
    image = axes.images[0]
    for true, row in enumerate(counts):
        for guess, count in enumerate(row):
            text = next(one for one in axes.texts if one.get_position() == (guess, true))
            assert text.get_text() == f"{count:,}"
            ground = tuple(image.to_rgba(image.get_array()[true, guess])[:3])
            assert contrast(ground, to_rgb(text.get_color())) >= READABLE
