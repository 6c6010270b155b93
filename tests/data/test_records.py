"""Readers: what is found by content, what is refused, and where the refusal points."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest

from elmo_cli.config import ReadingSettings
from elmo_cli.data.columns import Columns
from elmo_cli.data.files import fingerprint
from elmo_cli.data.formats import delimited, open_file
from elmo_cli.data.formats.format import Record
from elmo_cli.data.records import read_labelled, read_records, read_texts
from elmo_cli.errors import DataError

ANY = ReadingSettings()
Write = Callable[..., Path]
LONG = "a text that is clearly longer than any name of a column would ever be"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(content: str | bytes, name: str = "data.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def texts(path: Path, reading: ReadingSettings = ANY) -> list[str]:
    return list(read_texts([path], reading))


def columns_of(path: Path, reading: ReadingSettings = ANY) -> Columns:
    return open_file(path, reading).columns(labelled=True)


def failure(path: Path, reading: ReadingSettings = ANY, *, labelled: bool = True) -> DataError:
    with pytest.raises(DataError) as caught:
        list(read_records(path, reading, labelled=labelled))
    return caught.value


def test_header_text_and_label_by_content(write: Write) -> None:
    path = write(f"id,kind,body\n1,x,{LONG}\n2,y,{LONG}\n3,x,{LONG}\n4,y,{LONG}\n")
    columns = columns_of(path)
    assert (columns.names, columns.text, columns.label, columns.has_header) == (
        ("id", "kind", "body"),
        ("body",),
        "kind",
        True,
    )
    assert list(islice(read_records(path, ANY, labelled=True), 1)) == [Record(LONG, "x", 2)]


def test_usual_label_name_wins_over_content(write: Write) -> None:
    path = write(f"split,Class Index,Text\na,1,{LONG}\na,2,{LONG}\na,3,{LONG}\n")
    assert columns_of(path).label == "Class Index"


def test_a_column_with_the_name_of_a_text_is_never_the_label(write: Write) -> None:
    columns = columns_of(write("text,n\na b,1\nc d,2\n"))
    assert (columns.text, columns.label) == (("text",), "n")


def test_title_goes_before_the_text(write: Write) -> None:
    path = write(f"Class Index,Title,Description\n1,Head,{LONG}\n2,Foot,{LONG}\n")
    assert texts(path) == [f"Head {LONG}", f"Foot {LONG}"]


def test_no_header_takes_first_column_as_label(write: Write) -> None:
    path = write('"3","Title, one","Text one"\n"1","Title two","Text ""two"""\n')
    read = read_labelled(path, ANY)
    assert read.texts == ("Title, one Text one", 'Title two Text "two"')
    assert read.labels == ("3", "1")
    assert read.classes == ("1", "3")


def test_no_header_with_words_as_labels(write: Write) -> None:
    path = write(f"sports,{LONG}\nworld,{LONG} b\nsports,{LONG} c\n")
    assert read_labelled(path, ANY).labels == ("sports", "world", "sports")


def test_header_without_usual_names(write: Write) -> None:
    above_longer_text = write(f"team,story\nx,{LONG}\ny,{LONG} b\nx,{LONG} c\n")
    assert columns_of(above_longer_text).has_header
    value_that_comes_again = write(f"sports,Win\nworld,{LONG}\nsports,{LONG} b\n", "again.csv")
    assert not columns_of(value_that_comes_again).has_header
    above_numbers = write("mark,line\n1,a b\n2,c d\n", "numbers.csv")
    assert columns_of(above_numbers).has_header


def test_header_can_be_said(write: Write) -> None:
    path = write("text,label\nb,1\nc,2\n")
    assert texts(path, ReadingSettings(header="no", text=("1",))) == ["text", "b", "c"]
    numbers = write("1,2\n3,word\n4,words\n", "numbers.csv")
    assert texts(numbers, ReadingSettings(header="yes")) == ["word", "words"]


def test_named_columns_are_joined_in_the_order_given(write: Write) -> None:
    path = write("a,b,c\n1,x,p\n2,y,q\n")
    reading = ReadingSettings(text=("c", "a"), label="b")
    assert list(read_records(path, reading, labelled=True)) == [Record("p 1", "x", 2), Record("q 2", "y", 3)]


