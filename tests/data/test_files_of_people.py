"""Files as people have them: what spreadsheets, other libraries and other systems write."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from elmo_cli.config import ReadingSettings
from elmo_cli.config.choices import Quoting
from elmo_cli.data.columns import Columns
from elmo_cli.data.formats import open_file
from elmo_cli.data.inspection import inspect
from elmo_cli.data.records import read_labelled, read_texts
from elmo_cli.errors import DataError

ANY = ReadingSettings()


def columns_of(path: Path) -> Columns:
    return open_file(path, ANY).columns(labelled=False)


def rows(*columns: str) -> str:
    """Twelve rows of two classes; {n} is the number of the row, {c} its class."""
    return "".join(",".join(columns).format(n=n, c="ab"[n % 2]) + "\n" for n in range(12))


@pytest.mark.parametrize(
    ("header", "columns", "text"),
    [
        ("id,text,label", ("cd613e30-d8f1-6adf-91b7-584a22{n}", "good day", "{c}"), ("text",)),
        (
            "text,url,label",
            ("short {n}", "https://example.org/news/archive/2024/05/story-{n}.html?ref=front", "{c}"),
            ("text",),
        ),
        ("review,notes,label", ("fine {n}", "written down by someone in the office on day {n}", "{c}"), ("review",)),
        ("words,address,label", ("so it is {n}", "https://example.org/news/archive/story-{n}.html", "{c}"), ("words",)),
        (
            "headline,body,when,label",
            ("Oil", "prices rose {n}", "2024-05-01T10:00:00.000000+00:00 {n}", "{c}"),
            ("headline", "body"),
        ),
        ("words,label,label_text", ("w {n}", "{c}", "a very long name of class {c} here"), ("words",)),
    ],
)
def test_names_come_before_content(
    tmp_path: Path, header: str, columns: tuple[str, ...], text: tuple[str, ...]
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"{header}\n{rows(*columns)}")
    found = columns_of(path)
    assert (found.text, found.label) == (text, "label")
    sentence = found.taken("a.csv")
    assert all(name in sentence for name in (*text, "label", found.text_reason))


def test_two_columns_of_one_name_are_refused_everywhere(tmp_path: Path) -> None:
    table, lines, parquet = tmp_path / "a.csv", tmp_path / "a.jsonl", tmp_path / "a.parquet"
    table.write_text("text,label,text\n" + rows("one {n}", "{c}", "two {n}"))
    lines.write_text('{"text": "one", "label": "a", "text": "two"}\n' * 3)
    columns = [pa.array(["one"]), pa.array(["a"]), pa.array(["two"])]
    pq.write_table(pa.Table.from_arrays(columns, names=["text", "label", "text"]), parquet)
    for path in (table, lines, parquet):
        with pytest.raises(DataError, match=f"2 columns of {path.name} have the name 'text': columns 1 and 3"):
            columns_of(path)


def test_quotation_marks_in_tsv_are_letters(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text('text\tlabel\n"alpha beta\tpos\ngamma delta\tneg\nepsilon zeta"\tpos\neta theta\tneg\n')
    read = read_labelled(path, ANY)
    assert read.texts == ('"alpha beta', "gamma delta", 'epsilon zeta"', "eta theta")
    assert read.labels == ("pos", "neg", "pos", "neg")
    assert "data.quoting: yes" in (columns_of(path).quoting or "")
    # Told otherwise, the marks enclose three lines.
    assert len(read_labelled(path, ReadingSettings(quoting="yes")).texts) == 2


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ('text\tlabel\n"a\tb"\tx\nc\ty\n', ("a\tb", "c")),  # the rows are even in no other way
        ('text\tlabel\n"a\nb"\tx\nc\ty\n', ("a\nb", "c")),
        ('"text"\t"label"\n"a"\t"x"\n"c"\t"y"\n', ("a", "c")),
    ],
)
def test_quotation_marks_in_tsv_that_enclose(tmp_path: Path, content: str, texts: tuple[str, ...]) -> None:
    path = tmp_path / "a.tsv"
    path.write_text(content)
    assert read_labelled(path, ANY).texts == texts
    doubt = columns_of(path).quoting or ""
    assert "data.quoting: no" in doubt
    assert ("several lines" in doubt) == ("\n" in texts[0])


def test_the_first_line_of_excel(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("sep=;\ntext;label\n" + rows("good {n}", "{c}").replace(",", ";"))
    found = columns_of(path)
    assert (found.names, found.delimiter) == (("text", "label"), ";")
    assert read_labelled(path, ANY).texts[0] == "good 0"


@pytest.mark.parametrize("name", ["a.txt", "a.csv"])
def test_lines_that_end_in_carriage_returns(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"oil prices rose\rthe match ended\rnew phone sold\r")
    assert list(read_texts([path], ReadingSettings(header="no"))) == [
        "oil prices rose",
        "the match ended",
        "new phone sold",
    ]


def test_labels_meet_in_one_form(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\na b,caf\u00e9\nc d,cafe\u0301\ne f,tea\n", encoding="utf-8")
    assert read_labelled(path, ANY).classes == ("caf\u00e9", "tea")


def test_labels_that_print_alike_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\n" + "a b,Sports\nc d,Sports\u200b\ne f,World\n" * 4, encoding="utf-8")
    problems = inspect([path], ANY, lambda text: len(text.split()), 100).files[0].problems
    assert any(r"'Sports', 'Sports\u200b'" in problem and "print alike" in problem for problem in problems)


def test_parquet_of_hugging_face(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    features = {"label": {"_type": "ClassLabel", "names": ["World", "Sports"]}, "text": {"_type": "Value"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    table = pa.table({"text": ["a b", "c d", "e f"], "label": pa.array([1, 0, 1], pa.int64())})
    pq.write_table(table.replace_schema_metadata(metadata), path)
    assert read_labelled(path, ANY).labels == ("Sports", "World", "Sports")
    pq.write_table(table.replace_schema_metadata({"huggingface": "[" * 9}), path)
    assert read_labelled(path, ANY).labels == ("1", "0", "1")


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_a_decimal_is_the_same_label_in_every_width(tmp_path: Path, kind: type[np.floating]) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["a b", "c d"], "label": pa.array(np.array([0.1, 2.0], kind))}), path)
    assert read_labelled(path, ANY).labels == ("0.1", "2")


@pytest.mark.parametrize("sign", [",", ";"])
@pytest.mark.parametrize("quoting", ["auto", "backslash"])
def test_quotation_marks_with_a_backslash(tmp_path: Path, sign: str, quoting: Quoting) -> None:
    rows = [r'"so \"it\", is"', r'"plain; text"', r'"ends with \\"', '"two\nlines, \\"quoted\\""']
    path = tmp_path / "a.csv"
    path.write_text(f"text{sign}label\n" + "".join(f"{row}{sign}{n % 2}\n" for n, row in enumerate(rows * 3)))
    expected = ('so "it", is', "plain; text", r"ends with \\", 'two\nlines, "quoted"')
    assert read_labelled(path, ReadingSettings(quoting=quoting)).texts[:4] == expected
    assert "backslash" in str(columns_of(path).quoting)


def test_a_backslash_is_a_letter_where_rows_are_even_with_it(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\n" + "".join(f'"over \\",{n % 2}\n' for n in range(6)))
    assert read_labelled(path, ANY).texts[0] == "over \\"
    path.write_text('text,label\n"fine",1\n' * 150 + '"so \\"it\\" is",1\n')
    with pytest.raises(DataError, match="goes on after a closing quote") as caught:
        read_labelled(path, ANY)
    assert "data.quoting=backslash" in str(caught.value.remedy)
