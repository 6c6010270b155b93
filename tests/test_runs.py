"""Run directories: whole or absent, locked, never overwritten unasked, refused where they cannot be used."""

from __future__ import annotations

import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
import torch
import yaml

from elmo_cli.config import ClassifySettings, DataSettings, ModelSettings, TokenizerSettings
from elmo_cli.embedder import Embedder
from elmo_cli.errors import DataError, ElmoError, RunError, WeightsError
from elmo_cli.model.bilm import BiLm
from elmo_cli.model.classifier import Classifier
from elmo_cli.model.static import StaticTable
from elmo_cli.runs import Run, RunWriter, load_classifier, load_lm, portable, save_classifier, save_lm
from elmo_cli.runs.cards import write_card
from elmo_cli.runs.tensors import copy_tensors
from elmo_cli.text.vocabulary import Vocabulary

TOKENIZER = TokenizerSettings(kind="whitespace")


def small_vocabulary() -> Vocabulary:
    return Vocabulary(["<S>", "</S>", "<UNK>", "a", "b", "ü"], tokenizer=TOKENIZER)


def small_settings(**changes: object) -> ModelSettings:
    return ModelSettings.model_validate({"hidden_size": 4, "layers": 1, "softmax": "full", **changes})


def write_lm(path: Path, **changes: object) -> BiLm:
    vocabulary = small_vocabulary()
    network = BiLm(small_settings(**changes), len(vocabulary))
    with RunWriter(path, "lm", "elmo pretrain") as writer:
        save_lm(writer, network, vocabulary)
    return network


def write_vocabulary_run(path: Path, **options: bool) -> None:
    with RunWriter(path, "vocab", "elmo vocab build", **options) as writer:
        writer.write_vocabulary(small_vocabulary())


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


# Writing


def test_a_finished_run_says_what_it_is_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "runs" / "v", "vocab", "elmo vocab build") as writer:
        writer.describe({"seed": 1}, {"corpus": []}, {"note": "ü"})
        assert not (tmp_path / "runs" / "v").exists()
    run = Run.open(tmp_path / "runs" / "v", "vocab")
    assert run.finished
    assert run.settings == {"seed": 1}
    assert run.description["note"] == "ü"
    assert set(run.description["versions"]) == {"elmo", "python", "torch", "numpy"}
    assert [entry.name for entry in (tmp_path / "runs").iterdir()] == ["v"]


def test_no_path_of_this_machine_is_written(tmp_path: Path) -> None:
    data = DataSettings(train=tmp_path / "train.csv", corpus=(tmp_path / "more.txt",))
    assert portable({"data": data})["data"]["train"] == "train.csv"
    with RunWriter(tmp_path / "v", "vocab", "elmo vocab build") as writer:
        writer.describe({"data": data, "output": tmp_path})
        writer.write_vocabulary(small_vocabulary())
    assert all(str(tmp_path).encode() not in content for content in contents(tmp_path / "v").values())


