"""Bad input: a message that says what, where and what to do; exit code 2; nothing half-written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def folder(road: Path, tmp_path: Path) -> Path:
    """A copy of the experiment that a test may spoil."""
    copy = tmp_path / "copy"
    shutil.copytree(road, copy)
    return copy


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refuse(folder: Path, elmo_in, arguments: str, *fragments: str) -> None:
    """The command ends with code 2, names the fragments, and leaves every file as it was."""
    before = contents(folder)
    done = elmo_in(folder, *arguments.split())
    assert done.code == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("elmo: ")
    assert "Traceback" not in done.stderr
    for fragment in fragments:
        assert fragment in done.stderr
    assert contents(folder) == before


CLASSIFY = "classify --lambdas function"
NEW_VOCAB = "vocab build --out runs/other"


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (f"{NEW_VOCAB} tran.csv", ["there is no file tran.csv", "did you mean 'train.csv'?"]),
        (f"{CLASSIFY} tran.csv", ["there is no file tran.csv"]),
        (f"{CLASSIFY} --test tests.csv", ["there is no file tests.csv", "did you mean 'test.csv'?"]),
        (f"{CLASSIFY} --set data.label=lable", ["there is no column 'lable'", "train.csv", "did you mean 'label'?"]),
        (f"{NEW_VOCAB} --column txet", ["there is no column 'txet'", "did you mean 'text'?"]),
        (f"{CLASSIFY} --lm runs/ln", ["there is no run runs/ln", "runs/lm"]),
        (f"{CLASSIFY} --lm runs/vocab", ["runs/vocab is a vocabulary", "elmo pretrain"]),
        ("classify --lambdas frozne", ["frozne", "trainable"]),
        (f"{CLASSIFY} --set classify.epoch=3", ["unknown key 'classify.epoch'", "did you mean 'epochs'?"]),
        (f"{CLASSIFY} --device quantum", ["quantum", "cpu"]),
        ("pretrain --out runs/other --vocab runs/vocap", ["runs/vocap", "did you mean 'runs/vocab'?"]),
        ("pretrain --out runs/other --preset smal", ["there is no preset 'smal'", "did you mean 'small'?"]),
        ("pretrain --out runs/other --config other.yaml", ["there is no settings file other.yaml", "elmo init"]),
        ("pretrain --out runs/other test.csv", ["test.csv", "test"]),
        ("pretrain --out runs/none --resume", ["runs/none"]),
        ("init", ["elmo.yaml", "--overwrite"]),
        ("init sub --preset huge", ["there is no preset 'huge'"]),
        ("vocab build", ["runs/vocab exists", "--overwrite"]),
        ("classify --lambdas frozen", ["runs/classify-frozen exists", "--overwrite"]),
        ("baseline word2vec", ["w2v.txt exists", "--overwrite"]),
        ("compare --baseline w3v.txt", ["w3v.txt"]),
        ("compare --lambdas frozen --against frozn", ["compare.against is 'frozn'", "lm frozen, TF-IDF + SVM"]),
        ("compare --fractions 0.1,2", ["compare.fractions is '2'", "less than or equal to 1"]),
        ("compare --fractions 0.1,half", ["compare.fractions is 'half'", "valid number"]),
        ("compare --fractions 0.001", ["leaves no text of class", "train.csv"]),
        ("compare --lambdas layer:3", ["layer:3 does not fit lm", "layer:0 to layer:2"]),
        ("compare --lm runs/lm --lm runs/lm", ["runs/lm is given twice"]),
        ("evaluate runs/vocab", ["runs/vocab"]),
        ("predict runs/lm test.csv", ["runs/lm", "classifier"]),
        ("predict runs/classify-frozen absent.txt", ["absent.txt"]),
        ("embed runs/lm train.csv --layers 7 --out e.hdf5", ["there is no layer 7"]),
        ("embed runs/lm train.csv --layers most --out e.hdf5", ["--layers got 'most'"]),
        ("embed runs/lm train.csv --stateful --out e.hdf5", ["--stateful needs --batch-size"]),
        ("import runs", ["runs"]),
        ("check runs/vocab", ["runs/vocab"]),
    ],
    ids=str,
)
def test_arguments_that_cannot_be_used(arguments: str, fragments: list[str], folder: Path, elmo_in) -> None:
    refuse(folder, elmo_in, arguments, *fragments)


@pytest.mark.parametrize(
    ("content", "fragments"),
    [
        (b"", ["train.csv", "empty"]),
        (b"label,text\n", ["train.csv"]),
        (b"label,text\nWorld,one two\nSports\nWorld,three\n", ["train.csv, line 3", "1 column", "2"]),
        (b"label,text\nWorld,one\nSports,caf\xe9 au lait\n", ["train.csv, line 3", "UTF-8"]),
        (b"label,text\nWorld,one two\nWorld,three four\nWorld,five\n", ["same label 'World'", "at least two classes"]),
    ],
    ids=["empty", "header only", "short row", "not UTF-8", "one class"],
)
def test_training_files_that_cannot_be_used(content: bytes, fragments: list[str], folder: Path, elmo_in) -> None:
    (folder / "train.csv").write_bytes(content)
    refuse(folder, elmo_in, CLASSIFY, *fragments)


def test_labels_that_training_never_saw(folder: Path, elmo_in) -> None:
    (folder / "test.csv").write_text("label,text\nWorld,one two\nWeather,rain\n", encoding="utf-8")
    refuse(folder, elmo_in, CLASSIFY, "training never saw", "'Weather'", "test.csv")
    refuse(folder, elmo_in, "compare --baseline w2v.txt", "'Weather'")
    refuse(folder, elmo_in, "evaluate runs/classify-frozen", "'Weather'")


def test_a_ragged_embedding_file(folder: Path, elmo_in) -> None:
    (folder / "ragged.txt").write_text("3 2\nthe 1 2\nof 1\nin 3 4\n", encoding="utf-8")
    refuse(folder, elmo_in, "compare --baseline ragged.txt", "ragged.txt, line 3")
    refuse(folder, elmo_in, "pretrain --out runs/other --init-embeddings ragged.txt", "ragged.txt, line 3")


def test_a_vocabulary_of_another_run(folder: Path, elmo_in) -> None:
    vocabulary = folder / "runs/lm/vocab.txt"
    lines = vocabulary.read_text(encoding="utf-8").splitlines()
    vocabulary.write_text("\n".join([*lines[:3], *reversed(lines[3:])]) + "\n", encoding="utf-8")
    refuse(folder, elmo_in, CLASSIFY, "vocabulary in runs/lm does not belong")
    refuse(folder, elmo_in, "evaluate runs/lm", "vocabulary in runs/lm does not belong")


def test_an_unknown_key_in_the_settings_file(folder: Path, elmo_in) -> None:
    with (folder / "elmo.yaml").open("a", encoding="utf-8") as file:
        file.write("\npretrian:\n  epochs: 3\n")
    refuse(folder, elmo_in, "vocab build --overwrite", "unknown key 'pretrian'", "did you mean 'pretrain'?", "line ")


def test_stdin_that_is_not_utf8(folder: Path, elmo_in, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    from elmo_cli.commands import inputs

    class Streams:
        stdin = io.TextIOWrapper(io.BytesIO(b"fine\ncaf\xe9\n"))

    monkeypatch.setattr(inputs, "sys", Streams)
    refuse(folder, elmo_in, "embed runs/lm --out e.hdf5", "stdin, line 2, byte 4", "UTF-8")


@pytest.mark.parametrize(
    "arguments",
    ["frobnicate", "pretrain --frobnicate", "pretrain --epochs many", "vocab", "predict", "pretrain --epochs 0"],
)
def test_wrong_usage(arguments: str, run_elmo) -> None:
    done = run_elmo(*arguments.split())
    assert done.code == 2
    assert "elmo" in done.stdout + done.stderr


def test_an_unexpected_failure_is_short_and_debug_tells_all(road: Path, elmo_in, monkeypatch) -> None:
    def fail(*arguments: object) -> None:
        raise ZeroDivisionError("[bold]really[/bold]\nmore")

    monkeypatch.setattr("elmo_cli.training.prepare.build_vocabulary_run", fail)
    done = elmo_in(road, "vocab", "build")
    assert done.code == 1
    assert done.stderr.splitlines() == [
        "elmo: unexpected failure: ZeroDivisionError: [bold]really[/bold]",
        "  what to do: run it again with --debug for the traceback",
    ]
    assert "Traceback" in elmo_in(road, "vocab", "build", "--debug").stderr


def test_a_failed_check_ends_with_one(folder: Path, elmo_in) -> None:
    weights = folder / "runs/lm/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    done = elmo_in(folder, "check", "runs/lm")
    assert done.code == 1
    assert "FAILED" in done.stdout
