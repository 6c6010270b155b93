"""Pretraining of a biLM: one loop, from top to bottom, that says what happens and saves what it needs to go on."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import TypeVar

import torch

from elmo_cli.config import Experiment, PretrainSettings
from elmo_cli.devices import pick_device
from elmo_cli.embedder import Embedder, Feed
from elmo_cli.events import Event, Finished, Notice, Step, Stop, Stopped, Tell, Validation, as_record, never, silent
from elmo_cli.metrics.perplexity import Perplexity, perplexity
from elmo_cli.model.bilm import BiLm
from elmo_cli.model.encoder import initialise_table
from elmo_cli.model.kernel import native_library
from elmo_cli.ranks import ALONE, Ranks, joined, rank_seed, restarted
from elmo_cli.runs import WEIGHTS_FILE, Onlooker, Run, RunWriter, find_vocabulary, portable, read_vocabulary
from elmo_cli.runs.models import describe_network
from elmo_cli.text.streams import Stream, Window
from elmo_cli.text.vocabulary import Vocabulary
from elmo_cli.training.checkpoint import Checkpoint, PretrainingState, saved_by_this_launch
from elmo_cli.training.costs import pick_precision, refuse_too_large, step_multiplications
from elmo_cli.training.distributed import Replica, agree, check_ranks
from elmo_cli.training.lm_results import EndedBy, Pretrained, write_lm_results
from elmo_cli.training.optimiser import Average, Schedule, clip_gradients, make_optimiser, set_rate
from elmo_cli.training.prepare import PretrainJob, check_same_training, prepare_pretraining
from elmo_cli.training.start import Start
from elmo_cli.training.state import StepCounter
from elmo_cli.training.step import accumulate_gradients, parameter_groups, training_mode

STEPS_PER_EVENT = 10
NOTABLE_OOV, NOTABLE_DIFFERENCE = 0.2, 0.1  # of the training tokens; from those of the text the vocabulary is of
IN_TORCH = "the LSTM's steps run in torch, about half as fast as in C++"
OTHER_BITS = "it began with the LSTM's steps in C++, and goes on in torch: its last bits will be others"
DIVERGED = "lower pretrain.learning_rate, or set pretrain.clip_norm"

Told = TypeVar("Told", Step, Validation)


def pretrain(
    job: PretrainJob,
    writer: RunWriter,
    *,
    device: torch.device | str = "cpu",
    resume: bool = False,
    stop: Stop = never,
    ranks: Ranks = ALONE,
) -> Generator[Event, None, Pretrained | Stopped]:
    """Train a biLM and keep its best epoch in a run; in float32 on a CPU, resuming changes no bit of what it ends in.

    Args:
        job: What to train, on what.
        writer: Writes the run.
        device: Where to compute.
        resume: Go on from the checkpoint in the run.
        stop: Asked after every step; once it is true, the state is saved and the training ends.
        ranks: Those that train it together, each with some rows of the stream.

    Yields:
        `Step` every few steps and at the end of an epoch, `Validation` and `Saved` after each epoch.

    Raises:
        ElmoError: The loss is no longer a number, or the disk is full.
    """
    settings = job.settings.pretrain
    network, optimiser, average = _build(job, device)
    checkpoint = Checkpoint(writer, network, optimiser, average, ranks)
    state = checkpoint.load() if resume else _begin(job, writer, network, device)
    if not (resume or ranks.first):
        torch.manual_seed(rank_seed(job.settings.seed, ranks.rank))  # what each rank drops is its own
    share = (ranks.rank, ranks.size)
    stream = Stream(job.corpus, settings.rows, settings.window, job.settings.seed, share=share)
    replica = Replica(network, ranks, settings.reduce) if ranks.size > 1 else None
    steps = _steps(stream, settings)
    schedule = Schedule(steps, settings.warmup, settings.final_rate)
    counter = StepCounter(state, steps, DIVERGED, settings.max_minutes)
    time_share = counter.time_share
    embedder = Embedder.of(network.train(), job.vocabulary, job.vocabulary.tokenizer, writer.name)
    feed, mode = Feed(embedder, job.corpus, device), training_mode(settings, state.precision, state.native_loop)
    yield from _native_notices(state, network, resume)
    while not (ended_by := _ended_by(state, settings, time_share)):
        windows = stream.windows_per_epoch(state.epoch)
        for cuts in _in_groups(stream.epoch(state.epoch, state.window), settings.accumulate):
            # The rate falls with the steps, or with the time where that is nearer to its end.
            set_rate(optimiser, schedule.factor(max(state.step + 1, time_share * steps)))
            optimiser.zero_grad()
            found = accumulate_gradients(network, [feed.window(cut) for cut in cuts], state.lstm, mode, replica)
            clip_gradients(network.parameters(), settings.clip_norm)
            optimiser.step()
            save_now = counter.seconds_since_save > 60 * settings.checkpoint_minutes
            agreed = agree(ranks, found, stop(), save_now, counter)
            counter.count(agreed.loss, agreed.steps)
            state.window, state.lstm = state.window + len(cuts), found.state
            average.update(state.step)
            time_share = agreed.time_share
            time_is_up = time_share >= 1.0
            if state.step % STEPS_PER_EVENT == 0 or state.window == windows or time_is_up:
                yield _logged(counter.event(optimiser.param_groups[0]["lr"]), writer)
            if agreed.stop or agreed.save:
                yield checkpoint.save(state, counter)
                if agreed.stop:
                    return Stopped(state.step)
            if time_is_up:
                break  # what was learned of this epoch is validated like a whole one
        state.last_share = state.window / windows
        state.epoch, state.window, state.lstm = state.epoch + 1, 0, None
        with average.in_force():
            scores = perplexity(embedder, job.valid, device=device, ranks=ranks)
            validation = _keep_if_best(state, scores, writer, network)
        yield _logged(validation, writer)
        yield checkpoint.save(state, counter)
    if replica and replica.steps:
        yield Notice(
            f"{ranks.size} processes: each gave {replica.bytes / replica.steps / 1e6:.2g} MB of gradients a step"
        )
    return Pretrained(embedder, state, ended_by)


def _build(job: PretrainJob, device: torch.device | str) -> tuple[BiLm, torch.optim.Optimizer, Average]:
    """The network with its initial weights, and what changes and averages them."""
    settings = job.settings.pretrain
    torch.manual_seed(job.settings.seed)
    network = BiLm(job.settings.model, len(job.vocabulary))
    if job.initial_table is not None and network.encoder.word_table is not None:
        initialise_table(network.encoder.word_table, *(torch.from_numpy(array) for array in job.initial_table))
    if job.start is not None:
        job.start.copy_into(network)
    network.to(device)
    groups = parameter_groups(network, settings, job.settings.model.init_embeddings is not None)
    optimiser = make_optimiser(settings.optimiser, groups)
    return network, optimiser, Average(network.named_parameters() if settings.average else (), settings.average)


def _begin(job: PretrainJob, writer: RunWriter, network: BiLm, device: torch.device | str) -> PretrainingState:
    """Describe a fresh run, and choose the faster ways of its training once for all of its sessions."""
    writer.describe(portable(job.settings), job.files, {"validation": job.validation})
    describe_network(writer, network, job.vocabulary)
    model, settings = job.settings.model, job.settings.pretrain
    precision = pick_precision(settings.precision, step_multiplications(model, settings.rows), device)
    return PretrainingState(precision=precision, native_loop=network.can_run_native(precision))


def _native_notices(state: PretrainingState, network: BiLm, resumed: bool) -> Iterator[Notice]:
    """What the user should know of the loop that this training goes through."""
    problem = native_library.obstacle()
    if problem and next(network.parameters()).device.type == "cpu":
        yield Notice(f"{IN_TORCH}: {problem}")
        if resumed and state.native_loop:
            yield Notice(OTHER_BITS)


def _steps(stream: Stream, settings: PretrainSettings) -> int:
    """Optimiser steps of all epochs; of each but the first an estimate.

    The shuffle of another epoch may need a window more or less; to know, it would have to be laid out now.
    """
    return settings.epochs * math.ceil(stream.windows_per_epoch(0) / settings.accumulate)


def _in_groups(windows: Iterator[Window], size: int) -> Iterator[list[Window]]:
    """So many windows a step; the last step of an epoch has what is left."""
    while some := list(islice(windows, size)):
        yield some


def _ended_by(state: PretrainingState, settings: PretrainSettings, time_share: float) -> EndedBy | None:
    """What ends the training here: its epochs, its time, or that the perplexity does not fall any more; None: nothing.

    An epoch that was begun goes on to its validation, and there is one validation at least.
    """
    if state.best is None or state.window:
        return None
    if state.epoch >= settings.epochs and state.last_share == 1.0:
        return "epochs"
    if state.last_share < 1.0 or time_share >= 1.0:
        return "time"
    return "patience" if state.epoch - state.best_epoch >= settings.patience else None


def _logged(event: Told, writer: RunWriter) -> Told:
    """The event, which is in `metrics.jsonl` before anybody else hears of it: a checkpoint counts what is there."""
    writer.log(as_record(event))
    return event


def _keep_if_best(state: PretrainingState, scores: Perplexity, writer: RunWriter, network: BiLm) -> Validation:
    """Write the weights of an epoch that is better than all before it; its event."""
    best = state.best is None or scores.mean < state.best
    if best:
        state.best, state.best_epoch = scores.mean, state.epoch
        writer.write_tensors(WEIGHTS_FILE, network.state_dict())
    return Validation(state.epoch, scores.forward, scores.backward, scores.mean, best)


def pretrain_run(
    experiment: Experiment,
    paths: Sequence[Path] = (),
    vocab: Path | None = None,
    out: Path | None = None,
    *,
    start: Path | None = None,
    overwrite: bool = False,
    resume: bool = False,
    device: str = "auto",
    stop: Stop = never,
    tell: Tell = silent,
) -> Generator[Event, None, None]:
    """Pretrain a biLM into a run: read, check, train, write.

    Args:
        experiment: The settings.
        paths: The corpus; empty: that of the settings.
        vocab: A vocabulary run, an LM run, or a `vocab.txt`; None: `vocab` in the folder of the runs, or on resuming
            the run's own; if there is none, it is built from the corpus.
        out: The run; None: `lm` in the folder of the runs.
        start: A run whose architecture, weights and vocabulary it begins with; None: it begins at random.
        overwrite: Replace a run that is there, once this one has something to save.
        resume: Go on with a run that was stopped; a finished one is only reported.
        device: Where to compute, or `auto`.
        stop: Asked after every step; see `pretrain`.
        tell: Told of the corpus while it is read, before training begins.

    Yields:
        The events of `pretrain`, at last `Finished` with what `results.json` holds, or `Stopped`.

    Raises:
        InputError: An input cannot be used, or a run to resume was begun with other settings or data.
    """
    out = out or experiment.output / "lm"
    last: Finished | Stopped
    where = pick_device(device)
    with joined(where.type) as ranks, _writer(ranks, out, overwrite=overwrite, resume=resume) as writer:
        resume = writer.resume
        begun = Start.of(start) if start else None
        vocabulary = _find_vocabulary(vocab, experiment.output / "vocab", writer if resume else None)
        if begun:
            vocabulary = begun.vocabulary(read_vocabulary(vocab) if vocab else None, vocabulary)
            for sentence in begun.notices():
                yield Notice(sentence)
        if vocabulary is None:
            yield Notice(f"there is no {experiment.output / 'vocab'}: the vocabulary is built from the corpus")
        # What is large is tokenised by rank 0, and found on the disk by the others.
        job = ranks.in_turn(lambda: prepare_pretraining(experiment, paths, vocabulary, tell, begun))
        if (unknown := job.vocabulary.oov(job.corpus).rate) > NOTABLE_OOV:
            yield Notice(f"{100 * unknown:.0f} % of the training tokens are {_why_unknown(job.vocabulary, unknown)}")
        check_ranks(ranks, job)
        if resume:
            check_same_training(writer.description, job)
        refuse_too_large(job.settings.model, job.settings.pretrain, len(job.vocabulary), out, where)
        if writer.description["status"] == "finished":
            yield Notice(f"{out} is finished already: nothing was trained, these are its results")
            last = Finished(Run(writer.path, writer.description).results())
        else:
            if resume:  # it may go further than it was begun to
                writer.describe(portable(job.settings))
            trained = yield from pretrain(job, writer, device=where, resume=resume, stop=stop, ranks=ranks)
            if isinstance(trained, Stopped):
                writer.leave_unfinished()
                last = trained
            else:
                last = Finished(write_lm_results(writer, job, trained, where, ranks))
    # Only now: a consumer may well end at this event, and by then the run is to be whole.
    yield last


@contextmanager
def _writer(ranks: Ranks, out: Path, *, overwrite: bool, resume: bool) -> Iterator[RunWriter]:
    """Rank 0's writer, and for the others one that does not write.

    Ranks that torchrun has started anew, since one had died, go on from what they have saved.
    """
    if restarted() and saved_by_this_launch(out):
        overwrite, resume = False, True
    kind = RunWriter if ranks.first else Onlooker
    with ExitStack() as stack:
        writer = kind(out, "lm", "elmo pretrain", overwrite=overwrite, resume=resume)
        ranks.in_turn(lambda: stack.enter_context(writer))
        yield writer


def _why_unknown(vocabulary: Vocabulary, rate: float) -> str:
    """What may be wrong with a vocabulary that lacks this share of a text: what it leaves out, or that text itself."""
    settings, totals = vocabulary.settings, vocabulary.totals
    if not settings or not totals or rate > 1 - totals.coverage + NOTABLE_DIFFERENCE:
        return "not in the vocabulary: do they belong together?"
    if len(vocabulary) == settings.max_size:
        return f"not in the vocabulary, which was built to have no more than {settings.max_size:,} tokens (--max-size)"
    return f"not in the vocabulary, which was built of tokens seen {settings.min_count} times or more (--min-count)"


def _find_vocabulary(given: Path | None, default: Path, resumed: RunWriter | None) -> Vocabulary | None:
    """The vocabulary that was given, else that of the run to resume, else the default one; None where there is none."""
    if given is None and resumed is not None:
        return Run(resumed.path, resumed.description).vocabulary()
    found = find_vocabulary(given, default)
    return found[0] if found else None