def test_a_failure_before_the_first_save_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with RunWriter(tmp_path / "new" / "runs" / "v", "vocab", "elmo vocab build") as writer:
            writer.describe({})
            raise DataError("bad input")

    with pytest.raises(DataError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_what_was_committed_outlives_a_failure_and_is_refused_as_unfinished(tmp_path: Path) -> None:
    def fail() -> None:
        with RunWriter(tmp_path / "lm", "lm", "elmo pretrain") as writer:
            writer.describe({})
            writer.commit()
            raise ElmoError("too bad")

    with pytest.raises(ElmoError, match="too bad"):
        fail()
    with pytest.raises(RunError, match="not finished") as caught:
        Run.open(tmp_path / "lm")
    assert "--resume" in str(caught.value.remedy)
    assert Run.open(tmp_path / "lm", unfinished=True).kind == "lm"


def test_an_existing_run_is_refused_and_the_remedy_named(tmp_path: Path) -> None:
    write_vocabulary_run(tmp_path / "v")
    before = contents(tmp_path / "v")
    with pytest.raises(RunError, match="exists already") as caught:
        write_vocabulary_run(tmp_path / "v")
    assert "--overwrite" in str(caught.value.remedy)
    assert contents(tmp_path / "v") == before


def test_a_stopped_run_may_be_resumed_and_its_remedy_says_so(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "lm", "lm", "elmo pretrain") as writer:
        writer.leave_unfinished()
    assert not Run.open(tmp_path / "lm", unfinished=True).finished
    with pytest.raises(RunError, match="exists already") as caught:
        write_lm(tmp_path / "lm")
    assert "--resume" in str(caught.value.remedy)
    with RunWriter(tmp_path / "lm", "lm", "elmo pretrain", resume=True) as writer:
        assert writer.path == tmp_path / "lm"
    assert Run.open(tmp_path / "lm").finished


def test_an_abandoned_run_keeps_nothing_of_its_own(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "new" / "lm", "lm", "elmo pretrain") as writer:
        writer.describe({"seed": 1})
        writer.abandon()
    assert list(tmp_path.iterdir()) == []
    write_vocabulary_run(tmp_path / "v")
    before = contents(tmp_path / "v")
    with RunWriter(tmp_path / "v", "vocab", "elmo vocab build", overwrite=True) as writer:
        writer.describe({"seed": 1})
        writer.abandon()
    assert contents(tmp_path / "v") == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["v"]


def test_a_run_in_its_place_is_left_as_it_is_by_abandoning(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "lm", "lm", "elmo pretrain") as writer:
        writer.leave_unfinished()
    before = contents(tmp_path / "lm")
    with RunWriter(tmp_path / "lm", "lm", "elmo pretrain again", resume=True) as writer:
        writer.abandon()
    assert contents(tmp_path / "lm") == before


def test_overwriting_keeps_the_old_run_until_the_new_one_is_saved(tmp_path: Path) -> None:
    write_vocabulary_run(tmp_path / "v")
    before = contents(tmp_path / "v")

    def fail() -> None:
        with RunWriter(tmp_path / "v", "vocab", "elmo vocab build", overwrite=True) as writer:
            writer.write_text("new.txt", "new")
            raise DataError("bad input")

    with pytest.raises(DataError):
        fail()
    assert contents(tmp_path / "v") == before
    with RunWriter(tmp_path / "v", "vocab", "elmo vocab build", overwrite=True) as writer:
        writer.write_text("new.txt", "new")
    assert set(contents(tmp_path / "v")) == {"new.txt", "run.yaml"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["v"]


def test_only_a_run_of_the_same_kind_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("precious")
    with pytest.raises(RunError, match="is not a run"):
        write_vocabulary_run(tmp_path / "home", overwrite=True)
    write_lm(tmp_path / "lm")
    with pytest.raises(RunError, match="holds an LM run"):
        write_vocabulary_run(tmp_path / "lm", overwrite=True)
    (tmp_path / "empty").mkdir()
    write_vocabulary_run(tmp_path / "empty")
    assert Run.open(tmp_path / "empty").kind == "vocab"


def test_a_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "v").write_text("a file")
    with pytest.raises(RunError, match="is not a run"):
        write_vocabulary_run(tmp_path / "v", overwrite=True)
    with pytest.raises(ElmoError, match="could not be written"):
        write_vocabulary_run(tmp_path / "v" / "inside")
    assert (tmp_path / "v").read_text() == "a file"


def test_a_second_writer_is_kept_out_and_a_reader_of_what_is_not_whole(tmp_path: Path) -> None:
    write_vocabulary_run(tmp_path / "v")
    with RunWriter(tmp_path / "v", "vocab", "elmo vocab build", overwrite=True) as writer:
        with pytest.raises(RunError, match="another process is writing") as caught:
            write_vocabulary_run(tmp_path / "v", overwrite=True)
        assert ".v.lock" in str(caught.value.where)
        assert Run.open(tmp_path / "v").vocabulary() is not None  # the old one, until the new one takes its place
        writer.describe({})
        writer.commit()
        with pytest.raises(RunError, match="another process is writing"):
            Run.open(tmp_path / "v")
    assert Run.open(tmp_path / "v")


def test_readers_get_the_old_run_or_the_new_one_while_it_is_replaced(tmp_path: Path) -> None:
    sizes = [40, 400]
    kinds = [Vocabulary(["<S>", "</S>", "<UNK>", *map(str, range(size))], tokenizer=TOKENIZER) for size in sizes]
    folder = tmp_path / "lm"

    def write(number: int) -> None:
        with RunWriter(folder, "lm", "elmo pretrain", overwrite=True) as writer:
            network = BiLm(small_settings(), len(kinds[number % 2]))
            save_lm(writer, network, kinds[number % 2])

    write(0)
    over = Event()
    found: list[list[int]] = [[] for _ in range(10)]

    def read(seen: list[int]) -> None:
        while not over.wait(0.4):
            loaded = load_lm(folder)
            assert loaded.vocabulary is not None
            assert loaded.network.vocabulary_size == len(loaded.vocabulary)
            seen.append(len(loaded.vocabulary))

    with ThreadPoolExecutor(len(found)) as pool:
        readers = [pool.submit(read, seen) for seen in found]
        try:
            for number in range(1, 101):
                write(number)
        finally:
            over.set()
        for reader in readers:
            reader.result()
    assert all(found)
    assert {size for seen in found for size in seen} == {len(kind) for kind in kinds}
    assert [entry.name for entry in tmp_path.iterdir()] == ["lm"]


def test_a_reader_puts_back_what_a_dead_writer_set_aside(tmp_path: Path) -> None:
    write_vocabulary_run(tmp_path / "v")
    os.replace(tmp_path / "v", tmp_path / ".v.old")
    assert Run.open(tmp_path / "v").vocabulary() is not None
    assert [entry.name for entry in tmp_path.iterdir()] == ["v"]


def test_what_a_killed_save_left_in_a_run_is_removed_when_it_is_resumed(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "lm", "lm", "elmo pretrain") as writer:
        writer.describe({})
        writer.commit()
        (tmp_path / "lm" / "state").mkdir()
        (tmp_path / "lm" / "state" / ".model.safetensors.new").write_bytes(b"half")
        writer.leave_unfinished()
    with RunWriter(tmp_path / "lm", "lm", "elmo pretrain", resume=True) as writer:
        assert not list((tmp_path / "lm").rglob(".*"))
        writer.leave_unfinished()


def test_a_lock_file_that_a_dead_process_left_does_not_lock(tmp_path: Path) -> None:
    write_vocabulary_run(tmp_path / "v")
    (tmp_path / ".v.lock").touch()
    assert Run.open(tmp_path / "v")
    (tmp_path / ".v.lock").touch()
    write_vocabulary_run(tmp_path / "v", overwrite=True)
    assert [entry.name for entry in tmp_path.iterdir()] == ["v"]


def test_a_writer_that_died_while_replacing_loses_no_run(tmp_path: Path) -> None:
    write_vocabulary_run(tmp_path / "v")
    os.replace(tmp_path / "v", tmp_path / ".v.old")
    (tmp_path / ".v.new").mkdir()
    with pytest.raises(RunError, match="exists already"):
        write_vocabulary_run(tmp_path / "v")
    assert Run.open(tmp_path / "v").vocabulary() is not None
    assert [entry.name for entry in tmp_path.iterdir()] == ["v"]


def test_a_full_disk_is_an_error_that_says_what_was_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with RunWriter(tmp_path / "lm", "lm", "elmo pretrain") as writer:
        writer.write_json("a.json", 1)
        writer.commit()
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(ElmoError, match="No space left on device") as caught:
            writer.write_json("a.json", 2)
        monkeypatch.undo()
    assert caught.value.exit_code == 1
    assert "kept as it was last saved" in str(caught.value.remedy)
    assert contents(tmp_path / "lm")["a.json"] == b"1\n"
    assert set(contents(tmp_path / "lm")) == {"a.json", "run.yaml"}


def test_the_log_is_appended_to_and_cut_back(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "v", "vocab", "elmo vocab build") as writer:
        writer.describe({})
        assert writer.log_offset() == 0
        writer.log({"step": 1})
        offset = writer.log_offset()
        writer.log({"step": 2})
        writer.cut_log(offset)
        writer.log({"step": 3})
        writer.write_json("results.json", {"figure": 1.5})
    run = Run.open(tmp_path / "v")
    assert run.metrics() == [{"step": 1}, {"step": 3}]
    assert run.results() == {"figure": 1.5}


def test_resuming_needs_a_run_of_the_kind(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run"):
        RunWriter(tmp_path / "lm", "lm", "elmo pretrain", resume=True).__enter__()
    write_vocabulary_run(tmp_path / "v")
    with pytest.raises(RunError, match="is a vocabulary; an LM run is wanted"):
        RunWriter(tmp_path / "v", "lm", "elmo pretrain", resume=True).__enter__()
    with pytest.raises(RunError, match="exclude each other"):
        RunWriter(tmp_path / "v", "vocab", "elmo", resume=True, overwrite=True).__enter__()


def test_all_files_of_a_run_have_the_mode_that_the_user_gives_files(tmp_path: Path) -> None:
    write_lm(tmp_path / "lm")
    (tmp_path / "ours").touch()
    modes = {file.stat().st_mode for file in (tmp_path / "lm").iterdir()}
    assert modes == {(tmp_path / "ours").stat().st_mode}


def test_a_card_shows_what_files_are_called_and_obeys_none_of_it(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "v", "vocab", "elmo vocab build") as writer:
        writer.describe({})
        hostile = "<img src=x onerror=y> ![a](http://b) `c` | \x1b[2J"
        write_card(writer, hostile, hostile, {hostile: hostile}, {}, "pass")
    text = (tmp_path / "v" / "README.md").read_text(encoding="utf-8")
    shown = r"\<img src=x onerror=y> !\[a\](http://b) \`c\` \| \\x1b\[2J"
    assert text.startswith(f"# {shown}\n\n{shown}\n\n")
    assert f"| {shown} | {shown} |\n" in text


# Reading


def test_a_missing_run_is_answered_with_the_nearest_name(tmp_path: Path) -> None:
    write_vocabulary_run(tmp_path / "vocab")
    write_lm(tmp_path / "lm-small")
    with pytest.raises(RunError, match="there is no run") as caught:
        Run.open(tmp_path / "lm-smal")
    assert f"did you mean '{tmp_path / 'lm-small'}'?" == caught.value.remedy
    with pytest.raises(RunError, match="is not a run") as folder:
        Run.open(tmp_path, "vocab")
    assert str(tmp_path / "vocab") in str(folder.value.remedy)
    with pytest.raises(RunError) as nothing:
        Run.open(tmp_path / "elsewhere" / "lm", "lm")
    assert "elmo pretrain" in str(nothing.value.remedy)


def test_a_run_of_another_kind_is_named(tmp_path: Path) -> None:
    write_vocabulary_run(tmp_path / "v")
    with pytest.raises(RunError, match="is a vocabulary; a classifier run is wanted"):
        load_classifier(tmp_path / "v")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("schema: 99\nkind: vocab\nstatus: finished\n", "newer elmo"),
        ("schema: 1\nkind: poem\nstatus: finished\n", "damaged"),
        ("schema: 1\nkind: vocab\n", "damaged"),
        ("- a list\n", "damaged"),
        ("{", "damaged"),
        ("\x00", "damaged"),
    ],
)
def test_a_description_that_cannot_be_used_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "run.yaml").write_text(text)
    with pytest.raises(RunError, match=message):
        Run.open(tmp_path)


