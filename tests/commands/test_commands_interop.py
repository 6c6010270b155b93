"""The published fixture through the commands: import, embed as the original did, compare with what it stored."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest


@pytest.fixture
def sentences(shared: Path, tmp_path: Path) -> Path:
    """Sentence i of each of the three lists, then sentence i + 1: rows that carry their own state."""
    lists = json.loads((shared / "fixtures/bilm_tf/lm_embeddings_sentences.json").read_text(encoding="utf-8"))
    path = tmp_path / "sentences.txt"
    lines = [lists[row][place] for place in range(10) for row in range(3)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("stateful", [True, False])
def test_the_fixture_is_reproduced(stateful: bool, shared: Path, sentences: Path, tmp_path: Path, elmo_in) -> None:
    fixture = shared / "fixtures/bilm_tf"
    assert elmo_in(tmp_path, "import", fixture, "--out", "published", "--quiet").code == 0
    flags = ["--stateful"] if stateful else []
    done = elmo_in(
        tmp_path,
        *("embed", "published", sentences, "--batch-size", 3, "--layers", "all", "--tokenizer", "whitespace"),
        *("--out", "found.hdf5", "--json", *flags),
    )
    assert done.code == 0, done.stderr
    assert done.json["sentences"] == 30
    agrees = []
    with h5py.File(tmp_path / "found.hdf5") as found:
        assert set(found) == {*map(str, range(30)), "sentence_to_index"}
        for row in range(3):
            with h5py.File(fixture / f"lm_embeddings_{row}.hdf5") as expected:
                for place in range(10):
                    stored = expected[str(place)][()]  # (2, T, P)
                    top = np.stack(np.split(found[str(3 * place + row)][()][-1], 2, axis=1))
                    agrees.append((place, bool(np.allclose(top, stored, atol=1e-6, rtol=1e-5))))
    # Without the state only the first batch is the same.
    assert all(same for place, same in agrees if stateful or place == 0)
    assert stateful or not all(same for _, same in agrees)


def test_check_compares_with_stored_embeddings(shared: Path, sentences: Path, tmp_path: Path, elmo_in) -> None:
    assert elmo_in(tmp_path, "import", shared / "fixtures/bilm_tf", "--out", "published").code == 0
    flags = ["--tokenizer", "whitespace", "--out", "stored.hdf5"]
    assert elmo_in(tmp_path, "embed", "published", sentences, *flags).code == 0
    flags = ["--tokenizer", "whitespace", "--expected", "stored.hdf5"]
    done = elmo_in(tmp_path, "check", "published", sentences, *flags, "--json")
    assert done.code == 0, done.stdout
    assert {"leak", "batch", "padding", "order"} <= {one["name"] for one in done.json}
    sentences.write_text(sentences.read_text(encoding="utf-8").replace("the", "a"), encoding="utf-8")
    assert elmo_in(tmp_path, "check", "published", sentences, *flags).code == 1


def test_the_fixture_goes_out_and_in_again(shared: Path, tmp_path: Path, elmo_in) -> None:
    assert elmo_in(tmp_path, "import", shared / "fixtures/bilm_tf", "--out", "published", "--quiet").code == 0
    done = elmo_in(tmp_path, "export", "published", "--format", "bilm-tf", "--out", "exported", "--json")
    assert done.code == 0, done.stderr
    assert done.json["difference"] == 0.0
    assert any("model.residual" in notice for notice in done.json["notices"])
    theirs = shared / "fixtures/bilm_tf/lm_weights.hdf5"
    with h5py.File(theirs) as one, h5py.File(tmp_path / "exported/weights.hdf5") as other:
        one.visititems(
            lambda name, item: (
                np.testing.assert_array_equal(item[()], other[name][()]) if isinstance(item, h5py.Dataset) else None
            )
        )
    assert elmo_in(tmp_path, "export", "published", "--out", "exported").code == 2
    assert elmo_in(tmp_path, "export", "published", "--format", "bilm").code == 2


def test_static_vectors_go_into_a_comparison(road: Path, tmp_path: Path, elmo_in) -> None:
    flags = ["--layer", "top", "--sif", 1e-3, "--out", tmp_path / "lm.txt", "--device", "cpu"]
    done = elmo_in(road, "export", "runs/lm", "train.csv", "--format", "static", *flags)
    assert done.code == 0, done.stderr
    compared = elmo_in(
        road,
        *("compare", "--baseline", tmp_path / "lm.txt", "--lambdas", "frozen", "--out", tmp_path / "compared"),
        *("--set", "classify.epochs=1", "--device", "cpu", "--json"),
    )
    assert compared.code == 0, compared.stderr
    assert "lm" in compared.stdout


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--format", "bilm-tf", "--pca", 3], "--pca is for static vectors"),
        (["train.csv"], "CORPUS is for static vectors"),
        (["--format", "static", "--layer", "all"], "average takes all layers into one vector"),
        (["--format", "static", "--layer", "last"], "--layer got 'last'"),
        (["--format", "static", "--layer", 7], "there is no layer 7"),
    ],
)
def test_flags_that_do_not_go_together(flags: list[object], message: str, road: Path, tmp_path: Path, elmo_in) -> None:
    done = elmo_in(road, "export", "runs/lm", *flags, "--out", tmp_path / "out")
    assert done.code == 2
    assert message in done.stderr


def test_an_imported_model_is_trained_further(shared: Path, road: Path, tmp_path: Path, elmo_in) -> None:
    assert elmo_in(tmp_path, "import", shared / "fixtures/bilm_tf", "--out", "published", "--quiet").code == 0
    done = elmo_in(
        tmp_path,
        *("pretrain", road / "train.csv", "--from", "published", "--out", "trained", "--epochs", 1, "--device", "cpu"),
    )
    assert done.code == 0, done.stderr
    assert "published has no softmax" in done.stderr
    assert elmo_in(tmp_path, "evaluate", "trained", road / "test.csv", "--device", "cpu").code == 0
