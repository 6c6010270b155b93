"""Static vectors as files: the text, tokens and vocabulary of the biLM, a file for each window, never test text."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from elmo_cli.config import DataSettings, Experiment, SvdSettings, TokenizerSettings, Word2VecSettings
from elmo_cli.config.choices import BaselineMethod
from elmo_cli.errors import ConfigError, DataError, RunError
from elmo_cli.events import Notice, Progress
from elmo_cli.text.vocabulary import Vocabulary
from elmo_cli.training.prepare import build_vocabulary_run
from elmo_cli.vectors.baseline import baseline_run, path_for
from elmo_cli.vectors.formats import read_vectors

METHODS = get_args(BaselineMethod)


def notices(told: list[Notice | Progress]) -> list[str]:
    return [event.message for event in told if isinstance(event, Notice)]


def experiment(folder: Path, **data: object) -> Experiment:
    return Experiment(
        output=folder / "runs",
        tokenizer=TokenizerSettings(kind="whitespace"),
        word2vec=Word2VecSettings(dim=8, window=2, epochs=3),
        svd=SvdSettings(dim=8, window=2),
        data=DataSettings.model_validate(data),
    )


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """Two topics whose words never meet, and two words that are seen once."""
    generator = np.random.default_rng(1)
    topics = [["cat", "dog", "fur", "paw"], ["stock", "bond", "bank", "rate"]]
    lines = [" ".join(generator.choice(topics[number % 2], 6)) for number in range(300)]
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join([*lines, "", "once", "never-again"]) + "\n")
    return path


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("binary", [False, True])
def test_a_file_is_written_and_kept(method: BaselineMethod, binary: bool, text: Path, tmp_path: Path) -> None:
    out = tmp_path / "vectors" / "v.txt"
    report = baseline_run(experiment(tmp_path), method, [text], out, binary=binary)
    vectors = read_vectors(out)
    assert vectors.format == ("word2vec binary" if binary else "word2vec text")
    assert (report.vectors, report.width) == vectors.matrix.shape == (9, 8)
    assert (report.tokens, report.unknown) == (1802, 2)
    assert [(file.path, file.window) for file in report.files] == [(out, 2)]
    assert report.reproducible
    assert report.vocabulary is None
    before = out.read_bytes()
    with pytest.raises(RunError, match="exists already"):
        baseline_run(experiment(tmp_path), method, [text], out, binary=binary)
    baseline_run(experiment(tmp_path, corpus=text), method, [], out, binary=binary, overwrite=True)
    assert out.read_bytes() == before


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("ending", [".txt", ".txt.gz"])
def test_gensim_reads_the_same_vectors_back(
    method: BaselineMethod, binary: bool, ending: str, text: Path, tmp_path: Path
) -> None:
    from gensim.models import KeyedVectors

    out = tmp_path / f"v{ending}"
    baseline_run(experiment(tmp_path), method, [text], out, binary=binary)
    read = KeyedVectors.load_word2vec_format(str(out), binary=binary)
    own = read_vectors(out)
    assert read.index_to_key == own.tokens
    assert "<UNK>" in own.tokens
    np.testing.assert_array_equal(read.vectors, own.matrix)


def test_a_compressed_file_tells_no_time(text: Path, tmp_path: Path) -> None:
    out = tmp_path / "v.txt.gz"
    baseline_run(experiment(tmp_path), "svd", [text], out)
    assert out.read_bytes()[4:8] == bytes(4)
    assert gzip.decompress(out.read_bytes()).startswith(b"9 8\n")


@pytest.mark.parametrize(
    ("out", "expected"),
    [
        ("svd.txt", "svd-w5.txt"),
        ("d/v1.0.txt.gz", "d/v1.0-w5.txt.gz"),
        ("svd", "svd-w5"),
        ("a.b/svd.gz", "a.b/svd-w5.gz"),
    ],
)
def test_a_name_for_each_window(out: str, expected: str) -> None:
    assert path_for(Path(out), 5) == Path(expected)


@pytest.mark.parametrize("method", METHODS)
def test_a_file_for_each_window_is_that_of_the_window_alone(method: BaselineMethod, text: Path, tmp_path: Path) -> None:
    told: list[Notice | Progress] = []
    out = tmp_path / "v.txt"
    report = baseline_run(experiment(tmp_path), method, [text], out, windows=[1, 4, 1], tell=told.append)
    assert [file.path.name for file in report.files] == ["v-w1.txt", "v-w4.txt"]
    assert not out.exists()
    steps = 6 if method == "word2vec" else 2  # of two windows: 3 epochs each, or one factorisation
    seen = [(event.done, event.total) for event in told if isinstance(event, Progress)]
    assert seen == [(done, steps) for done in range(1, steps + 1)]
    one, four = (read_vectors(file.path).matrix for file in report.files)
    assert not np.allclose(one, four)
    baseline_run(experiment(tmp_path), method, [text], out, windows=[4])
    np.testing.assert_array_equal(read_vectors(out).matrix, four)


def test_nothing_is_trained_where_one_of_the_files_exists(text: Path, tmp_path: Path) -> None:
    (tmp_path / "v-w4.txt").write_text("mine")
    with pytest.raises(RunError, match=r"v-w4\.txt exists"):
        baseline_run(experiment(tmp_path), "svd", [text], tmp_path / "v.txt", windows=[1, 4])
    assert not (tmp_path / "v-w1.txt").exists()
    assert (tmp_path / "v-w4.txt").read_text() == "mine"


@pytest.mark.parametrize("method", METHODS)
def test_the_vocabulary_of_the_language_model_is_used(method: BaselineMethod, text: Path, tmp_path: Path) -> None:
    settings = experiment(tmp_path).model_copy(update={"svd": SvdSettings(dim=2)})
    pets = tmp_path / "pets.txt"
    pets.write_text("cat dog cat dog fur fur\n")
    build_vocabulary_run(settings, [pets])
    told: list[Notice | Progress] = []
    report = baseline_run(settings, method, [text], tmp_path / "v.txt", tell=told.append)
    assert report.vocabulary == tmp_path / "runs" / "vocab"
    assert read_vectors(tmp_path / "v.txt").tokens == ["<UNK>", "cat", "dog", "fur"]
    assert not notices(told)
    (tmp_path / "own.txt").write_text("<S>\n</S>\n<UNK>\nbond\nbank\n")
    report = baseline_run(settings, method, [text], tmp_path / "own-v.txt", vocab=tmp_path / "own.txt")
    assert read_vectors(tmp_path / "own-v.txt").tokens == ["<UNK>", "bond", "bank"]
    assert report.vocabulary == tmp_path / "own.txt"


def test_tokens_are_those_of_the_vocabulary(tmp_path: Path) -> None:
    upper = experiment(tmp_path).model_copy(update={"svd": SvdSettings(dim=2)})
    lower = TokenizerSettings(kind="whitespace", lowercase=True)
    text = tmp_path / "corpus.txt"
    text.write_text("Cat dog cat Dog\n" * 3)
    build_vocabulary_run(upper.model_copy(update={"tokenizer": lower}), [text])
    told: list[Notice | Progress] = []
    report = baseline_run(upper, "svd", [text], tmp_path / "v.txt", tell=told.append)
    assert report.unknown == 0
    assert read_vectors(tmp_path / "v.txt").tokens == ["cat", "dog"]
    assert len(notices(told)) == 1
    assert "lowercase yes" in notices(told)[0]


def test_a_vocabulary_that_is_not_there(text: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="there is no run"):
        baseline_run(experiment(tmp_path), "svd", [text], tmp_path / "v.txt", vocab=tmp_path / "vocap")
    told: list[Notice | Progress] = []
    baseline_run(experiment(tmp_path), "svd", [text], tmp_path / "v.txt", tell=told.append)
    assert "the vocabulary is built from the corpus" in notices(told)[0]


def test_more_workers_are_said_to_race(text: Path, tmp_path: Path) -> None:
    settings = experiment(tmp_path)
    settings = settings.model_copy(update={"word2vec": settings.word2vec.model_copy(update={"workers": 2})})
    told: list[Notice | Progress] = []
    report = baseline_run(settings, "word2vec", [text], tmp_path / "v.txt", tell=told.append)
    assert not report.reproducible
    assert "2 workers race" in notices(told)[-1]
    assert baseline_run(settings, "svd", [text], tmp_path / "s.txt").reproducible


@pytest.mark.parametrize("method", METHODS)
def test_test_text_is_refused(method: BaselineMethod, text: Path, tmp_path: Path) -> None:
    out = tmp_path / "v.txt"
    (tmp_path / "link.txt").symlink_to(text)
    with pytest.raises(ConfigError, match="is the test file"):
        baseline_run(experiment(tmp_path, test=text), method, [tmp_path / "link.txt"], out)
    assert not out.exists()


@pytest.mark.parametrize("method", METHODS)
def test_too_little_text(method: BaselineMethod, tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text("once\n")
    with pytest.raises(DataError, match="no token occurs 2 times"):
        baseline_run(experiment(tmp_path), method, [tmp_path / "corpus.txt"], tmp_path / "v.txt")
    assert not (tmp_path / "v.txt").exists()


@pytest.mark.parametrize("method", METHODS)
def test_vectors_do_not_depend_on_hash_order(method: BaselineMethod, text: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from elmo_cli.config import *\n"
        "from elmo_cli.vectors.baseline import baseline_run\n"
        "settings = Experiment(word2vec=Word2VecSettings(dim=4, epochs=1), svd=SvdSettings(dim=4))\n"
        "baseline_run(settings, sys.argv[1], [Path(sys.argv[2])], Path(sys.argv[3]))"
    )
    written = []
    for seed in ("1", "2"):
        out = tmp_path / seed
        command = [sys.executable, "-c", code, method, str(text), str(out)]
        environment = {**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"}
        subprocess.run(command, check=True, env=environment, cwd=tmp_path)
        written.append(out.read_bytes())
    assert written[0] == written[1]


def test_real_text(shared: Path, tmp_path: Path) -> None:
    """Words of sport are nearer to each other than to those of finance, whichever way their vectors are made."""
    train = shared / "data" / "ag_news" / "train.csv"
    settings = experiment(tmp_path, train=train, limit=2000).model_copy(
        update={
            "tokenizer": TokenizerSettings(lowercase=True),
            "svd": SvdSettings(dim=30),
            "word2vec": Word2VecSettings(dim=30, epochs=5),
        }
    )
    for method in METHODS:
        report = baseline_run(settings, method, [], tmp_path / f"{method}.txt")
        vectors = read_vectors(report.files[0].path)
        unit = vectors.matrix / np.linalg.norm(vectors.matrix, axis=1, keepdims=True).clip(1e-9)
        season, game, oil, prices = (unit[vectors.rows[word]] for word in ("season", "game", "oil", "prices"))
        assert season @ game > season @ prices + 0.1
        assert oil @ prices > oil @ game + 0.1


def test_vocabulary_files_have_the_same_tokens_as_the_vectors(text: Path, tmp_path: Path) -> None:
    settings = experiment(tmp_path)
    build_vocabulary_run(settings, [text])
    baseline_run(settings, "svd", [text], tmp_path / "v.txt")
    tokens = Vocabulary.load(tmp_path / "runs" / "vocab").tokens
    assert read_vectors(tmp_path / "v.txt").tokens == list(tokens[2:])