@pytest.mark.parametrize("size", [0, 4, 100, -1])
def test_truncated_weights_are_refused(tmp_path: Path, size: int) -> None:
    write_lm(tmp_path / "lm")
    weights = tmp_path / "lm" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:size])
    with pytest.raises(RunError, match=r"model\.safetensors is damaged"):
        load_lm(tmp_path / "lm")
    weights.unlink()
    with pytest.raises(RunError, match=r"model\.safetensors is missing"):
        load_lm(tmp_path / "lm")


def test_a_vocabulary_of_another_run_is_refused(tmp_path: Path) -> None:
    write_lm(tmp_path / "lm")
    file = tmp_path / "lm" / "vocab.txt"
    file.write_text(file.read_text().replace("a\nb\n", "b\na\n"))
    with pytest.raises(RunError, match="does not belong to this run"):
        load_lm(tmp_path / "lm")


def test_unreadable_json_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    write_vocabulary_run(tmp_path / "v")
    with pytest.raises(RunError, match=r"results\.json cannot be read"):
        Run.open(tmp_path / "v").results()
    (tmp_path / "v" / "metrics.jsonl").write_text('{"a": 1}\n{"a"')
    assert Run.open(tmp_path / "v").metrics() == [{"a": 1}]


# Models


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tie": True},
        {"projection_size": 3, "embedding_size": 2, "softmax": "adaptive"},
        {"encoder": "char", "characters": {"filters": [[1, 2], [2, 3]], "max_characters": 8}},
        {"encoder": "word+char", "characters": {"filters": [[1, 2], [2, 3]], "max_characters": 8}},
    ],
)
def test_an_lm_comes_back_as_it_was_saved(tmp_path: Path, changes: dict[str, object]) -> None:
    network = write_lm(tmp_path / "lm", **changes)
    os.replace(tmp_path / "lm", tmp_path / "moved")
    embedder = load_lm(tmp_path / "moved")
    assert embedder.name == "moved"
    assert not embedder.network.training
    assert embedder.tokenizer == TOKENIZER
    assert embedder.vocabulary is not None
    assert embedder.vocabulary.tokens == small_vocabulary().tokens
    assert (embedder.layer_count, embedder.width) == (2, network.width)
    loaded = embedder.network.state_dict()
    for name, tensor in network.state_dict().items():
        assert torch.equal(loaded[name], tensor), name


