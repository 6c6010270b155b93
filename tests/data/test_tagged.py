"""Files with a tag for every token, in each format, and what is said of those that are broken."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from elmo_cli.config import ReadingSettings
from elmo_cli.data.discovery import discover
from elmo_cli.data.records import read_records
from elmo_cli.data.tagged import TagColumns, open_tagged, read_tagged
from elmo_cli.errors import DataError

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def put(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return put


def read(
    path: Path, tagged: bool = True, header: str = "auto", **columns: str
) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    reading = ReadingSettings.model_validate({"header": header})
    sentences = read_tagged(path, reading, TagColumns(**columns), tagged=tagged)
    return [(one.tokens, one.tags) for one in sentences]


COLUMNS = "-DOCSTART- -X- O\n\nThe DT B-NP\nmatch NN I-NP\n\n\nIt PRP B-NP\nended VBD B-VP"


def test_columns(write: Write) -> None:
    path = write("train.txt", COLUMNS)
    assert read(path) == [(("The", "match"), ("B-NP", "I-NP")), (("It", "ended"), ("B-NP", "B-VP"))]
    assert read(path, tags="2")[0][1] == ("DT", "NN")
    assert read(path, tagged=False)[0] == (("The", "match"), ())
    first, second = read_tagged(path, ReadingSettings())
    assert (list(first.lines), first.line, list(second.lines)) == ([3, 4], 3, [7, 8])
    assert second.where(path, 1) == f"{path}, line 8"


def test_tabs_leave_blanks_in_tokens(write: Write) -> None:
    assert read(write("a.tsv", "New York\tB-LOC\nis\tO\n")) == [(("New York", "is"), ("B-LOC", "O"))]


def test_packed_and_windows_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.conll.gz"
    path.write_bytes(gzip.compress(b"The DT\r\n\r\nIt PRP\r\n"))
    assert read(path) == [(("The",), ("DT",)), (("It",), ("PRP",))]


def test_columns_by_name(write: Write) -> None:
    named = write("a.conll", "# global.columns = FORM XPOS NER\n# sent_id = 1\n# NN O\nBerlin NNP B-LOC\n")
    assert read(named, tags="XPOS") == [(("#", "Berlin"), ("NN", "NNP"))]
    assert open_tagged(named, ReadingSettings()).taken(tagged=True) == {"tokens": "FORM", "tags": "NER"}
    headed = write("b.tsv", "word\ttag\nThe\tDT\n")
    assert read(headed, header="yes", tokens="word", tags="tag") == [(("The",), ("DT",))]


CONLLU = """# sent_id = 1
# text = vámonos al mar
1-2\tvámonos\t_\t_\t_\t_\t_\t_\t_\t_
1\tvamos\tir\tVERB\tVM\tMood=Imp\t0\troot\t_\t_
2\tnos\tnosotros\tPRON\tPP\t_\t1\tobj\t_\t_
2.1\tnada\t_\tNOUN\t_\t_\t_\t_\t_\t_

