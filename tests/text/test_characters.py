"""Character ids against a second implementation, written from the format's description byte by byte."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from elmo_cli.text.characters import character_ids


def by_hand(token: str, size: int) -> list[int]:
    if token == "":
        return [0] * size
    codes = {"<S>": [256], "</S>": [257]}.get(token, list(token.encode("utf-8"))[: size - 2])
    row = [258, *codes, 259]
    return [code + 1 for code in row + [260] * (size - len(row))]


def test_rows_of_the_format() -> None:
    rows = character_ids(["", "<S>", "</S>", "aé"], 6)
    assert rows.tolist() == [
        [0, 0, 0, 0, 0, 0],
        [259, 257, 260, 261, 261, 261],
        [259, 258, 260, 261, 261, 261],
        [259, 98, 196, 170, 260, 261],
    ]
    assert rows.dtype == "int64"


def test_long_words_are_cut_by_bytes() -> None:
    # Six bytes of room: three of "é" fit whole; with one letter before, the last is cut in half.
    assert character_ids(["éééé", "aéééé"], 8).tolist() == [
        [259, 196, 170, 196, 170, 196, 170, 260],
        [259, 98, 196, 170, 196, 170, 196, 260],
    ]
    word = "x" * 60
    assert character_ids([word], 50).tolist() == [[259, *[121] * 48, 260]]


def test_no_types_and_the_least_room() -> None:
    assert character_ids([], 50).shape == (0, 50)
    assert character_ids(["ab", "<S>"], 3).tolist() == [[259, 98, 260], [259, 257, 260]]


@given(st.lists(st.text(alphabet=st.characters(codec="utf-8"), max_size=12)), st.integers(3, 12))
def test_all_rows_agree_with_the_description(types: list[str], size: int) -> None:
    assert character_ids(types, size).tolist() == [by_hand(token, size) for token in types]


def test_characters_of_an_alphabet_have_their_places_and_others_share_one() -> None:
    ids = character_ids(["ba猫", "é🙂zzzz", "<S>", "</S>", ""], 6, "b猫🙂a")
    # after the shift by one: four characters, any other, begin and end of a sentence and of a word, filling
    assert ids.tolist() == [
        [8, 1, 4, 2, 9, 10],
        [8, 5, 3, 5, 5, 9],
        [8, 6, 9, 10, 10, 10],
        [8, 7, 9, 10, 10, 10],
        [0, 0, 0, 0, 0, 0],
    ]