def test_an_lm_without_vocabulary_and_softmax_keeps_its_tokenizer(tmp_path: Path) -> None:
    settings = small_settings(encoder="char", characters={"filters": [[1, 2]], "max_characters": 8})
    with RunWriter(tmp_path / "lm", "lm", "elmo import") as writer:
        save_lm(writer, BiLm(settings, None, softmax=False), None, TOKENIZER)
    embedder = load_lm(tmp_path / "lm")
    assert embedder.vocabulary is None
    assert embedder.tokenizer == TOKENIZER
    assert not (tmp_path / "lm" / "vocab.txt").exists()


@pytest.mark.parametrize("static", [False, True])
def test_a_classifier_run_holds_all_of_it(tmp_path: Path, static: bool) -> None:
    vocabulary = small_vocabulary()
    network = StaticTable(torch.randn(7, 5)) if static else BiLm(small_settings(), len(vocabulary))
    embedder = Embedder.of(network, vocabulary, TOKENIZER, "vectors.txt")
    settings = ClassifySettings(lambdas="frozen", hidden_size=3)
    classifier = Classifier(network, settings, 2, seed=5)
    with RunWriter(tmp_path / "c", "classifier", "elmo classify") as writer:
        save_classifier(writer, [classifier], embedder, ["yes", "no"], settings, DataSettings(label="l"))
    loaded = load_classifier(tmp_path / "c")
    assert loaded.classes == ["yes", "no"]
    assert loaded.settings == settings
    assert loaded.data.label == "l"
    assert loaded.embedder.name == "vectors.txt"
    assert not loaded.classifier.training
    assert loaded.classifier.embedder is loaded.embedder.network
    assert loaded.classifier.combiner.lambdas() == classifier.combiner.lambdas()
    tensors = loaded.classifier.state_dict()
    for name, tensor in classifier.state_dict().items():
        assert torch.equal(tensors[name], tensor), name


