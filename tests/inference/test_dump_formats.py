"""Each format of embedding files, read back by the library that others read it with: the numbers of the HDF5 file."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bilm_files import Shape, make

from elmo_cli.errors import ConfigError, RunError
from elmo_cli.events import Progress
from elmo_cli.inference import assembly, dump_formats
from elmo_cli.inference import embed as dumps
from elmo_cli.inference.dump_formats import nested
from elmo_cli.inference.embed import EmbedOptions, embed_run, read_dump
from elmo_cli.interop.importing import import_run

SENTENCES = ["Prices fell, again.", "", 'One "é"', " ".join(["word"] * 70), "A longer sentence than most.", "One"]
TOKENS = [["Prices", "fell", ",", "again", "."], [], ["One", '"', "é", '"'], ["word"] * 70]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("formats")
    import_run(make(Shape()).write(folder / "model"), folder / "run")
    return folder / "run"


def read_back(path: Path) -> dict[int, Any]:
    """Values by line."""
    if path.suffix == ".hdf5":
        return dict(read_dump(path))
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return {int(name): arrays[name] for name in arrays.files if name.isdecimal()}
    if path.suffix == ".parquet":
        return {row["sentence"]: row["vectors"] for row in pq.read_table(path).to_pylist()}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [row["sentence"] for row in rows] == list(range(len(rows)))
    return {row["sentence"]: row["vectors"] for row in rows}


@pytest.mark.parametrize("ending", ["npz", "parquet", "jsonl"])
@pytest.mark.parametrize(
    "options",
    [
        *({}, {"layers": "top"}, {"layers": 1, "pool": "max"}, {"pool": "mean"}, {"dtype": "float16"}),
        *({"batch_tokens": 20}, {"batch_tokens": 20, "pool": "mean"}, {"batch_size": 2}, {"batch_size": 4}),
        {"batch_size": 2, "stateful": True},
    ],
    ids=str,
)
def test_each_format_holds_the_numbers_of_hdf5(
    ending: str, options: dict[str, Any], run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assembly, "IN_MEMORY", 1000)  # a long sentence waits on disk
    embed_run(run, SENTENCES, tmp_path / "a.hdf5", EmbedOptions(**options))
    report = embed_run(run, (text for text in SENTENCES), tmp_path / f"a.{ending}", EmbedOptions(**options))
    assert (report.format, report.sentences, report.indexed) == (ending, 6, True if ending == "npz" else None)
    expected, found = read_back(tmp_path / "a.hdf5"), read_back(tmp_path / f"a.{ending}")
    assert sorted(found) == sorted(expected)
    for line, values in expected.items():
        read = np.array(found[line], dtype=values.dtype)
        if values.size:  # nested lists do not tell the width of nothing
            # Exact but for batches, which may be others.
            np.testing.assert_allclose(read, values, atol=2e-3 if options.get("dtype") else 1e-6)
            assert read.shape == values.shape
        else:
            assert read.size == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["a.hdf5", f"a.{ending}"])


def test_json_lines_are_exact(run: Path, tmp_path: Path) -> None:
    for dtype in ("float32", "float16"):
        embed_run(run, SENTENCES, tmp_path / f"{dtype}.npz", EmbedOptions(dtype=dtype, batch_size=2))
        embed_run(run, SENTENCES, tmp_path / f"{dtype}.jsonl", EmbedOptions(dtype=dtype, batch_size=2))
        expected, found = read_back(tmp_path / f"{dtype}.npz"), read_back(tmp_path / f"{dtype}.jsonl")
        for line in (0, 2, 3, 4, 5):
            np.testing.assert_array_equal(np.array(found[line], dtype=dtype), expected[line])


def test_rows_say_what_they_are_of(run: Path, tmp_path: Path) -> None:
    embed_run(run, SENTENCES, tmp_path / "a.parquet", EmbedOptions(layers="top"))
    embed_run(run, SENTENCES, tmp_path / "a.jsonl", EmbedOptions(layers="top"))
    rows = pq.read_table(tmp_path / "a.parquet").to_pylist()
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()]
    for found in (rows, lines):
        assert list(found[0]) == ["sentence", "text", "tokens", "vectors"]
        assert [row["text"] for row in found] == SENTENCES
        assert [row["tokens"] for row in found[:4]] == TOKENS
        assert [len(row["vectors"]) for row in found[:4]] == [5, 0, 4, 70]
    with np.load(_npz(run, tmp_path)) as arrays:
        names = json.loads(str(arrays["sentence_to_index"][0]))
    assert names == {text: str(number) for number, text in enumerate(SENTENCES)}


def _npz(run: Path, folder: Path) -> Path:
    embed_run(run, SENTENCES, folder / "index.npz")
    return folder / "index.npz"


def test_equal_dumps_are_equal_files(run: Path, tmp_path: Path) -> None:
    for ending in ("npz", "parquet", "jsonl"):
        for name in ("a", "b"):
            embed_run(run, SENTENCES, tmp_path / f"{name}.{ending}")
        assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()


def test_parquet_is_written_in_row_groups(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dump_formats, "ROW_GROUP_BYTES", 1000)
    embed_run(run, SENTENCES * 5, tmp_path / "a.parquet")
    file = pq.ParquetFile(tmp_path / "a.parquet")
    assert file.num_row_groups > 5
    assert file.schema_arrow.field("vectors").type == pa.list_(pa.list_(pa.list_(pa.float32())))
    assert file.metadata.num_rows == 30


def test_nested_lists_by_hand() -> None:
    arrays = [np.arange(12, dtype=np.float32).reshape(2, 3, 2), np.zeros((2, 0, 2), np.float32)]
    assert nested(arrays).to_pylist() == [arrays[0].tolist(), [[], []]]
    assert nested([np.ones(2, np.float16)]).to_pylist() == [[1, 1]]


def test_a_stream_is_answered_before_the_next_sentence_is_read(run: Path) -> None:
    out = io.StringIO()
    seen: list[int] = []

    def read():
        for text in SENTENCES[:4]:
            seen.append(len(out.getvalue().splitlines()))
            yield text

    report = embed_run(run, read(), out, EmbedOptions(batch_size=1, layers="top", pool="mean"))
    assert (str(report.path), report.format, report.sentences) == ("-", "jsonl", 4)
    assert len(out.getvalue().splitlines()) == 4
    assert not out.closed
    # One batch is computed while the one before is written.
    assert all(count >= number - 2 for number, count in enumerate(seen)), seen


def test_what_waits_for_its_turn_is_little(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    most = 0
    put = dumps.Assembly._put

    def watched(self: dumps.Assembly, number: int, values: Any) -> None:
        nonlocal most
        put(self, number, values)
        most = max(most, len(self._early))

    monkeypatch.setattr(dumps.Assembly, "_put", watched)
    texts = [" ".join(["word"] * (1 + number * 7 % 20)) for number in range(300)]
    embed_run(run, texts, tmp_path / "a.jsonl", EmbedOptions(batch_tokens=60))
    assert 0 < most <= 20
    assert [len(row) for row in read_back(tmp_path / "a.jsonl").values()] == [3] * 300


@pytest.mark.parametrize("ending", ["npz", "parquet", "jsonl"])
def test_a_file_is_whole_or_absent(ending: str, run: Path, tmp_path: Path) -> None:
    def stop(event: Progress) -> None:
        if event.done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_run(run, SENTENCES, tmp_path / f"a.{ending}", EmbedOptions(batch_size=1), tell=stop)
    assert not list(tmp_path.iterdir())
    embed_run(run, SENTENCES, tmp_path / f"a.{ending}")
    with pytest.raises(RunError, match="exists already"):
        embed_run(run, SENTENCES, tmp_path / f"a.{ending}")


def test_the_format_is_that_of_the_ending_or_as_named(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"the ending of a\.dat names no format") as caught:
        embed_run(run, SENTENCES, tmp_path / "a.dat")
    assert "--format" in (caught.value.remedy or "")
    assert embed_run(run, SENTENCES, tmp_path / "a.dat", EmbedOptions(format="npz")).format == "npz"
    with np.load(tmp_path / "a.dat") as arrays:
        assert arrays["0"].shape == (3, 5, 8)
    for name in ("a.H5", "a"):
        assert embed_run(run, SENTENCES, tmp_path / name).format == "hdf5"
    with pytest.raises(ConfigError, match="npz cannot be written to standard output"):
        embed_run(run, SENTENCES, io.StringIO(), EmbedOptions(format="npz"))


def test_the_command(run: Path, tmp_path: Path, run_elmo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = "One sentence\nAnother one\n"
    done = run_elmo("embed", run, "--format", "npz", stdin=text)
    assert done.code == 0, done.stderr
    assert "embeddings.npz" in done.stdout
    with np.load("embeddings.npz") as arrays:
        assert set(arrays.files) == {"0", "1", "sentence_to_index"}
    streamed = run_elmo("embed", run, "-", "--out", "-", "--pool", "max", stdin=text)
    assert [json.loads(line)["text"] for line in streamed.stdout.splitlines()] == text.splitlines()
    assert "sentences  2" in streamed.stderr
    assert run_elmo("embed", run, "--out", "-", "--quiet", stdin=text).stderr == ""
    for arguments in (["--json"], ["--format", "parquet"]):
        refused = run_elmo("embed", run, "--out", "-", *arguments, stdin=text)
        assert (refused.code, refused.stdout) == (2, ""), refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["embeddings.npz"]
