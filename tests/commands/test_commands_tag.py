"""`elmo tag` and what takes its runs, as a user types them; what refuses them, and what they refuse."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import elmo_cli
from elmo_cli.errors import RunError

SENTENCES = ("The B-NP\nmatch I-NP\nended B-VP\n", "It B-NP\nrained B-VP\n. O\n")
CPU = ("--device", "cpu")


@pytest.fixture(scope="module")
def tagged(road: Path, tmp_path_factory: pytest.TempPathFactory, elmo_in) -> Path:
    """A copy of the road with a tagged file, and runs/tag-trainable trained on it."""
    folder = Path(shutil.copytree(road, tmp_path_factory.mktemp("tag") / "copy"))
    (folder / "train.conll").write_text("\n".join(SENTENCES * 20))
    (folder / "test.conll").write_text("\n".join(SENTENCES * 2))
    options = "--set tag.epochs=8 --set tag.lstm_size=8 --set tag.learning_rate=0.02"
    done = elmo_in(folder, *f"tag train.conll --test test.conll {options}".split(), *CPU)
    assert done.code == 0, done.stderr
    assert "tokens in column 1, tags in column 2, spans in IOB2" in done.stderr
    assert "ppl" not in done.stderr
    for shown in ("head", "crf", "valid F1", "known", "unknown", "95 % interval", "NP", "VP"):
        assert shown in done.stdout
    return folder


def test_evaluate_shows_tokens_and_spans(tagged: Path, elmo_in) -> None:
    done = elmo_in(tagged, "evaluate", "runs/tag-trainable", "test.conll", *CPU)
    assert done.code == 0, done.stderr
    for shown in ("tag-trainable", "accuracy", "precision", "F1", "NP", "VP"):
        assert shown in done.stdout
    runs = elmo_in(tagged, "evaluate", "--json", *CPU).json  # on the texts of elmo.yaml, which a tagger cannot read
    (left_out,) = [one for one in runs if one["run"] == "tag-trainable"]
    assert "skipped" in left_out


def test_predict_writes_columns_and_json_lines(tagged: Path, elmo_in) -> None:
    (tagged / "new.conll").write_text("It\nended\n\nThe\nmatch\n")
    columns = elmo_in(tagged, "predict", "runs/tag-trainable", "new.conll", *CPU)
    assert columns.stdout == "It\tB-NP\nended\tB-VP\n\nThe\tB-NP\nmatch\tI-NP\n\n"
    piped = elmo_in(tagged, "predict", "runs/tag-trainable", *CPU, stdin="It\nended\n\nThe\nmatch\n")
    assert piped.stdout == columns.stdout
    lines = elmo_in(tagged, "predict", "runs/tag-trainable", "new.conll", "--format", "jsonl", *CPU).stdout
    assert json.loads(lines.splitlines()[1]) == {"tokens": ["The", "match"], "tags": ["B-NP", "I-NP"]}
    assert elmo_in(tagged, "predict", "runs/tag-trainable", "new.conll", "--json", *CPU).json[0]["tokens"] == [
        "It",
        "ended",
    ]


def test_predict_cuts_running_text(tagged: Path, elmo_in) -> None:
    done = elmo_in(tagged, "predict", "runs/tag-trainable", "--text", *CPU, stdin="The match ended\n\nIt rained.\n")
    tokens = [[row.split("\t")[0] for row in one.splitlines()] for one in done.stdout.split("\n\n")]
    assert tokens == [["The", "match", "ended"], ["", "It", "rained", "."], []]


def test_a_tagger_in_python(tagged: Path) -> None:
    model = elmo_cli.load(tagged / "runs/tag-trainable", device="cpu")
    assert isinstance(model, elmo_cli.TokenTagger)
    assert (model.tags, model.scheme) == (["NP", "VP"], "iob2")
    assert model.lambdas is not None
    sentences = [["The", "match", "ended"], []]
    assert model.predict(sentences) == [["B-NP", "I-NP", "B-VP"], []]
    assert model.spans(sentences) == [[(0, 2, "NP"), (2, 3, "VP")], []]
    with pytest.raises(TypeError, match="lists of tokens"):
        model.predict(["The match ended"])
    with pytest.raises(RunError, match="a tagger run is wanted"):
        elmo_cli.TokenTagger.load(tagged / "runs/lm")


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("embed runs/tag-trainable test.csv --out o.hdf5", ""),
        ("similar runs/tag-trainable play --layer mix", "the tagger's mix"),
        ("check runs/tag-trainable", "stream losses"),
    ],
)
def test_its_language_model_is_used_too(tagged: Path, elmo_in, command: str, shown: str) -> None:
    done = elmo_in(tagged, *command.split(), *CPU)
    assert done.code == 0, done.stderr
    assert shown in done.stdout


@pytest.mark.parametrize(
    ("command", "parts"),
    [
        ("tag train.csv --out runs/o", ("train.csv is read as a CSV file of texts",)),
        ("tag train.conll --tags 9 --out runs/o", ("no column '9'", "from 1 to 2")),
        ("tag absent.conll --out runs/o", ("there is no file absent.conll",)),
        (
            "tag train.conll --test test.conll --lambdas layer:9 --out runs/o",
            ("tag.lambdas is 'layer:9'", "layer:0 to layer:2"),
        ),
        ("tag train.conll --lm runs/tag-trainable --out runs/o", ("is a tagger run; an LM run is wanted",)),
        ("tag train.conll", ("runs/tag-trainable exists already", "--overwrite")),
        ("tag train.conll --head crv", ("--head got 'crv'", "did you mean 'crf'?")),
        ("predict runs/tag-trainable test.conll --format csv", ("--format csv is for a classifier run",)),
        ("predict runs/classify-frozen test.csv --format conll", ("--format conll is for a tagger run",)),
        ("predict runs/classify-frozen test.csv --text", ("--text is for a tagger run",)),
        ("predict runs/tag-trainable", ("holds no sentence",)),
        ("predict runs/tag-trainable --text", ("there is nothing to tag",)),
        ("classify train.conll --out runs/o", ("has a tag for every token, and no label",)),
        ("compare --lm runs/tag-trainable", ("is a tagger run; an LM run is wanted",)),
    ],
)
def test_mistakes_are_answered(tagged: Path, elmo_in, command: str, parts: tuple[str, ...]) -> None:
    done = elmo_in(tagged, *command.split())
    assert done.code == 2, done.stdout
    assert not done.stdout
    for part in parts:
        assert part in done.stderr
    assert "what to do" in done.stderr
