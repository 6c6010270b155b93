"""Figures: the same bytes each time, text as text, colours that follow the page, and no trust in names."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import pytest

from elmo_cli.report.figure_files import inline_svg, paths_of, write_files
from elmo_cli.report.figures import (
    GRID,
    INK,
    PALETTE,
    Bar,
    Curve,
    Drawing,
    bars,
    confusion,
    curves,
    differences,
    layer_weights,
    shown,
)

EVIL = '<script>x</script>" id="y"'
NAMES = ("w2v.txt", "lm $x^{", "_frozen", EVIL, "日本語\x07", "a" * 80)


def all_kinds() -> list[Drawing]:
    kinds = ("static", "lm", "lm", "lm", "reference", "lm")
    pairs = zip(NAMES, kinds, strict=True)
    rows = [Bar(name, 0.8, (0.75, 0.84), kind, place) for place, (name, kind) in enumerate(pairs)]
    lines = [Curve(name, [1, 2, 3], [80, 81 + place, 82]) for place, name in enumerate(NAMES)]
    sizes = Curve("a", [10, 100], [5, 900], [(4, 6), (800, 950)])
    weights = [Curve(f"layer {layer}", [1, 2], [0.5, 0.1 * layer]) for layer in range(3)]
    return [
        bars("bars", EVIL, "about", rows),
        differences("differences", "title", EVIL, rows, EVIL),
        curves("curves", "title", "about", lines, ("epoch", "%")),
        curves("logs", "title", "about", [sizes], ("n", "%"), logs="xy"),
        layer_weights("lambdas", "title", "about", weights, Curve("γ", [1, 2], [1, 0.9]), (0, 1)),
        layer_weights("sums", "title", "about", weights, None, (0, 1)),
        confusion("confusion", "title", "about", NAMES[:3], [[8, 1, 1], [0, 0, 0], [2, 0, 1234]]),
    ]


@pytest.mark.parametrize("drawing", all_kinds(), ids=lambda drawing: drawing.name)
def test_a_figure_fits_into_a_page(drawing: Drawing) -> None:
    text = inline_svg(drawing, "figure7")
    root = ElementTree.fromstring(text)
    assert root.tag == "svg"
    assert "http" not in text
    assert "<script" not in text
    assert {element.get("id", "figure7-").split("-")[0] for element in root.iter()} == {"figure7"}
    wanted = set(re.findall(r"(?:url\(|href=\")#([^)\"]+)", text))
    assert wanted <= {element.get("id") for element in root.iter()}
    styles = " ".join(element.get("style", "") for element in root.iter())
    for colour in (INK, GRID, *PALETTE):
        assert colour not in styles
    if drawing.name != "confusion":
        assert "currentColor" in styles
        assert ("var(--c" in styles) == (drawing.name not in ("lambdas", "sums"))  # colours are those of rows
    title = root.find("title")
    assert title is not None
    assert title.text == f"{shown(drawing.title, 99)}. {drawing.about}"


@pytest.mark.parametrize("drawing", all_kinds(), ids=lambda drawing: drawing.name)
def test_files_are_the_same_each_time(drawing: Drawing, tmp_path: Path) -> None:
    first, again = paths_of(tmp_path / "one.two"), paths_of(tmp_path / "again")
    assert write_files(drawing, tmp_path / "one.two") == write_files(drawing, tmp_path / "again")
    assert [path.name for path in first] == ["one.two.svg", "one.two.png"]
    for path, other in zip(first, again, strict=True):
        assert path.read_bytes() == other.read_bytes()
    svg = first[0].read_text(encoding="utf-8")
    assert "<dc:date>" not in svg
    assert "Matplotlib v" not in svg
    ElementTree.fromstring(svg)
    assert first[1].read_bytes().startswith(b"\x89PNG")
    assert inline_svg(drawing, "f") == inline_svg(drawing, "f")


def test_text_stays_text_with_every_name_in_the_legend() -> None:
    svg = inline_svg(all_kinds()[2], "f")
    texts = [element.text.strip() for element in ElementTree.fromstring(svg).iter("text") if element.text]
    for name in NAMES:
        assert shown(name).strip() in texts


def test_curves_differ_by_more_than_colour() -> None:
    svg = ElementTree.fromstring(inline_svg(all_kinds()[2], "f"))
    strokes = [element.get("style", "") for element in svg.iter("path") if "var(--c" in element.get("style", "")]
    dashes = {found[1] for style in strokes if (found := re.search(r"stroke-dasharray: ([\d., ]+)", style))}
    assert len(dashes) >= 4
    markers = {element.get("href") for element in svg.iter("use") if "var(--c" in element.get("style", "")}
    assert len(markers) >= len(NAMES)


def test_a_row_has_its_colour_in_all_figures() -> None:
    row, other = Bar("b", 0.5, (0.4, 0.6), "lm", 1), Curve("b", [1, 2], [3, 4], place=1)
    for drawing in (
        bars("n", "t", "a", [row]),
        differences("n", "t", "a", [row], "c"),
        curves("n", "t", "a", [other], ("x", "y")),
    ):
        assert set(re.findall(r"var\(--c\d\)", inline_svg(drawing, "f"))) == {"var(--c1)"}


def test_panels_of_weights_share_their_axis() -> None:
    line = Curve("layer 0", [1, 2], [0.3, 0.32])
    drawings = [layer_weights("n", "t", "a", [line], None, (0.0, 0.7)) for _ in range(2)]
    texts = [re.findall(r">([\d.]+)</text>", inline_svg(drawing, "f")) for drawing in drawings]
    assert texts[0] == texts[1]
    assert {"0.0", "0.6"} <= set(texts[0])


def test_settings_of_the_user_neither_count_nor_change() -> None:
    drawing = all_kinds()[0]
    before, plain = dict(matplotlib.rcParams), inline_svg(drawing, "f")
    with matplotlib.rc_context({"font.size": 30, "text.usetex": True, "axes.facecolor": "red", "svg.hashsalt": None}):
        assert inline_svg(drawing, "f") == plain
    assert dict(matplotlib.rcParams) == before


def test_a_name_for_a_figure() -> None:
    assert shown("two\nlines\x1b") == "two lines "
    assert shown("abcdef", 4) == "abc…"
    assert shown("abcd", 4) == "abcd"
