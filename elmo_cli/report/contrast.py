"""Cells shaded by a share, with letters that can be read on them.

Contrast = (L_lighter + 0.05) / (L_darker + 0.05), with the relative luminance L = 0.2126 R + 0.7152 G + 0.0722 B of the
linear red, green and blue (WCAG 2.2). Small letters need 4.5. Of black and white one always has 4.58 or more.
"""

from __future__ import annotations

Colour = tuple[float, float, float]
BLACK, WHITE = "#000000", "#ffffff"
# A page's cells, from a share of nothing to all of it.
SCALES = {"light": ("#f5fafd", "#0f7ab7"), "dark": ("#171d23", "#52aadb")}


def colour(text: str) -> Colour:
    """Red, green and blue from 0 to 1 of `#rrggbb`."""
    red, green, blue = (int(text[start : start + 2], 16) / 255 for start in (1, 3, 5))
    return red, green, blue


def contrast(one: Colour, other: Colour) -> float:
    """How well one colour is told from another: 1 for the same, 21 for black on white."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def letters_on(ground: Colour) -> str:
    """Black or white, whichever has more contrast to what is below it."""
    return max((BLACK, WHITE), key=lambda letters: contrast(colour(letters), ground))


def cell_style(share: float) -> str:
    """A page's cell of some share from 0 to 1, as CSS variables: its colour and that of its letters, by scheme."""
    found = []
    for scheme, (nothing, everything) in SCALES.items():
        ends = zip(colour(nothing), colour(everything), strict=True)
        ground = "#" + "".join(f"{round(255 * (low + share * (high - low))):02x}" for low, high in ends)
        found.append(f"--{scheme}:{ground};--on-{scheme}:{letters_on(colour(ground))}")
    return ";".join(found)


def _luminance(of: Colour) -> float:
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in of]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
