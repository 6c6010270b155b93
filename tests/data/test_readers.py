"""JSON lines, Parquet, delimiters, encodings and labels: the same texts from each kind of file, and what is refused."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elmo_cli.config import ReadingSettings, load_experiment
from elmo_cli.data.columns import Columns
from elmo_cli.data.formats import delimited, open_file
from elmo_cli.data.formats.format import Record
from elmo_cli.data.records import read_labelled, read_records, read_texts
from elmo_cli.data.values import as_label
from elmo_cli.errors import ConfigError, DataError

ANY = ReadingSettings()
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(content: str | bytes, name: str) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def lines(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def columns_of(path: Path, reading: ReadingSettings = ANY) -> Columns:
    return open_file(path, reading).columns(labelled=True)


def failure(path: Path, reading: ReadingSettings = ANY, *, labelled: bool = True) -> DataError:
    with pytest.raises(DataError) as caught:
        list(read_records(path, reading, labelled=labelled))
    return caught.value


ROWS = [("sports", "Das Spiel war gut, \tfand er"), ("money", 'Der "Kurs"; stieg | auf 3 €'), ("sports", "Ein Tor")]


def test_every_kind_of_file_gives_the_same_texts(write: Write, tmp_path: Path) -> None:
    made = [write(lines(*({"text": text, "label": label, "id": n} for n, (label, text) in enumerate(ROWS))), "a.jsonl")]
    made += [made[0].rename(tmp_path / "a.ndjson")]
    made += [write(gzip.compress(made[1].read_bytes()), "a.json.gz")]
    pq.write_table(
        pa.table({"label": [label for label, _ in ROWS], "text": [text for _, text in ROWS]}), tmp_path / "a.pq"
    )
    made += [(tmp_path / "a.pq").rename(tmp_path / "a.parquet")]
    for name, delimiter in (("a.csv", ","), ("b.csv", ";"), ("c.csv", "\t"), ("d.csv", "|"), ("a.tsv", "\t")):
        with (tmp_path / name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, delimiter=delimiter).writerows([("label", "text"), *ROWS])
        assert columns_of(tmp_path / name).delimiter == delimiter
        made.append(tmp_path / name)
    for path in made[1:]:
        read = read_labelled(path, ANY)
        assert list(zip(read.labels, read.texts, strict=True)) == ROWS, path
        assert list(read_texts([path], ANY)) == [text for _, text in ROWS]


@pytest.mark.parametrize("value", [1, 1.0, "1", "1.0", " 1 ", "1."])
def test_a_label_is_the_same_however_it_is_written(value: object) -> None:
    assert as_label(value) == "1"


@pytest.mark.parametrize(
    ("value", "label"),
    [
        *((True, "true"), ("True", "true"), (False, "false"), ("FALSE", "false"), (0.5, "0.5"), ("1.5", "1.5")),
        *((None, ""), (float("nan"), ""), (-2.0, "-2"), (10**20, "1" + "0" * 20), ("v1.0", "v1.0"), ("01", "01")),
    ],
)
def test_labels_of_any_kind(value: object, label: str) -> None:
    assert as_label(value) == label


@given(st.one_of(st.integers(-(2**53), 2**53), st.booleans()))
def test_labels_agree_between_json_csv_and_python(value: int | bool) -> None:
    assert as_label(json.loads(json.dumps(value))) == as_label(str(value)) == as_label(value)
    if not isinstance(value, bool):
        assert as_label(float(value)) == as_label(value)


def test_number_labels_agree_between_files(write: Write, tmp_path: Path) -> None:
    pq.write_table(pa.table({"label": [1.0, 2.0, 10.0], "text": ["a b", "c d", "e f"]}), tmp_path / "a.parquet")
    pq.write_table(
        pa.table({"label": pa.array([1, 2, 10], pa.int8()), "text": ["a b", "c d", "e f"]}), tmp_path / "b.pq"
    )
    pq.write_table(
        pa.table({"label": pa.array(["1", "2", "10"]).dictionary_encode(), "text": ["a b", "c d", "e f"]}),
        tmp_path / "c.parquet",
    )
    table = write("label,text\n1,a b\n2.0,c d\n10,e f\n", "a.csv")
    objects = write(lines(*({"label": label, "text": "a b"} for label in (1, "2", 10.0))), "a.jsonl")
    for path in (tmp_path / "a.parquet", tmp_path / "b.pq", tmp_path / "c.parquet", table, objects):
        assert read_labelled(path, ANY).classes == ("1", "2", "10"), path


def test_fields_are_found_and_nested_ones_left_out(write: Write) -> None:
    row = {"meta": {"a": 1}, "tokens": ["x"], "n": 3, "kind": "x", "body": "a longer text than any label is", "e": None}
    path = write(lines(row, row | {"kind": "y"}, row, row | {"kind": "y"}), "a.jsonl")
    columns = columns_of(path)
    assert columns.names == ("n", "kind", "body", "e")
    assert (columns.text, columns.label) == (("body",), "kind") or (columns.text, columns.label) == (("body",), "n")
    error = failure(path, ReadingSettings(text=("meta",), label="kind"))
    assert "the field 'meta' holds an object" in error.message
    assert error.where == f"{path}, line 1"
    assert "the field 'tokens' holds a list" in failure(path, ReadingSettings(text=("tokens",))).message
    assert "did you mean 'body'" in (failure(path, ReadingSettings(text=("bodi",))).remedy or "")


def test_values_that_are_no_strings(write: Write) -> None:
    path = write(lines({"t": "a", "n": 3}, {"t": None, "n": 2.5}, {"t": True, "n": None}), "a.jsonl")
    assert list(read_texts([path], ReadingSettings(text=("t", "n")))) == ["a 3", " 2.5", "true "]


GOOD = {"text": "a b", "label": 1}


@pytest.mark.parametrize(
    ("row", "place", "message"),
    [
        ('{"text": "a b", "label": }', "line 3, column 26", "line 3 of a.jsonl is no JSON"),
        ('["a b", 1]', "line 3", "line 3 of a.jsonl holds a list"),
        ('"a b"', "line 3", "line 3 of a.jsonl holds a string"),
        ('{"text": "a b"}', "line 3", "there is no field 'label', as there is in other rows"),
        ('{"text": "a b", "label": null}', "line 3", "the label is empty (column 'label')"),
        ('{"text": "a\\u0000b", "label": 1}', "line 3", "the field 'text' holds a NUL character"),
        ('{"text": "a\\ud800b", "label": 1}', "line 3", "the field 'text' holds half of a surrogate pair"),
        ("[" * 100_000, "line 3", "nested too deeply"),
    ],
)
def test_a_line_that_cannot_be_used(write: Write, row: str, place: str, message: str) -> None:
    # 300 good rows stand between the blank line and the end, so that the sample is not all there is.
    path = write(lines(GOOD) + "\n" + row + "\n" + lines(*[GOOD] * 300), "a.jsonl")
    error = failure(path)
    assert message in error.message
    assert error.where == f"{path}, {place}"
    assert error.expected


def test_a_late_row_is_checked_like_the_first(write: Write) -> None:
    path = write(lines(*[GOOD] * 300, GOOD | {"text": {"a": 1}}), "a.jsonl")
    error = failure(path)
    assert (error.where, "holds an object" in error.message) == (f"{path}, line 301", True)


def test_one_document_is_not_lines(write: Write) -> None:
    path = write(json.dumps([GOOD, GOOD], indent=2), "a.json")
    assert "jq -c '.[]' a.json" in (failure(path).remedy or "")
    assert "jq" in (failure(write(json.dumps([GOOD, GOOD]), "b.json")).remedy or "")
    assert "is empty" in failure(write("\n", "c.jsonl")).message


def test_rows_that_are_refused_can_be_left_out(write: Write) -> None:
    refused: list[DataError] = []
    path = write("label,text\n1,a\n2\n,b\n1,c\n", "a.csv")
    kept = list(read_records(path, ANY, labelled=True, refuse=refused.append))
    assert [record.text for record in kept] == ["a", "c"]
    assert [error.where for error in refused] == [f"{path}, line 3", f"{path}, line 4"]
    path = write(lines(GOOD, {"text": "b"}, GOOD), "a.jsonl")
    assert len(list(read_records(path, ANY, labelled=True, refuse=refused.append))) == 2
    assert refused[-1].where == f"{path}, line 2"


def test_parquet_is_read_in_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table(
        {
            "unread": [{"a": n} for n in range(3000)],
            "text": [f"text number {n}" for n in range(3000)],
            "label": [n % 3 for n in range(3000)],
            "image": [b"\xff"] * 3000,
        }
    )
    pq.write_table(table, path, row_group_size=1000)
    assert columns_of(path).names == ("text", "label")
    asked: list[tuple[int, list[str]]] = []

    class Watched(pq.ParquetFile):
        def iter_batches(self, size: int, **options: Any) -> Any:
            asked.append((options["row_groups"][0], options["columns"]))
            return super().iter_batches(size, **options)

    monkeypatch.setattr(pq, "ParquetFile", Watched)
    seen: list[int] = []
    records = read_records(path, ANY, labelled=True, on_bytes=seen.append)
    assert next(records) == Record("text number 0", "0", 1)
    assert asked == [(0, ["text", "label"]), (0, ["text", "label"])]  # the sample, then the first group
    assert len(list(records)) == 2999
    assert seen[-1] == path.stat().st_size
    assert len(seen) == 3
    with pytest.raises(DataError, match="there is no column 'image'"):
        list(read_records(path, ReadingSettings(text=("image",)), labelled=False))


def test_parquet_that_cannot_be_used(write: Write, tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a", "b\0c"], "label": [1, None]}), tmp_path / "a.parquet")
    assert failure(tmp_path / "a.parquet", labelled=False).where == f"{tmp_path / 'a.parquet'}, row 2"
    assert (
        "the label is empty" in failure(tmp_path / "a.parquet", ReadingSettings(text=("label",), label="label")).message
    )
    assert "cannot be read as Parquet" in failure(write("no Parquet", "b.parquet")).message
    assert "cannot be read as Parquet" in failure(write("", "c.parquet")).message
    assert "there is no file" in failure(tmp_path / "d.parquet").message
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "e.parquet")
    assert "is empty" in failure(tmp_path / "e.parquet").message
    pq.write_table(pa.table({"text": [["a"]]}), tmp_path / "f.parquet")
    assert "no field of text" in failure(tmp_path / "f.parquet").message


def test_a_delimiter_is_found_in_quoted_tables_too(write: Write) -> None:
    path = write('"label";"text, long"\n"a";"b, c"\n"d";"e"\n', "a.csv")
    assert columns_of(path).delimiter == ";"
    assert read_labelled(path, ANY).texts == ("b, c", "e")


def test_a_delimiter_can_be_said(write: Write) -> None:
    path = write("label;text\n1;a;b\n2;c\n", "a.csv")  # uneven, so nothing is found
    assert "looks like a label" in failure(path).message or "column" in failure(path).message
    error = failure(path, ReadingSettings(delimiter="semicolon"))
    assert error.where == f"{path}, line 2"
    assert "texts that contain semicolons" in (error.remedy or "")
    odd = write("label#text\n1#a, b\n2#c\n", "b.csv")
    assert read_labelled(odd, ReadingSettings(delimiter="#")).texts == ("a, b", "c")
    assert [ReadingSettings(delimiter=name).delimiter for name in ("comma", "tab", "bar", ";")] == [",", "\t", "|", ";"]


@pytest.mark.parametrize("sign", ["ab", "", '"', "\n", "colon"])
def test_a_delimiter_that_cannot_be_one(sign: str) -> None:
    with pytest.raises(ConfigError, match=r"data\.delimiter"):
        load_experiment(None, (), {"data.delimiter": sign})


def test_long_fields_are_read_and_the_limit_of_others_stays(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    before = csv.field_size_limit()
    path = write('label,text\n1,"' + "word " * 40_000 + '"\n2,b\n', "a.csv")
    records = read_records(path, ANY, labelled=True)
    assert len(next(records).text) == 200_000
    assert csv.field_size_limit() == before
    monkeypatch.setattr(delimited, "LONGEST_FIELD", 150_000)
    assert "a field is longer than 150,000 characters" in failure(path).message
    assert csv.field_size_limit() == before


TEXT = "Grüße, naïve Leser"


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le", "utf-32", "utf-8-sig", "mac-roman"])
@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.jsonl", "a.txt.gz"])
def test_encodings(write: Write, encoding: str, name: str) -> None:
    content = {"csv": f'label,text\n1,"{TEXT}"\n2,b\n', "jsonl": f'{{"text": "{TEXT}"}}\n{{"text": "b"}}\n'}
    encoded = content.get(name.partition(".")[2], f"{TEXT}\nb\n").encode(encoding)
    path = write(gzip.compress(encoded) if name.endswith(".gz") else encoded, name)
    assert list(read_texts([path], ReadingSettings(encoding=encoding))) == [TEXT, "b"]


def test_bytes_that_are_not_in_the_encoding(write: Write) -> None:
    error = failure(write("gut\nGrüße\n".encode("latin-1"), "a.txt"), labelled=False)
    assert (error.where or "").endswith("a.txt, line 2, byte 3")
    assert "--encoding cp1252 or latin-1" in (error.remedy or "")
    error = failure(write("gut\nGrüße\n", "b.txt"), ReadingSettings(encoding="ascii"), labelled=False)
    assert "--encoding utf-8" in (error.remedy or "")
    error = failure(
        write("gut\n".encode("utf-16") + b"\x00", "c.txt"), ReadingSettings(encoding="utf-16"), labelled=False
    )
    assert "is not utf-16 after line" in error.message


def test_unknown_encodings_name_the_nearest() -> None:
    for name, hint in (
        ("latin1x", "did you mean 'latin1'"),
        ("utf8x", "did you mean 'utf8'"),
        ("rot13", "should be an"),
    ):
        with pytest.raises(ConfigError, match=hint) as caught:
            load_experiment(None, (), {"data.encoding": name})
        assert "data.encoding is" in caught.value.message
    assert ReadingSettings(encoding="UTF_8").encoding == "utf-8"


def test_bytes_are_reported_as_they_are_read(write: Write) -> None:
    for name in ("a.txt", "a.txt.gz"):
        content = b"some words on a line\n" * 5000
        path = write(gzip.compress(content) if name.endswith("gz") else content, name)
        seen: list[int] = []
        assert len(list(read_records(path, ANY, labelled=False, on_bytes=seen.append))) == 5000
        assert seen == sorted(seen)
        assert 0 < seen[0] <= seen[-1] <= path.stat().st_size
        assert len(seen) == 4
