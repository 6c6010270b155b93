"""Folders that name classes and hold a file a text, as `train/World/1.txt`: what scikit-learn's `load_files` reads."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, zip_longest
from pathlib import Path

from elmo_cli.data.columns import Columns
from elmo_cli.data.files import OnBytes, read_lines, unreadable
from elmo_cli.data.formats.format import Format, Record, Refuse
from elmo_cli.data.formats.text import Text
from elmo_cli.data.values import as_label
from elmo_cli.errors import DataError


class ClassFolders(Format):
    """Class folders, their texts in turn, so that the first of them are of all classes; a text has no line breaks."""

    kind = "class folders"
    title = "a text a file, a folder a class"
    endings = ()
    settings = frozenset({"encoding", "clean"})
    packed = False

    def columns(self, *, labelled: bool) -> Columns:
        """None, but that labels are there.

        Raises:
            DataError: The folder cannot be read, or holds no class folders.
        """
        if len(class_folders(self.path)) < 2:
            found, expected = f"{self.path} is a folder without class folders", "a file"
            expected += ", or folders that name classes and hold a text file a text, such as World/1.txt, Sports/2.txt"
            raise DataError(found, where=self.path, expected=expected, remedy="name the file in it")
        return Columns(label="folder", label_reason="the name of each text's folder")

    def records(self, *, labelled: bool, refuse: Refuse, on_bytes: OnBytes | None = None) -> Iterator[Record]:
        """A record for each file, numbered from 1."""
        self.columns(labelled=labelled)
        each = ([(label, file) for file in files] for label, files in class_folders(self.path).items())
        read = 0
        for number, (label, file) in enumerate(filter(None, chain.from_iterable(zip_longest(*each))), start=1):
            text = " ".join(" ".join(read_lines(file, self.reading.encoding)).split())
            yield Record(text, as_label(label), number)
            read += file.stat().st_size
            if on_bytes is not None:
                on_bytes(read)


def class_folders(folder: Path) -> dict[str, list[Path]]:
    """The text files of each folder that holds such, by its name; hidden ones and files beside are left out."""
    try:
        below = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
        found = {entry.name: sorted(filter(_is_text, entry.iterdir())) for entry in below}
    except OSError as error:
        raise unreadable(folder, error) from error
    return {name: files for name, files in found.items() if files}


def _is_text(path: Path) -> bool:
    """Whether a file is a text: its name has an ending of text files, or none, or a number as that."""
    ending = Path(path.name.lower().removesuffix(".gz")).suffix
    known = ending in Text.endings or ending[1:].isdigit()
    return known and not path.name.startswith(".") and path.is_file()