def test_column_of_text_alone(write: Write) -> None:
    assert texts(write("text\nfirst; one\nsecond\n")) == ["first; one", "second"]
    assert "looks like a label" in failure(write("text\nfirst\nsecond\n")).message


def test_label_setting_of_another_file_does_not_hinder_a_corpus(write: Write) -> None:
    assert texts(write("text\nfirst\nsecond\n"), ReadingSettings(label="Class Index")) == ["first", "second"]


def test_classes_are_sorted_naturally(write: Write) -> None:
    rows = "".join(f"{label},{LONG}\n" for label in ("10", "9", "b", "a", "-1", "10"))
    assert read_labelled(write("label,text\n" + rows), ANY).classes == ("-1", "9", "10", "a", "b")


def test_limit_reads_no_further(write: Write) -> None:
    path = write("label,text\n1,one\n2,two\n1\n")  # the last row is broken
    assert read_labelled(path, ANY, limit=2).texts == ("one", "two")


def test_cleaning_is_applied(write: Write) -> None:
    path = write("label,text\n1,AT amp;T\n2,it #39;s\n")
    assert texts(path, ReadingSettings(clean="ag-news")) == ["AT&T", "it's"]
    assert texts(path) == ["AT amp;T", "it #39;s"]


def test_text_file_is_a_text_a_line(write: Write) -> None:
    path = write("\ufeffone\r\n\n  two \nthree", "data.txt")
    assert list(read_records(path, ANY, labelled=False)) == [
        Record("one", None, 1),
        Record("two", None, 3),
        Record("three", None, 4),
    ]


def test_gzip_tsv_and_byte_order_mark(write: Write) -> None:
    content = "\ufefflabel\ttext\n1\tone, one\n2\ttwo\n".encode()
    assert texts(write(gzip.compress(content), "data.tsv.gz")) == ["one, one", "two"]
    assert texts(write(content, "data.tsv")) == ["one, one", "two"]


def test_several_files_follow_each_other(write: Write) -> None:
    paths = [write("one\ntwo", "a.txt"), write("text\nthree\n", "b.csv")]
    assert list(read_texts(paths, ANY)) == ["one", "two", "three"]


def test_lines_in_quotes_and_blank_rows_keep_the_line_numbers(write: Write) -> None:
    path = write('label,text\n1,"a\nb\nc"\n\n2,d\n3\n')
    records = read_records(path, ANY, labelled=True)
    assert [next(records).line, next(records).line] == [2, 6]
    with pytest.raises(DataError) as caught:
        next(records)
    assert caught.value.where == f"{path}, line 7"


@pytest.mark.parametrize(
    ("content", "line", "message", "hint"),
    [
        ("label,text\n1,a\n2\n", 3, "the row has 1 column, but the header names 2", "line break"),
        ("label,text\n1,a\n2,b, c\n", 3, "the row has 3 columns, but the header names 2", "quotes"),
        ("1,a\n2,b, c\n", 2, "the row has 3 columns, but the first row has 2", "quotes"),
        ('label,text\n1,"a\n\n"\n2\n', 5, "the row has 1 column", "line break"),
        ('label,text\n1,"a\n2,b\n3,c\n', 2, "a quote is opened and never closed", "CSV library"),
        ('label,text\n1,"a" b\n', 2, "text goes on after a closing quote", "CSV library"),
        ("label,text\n1,a\r2,b\n", 2, "carriage return", "CSV library"),
        ("label,text\n1,a\n ,b\n", 3, "the label is empty (column 'label')", "remove the row"),
        (b"label,text\n1,a\n2,caf\xe9\n", 3, "the byte 0xe9 is not UTF-8", "--encoding cp1252 or latin-1"),
        (b"label,text\n1,a\n2,\x81\xe9\n", 3, "the byte 0x81 is not UTF-8", "--encoding latin-1"),
        (b"label,text\n1,a\x00b\n", 2, "NUL", "--encoding utf-16"),
        ("1,a\n2,b, c\n", 2, "the row has 3 columns", "setting data.delimiter"),
    ],
)
def test_broken_table_names_file_and_line(
    write: Write, content: str | bytes, line: int, message: str, hint: str
) -> None:
    path = write(content)
    error = failure(path)
    assert message in error.message
    assert hint in (error.remedy or "")
    assert error.expected
    assert error.where is not None
    assert error.where.startswith(f"{path}, line {line}")


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("", "data.csv", "is empty"),
        ("\n\n", "data.csv", "is empty"),
        ("", "data.txt", "is empty"),
        (" \n\n", "data.txt", "is empty"),
        ("label,text\n", "data.csv", "holds column names but no rows"),
        ("\ufeffa".encode("utf-16"), "data.csv", "is UTF-16"),
        (gzip.compress(b"a", mtime=0), "data.txt", "does not end in .gz"),
        (gzip.compress(b"word " * 1000, mtime=0)[:20], "data.txt.gz", "cannot be unpacked"),
        ("text", "data.csv.gz", "cannot be unpacked"),
        ("{}", "data.xlsx", "files of the kind .xlsx are not read"),
        (b"PAR1", "data.parquet.gz", "files of the kind .parquet.gz are not read"),
        (b"PAR1", "data.txt", "is a Parquet file, but its name"),
    ],
)
def test_unusable_file(write: Write, content: str | bytes, name: str, message: str) -> None:
    path = write(content, name)
    error = failure(path, labelled=False)
    assert message in error.message
    assert error.where == str(path)
    assert error.expected


