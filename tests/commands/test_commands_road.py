"""The road, each command through the entry point, in a folder with an elmo.yaml."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest
import yaml


def test_outputs_have_their_places(road: Path) -> None:
    assert {path.name for path in (road / "runs").iterdir()} == {"vocab", "lm", "classify-frozen"}
    assert {path.name for path in road.iterdir()} == {"train.csv", "test.csv", "elmo.yaml", "w2v.txt", "runs"}
    for run in ("lm", "classify-frozen"):
        names = {path.name for path in (road / "runs" / run).iterdir()}
        assert {"run.yaml", "vocab.txt", "vocab.yaml", "model.safetensors", "results.json", "README.md"} <= names


def test_compare_as_written(road: Path, tmp_path: Path, elmo_in) -> None:
    shutil.copytree(road, tmp_path / "copy")
    done = elmo_in(tmp_path / "copy", "compare", "--baseline", "w2v.txt", "--json", "--set", "classify.epochs=1")
    assert done.code == 0, done.stderr
    with_vectors = ["w2v.txt", "lm trainable", "lm frozen", "lm function"]
    names = [name for vectors in with_vectors for name in (vectors, f"{vectors} + n-grams")]
    assert [row["name"] for row in done.json["rows"]] == [*names, "n-grams", "TF-IDF + SVM"]
    assert "9 of 9" in done.stderr
    assert done.json == json.loads((tmp_path / "copy/runs/compare/results.json").read_text(encoding="utf-8"))


def test_compare_tunes_every_row_or_none(road: Path, tmp_path: Path, elmo_in) -> None:
    for flag, tuned in (("--tune", True), ("--no-tune", False), ("--freeze", False)):
        arguments = ["--baseline", "w2v.txt", "--lambdas", "frozen", "--seeds", "1", "--set", "classify.epochs=1"]
        arguments += ["--jobs", "2"]
        done = elmo_in(
            road, "compare", *arguments, flag, "--out", tmp_path / flag, "--json", "--set", "classify.tune_epochs=1"
        )
        assert done.code == 0, done.stderr
        assert [row["tune"] for row in done.json["rows"] if row["kind"] != "reference"] == [tuned] * 4


def test_compare_draws_learning_curves_of_the_rows_that_are_asked_for(road: Path, tmp_path: Path, elmo_in) -> None:
    flags = ["--fractions", "1.0,0.25", "--no-reference", "--lm", "runs/lm", "--lambdas", "layer:0", "--seeds", "1"]
    done = elmo_in(road, "compare", "--baseline", "w2v.txt", *flags, "--out", tmp_path / "curves", "--freeze")
    assert done.code == 0, done.stderr
    assert "4 of 4  lm layer:0, seed 1, 25 % of the texts" in done.stderr
    assert [line.split() for line in done.stdout.splitlines() if line.startswith("texts")] == [["texts", "28", "96"]]
    assert max(map(len, done.stdout.splitlines())) <= 80
    table = list(csv.DictReader((tmp_path / "curves/curves.csv").read_text(encoding="utf-8").splitlines()))
    rows = ["w2v.txt", "w2v.txt + n-grams", "lm layer:0", "lm layer:0 + n-grams", "n-grams"]
    assert [(row["fraction"], row["texts"], row["row"]) for row in table] == [
        (fraction, texts, row) for fraction, texts in (("0.25", "28"), ("1.0", "96")) for row in rows
    ]


def test_compare_says_that_it_has_no_members(road: Path, tmp_path: Path, elmo_in) -> None:
    flags = ["--lambdas", "layer:0", "--seeds", "1", "--set", "classify.epochs=1", "--set", "classify.members=2"]
    done = elmo_in(road, "compare", *flags, "--no-reference", "--no-ngrams", "--out", tmp_path / "alone")
    assert done.code == 0, done.stderr
    assert "classify.members is not used" in done.stderr


def test_compare_without_ngrams_has_the_vectors_alone(road: Path, tmp_path: Path, elmo_in) -> None:
    flags = ["--no-ngrams", "--lambdas", "layer:0", "--seeds", "1", "--set", "classify.epochs=1", "--json"]
    done = elmo_in(road, "compare", "--baseline", "w2v.txt", *flags, "--out", tmp_path / "alone")
    assert done.code == 0, done.stderr
    assert [row["name"] for row in done.json["rows"]] == ["w2v.txt", "lm layer:0", "TF-IDF + SVM"]


def test_evaluate_without_arguments_scores_every_model(road: Path, elmo_in) -> None:
    done = elmo_in(road, "evaluate", "--json")
    assert done.code == 0, done.stderr
    assert [one["run"] for one in done.json] == ["classify-frozen", "lm"]
    results = json.loads((road / "runs/classify-frozen/results.json").read_text(encoding="utf-8"))
    assert done.json[0]["accuracy"] == results["test"]["accuracy"]
    assert done.json[1]["mean"] == pytest.approx((done.json[1]["forward"] * done.json[1]["backward"]) ** 0.5)


def test_evaluate_puts_counted_ngrams_beside_a_language_model(road: Path, elmo_in) -> None:
    shown = elmo_in(road, "evaluate", "runs/lm", "--reference", "ngram")
    assert "5-grams of its text" in shown.stdout
    assert "counting 5-grams of" in shown.stderr
    found = elmo_in(road, "evaluate", "runs/lm", "--reference", "ngram", "--json").json
    reference = found["reference"]
    assert {name: found[name] for name in ("steps", "tokens", "unknown", "oov_rate")} == {
        name: reference[name] for name in ("steps", "tokens", "unknown", "oov_rate")
    }
    assert 1 < reference["forward"] < 100  # a small language of few words
    assert reference["mean"] == pytest.approx((reference["forward"] * reference["backward"]) ** 0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("evaluate runs/lm --reference ngram --set data.corpus=[other.txt]", "was not trained on other.txt"),
        ("evaluate --reference ngram", "--reference is given without a run"),
        ("evaluate runs/classify-frozen --reference ngram", "classifier"),
        ("evaluate runs/lm --reference ngram --pairs other.txt", "--pairs needs an LM run"),
    ],
)
def test_a_reference_that_would_be_none_is_refused(
    road: Path, tmp_path: Path, elmo_in, arguments: str, message: str
) -> None:
    shutil.copytree(road, tmp_path / "copy")
    (tmp_path / "copy/other.txt").write_text("another text\nof two lines\n", encoding="utf-8")
    done = elmo_in(tmp_path / "copy", *arguments.split())
    assert done.code != 0
    assert message in done.stderr


def test_evaluate_of_one_run_shows_all_of_it(road: Path, elmo_in) -> None:
    shown = elmo_in(road, "evaluate", "runs/classify-frozen").stdout
    for name in ("accuracy", "macro F1", "precision", "recall", "support", "true \\ predicted", "Sports"):
        assert name in shown


def test_results_fit_eighty_columns_without_colour(road: Path, elmo_in) -> None:
    for arguments in (["evaluate"], ["evaluate", "runs/classify-frozen"], ["check", "runs/lm"]):
        shown = elmo_in(road, *arguments).stdout
        assert "\x1b" not in shown
        assert max(map(len, shown.splitlines())) <= 80


def test_flags_win_over_the_settings_file(road: Path, tmp_path: Path, elmo_in) -> None:
    done = elmo_in(road, "vocab", "build", "--min-count", "4", "--keep-case", "--out", tmp_path / "vocab", "--json")
    assert done.code == 0
    details = yaml.safe_load((tmp_path / "vocab/vocab.yaml").read_text(encoding="utf-8"))
    assert details["settings"]["min_count"] == 4
    assert details["tokenizer"]["lowercase"] is False
    assert done.json["size"] == details["size"]


def test_vocab_show(road: Path, elmo_in) -> None:
    done = elmo_in(road, "vocab", "show", "runs/vocab", "test.csv", "--lines", "4", "--json")
    assert done.json["head"] == ["<S>", "</S>", "<UNK>", "."]
    assert len(done.json["tail"]) == 4
    corpus = done.json["corpus"]
    assert corpus["oov_rate"] == pytest.approx(corpus["unknown"] / corpus["tokens"])
    assert "corpus oov rate" in elmo_in(road, "vocab", "show", "runs/lm", "test.csv").stdout


def test_predict_streams_csv_and_json(road: Path, elmo_in) -> None:
    texts = 'The striker scored twice\n\nShares of "Gencolis" fell, again\n'
    shown = elmo_in(road, "predict", "runs/classify-frozen", stdin=texts)
    rows = list(csv.DictReader(io.StringIO(shown.stdout)))
    assert [row["text"] for row in rows] == ["The striker scored twice", "", 'Shares of "Gencolis" fell, again']
    for row in rows:
        shares = {name[2:-1]: float(value) for name, value in row.items() if name.startswith("p(")}
        assert row["label"] == max(shares, key=shares.__getitem__)
        assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
    lines = elmo_in(road, "predict", "runs/classify-frozen", "-", "--format", "jsonl", stdin=texts).stdout.splitlines()
    assert [json.loads(line)["label"] for line in lines] == [row["label"] for row in rows]
    whole = elmo_in(road, "predict", "runs/classify-frozen", "--json", stdin=texts).json
    assert whole == [json.loads(line) for line in lines]


def test_predict_says_what_it_does_not_know(road: Path, elmo_in) -> None:
    texts = "The striker scored twice\n\n猫 猫\nthe 猫\n"
    done = elmo_in(road, "predict", "runs/classify-frozen", "--unknown", stdin=texts)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [float(row["unknown"]) for row in rows][1:] == [1, 1, 0.5]
    assert "2 texts have no token that the model knows" in done.stderr
    assert "nothing" not in elmo_in(road, "predict", "runs/classify-frozen", stdin="the market\n").stderr
    sure = elmo_in(road, "predict", "runs/classify-frozen", "--json", "--min-confidence", "1", stdin=texts).json
    assert [one["label"] for one in sure] == [None] * 4
    empty = elmo_in(road, "predict", "runs/classify-frozen", "--min-confidence", "1", stdin=texts).stdout
    assert [row["label"] for row in csv.DictReader(io.StringIO(empty))] == [""] * 4


def test_predict_on_the_test_file_agrees_with_the_run(road: Path, elmo_in) -> None:
    found = elmo_in(road, "predict", "runs/classify-frozen", "test.csv", "--json").json
    with (road / "runs/classify-frozen/predictions.csv").open(encoding="utf-8", newline="") as file:
        stored = list(csv.DictReader(file))
    assert [(one["text"], one["label"]) for one in found] == [(row["text"], row["predicted"]) for row in stored]


def test_commands_run_without_a_settings_file(road: Path, tmp_path: Path, elmo_in) -> None:
    (tmp_path / "notes.txt").write_text("a b c\nb c d\nc d e\n" * 20, encoding="utf-8")
    assert elmo_in(tmp_path, "vocab", "build", "notes.txt", "--tokenizer", "whitespace").code == 0
    done = elmo_in(tmp_path, "pretrain", "notes.txt", "--preset", "tiny", "--epochs", "1", "--json")
    assert done.code == 0, done.stderr
    assert done.json["epochs"] == 1
    assert "valid perplexity" in done.stderr


def test_pretrain_refuses_to_replace_and_replaces_on_request(road: Path, tmp_path: Path, elmo_in) -> None:
    shutil.copytree(road, tmp_path / "copy")
    weights = tmp_path / "copy/runs/lm/model.safetensors"
    before = weights.read_bytes()
    refused = elmo_in(tmp_path / "copy", "pretrain")
    assert refused.code == 2
    assert "--overwrite" in refused.stderr
    assert weights.read_bytes() == before
    done = elmo_in(tmp_path / "copy", "pretrain", "--overwrite", "--seed", "9", "--epochs", "1", "--quiet")
    assert done.code == 0
    assert done.stderr == ""
    assert weights.read_bytes() != before


@pytest.mark.parametrize(
    "arguments",
    [
        ["vocab", "show", "runs/vocab"],
        ["evaluate", "runs/lm"],
        ["check", "runs/lm"],
        ["predict", "runs/classify-frozen", "test.csv"],
        ["vocab", "build", "--out", "{new}"],
        ["baseline", "word2vec", "--out", "{new}", "--set", "word2vec.epochs=1"],
        ["baseline", "svd", "--out", "{new}"],
        ["classify", "--out", "{new}", "--lambdas", "layer:1", "--set", "classify.epochs=1"],
        ["embed", "runs/lm", "test.csv", "--out", "{new}"],
        ["init", "{new}"],
    ],
    ids=" ".join,
)
def test_json_is_one_document_and_nothing_else(arguments: list[str], road: Path, tmp_path: Path, elmo_in) -> None:
    filled = [argument.format(new=tmp_path / "new") for argument in arguments]
    done = elmo_in(road, *filled, "--json")
    assert done.code == 0, done.stderr
    assert done.json
    assert done.stdout.endswith("\n")


def test_a_finished_training_is_not_resumed_in_silence(road: Path, elmo_in) -> None:
    done = elmo_in(road, "pretrain", "--resume", "--device", "cpu")
    assert done.code == 0, done.stderr
    assert "note: runs/lm is finished already: nothing was trained" in done.stderr


def test_settings_that_only_tuning_uses_are_noted(road: Path, tmp_path: Path, elmo_in) -> None:
    idle = ["--set", "classify.unfreeze=true", "--set", "classify.tune_rate=0.01", "--set", "classify.epochs=1"]
    note = "note: classify.tune_rate, classify.unfreeze are not used without --tune"
    for command in ("classify", "compare"):
        # What comes after the note does not matter here.
        arguments = [command, *idle, "--set", "data.train=absent.csv", "--out", tmp_path / "run"]
        assert elmo_in(road, *arguments).stderr.splitlines()[0] == note
        assert "note:" not in elmo_in(road, *arguments, "--tune").stderr
