"""What damaged files once let out, each as the smallest file that does it."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import whole
from safetensors.torch import load_file, save_file

from elmo_cli.config import DataSettings
from elmo_cli.data.files import LONGEST_LINE, read_lines
from elmo_cli.data.records import read_records
from elmo_cli.errors import DataError, RunError, WeightsError
from elmo_cli.inference.embed import read_dump
from elmo_cli.interop.importing import import_run
from elmo_cli.report.reported import read_runs
from elmo_cli.runs import load_classifier, load_lm


def test_a_member_that_lies_before_its_archive(tmp_path: Path) -> None:
    path = tmp_path / "m.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("options.json", "{}")
    content = bytearray(path.read_bytes())
    directory = content.rindex(b"PK\x01\x02")
    content[directory + 42 : directory + 46] = b"\xff\xff\xff\x7f"  # where the member begins
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="no whole archive") as caught:
        import_run(path, tmp_path / "run")
    assert caught.value.remedy
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("names", [("a.txt", "a.txt/b.txt"), (f"{'a' * 300}.txt",)], ids=["a file as a folder", "long"])
def test_members_that_no_folder_takes(names: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "m.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "a")
    with pytest.raises(WeightsError, match="no whole archive"):
        import_run(path, tmp_path / "run")


def test_a_carriage_return_in_the_middle_of_a_row(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_bytes(b'label\ttext\nsports\ta ma\rtch\nmoney\ta "bank"\n')
    with pytest.raises(DataError, match="carriage return"):
        list(read_records(path, DataSettings(), labelled=True))


def test_a_name_in_hdf5_that_is_no_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "d.hdf5"
    whole.write_hdf5(path)
    content = path.read_bytes()
    assert content.count(b"1\0\0\0\0\0\0\0") > 0
    name = content.index(b"0\0\0\0\0\0\0\0" + b"1\0")
    path.write_bytes(content[:name] + b"\xff" + content[name + 1 :])
    with pytest.raises(DataError, match="has a dataset"):
        list(read_dump(path))


def test_a_row_of_predictions_that_is_cut(tmp_path: Path) -> None:
    whole.write_classifier(tmp_path)
    path = tmp_path / "c" / "predictions.csv"
    path.write_text("label,predicted,p(yes),p(no),text\nyes,no\n")
    with pytest.raises(RunError, match=r"predictions\.csv cannot be read"):
        read_runs([tmp_path / "c"])


def changed(path: Path, change: Callable[[torch.Tensor], torch.Tensor], name: str) -> None:
    tensors = load_file(path)
    save_file({**tensors, name: change(tensors[name])}, path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_no_numbers_are_refused(value: float, tmp_path: Path) -> None:
    whole.write_lm(tmp_path)
    changed(
        tmp_path / "lm" / "model.safetensors", lambda one: one.index_fill(0, torch.tensor(0), value), "encoder.table"
    )
    with pytest.raises(WeightsError, match=r"encoder\.table that are not finite"):
        load_lm(tmp_path / "lm")


@pytest.mark.parametrize("dtype", [torch.int32, torch.bool, torch.uint8, torch.complex64])
def test_weights_that_are_no_floats_are_refused(dtype: torch.dtype, tmp_path: Path) -> None:
    whole.write_lm(tmp_path)
    whole.write_classifier(tmp_path)
    changed(tmp_path / "lm" / "model.safetensors", lambda one: one.to(dtype), "encoder.table")
    with pytest.raises(WeightsError, match=r"has encoder\.table of type"):
        load_lm(tmp_path / "lm")
    changed(tmp_path / "c" / "model.safetensors", lambda one: one.to(dtype), "head.0.weight")
    with pytest.raises(WeightsError, match=r"has head\.0\.weight of type"):
        load_classifier(tmp_path / "c")


def test_weights_of_another_precision_are_taken(tmp_path: Path) -> None:
    whole.write_lm(tmp_path)
    changed(tmp_path / "lm" / "model.safetensors", torch.Tensor.half, "encoder.table")
    assert load_lm(tmp_path / "lm").network is not None


def test_a_vocabulary_of_another_size_than_the_table_is_refused(tmp_path: Path) -> None:
    whole.write_lm(tmp_path)
    path = tmp_path / "lm" / "run.yaml"
    path.write_text(path.read_text().replace("vocabulary_size: 17", "vocabulary_size: 16"))
    with pytest.raises(RunError, match="does not say how to build"):
        load_lm(tmp_path / "lm")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_line_has_an_end(encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("elmo_cli.data.files.LONGEST_LINE", 1 << 18)
    path = tmp_path / "t.txt"
    for sign in ("\n", "\r") if encoding == "utf-8" else ("\n",):
        path.write_bytes(f"a{sign}{'b' * (1 << 17)}{sign}".encode(encoding))
        assert len(list(read_lines(path, encoding))) == 2
        path.write_bytes(f"a{sign}{'b' * (1 << 19)}".encode(encoding))
        with pytest.raises(DataError, match="the line has more than 262,144 bytes") as caught:
            list(read_lines(path, encoding))
        assert caught.value.where == f"{path}, line 2"
    assert LONGEST_LINE == 1 << 26


def test_a_gzip_of_short_lines_is_refused_where_it_grows_as_no_text_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.txt.gz"
    with gzip.open(path, "wb") as file:
        for _ in range(40):
            file.write((b"a" * 127 + b"\n") * (1 << 12))
    assert sum(1 for _ in read_lines(path)) == 40 << 12  # a small file may grow as it likes
    monkeypatch.setattr("elmo_cli.data.files._ALWAYS", 1 << 22)
    with pytest.raises(DataError, match="grows to more than 200 times its size"):
        list(read_lines(path))
