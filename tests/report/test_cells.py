"""Cells by hand: as they are printed, and as others compute with them."""

from __future__ import annotations

import pytest

from elmo_cli.report.cells import Cell, Interval, Name, Number, Table, printed, select, value_of


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (Number(1234), "1,234"),
        (Number(31.25), "31.2"),
        (Number(1.5), "1.5"),
        (Number(0.8712, "share"), "87.12"),
        (Number(0.8712, "share", 0.012), "87.12 ± 1.20"),
        (Number(0.8712, "share", None), "87.12"),
        (Number(0.125, "rate"), "12.50 %"),
        (Number(0.0123, "difference"), "+1.23"),
        (Number(0.3, "weight"), "0.300"),
        (Number(0.001, "p"), "0.0010"),
        (Number(0.0009, "p"), "< 0.001"),
        (Number(None, "p"), "-"),
        (Interval((0.78, 0.82)), "78.00 to 82.00"),
        (Interval((-0.03, 0.01), "difference"), "-3.00 to +1.00"),
        (Interval(None), "-"),
        (Name("w2v.txt", ("base", "best"), ("in words",)), "w2v.txt * †"),
        ("2 of 3", "2 of 3"),
        (None, "-"),
    ],
)
def test_printed(cell: Cell, text: str) -> None:
    assert printed(cell) == text


def test_values() -> None:
    cells: list[Cell] = [Number(0.25, "share"), Number(None), Name("w2v", ("base",)), "lm", True, None]
    assert [value_of(cell) for cell in cells] == [0.25, None, "w2v", "lm", True, None]
    with pytest.raises(TypeError, match="two values"):
        value_of(Interval((0.1, 0.2)))


def test_selected_columns_in_their_order() -> None:
    rows = [{"a": "x", "b": Number(1), "c": None}, {"a": "y", "b": Number(2), "c": None}]
    assert select(rows, ("b", "a"), ("second", "first"), "title") == Table(
        ("second", "first"), [[Number(1), "x"], [Number(2), "y"]], "title"
    )
    assert select(rows, ("a",)).columns == ("a",)
