"""Pretraining of a biLM: one loop, from top to bottom, that says what happens and saves what it needs to go on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from elmo_cli.config import Experiment, PretrainSettings
from elmo_cli.devices import pick_device
from elmo_cli.embedder import Embedder, Feed
from elmo_cli.errors import ElmoError
from elmo_cli.events import Event, Finished, Notice, Saved, Stopped, Validation, as_record
from elmo_cli.metrics.checks import leak_test
from elmo_cli.metrics.perplexity import perplexity
from elmo_cli.model.bilm import BiLm
from elmo_cli.model.encoder import initialise_table
from elmo_cli.model.kernel.compiled import obstacle
from elmo_cli.runs import RESULTS_FILE, WEIGHTS_FILE, Run, RunWriter, find_vocabulary, portable
from elmo_cli.runs.cards import write_card
from elmo_cli.runs.models import copy_tensors, describe_network
from elmo_cli.text.encoded import EncodedCorpus
from elmo_cli.text.streams import Stream, Window
from elmo_cli.text.vocabulary import Vocabulary
from elmo_cli.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from elmo_cli.training.meter import Meter
from elmo_cli.training.optimiser import Average, Schedule, averaged, make_optimiser, set_rate
from elmo_cli.training.prepare import PretrainJob, check_same_training, prepare_pretraining
from elmo_cli.training.room import check_room
from elmo_cli.training.speed import compiling_pays, pick_precision, step_multiplications
from elmo_cli.training.step import parameter_groups, train_step, training_mode

STEPS_PER_EVENT = 10
NOTABLE_OOV = 0.2
COMPILING_MINUTES = 3.0  # a shorter training is not worth it
COMPILING = "compiling the LSTM's steps for this processor first, which takes up to half a minute"
UNCOMPILED = "the LSTM's steps run uncompiled, about a tenth slower"
LEAK_TEST_SENTENCES, LEAK_TEST_TOKENS = 3, 10


def pretrain(
    job: PretrainJob,
    writer: RunWriter,
    *,
    device: torch.device | str = "cpu",
    resume: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """Train a biLM and write it to a run.

    On the CPU in float32, a training that was stopped and resumed ends in the same bits as one that was not.

    Args:
        job: What to train, on what.
        writer: Of the run.
        device: Where to compute.
        resume: Go on from the checkpoint in the run.
        stop: Asked after every step; once it is true, the state is saved and `Stopped` is the last event.

    Yields:
        `Step` every few steps and at the end of an epoch, `Validation` and `Saved` after each epoch, at last `Finished`
        or `Stopped`.

    Raises:
        ElmoError: The loss is no longer a number, or the disk is full.
    """
    settings = job.settings.pretrain
    torch.manual_seed(job.settings.seed)
    network = _build(job)
    if not resume:
        writer.describe(portable(job.settings), job.files, {"validation": job.validation})
        describe_network(writer, network, job.vocabulary)
    network.to(device)
    groups = parameter_groups(network, settings, job.settings.model.init_embeddings is not None)
    optimiser = make_optimiser(settings.optimiser, groups)
    average = Average(network.named_parameters(), settings.average) if settings.average else None
    stream = Stream(job.corpus, settings.batch_size, settings.window, job.settings.seed)
    # The shuffle of another epoch may need a window more or less; to know, it would have to be laid out now.
    steps = settings.epochs * math.ceil(stream.windows_per_epoch(0) / settings.accumulate)
    schedule = Schedule(steps, settings.warmup, settings.final_rate)
    progress, state = load_checkpoint(writer, network, optimiser, average) if resume else (Progress(), None)
    if not resume:
        multiplications = step_multiplications(job.settings.model, settings.batch_size)
        progress.precision = pick_precision(settings.precision, multiplications, device)
        hurried = settings.max_minutes is not None and settings.max_minutes < COMPILING_MINUTES
        progress.compiled = not hurried and compiling_pays(job.settings.model, settings, stream.steps, device)
    if progress.compiled:
        problem = obstacle()
        yield Notice(f"{UNCOMPILED}: {problem}" if problem else COMPILING)
    embedder = Embedder.of(network, job.vocabulary, job.vocabulary.tokenizer, writer.name)
    feed, mode = Feed(embedder, job.corpus, device), training_mode(settings, progress.precision, progress.compiled)
    meter = Meter(progress, steps, settings.max_minutes)
    network.train()
    while not _ended_by(progress, settings, meter):
        windows, time_is_up = stream.windows_per_epoch(progress.epoch), False
        for cuts in _in_groups(stream.epoch(progress.epoch, progress.window), settings.accumulate):
            set_rate(optimiser, schedule.factor(max(progress.step + 1, meter.time_share * steps)))
            loss, _, predicted, state, _ = train_step(
                network, optimiser, [feed.window(cut) for cut in cuts], state, settings.clip_norm, mode
            )
            meter.count(loss, predicted, len(cuts))
            if average is not None:
                average.update(progress.step)
            time_is_up = meter.time_share >= 1.0
            if progress.step % STEPS_PER_EVENT == 0 or progress.window == windows or time_is_up:
                event = meter.event(optimiser.param_groups[0]["lr"])
                writer.log(as_record(event))
                yield event
            if stop() or meter.seconds_since_save > 60 * settings.checkpoint_minutes:
                meter.settle()
                save_checkpoint(writer, progress, network, optimiser, state, average)
                yield Saved(progress.step)
                if stop():
                    writer.leave_unfinished()
                    yield Stopped(progress.step)
                    return
            if time_is_up:
                break
        progress.last_share = progress.window / windows
        progress.epoch, progress.window, state = progress.epoch + 1, 0, None
        with averaged(average):
            scores = perplexity(embedder, job.valid, device=device)
            best = progress.best is None or scores.mean < progress.best
            if best:
                progress.best, progress.best_epoch = scores.mean, progress.epoch
                writer.write_tensors(WEIGHTS_FILE, network.state_dict())
        validation = Validation(progress.epoch, scores.forward, scores.backward, scores.mean, best)
        writer.log(as_record(validation))
        yield validation
        meter.settle()
        save_checkpoint(writer, progress, network, optimiser, state, average)
        yield Saved(progress.step)
    yield Finished(_finish(job, writer, embedder, progress, _ended_by(progress, settings, meter) or "", device))


def _ended_by(progress: Progress, settings: PretrainSettings, meter: Meter) -> str | None:
    """What ends the training here: its epochs, its time, or that the perplexity does not fall any more; None: nothing.

    An epoch that was begun goes on to its validation, and there is one validation at least.
    """
    if progress.best is None or progress.window:
        return None
    if progress.epoch >= settings.epochs and progress.last_share == 1.0:
        return "epochs"
    if progress.last_share < 1.0 or meter.time_share >= 1.0:
        return "time"
    return "patience" if progress.epoch - progress.best_epoch >= settings.patience else None


def _in_groups(windows: Iterator[Window], size: int) -> Iterator[list[Window]]:
    """So many windows a step; the last step of an epoch has what is left."""
    while some := list(islice(windows, size)):
        yield some


def _build(job: PretrainJob) -> BiLm:
    network = BiLm(job.settings.model, len(job.vocabulary))
    if job.initial_table is not None and network.encoder.word_table is not None:
        initialise_table(network.encoder.word_table, *(torch.from_numpy(array) for array in job.initial_table))
    return network


def _finish(
    job: PretrainJob,
    writer: RunWriter,
    embedder: Embedder,
    progress: Progress,
    ended_by: str,
    device: torch.device | str,
) -> dict[str, Any]:
    """Score the best weights as they are on disk, write results and model card."""
    network = embedder.network
    copy_tensors(network, Run(writer.path, writer.description).tensors(), writer.path / WEIGHTS_FILE)
    network.eval()
    scores = perplexity(embedder, job.valid, device=device)
    results: dict[str, Any] = {
        "validation": scores.as_dict(),
        "epochs": progress.epoch,
        "best_epoch": progress.best_epoch,
        "ended_by": ended_by,
        "last_epoch_share": progress.last_share,
        "steps": progress.step,
        "tokens": progress.tokens,
        "seconds": progress.seconds,
        "tokens_per_second": progress.tokens / max(1e-9, progress.seconds),
        "precision": progress.precision,
        "compiled": progress.compiled,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "vocabulary_size": len(job.vocabulary),
        "leak_test": _test_for_leaks(embedder, job.valid, device),
    }
    writer.write_json(RESULTS_FILE, results)
    model = job.settings.model
    write_card(
        writer,
        f"{writer.name}: a bidirectional language model",
        "An ELMo: two LSTM language models, one reading forward and one backward, whose layers give each token of a "
        "sentence a vector that depends on its context.",
        {
            "corpus": ", ".join(file["name"] for file in job.files["corpus"]),
            "training sentences": len(job.corpus),
            "training tokens": job.corpus.token_count,
            "validation": job.validation,
            "vocabulary": len(job.vocabulary),
            "encoder": model.encoder,
            "layers x cells / projection": f"{model.layers} x {model.hidden_size} / {model.token_size}",
            "seed": job.settings.seed,
        },
        {
            "validation perplexity, forward": scores.forward,
            "validation perplexity, backward": scores.backward,
            "geometric mean": scores.mean,
            "unknown tokens in validation": f"{100 * scores.oov_rate:.2f} %",
            "best of epochs": f"{progress.best_epoch} of {progress.epoch}",
            "leak test": "passed" if results["leak_test"] else None,
        },
        f'import elmo_cli\n\nelmo = elmo_cli.load("{writer.name}")\nvectors = elmo.embed(["A sentence ."])',
    )
    return results


def _test_for_leaks(embedder: Embedder, corpus: EncodedCorpus, device: torch.device | str) -> dict[str, Any] | None:
    """See on some sentences that no token helps to predict itself; None if none has two different tokens.

    Raises:
        ElmoError: One does: then every perplexity is wrong.
    """
    feed, worst = Feed(embedder, corpus, device), {"leak": 0.0, "context": math.inf}
    tested = 0
    for sentence in range(len(corpus)):
        tokens, _ = feed.sentences(np.array([sentence]))
        tokens = tokens._replace(ids=tokens.ids[:, : LEAK_TEST_TOKENS + 2])
        # Of a longer sentence the beginning: its last token then stands in the place of </S>, which is just as good.
        if len(set(tokens.ids[0, 1:-1].tolist())) > 1:
            leak, context = leak_test(embedder.bilm(), tokens)
            worst["leak"] = max(worst["leak"], leak.value or 0.0)
            worst["context"] = min(worst["context"], context.value or 0.0)
            if not leak.passed:
                raise ElmoError(
                    f"the model sees what it predicts: changing a token moved its own scores by {leak.value:.2g}",
                    expected=f"at most {leak.tolerance:g}",
                    remedy="report it as a bug: the perplexities of this run mean nothing",
                )
            tested += 1
        if tested == LEAK_TEST_SENTENCES:
            break
    return {"passed": True, "sentences": tested, **worst} if tested else None


def pretrain_run(
    experiment: Experiment,
    paths: Sequence[Path] = (),
    vocab: Path | None = None,
    out: Path | None = None,
    *,
    overwrite: bool = False,
    resume: bool = False,
    device: str = "auto",
    stop: Callable[[], bool] = lambda: False,
    reading: Callable[[int, int | None], object] | None = None,
) -> Iterator[Event]:
    """Pretrain a biLM into a run: read, check, train, write.

    Args:
        experiment: The settings.
        paths: The corpus; empty: that of the settings.
        vocab: A vocabulary run, an LM run, or a `vocab.txt`; None: `vocab` in the folder of the runs, or on resuming
            the run's own; if there is none, it is built from the corpus.
        out: The run; None: `lm` in the folder of the runs.
        overwrite: Replace a run that is there, once this one has something to save.
        resume: Go on with a run that was stopped; a finished one is only reported.
        device: Where to compute, or `auto`.
        stop: Asked after every step; see `pretrain`.
        reading: Told bytes of the corpus read and to read, before training begins.

    Yields:
        The events of `pretrain`.

    Raises:
        InputError: An input cannot be used, or a run to resume was begun with other settings or data.
    """
    out = out or experiment.output / "lm"
    last: Event | None = None
    with RunWriter(out, "lm", "elmo pretrain", overwrite=overwrite, resume=resume) as writer:
        where = pick_device(device)
        vocabulary = _find_vocabulary(vocab, experiment.output / "vocab", writer if resume else None)
        if vocabulary is None:
            yield Notice(f"there is no {experiment.output / 'vocab'}: the vocabulary is built from the corpus")
        notices: list[str] = []
        job = prepare_pretraining(experiment, paths, vocabulary, notices.append, reading)
        yield from map(Notice, notices)
        unknown = job.vocabulary.oov(job.corpus).rate
        if unknown > NOTABLE_OOV:
            yield Notice(
                f"{100 * unknown:.0f} % of the training tokens are not in the vocabulary: do they belong together?"
            )
        if resume:
            check_same_training(writer.description, job)
        check_room(job.settings.model, job.settings.pretrain, len(job.vocabulary), out, where)
        if writer.description["status"] == "finished":
            yield Notice(f"{out} is finished already: nothing was trained, these are its results")
            last = Finished(Run(writer.path, writer.description).results())
        else:
            for event in pretrain(job, writer, device=where, resume=resume, stop=stop):
                if isinstance(event, Finished | Stopped):
                    last = event
                else:
                    yield event
    # Only now: a consumer may well end at this event, and by then the run is to be whole.
    if last is not None:
        yield last


def _find_vocabulary(given: Path | None, default: Path, resumed: RunWriter | None) -> Vocabulary | None:
    """The vocabulary that was given, else that of the run to resume, else the default one; None where there is none."""
    if given is None and resumed is not None:
        return Run(resumed.path, resumed.description).vocabulary()
    found = find_vocabulary(given, default)
    return found[0] if found else None
