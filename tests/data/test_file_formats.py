"""The registry of formats: what a new one must say of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from elmo_cli.config import ReadingSettings
from elmo_cli.data.formats import FORMATS, deciding_texts, format_of, is_readable
from elmo_cli.data.formats.format import Format


@pytest.mark.parametrize("one", FORMATS, ids=lambda one: one.kind)
def test_a_format_says_what_it_is(one: type[Format]) -> None:
    assert [one.kind, one.title].count("") == 0
    assert one.settings <= set(ReadingSettings.model_fields)
    assert "clean" in one.settings  # which is done to the texts of all formats alike
    for ending in one.endings:
        assert format_of(Path(f"a{ending}")) is one
        assert is_readable(Path(f"a{ending.upper()}"))


def test_no_two_formats_claim_the_same() -> None:
    assert len({one.kind for one in FORMATS}) == len(FORMATS)
    endings = [ending for one in FORMATS for ending in one.endings]
    assert len(set(endings)) == len(endings)


@pytest.mark.parametrize(
    ("name", "settings", "deciding"),
    [
        ("a.txt", {}, {"encoding", "clean"}),
        ("a.parquet", {}, {"text", "label", "clean"}),
        ("a.parquet", {"text": "body"}, {"text", "clean"}),
        ("a.jsonl.gz", {"text": "body"}, {"text", "encoding", "clean"}),
        ("a.tsv", {}, {"text", "label", "encoding", "header", "quoting", "clean"}),
        ("a.csv", {"text": "body"}, {"text", "encoding", "delimiter", "header", "quoting", "clean"}),
    ],
)
def test_which_settings_decide_the_texts(name: str, settings: dict[str, object], deciding: set[str]) -> None:
    assert deciding_texts(Path(name), ReadingSettings.model_validate(settings)) == deciding
