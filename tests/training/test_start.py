"""A training that begins with the biLM of a run: what it takes over, what is new, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from bilm_files import Shape, make
from test_pretrain import experiment, train, write_corpus
from tinyworld import make_static

from elmo_cli.config import ClassifySettings, DataSettings
from elmo_cli.errors import ConfigError, WeightsError
from elmo_cli.events import Event, Finished, Step, Stopped
from elmo_cli.interop.importing import import_run
from elmo_cli.model.classifier import Classifier
from elmo_cli.runs import Run, RunWriter, load_lm, save_classifier
from elmo_cli.training.pretrain import pretrain_run

STILL = {"pretrain__learning_rate": 1e-9, "pretrain__epochs": 1}  # nothing moves, so that what it began with shows


def go_on(folder: Path, start: Path, corpus: Path, vocab: Path | None = None, **flags: Any) -> list[Event]:
    settings = experiment(folder, **flags)
    return list(pretrain_run(settings, [corpus], vocab, folder / "more", start=start, overwrite=True, device="cpu"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained run, runs/lm, and another corpus, with a word that the run does not know."""
    folder = tmp_path_factory.mktemp("start")
    train(folder, model__hidden_size=6, model__layers=2)
    other = write_corpus(folder / "other.txt", seed=7)
    other.write_text(other.read_text() + "the unheard cat\nthe unheard dog\n")
    return folder


def test_it_begins_where_the_run_ended(folder: Path) -> None:
    # the settings ask for another architecture, and for another dropout
    events = go_on(folder, folder / "runs/lm", folder / "other.txt", model__dropout=0.5, **STILL)
    before, after = load_lm(folder / "runs/lm"), load_lm(folder / "more")
    assert after.vocabulary is not None
    assert before.vocabulary is not None
    assert after.vocabulary.tokens == before.vocabulary.tokens
    expected = before.bilm().settings.model_copy(update={"dropout": 0.5})
    assert after.bilm().settings == expected
    found = after.bilm().state_dict()
    for name, tensor in before.bilm().state_dict().items():
        torch.testing.assert_close(found[name], tensor, atol=1e-5, rtol=0)
    assert any("architecture and weights are those of lm" in str(event) for event in events)
    assert Run.open(folder / "more").description["data"]["from"][0]["name"] == "lm"


def test_it_learns_faster_than_from_nothing(folder: Path) -> None:
    first = [
        next(event for event in events if isinstance(event, Step)).loss
        for events in (
            go_on(folder, folder / "runs/lm", folder / "corpus.txt", pretrain__learning_rate=1e-3),
            train(folder, overwrite=True, output=str(folder / "fresh"), pretrain__learning_rate=1e-3),
        )
    ]
    assert first[0] < first[1]


@pytest.mark.parametrize("with_vocabulary", [True, False])
def test_imported_weights_get_a_softmax(with_vocabulary: bool, folder: Path, tmp_path: Path) -> None:
    model = make(Shape()).write(tmp_path / "model")
    if with_vocabulary:
        (model / "vocab.txt").write_text("<S>\n</S>\n<UNK>\nthe\ncat\n")
    import_run(model, tmp_path / "published")
    settings = {"output": str(tmp_path), "model__softmax": "full", **STILL}
    events = go_on(tmp_path, tmp_path / "published", folder / "other.txt", **settings)
    assert any("has no softmax: a new one begins at random" in str(event) for event in events)
    before, after = load_lm(tmp_path / "published").bilm(), load_lm(tmp_path / "more")
    assert after.bilm().softmax is not None
    assert after.bilm().settings.encoder == "char"
    assert after.vocabulary is not None
    assert (len(after.vocabulary) == 5) is with_vocabulary
    for name, tensor in before.state_dict().items():
        torch.testing.assert_close(after.bilm().state_dict()[name], tensor, atol=1e-5, rtol=0)
    last = events[-1]
    assert isinstance(last, Finished)
    assert last.results["validation"]["mean"] > 1


def test_it_is_resumed_with_the_same_start(folder: Path, tmp_path: Path) -> None:
    def run(stop_after: int = 99, *, start: bool = True, **flags: bool) -> list[Event]:
        asked = iter(range(1000))
        return list(
            pretrain_run(
                experiment(folder),
                [folder / "other.txt"],
                None,
                tmp_path / ("whole" if stop_after == 99 and not flags else "cut"),
                start=folder / "runs/lm" if start else None,
                device="cpu",
                stop=lambda: next(asked) >= stop_after,
                **flags,
            )
        )

    run()
    assert isinstance(run(3)[-1], Stopped)
    with pytest.raises(ConfigError, match="but the run was begun with"):
        run(start=False, resume=True)
    run(resume=True)
    whole, cut = (load_lm(tmp_path / name).bilm().state_dict() for name in ("whole", "cut"))
    assert all(torch.equal(whole[name], cut[name]) for name in whole)


def test_what_cannot_be_begun_with(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("<S>\n</S>\n<UNK>\nthe\n")
    with pytest.raises(ConfigError, match=r"--vocab has 4 tokens, and .* of its own, of 13"):
        go_on(tmp_path, folder / "runs/lm", folder / "other.txt", tmp_path / "vocab.txt")
    with pytest.raises(ConfigError, match="both --from and --init-embeddings"):
        go_on(tmp_path, folder / "runs/lm", folder / "other.txt", model__init_embeddings="w2v.txt")
    embedder, settings = make_static(), ClassifySettings(hidden_size=4)
    with RunWriter(tmp_path / "static", "classifier", "test") as writer:
        classifier = Classifier(embedder.network, settings, 2, seed=1)
        save_classifier(writer, [classifier], embedder, ["a", "b"], settings, DataSettings())
    with pytest.raises(WeightsError, match="static vectors and no language model"):
        go_on(tmp_path, tmp_path / "static", folder / "other.txt")
    assert not (tmp_path / "more").exists()
