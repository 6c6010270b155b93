"""The formats that are read. To add one, write its class (a `Format`), and name it in `FORMATS` and `READ`."""

from __future__ import annotations

from pathlib import Path

from elmo_cli.config import ReadingSettings
from elmo_cli.data.files import refuse_pipe
from elmo_cli.data.formats.class_folders import ClassFolders
from elmo_cli.data.formats.conll import ConllText
from elmo_cli.data.formats.delimited import Csv, Tsv
from elmo_cli.data.formats.format import Format
from elmo_cli.data.formats.json_lines import JsonLines
from elmo_cli.data.formats.parquet import Parquet
from elmo_cli.data.formats.text import Text
from elmo_cli.errors import DataError

FORMATS: tuple[type[Format], ...] = (Text, Csv, Tsv, JsonLines, Parquet, ConllText, ClassFolders)
READ = (
    "text with one text a line, CSV (.csv, .tsv), JSON lines (.jsonl) or CoNLL (.conll, .conllu), each plain or .gz, "
    "or Parquet (.parquet)"
)

_BY_ENDING = {ending: one for one in FORMATS for ending in one.endings}
_UNREAD = {
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "export the sheet as CSV in UTF-8"),
    **dict.fromkeys((".docx", ".doc", ".odt", ".pdf", ".rtf"), "save it as plain text in UTF-8"),
    **dict.fromkeys((".html", ".htm", ".xml"), "extract its text, one text a line"),
    **dict.fromkeys((".zip", ".tar", ".tgz", ".7z", ".rar"), "unpack it"),
    **dict.fromkeys((".bz2", ".xz", ".zst"), "unpack it, or compress it with gzip"),
    **dict.fromkeys((".arrow", ".feather", ".orc"), "write it as Parquet"),
    **dict.fromkeys((".pkl", ".pickle", ".pt", ".npy", ".npz", ".h5", ".hdf5"), "write its texts as CSV or JSON lines"),
}


def format_of(path: Path) -> type[Format]:
    """The format of a file, by its name, or of a folder of class folders; text unless the name says otherwise.

    Raises:
        DataError: It is of a format that is not read.
    """
    if path.is_dir():
        return ClassFolders
    ending, compressed = _ending_of(path), path.name.lower().endswith(".gz")
    found = _BY_ENDING.get(ending, Text)
    remedy = _UNREAD.get(ending)
    if compressed and not found.packed:
        remedy = f"unpack it: {found.title} is compressed inside"
    if remedy is not None:
        kind = ending + ".gz" * compressed
        raise DataError(f"{path.name}: files of the kind {kind} are not read", where=path, expected=READ, remedy=remedy)
    return found


def open_file(path: Path, reading: ReadingSettings) -> Format:
    """A file in its format (see `format_of`), to be read as the settings say; a DataError says that it is a pipe."""
    refuse_pipe(path)
    return format_of(path)(path, reading)


def is_readable(path: Path) -> bool:
    """Whether a file in a folder is one to read: its name has an ending of a format, or none."""
    return _ending_of(path) in _BY_ENDING


def deciding_texts(path: Path, reading: ReadingSettings) -> set[str]:
    """Names of the settings that decide which texts come out of a file, labels aside.

    The label column decides it only while the text columns are to be found: the label is not among them.
    """
    return set(format_of(path).settings) - ({"label"} if reading.text else set())


def _ending_of(path: Path) -> str:
    """The ending of a file's name in lower case, without `.gz`."""
    return Path(path.name.lower().removesuffix(".gz")).suffix