1\tmar\tmar\tNOUN\tNC\tGender=Masc\t0\troot\t_\t_
"""


def test_conllu_leaves_ranges_and_empty_nodes_out(write: Write) -> None:
    path = write("es.conllu", CONLLU)
    assert read(path) == [(("vamos", "nos"), ("VERB", "PRON")), (("mar",), ("NOUN",))]
    assert read(path, tags="XPOS")[1][1] == ("NC",)
    assert read(path, tags="FEATS")[0][1] == ("Mood=Imp", "_")
    assert read(path, tokens="LEMMA")[0][0] == ("ir", "nosotros")


def test_json_lines(write: Write) -> None:
    rows = [{"tokens": ["The", "match"], "tags": ["DT", "NN"], "id": 1}, {"tokens": ["It"], "tags": ["PRP"], "id": 2}]
    path = write("a.jsonl", "\n".join(map(json.dumps, rows)))
    assert read(path) == [(("The", "match"), ("DT", "NN")), (("It",), ("PRP",))]


@pytest.mark.parametrize("wrap", [lambda label: {"_type": "Sequence", "feature": label}, lambda label: [label]])
def test_parquet_says_names_of_classes(tmp_path: Path, wrap: Callable[[object], object]) -> None:
    features = {"ner_tags": wrap({"_type": "ClassLabel", "names": ["O", "B-PER"]}), "tokens": wrap({"_type": "Value"})}
    metadata = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    table = pa.table({"id": ["0"], "tokens": [["Ann", "ran"]], "ner_tags": [[1, 0]]})
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet") == [(("Ann", "ran"), ("B-PER", "O"))]


@pytest.mark.parametrize(
    ("name", "text", "settings", "problem", "where"),
    [
        ("a.txt", "The DT\nmatch NN I-NP\n", {}, "has 3 columns, the first token's line 2", "line 2"),
        ("a.txt", "The\nmatch\n", {}, "one column", "line 1"),
        ("a.txt", "\n\n", {}, "holds no sentence", "a.txt"),
        ("a.tsv", "The\tDT\n\tNN\n", {}, "the token is empty", "line 2"),
        ("a.tsv", "The\tDT\nmatch\t\n", {}, "the tag is empty", "line 2"),
        ("a.txt", "The DT\n", {"tags": "9"}, "no column '9'", "a.txt"),
        ("a.conllu", CONLLU, {"tags": "XPO"}, "no column 'XPO'", "a.conllu"),
        ("a.jsonl", '{"tokens": ["The"], "tags": []}', {}, "1 tokens have 0 tags", "line 1"),
        ("a.jsonl", '{"tokens": [], "tags": []}', {}, "a sentence has no token", "line 1"),
        ("a.jsonl", '{"tokens": ["The", 2], "tags": ["DT", "CD"]}', {}, "no list of words", "line 1"),
        ("a.jsonl", '{"text": "The match"}', {}, "no field of tokens", "a.jsonl"),
        ("a.xlsx", "", {}, "files of the kind .xlsx are not read", "a.xlsx"),
    ],
)
def test_what_is_broken_is_named(
    write: Write, name: str, text: str, settings: dict[str, str], problem: str, where: str
) -> None:
    with pytest.raises(DataError) as caught:
        read(write(name, text), **settings)
    assert problem in caught.value.message
    assert caught.value.where is not None
    assert caught.value.where.endswith(where)
    assert caught.value.expected
    assert caught.value.remedy


def test_shared_data_is_what_its_page_says(shared: Path) -> None:
    folder = shared / "data" / "conll2000"
    assert sum(1 for _ in read_tagged(folder / "test.txt", ReadingSettings())) == 2012


def test_tokens_are_text_for_who_reads_text(write: Write) -> None:
    path = write("es.conllu", CONLLU)
    texts = list(read_records(path, ReadingSettings(), labelled=False))
    assert [(one.text, one.label, one.line) for one in texts] == [("vamos nos", None, 4), ("mar", None, 8)]
    of_tables = ReadingSettings(text=("body",))  # as an elmo.yaml may name columns of its other files
    assert [one.text for one in read_records(path, of_tables, labelled=False)] == ["vamos nos", "mar"]
    with pytest.raises(DataError, match="a tag for every token"):
        list(read_records(path, ReadingSettings(), labelled=True))


def test_tagged_files_of_a_folder_are_found(tmp_path: Path, write: Write) -> None:
    for name in ("en-train.conllu", "en-dev.conllu", "en-test.conllu"):
        write(name, CONLLU)
    found = discover(tmp_path)
    assert found.settings() == {"train": "en-train.conllu", "test": "en-test.conllu", "valid": "en-dev.conllu"}
    assert found.notes == ["en-train.conllu has a tag for every token: elmo tag learns these"]
