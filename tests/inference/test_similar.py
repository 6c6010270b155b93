"""Nearest tokens in context: against an exhaustive search in NumPy, whatever the batches, and what is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tinyworld import TOKENIZER, make_bilm, make_experiment, make_texts, write_csv

from elmo_cli.config import DataSettings, Experiment
from elmo_cli.embedder import Embedder, Extractor
from elmo_cli.errors import ConfigError, DataError, RunError
from elmo_cli.events import Notice, Progress
from elmo_cli.inference import similar as module
from elmo_cli.inference.similar import Similar, similar_run
from elmo_cli.model.bilm import BiLm
from elmo_cli.runs import RunWriter, load_classifier, load_lm, save_lm
from elmo_cli.text.encoded import encode_tokens
from elmo_cli.training.classify import classify_run

TEXTS = [text for _, text in make_texts(40)]
QUERY = "the team said a goal"


@pytest.fixture
def world(tmp_path: Path) -> Experiment:
    """An LM run, a training file, and a text file with the query, a text that stands there twice, and empty lines."""
    embedder = make_bilm()
    assert isinstance(embedder.network, BiLm)
    with RunWriter(tmp_path / "runs" / "lm", "lm", "test") as writer:
        writer.describe({"data": {}})
        save_lm(writer, embedder.network, embedder.vocabulary)
    (tmp_path / "corpus.txt").write_text("\n".join([TEXTS[0], "", QUERY, *TEXTS]) + "\n")
    train = write_csv(tmp_path / "train.csv", make_texts(40))
    return make_experiment(tmp_path / "runs").model_copy(update={"data": DataSettings(train=train)})


def search(world: Experiment, **options: Any) -> Similar:
    options = {"token": "goal", "paths": [world.output.parent / "corpus.txt"], **options}
    return similar_run(world, options.pop("run", world.output / "lm"), options.pop("sentence", QUERY), **options)


def layers_of(embedder: Embedder, tokens: list[str]) -> torch.Tensor:
    """(K, T, W) of one sentence alone."""
    ((_, layers, _),) = Extractor(embedder).batches(encode_tokens([tokens]), [np.array([0])])
    return layers[:, 0]


def exhaustive(embedder: Embedder, mix: Any, place: int, texts: list[str]) -> list[tuple[float, str, int]]:
    """The best token of each distinct text, by plain loops."""
    wanted = mix(layers_of(embedder, QUERY.split()))[place]
    found = []
    for text in dict.fromkeys(texts):
        vectors = mix(layers_of(embedder, text.split()))
        cosines = [float(x @ wanted / np.sqrt((x @ x) * (wanted @ wanted))) for x in vectors.astype(np.float64)]
        found.append((max(cosines), text, int(np.argmax(cosines))))
    return sorted(found, key=lambda one: -one[0])


MIXES = {
    "0": lambda layers: layers[0].numpy(),
    "1": lambda layers: layers[1].numpy(),
    "top": lambda layers: layers[2].numpy(),
    "mix": lambda layers: layers.numpy().mean(0),
}


@pytest.mark.parametrize("layer", MIXES)
def test_hits_are_those_of_an_exhaustive_search(layer: str, world: Experiment) -> None:
    found = search(world, layer=layer, top=7)
    expected = exhaustive(load_lm(world.output / "lm"), MIXES[layer], 4, TEXTS)[:7]
    np.testing.assert_allclose([hit.similarity for hit in found.hits], [one[0] for one in expected], atol=1e-5)
    if layer != "0":  # in the token layer, equal words are equally near, and their order is open
        assert [(" ".join(hit.tokens), hit.position) for hit in found.hits] == [one[1:] for one in expected]
    for hit in found.hits:
        assert hit.token == hit.tokens[hit.position]
    assert (found.token, found.position, found.tokens) == ("goal", 4, tuple(QUERY.split()))
    assert found.sentences == 42
    assert found.searched == sum(len(text.split()) for text in [TEXTS[0], QUERY, *TEXTS])


def test_layers_are_named(world: Experiment) -> None:
    names = {layer: search(world, layer=layer).layer for layer in MIXES}
    assert names == {"0": "layer 0", "1": "layer 1", "top": "layer 2", "mix": "mean of 3 layers"}


def test_the_token_layer_finds_the_word_itself(world: Experiment) -> None:
    for hit in search(world, layer="0", top=5).hits:
        assert hit.token == "goal"
        assert hit.similarity == pytest.approx(1)


def test_the_sentence_itself_and_repetitions_are_left_out(world: Experiment) -> None:
    found = search(world, top=1000)
    sentences = [" ".join(hit.tokens) for hit in found.hits]
    assert QUERY not in sentences
    assert sorted(sentences) == sorted(set(TEXTS))
    assert {hit.line for hit in found.hits if hit.tokens == tuple(TEXTS[0].split())} == {1}
    similarities = [hit.similarity for hit in found.hits]
    assert similarities == sorted(similarities, reverse=True)


@pytest.mark.parametrize(("piece", "batch"), [(1, 4096), (30, 16), (10**6, 1)])
def test_pieces_and_batches_do_not_matter(
    piece: int, batch: int, world: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = search(world, top=5)
    monkeypatch.setattr(module, "PIECE", piece)
    monkeypatch.setattr(module, "BATCH_TOKENS", batch)
    again = search(world, top=5)
    assert [(hit.tokens, hit.position) for hit in again.hits] == [(hit.tokens, hit.position) for hit in usual.hits]
    np.testing.assert_allclose(
        [hit.similarity for hit in again.hits], [hit.similarity for hit in usual.hits], atol=1e-6
    )


def test_no_more_is_held_than_a_piece(world: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    original = module._Search.look_through

    def watched(self: Any, sentences: Any) -> None:
        held.append(sum(len(sentence.tokens) + 2 for sentence in sentences))
        original(self, sentences)

    monkeypatch.setattr(module._Search, "look_through", watched)
    monkeypatch.setattr(module, "PIECE", 50)
    told: list[Notice | Progress] = []
    search(world, tell=told.append)
    seen = [(event.done, event.total) for event in told if isinstance(event, Progress)]
    longest = max(len(text.split()) + 2 for text in TEXTS)
    assert len(held) > 3
    assert max(held) < 50 + longest
    assert seen[-1] == (42, None)
    assert len(seen) == len(held)


def test_the_same_word_only(world: Experiment) -> None:
    file = world.output.parent / "case.txt"
    file.write_text("Goal of the match\nthe coach said\na GOAL today\nteam with goal\n")
    found = search(world, paths=[file], same_word=True)
    assert sorted(hit.token for hit in found.hits) == ["GOAL", "Goal", "goal"]
    file.write_text("the coach said\n")
    found = search(world, paths=[file], same_word=True)
    assert found.hits == ()
    assert found.notices == ("no other sentence of the corpus has such a token",)


def test_one_of_several_equal_tokens(world: Experiment) -> None:
    sentence = "goal said the goal"
    first, second = (search(world, sentence=sentence, occurrence=number) for number in (1, 2))
    assert (first.position, second.position) == (0, 3)
    assert [hit.similarity for hit in first.hits] != [hit.similarity for hit in second.hits]
    assert search(world, sentence=sentence) == first


def test_a_sentence_of_one_token_needs_no_name(world: Experiment) -> None:
    assert search(world, sentence="goal", token=None).token == "goal"


def test_the_corpus_of_the_settings_is_the_default(world: Experiment) -> None:
    found = search(world, paths=())
    assert found.sentences == 40
    assert {hit.file for hit in found.hits} == {world.data.train}
    limited = world.model_copy(update={"data": world.data.model_copy(update={"limit": 5})})
    found = search(limited, paths=(), top=100)
    assert found.sentences == 5
    assert max(hit.line for hit in found.hits) == 6  # of a file with a header


def test_the_test_file_may_be_searched_since_nothing_is_learned(world: Experiment) -> None:
    file = write_csv(world.output.parent / "test.csv", make_texts(6, seed=2))
    settings = world.model_copy(update={"data": world.data.model_copy(update={"test": file})})
    assert search(settings, paths=[file]).sentences == 6


def test_the_sentence_is_cleaned_as_the_corpus_is(world: Experiment) -> None:
    file = world.output.parent / "broken.txt"
    file.write_text("team #39;s goal\ngoal said\n")
    clean = world.model_copy(update={"data": DataSettings(clean="ag-news")})
    found = search(clean, paths=[file], sentence="team #39;s goal")
    assert [hit.tokens for hit in found.hits] == [("goal", "said")]


def test_long_texts_are_searched_in_stretches(world: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST", 5)
    file = world.output.parent / "long.txt"
    file.write_text("the coach said today a match with profit of share the goal\nthe team said\n")
    found = search(world, paths=[file], top=9)
    assert found.sentences == 2
    assert found.searched == 15
    assert sorted(len(hit.tokens) for hit in found.hits) == [2, 3, 5, 5]
    assert {hit.line for hit in found.hits if len(hit.tokens) != 3} == {1}
    assert found.notices == ("texts of more than 5 tokens, which were searched in stretches of that length: 1",)


def test_an_unknown_token_is_said_to_be_one(world: Experiment) -> None:
    found = search(world, sentence="zork", token=None)
    assert found.notices == ("'zork' is not in the vocabulary: to the model it is any unknown token",)


@pytest.mark.parametrize("mode", ["trainable", "function", "layer:1"])
def test_a_classifier_has_a_mix_of_its_own(mode: str, world: Experiment) -> None:
    settings = world.classify.model_copy(update={"lambdas": mode, "epochs": 2, "lambda_rate": 0.5})
    trained = world.model_copy(update={"classify": settings})
    list(classify_run(trained, device="cpu", out=world.output / "classifier"))
    found = search(world, run=world.output / "classifier", layer="mix", top=5)
    loaded = load_classifier(world.output / "classifier")

    def mix(layers: torch.Tensor) -> Any:
        mask = torch.ones(1, layers.shape[1], dtype=torch.bool)
        return loaded.classifier.combiner(layers[:, None], mask)[0].detach().numpy()

    expected = exhaustive(loaded.embedder, mix, 4, TEXTS)[:5]
    assert found.layer == "the classifier's mix"
    np.testing.assert_allclose([hit.similarity for hit in found.hits], [one[0] for one in expected], atol=1e-5)
    assert [(" ".join(hit.tokens), hit.position) for hit in found.hits] == [one[1:] for one in expected]
    plain = search(world, layer="1", top=3)
    assert search(world, run=world.output / "classifier", layer="1", top=3).hits == plain.hits


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"token": "gaol"}, "'gaol' is no token of the sentence(.|\n)*did you mean 'goal'"),
        ({"token": None}, "has 5 tokens(.|\n)*the, team, said, a, goal"),
        ({"token": "a goal"}, "'a goal' is no token"),
        ({"sentence": " "}, "no tokens"),
        ({"occurrence": 2}, "'goal' stands in the sentence once"),
        ({"occurrence": 0}, "occurrence is 0"),
        ({"layer": "3"}, "there is no layer 3(.|\n)*0 to 2"),
        ({"layer": "-1"}, "there is no layer -1"),
        ({"layer": "best"}, "there is no layer best"),
        ({"top": 0}, "--top is 0"),
    ],
    ids=str,
)
def test_what_cannot_be_searched_for(options: dict[str, Any], message: str, world: Experiment) -> None:
    with pytest.raises(ConfigError, match=message):
        search(world, **options)


def test_what_cannot_be_searched(world: Experiment) -> None:
    empty = world.output.parent / "empty.txt"
    empty.write_text("\n")
    with pytest.raises(DataError, match="is empty"):
        search(world, paths=[empty])
    with pytest.raises(DataError, match="there is no file"):
        search(world, paths=[empty.with_name("absent.txt")])
    with pytest.raises(RunError, match="there is no run"):
        search(world, run=world.output / "ln")
    header = world.output.parent / "header.csv"
    header.write_text("label,text\n")
    with pytest.raises(DataError):
        search(world, paths=[header])
    nothing = world.model_copy(update={"data": DataSettings()})
    with pytest.raises(ConfigError, match="no text was given"):
        search(nothing, paths=())


def test_the_tokenizer_of_the_run_has_its_say(world: Experiment) -> None:
    from elmo_cli.inference.similar import find_token
    from elmo_cli.text.tokenizer import Tokenizer

    lower = Tokenizer(TOKENIZER.model_copy(update={"lowercase": True}))
    assert find_token(lower("A Goal"), "Goal", lower, 1) == 1
    assert find_token(["A", "Goal"], "Goal", lower, 1) == 1
