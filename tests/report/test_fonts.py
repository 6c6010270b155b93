"""Names in any script: letters from another font of the machine, or a note; never a warning."""

from __future__ import annotations

import logging
from pathlib import Path
from xml.etree import ElementTree

import pytest
from made_runs import classifier
from matplotlib import font_manager
from matplotlib.font_manager import FontProperties, findfont, get_font

from elmo_cli.report import fonts
from elmo_cli.report.figure_files import paths_of, write_files
from elmo_cli.report.figures import confusion
from elmo_cli.report.page import write_report

CHINESE = "\N{CJK UNIFIED IDEOGRAPH-4F53}\N{CJK UNIFIED IDEOGRAPH-80B2}"


@pytest.fixture(autouse=True)
def bundled_fonts_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fonts that come with matplotlib, whatever this machine has."""
    here = str(Path(font_manager.__file__).parent)
    bundled = [font for font in font_manager.fontManager.ttflist if font.fname.startswith(here)]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", bundled)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda *_, **__: [])
    fonts._choose.cache_clear()


def has(family: str, letter: str) -> bool:
    return bool(get_font(findfont(FontProperties(family=family))).get_char_index(ord(letter)))


def draw(folder: Path, name: str) -> frozenset[str]:
    drawing = confusion("confusion", "title", "about", [name, "b"], [[8, 1], [2, 3]])
    return write_files(drawing, folder / "figure")


def test_a_letter_is_taken_from_a_font_that_has_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    beyond = (chr(code) for code in range(0x2000, 0xD7FF) if has("STIXGeneral", chr(code)))
    letter = next(letter for letter in beyond if not has("DejaVu Sans", letter))
    with caplog.at_level(logging.WARNING, "matplotlib"):
        assert not draw(tmp_path, f"name {letter}")
    svg, png = paths_of(tmp_path / "figure")
    assert not caplog.records
    styles = {
        element.text: element.get("style", "")
        for element in ElementTree.parse(svg).iter("{http://www.w3.org/2000/svg}text")
    }
    assert "STIXGeneral" in styles[f"name {letter}"]
    assert "STIXGeneral" not in styles["b"]
    with_font = png.read_bytes()
    fonts._choose.cache_clear()
    font_manager.fontManager.ttflist[:] = [font for font in font_manager.fontManager.ttflist if "DejaVu" in font.name]
    assert draw(tmp_path, f"name {letter}") == {letter}
    assert png.read_bytes() != with_font


def test_a_font_that_is_new_since_matplotlib_looked_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_font(tmp_path / "made.ttf", "Elmo Made", CHINESE)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda *_, **__: [str(made), str(tmp_path / "gone.ttf")])
    assert draw(tmp_path, f"a {CHINESE}") == frozenset()
    assert "Elmo Made" in (tmp_path / "figure.svg").read_text(encoding="utf-8")


def make_font(path: Path, family: str, letters: str) -> Path:
    """A font whose letters are squares."""
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    builder = FontBuilder(1000, isTTF=True)
    names = [".notdef", *(f"letter{place}" for place in range(len(letters)))]
    pen = TTGlyphPen(None)
    pen.moveTo((100, 0))
    for corner in ((100, 700), (800, 700), (800, 0)):
        pen.lineTo(corner)
    pen.closePath()
    square = pen.glyph()
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(letter): name for letter, name in zip(letters, names[1:], strict=True)})
    builder.setupGlyf(dict.fromkeys(names, square))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (900, 100)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": family, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return path


def test_a_script_without_a_font_is_told_in_a_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert draw(tmp_path, CHINESE) == set(CHINESE)  # a warning would be an error here
    svg, png = paths_of(tmp_path / "figure")
    assert png.read_bytes().startswith(b"\x89PNG")
    assert CHINESE in svg.read_text(encoding="utf-8")
    assert not caplog.records


def test_the_report_says_which_letters(tmp_path: Path) -> None:
    run = classifier(tmp_path / "classify")
    results = run / "results.json"
    text = results.read_text(encoding="utf-8")
    results.write_text(text.replace('"Sports"', f'"{CHINESE}"'), encoding="utf-8")
    report = write_report([run], figures=tmp_path / "figures")
    assert report.notices == (
        f"no font of this machine has {' '.join(sorted(CHINESE))}: boxes in the PNG figures; install one that has, "
        "such as Noto",
    )