def test_every_tensor_is_accounted_for(tmp_path: Path) -> None:
    network = BiLm(small_settings(), 6)
    tensors = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(WeightsError, match=r"lacks tensor encoder\.table"):
        copy_tensors(network, {k: v for k, v in tensors.items() if k != "encoder.table"}, tmp_path)
    with pytest.raises(WeightsError, match="unknown tensor more"):
        copy_tensors(network, {**tensors, "more": torch.zeros(1)}, tmp_path)
    with pytest.raises(WeightsError, match=r"encoder\.table of shape \(3, 4\)"):
        copy_tensors(network, {**tensors, "encoder.table": torch.zeros(3, 4)}, tmp_path)


def test_settings_that_cannot_build_the_model_are_refused(tmp_path: Path) -> None:
    write_lm(tmp_path / "lm")
    file = tmp_path / "lm" / "run.yaml"
    description = yaml.safe_load(file.read_text())
    description["embedder"]["model"]["layers"] = "many"
    file.write_text(json.dumps(description))
    with pytest.raises(RunError, match="does not say how to build"):
        load_lm(tmp_path / "lm")


@pytest.mark.parametrize("name", ["../secret.safetensors", "state/../../secret.safetensors", "/etc/hostname"])
def test_a_file_that_leads_out_of_the_run_is_not_read(tmp_path: Path, name: str) -> None:
    write_vocabulary_run(tmp_path / "v")
    (tmp_path / "secret.safetensors").write_bytes(b"not yours")
    run = Run.open(tmp_path / "v")
    for read in (run.tensors, run.shapes):
        with pytest.raises(RunError, match="leads out of it"):
            read(name)


@pytest.mark.parametrize("place", ["metrics.jsonl", "state"])
def test_a_run_with_links_is_not_gone_on_with(tmp_path: Path, place: str) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "tensors-1.safetensors").write_bytes(b"mine")
    with RunWriter(tmp_path / "lm", "lm", "elmo pretrain") as writer:
        writer.leave_unfinished()
    (tmp_path / "lm" / place).symlink_to(victim / "tensors-1.safetensors" if "." in place else victim)
    with pytest.raises(RunError, match=rf"{re.escape(place)} in .*lm is a link"):
        RunWriter(tmp_path / "lm", "lm", "elmo pretrain", resume=True).__enter__()
    assert (victim / "tensors-1.safetensors").read_bytes() == b"mine"
    assert Run.open(tmp_path / "lm", unfinished=True)


@pytest.mark.parametrize("offset", [-1, 1000])
def test_a_log_is_not_cut_where_it_has_no_bytes(tmp_path: Path, offset: int) -> None:
    with RunWriter(tmp_path / "lm", "lm", "elmo pretrain") as writer:
        writer.describe({"seed": 1})
        writer.log({"event": "step"})
        before = (writer.path / "metrics.jsonl").read_bytes()
        with pytest.raises(RunError, match="shorter than when"):
            writer.cut_log(offset)
        assert (writer.path / "metrics.jsonl").read_bytes() == before