def test_missing_column_names_the_nearest(write: Write) -> None:
    path = write("Class Index,Text\n1,a\n2,b\n")
    error = failure(path, ReadingSettings(label="ClassIndex"))
    assert error.remedy == "did you mean 'Class Index'? (setting data.label)"
    assert error.where == f"{path}, line 1"
    assert "did you mean 'Text'" in (failure(path, ReadingSettings(text=("Txt",))).remedy or "")
    numbered = write("1,a b\n2,b c\n", "numbered.csv")
    assert "its columns are numbered" in (failure(numbered, ReadingSettings(text=("Text",))).remedy or "")


def test_missing_file_names_the_nearest(write: Write, tmp_path: Path) -> None:
    write("text\na\n", "train.csv")
    assert failure(tmp_path / "tran.csv").remedy == "did you mean 'train.csv'?"
    assert failure(tmp_path / "tran.txt", labelled=False).where == str(tmp_path / "tran.txt")
    assert "there is no folder" in (failure(tmp_path / "nowhere" / "train.csv").remedy or "")
    for number in range(11):
        write("", f"{number}.bin")
    assert "none of the 12 files" in (failure(tmp_path / "words.txt", labelled=False).remedy or "")
    with pytest.raises(DataError, match="is a folder"):
        texts(tmp_path)


def test_text_file_has_no_labels(write: Write) -> None:
    assert "has no labels" in failure(write("one\n", "data.txt")).message


def test_table_of_labels_only(write: Write) -> None:
    error = failure(write("label\n1\n2\n"), ReadingSettings(label="label"))
    assert "no column of text beside its label 'label'" in error.message


def test_records_are_streamed(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("label,text\n" + "".join(f"{number % 2},text {number}\n" for number in range(5000)))
    read = 0

    def counting(*arguments: object) -> Iterator[str]:
        nonlocal read
        for line in original(*arguments):
            read += 1
            yield line

    original = delimited.read_lines
    monkeypatch.setattr(delimited, "read_lines", counting)
    assert len(list(islice(read_records(path, ANY, labelled=True), 10))) == 10
    assert read < 1000  # samples for the delimiter and the columns, and ten rows


def test_fingerprint_is_that_of_the_bytes(write: Write, tmp_path: Path) -> None:
    assert fingerprint(write(b"abc")) == "sha256:" + hashlib.sha256(b"abc").hexdigest()
    with pytest.raises(DataError, match="there is no file"):
        fingerprint(tmp_path / "none")


def test_ag_news_as_published_and_as_prepared(shared: Path) -> None:
    folder = shared / "data/ag_news"
    published = columns_of(folder / "original_test.csv")
    assert (published.has_header, published.label, published.text) == (False, "1", ("2", "3"))
    prepared = columns_of(folder / "train.csv")
    assert (prepared.has_header, prepared.label, prepared.text) == (True, "Class Index", ("Text",))
    original = read_labelled(folder / "original_test.csv", ANY)
    joined = read_labelled(folder / "test.csv", ANY)
    assert original.classes == ("1", "2", "3", "4")
    assert original.labels == joined.labels
    assert [text.split() for text in original.texts] == [text.split() for text in joined.texts]
