"""Which text is trained on and which held out, and what a vocabulary costs."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_pretrain import experiment, train, write_corpus

from elmo_cli.config import load_experiment
from elmo_cli.errors import ConfigError, DataError, RunError
from elmo_cli.events import Notice
from elmo_cli.runs import Run
from elmo_cli.training.prepare import build_vocabulary_run, prepare_pretraining


def test_no_fewer_samples_than_tokens_is_a_full_softmax(tmp_path: Path) -> None:
    path = tmp_path / "corpus.txt"
    path.write_text("a b c d e f\n" * 4)
    for samples, kind in ((9, "full"), (10, "full"), (8, "sampled")):
        flags = ["model.softmax=sampled", f"model.samples={samples}", "vocab.min_count=1"]
        told: list[object] = []
        job = prepare_pretraining(load_experiment(None, flags), [path], None, told.append)
        assert len(job.vocabulary) == 9
        assert job.settings.model.softmax == kind
        notices = [event.message for event in told if isinstance(event, Notice)]
        assert [("the softmax is full" in notice) for notice in notices] == [True] * (kind == "full")


def test_text_of_the_test_file_is_never_read(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus.txt")
    for key, role in (("data__test", "test"), ("data__valid", "validation")):
        with pytest.raises(ConfigError, match=f"the {role} file"):
            train(tmp_path, **{key: str(corpus)})
        with pytest.raises(ConfigError, match=f"the {role} file"):
            build_vocabulary_run(experiment(tmp_path, **{key: str(corpus)}), [corpus])


def test_validation_comes_from_the_file_that_is_given(tmp_path: Path) -> None:
    valid = tmp_path / "valid.txt"
    valid.write_text("the cat sat\n")
    corpus = write_corpus(tmp_path / "corpus.txt")
    job = prepare_pretraining(experiment(tmp_path, data__valid=str(valid)), [corpus], None)
    assert (len(job.corpus), len(job.valid)) == (60, 1)
    assert job.validation == "the file valid.txt"
    assert job.files["valid"][0]["name"] == "valid.txt"
    assert "saw" in job.vocabulary


def test_the_training_file_is_the_corpus_by_default_and_limited(tmp_path: Path) -> None:
    table = tmp_path / "train.csv"
    table.write_text("label,text\n" + "".join(f"x{n % 2},number {n} is here\n" for n in range(20)))
    flags = {"data__train": str(table), "data__limit": 10}
    job = prepare_pretraining(experiment(tmp_path, **flags), [], None)
    assert (len(job.corpus), len(job.valid)) == (9, 1)
    assert {"9", "number"} <= set(job.vocabulary.tokens)
    assert "10" not in job.vocabulary
    more = write_corpus(tmp_path / "more.txt", sentences=30)
    job = prepare_pretraining(experiment(tmp_path, **flags, data__corpus=[str(more)]), [], None)
    assert len(job.corpus) + len(job.valid) == 30  # the limit is the training file's alone
    with pytest.raises(ConfigError, match="no text was given"):
        prepare_pretraining(experiment(tmp_path), [], None)


@pytest.mark.parametrize(
    ("sentences", "fraction", "held_out"), [(2, 0.01, 1), (40, 0.01, 1), (60, 0.1, 6), (17, 0.1, 2), (5, 0.3, 2)]
)
def test_how_much_is_held_out(tmp_path: Path, sentences: int, fraction: float, held_out: int) -> None:
    corpus = write_corpus(tmp_path / "corpus.txt", sentences=sentences)
    job = prepare_pretraining(experiment(tmp_path, pretrain__valid_fraction=fraction), [corpus], None)
    assert (len(job.corpus), len(job.valid)) == (sentences - held_out, held_out)
    assert job.validation == f"the last {100 * fraction:g} % of the corpus: {held_out} of {sentences} sentences"
    last = corpus.read_text().splitlines()[-1].split()
    assert [job.valid.types[number] for number in job.valid.sentence(held_out - 1)] == last


def test_a_vocabulary_tells_what_it_costs(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("the cat sat\nthe cat\nthe mat\n")
    flags = {"model__softmax": "full", "model__hidden_size": 8, "vocab__min_count": 2}
    report = build_vocabulary_run(experiment(tmp_path, **flags), [corpus]).as_dict()
    assert report["size"] == 5  # <S>, </S>, <UNK>, the, cat
    assert report["oov_rate"] == pytest.approx(2 / 7)
    assert report["parameters"] == {"embedding": 6 * 8, "softmax": 5 * 9}
    assert report["megabytes"] == 4 * (6 * 8 + 5 * 9) / 1e6


def test_a_vocabulary_that_is_there_is_replaced_on_request_only(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus.txt")
    first = build_vocabulary_run(experiment(tmp_path), [corpus])
    corpus.write_text("another text\n")
    with pytest.raises(RunError, match="exists already"):
        build_vocabulary_run(experiment(tmp_path), [corpus])
    assert Run.open(first.path).vocabulary().tokens == first.vocabulary.tokens
    assert "another" in build_vocabulary_run(experiment(tmp_path), [corpus], overwrite=True).vocabulary


def test_of_one_sentence_none_can_be_held_out(tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text("one sentence\n")
    vocabulary = build_vocabulary_run(experiment(tmp_path), [write_corpus(tmp_path / "words.txt")]).vocabulary
    with pytest.raises(DataError, match="the corpus has 1 sentence, so none"):
        prepare_pretraining(experiment(tmp_path), [tmp_path / "corpus.txt"], vocabulary)
