"""`elmo bench`: how fast this machine trains and runs a biLM, against the best it can do, and what a corpus would take.

Every figure is measured here and now: a matrix product, the training step of the pretraining loop, and the extraction
that `elmo embed` does, each for some seconds. What is trained is a copy in memory, and nothing is written.
"""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, count, islice
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch

from elmo_cli.config import Experiment, ModelSettings, Precision, PretrainSettings, ReadingSettings
from elmo_cli.data.formats import open_file
from elmo_cli.data.records import read_records
from elmo_cli.devices import check_precision
from elmo_cli.embedder import Embedder, Extractor, Feed
from elmo_cli.errors import ConfigError, DataError
from elmo_cli.inference.batching import DEFAULT_BATCH_TOKENS
from elmo_cli.model.bilm import BiLm
from elmo_cli.model.token_cache import TokenCache
from elmo_cli.runs import Run, load_lm
from elmo_cli.text.batches import length_batches
from elmo_cli.text.encoded import EncodedCorpus, encode_tokens
from elmo_cli.text.streams import Stream
from elmo_cli.text.tokenizer import Tokenizer
from elmo_cli.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from elmo_cli.training.costs import operations, pick_precision, step_multiplications
from elmo_cli.training.optimiser import clip_gradients, make_optimiser
from elmo_cli.training.step import accumulate_gradients, parameter_groups, training_mode

SECONDS = 6.0  # of each measurement, its warm-up apart
STEP_SECONDS = 3.0  # a training step that would take longer is measured with a shorter window
READING_SECONDS = 8.0  # what is not read of a corpus by then is estimated
MEASURED_SENTENCES = 20_000
INVENTED_WORDS, INVENTED_SENTENCES, INVENTED_LENGTH = 30_000, 4_000, 20
SQUARE = 2048

Task = Literal["train", "embed"]


@dataclass(frozen=True)
class BenchRow:
    """One measurement."""

    task: Task  # the training step, optimiser and data included; or embedding all layers
    precision: Precision  # what matrices were multiplied in
    tokens_per_second: float  # tokens of text; a step of training predicts each from both sides
    # Share of the machine's best square product in that precision, counting the products of the LSTM alone
    share: float
    corpus_seconds: float | None  # what the corpus would take: all epochs of training, or embedding it once


@dataclass(frozen=True)
class BenchReport:
    """Speed of a model on this machine."""

    model: str
    device: str
    threads: int
    torch: str
    batch_size: int  # rows of the stream that was trained on
    window: int  # steps of that stream
    epochs: int  # that a training is estimated for
    precision: Precision  # what `elmo pretrain` would train in
    native_loop: bool  # whether the LSTM's steps ran in C++
    peaks: dict[str, float]  # billions of operations a second of the best square product, by precision
    rows: tuple[BenchRow, ...]
    corpus: str | None  # the file of the estimate
    corpus_tokens: int | None
    estimated: bool  # whether `corpus_tokens` is reckoned from its first part
    notes: tuple[str, ...]  # what was not measured, and why


def bench_run(
    experiment: Experiment,
    run: Path | None = None,
    corpus: Path | None = None,
    *,
    device: torch.device | str = "cpu",
) -> BenchReport:
    """Measure a run's model, or with no run a fresh one of the experiment's settings.

    Args:
        experiment: Model and training where there is no run, and how to read the corpus.
        run: An LM run.
        corpus: The text to measure on and to estimate for; None: sentences are made up.
        device: Where to compute.

    Raises:
        RunError: The run cannot be used.
        DataError: The corpus cannot be read, or is empty.
    """
    embedder, pretraining, text, scale = _subject(experiment, run, corpus)
    tokens, sentences = round(scale * text.token_count), round(scale * len(text))
    some = text.slice(0, MEASURED_SENTENCES)
    peaks, notes, rows = _peaks(device), [], []
    for precision, peak in peaks.items():
        speed = embedding_speed(embedder, some, precision, device)
        share = speed * operations(embedder.bilm().settings) / peak
        rows.append(BenchRow("embed", precision, speed, share, tokens / speed if corpus else None))
    model = embedder.bilm().settings
    window = _window(model, pretraining, peaks["float32"])
    if embedder.vocabulary is None or embedder.bilm().softmax is None:
        notes.append("training was not measured: the model has no softmax to predict with")
    else:
        for precision, peak in peaks.items():
            speed = training_speed(embedder, some, pretraining, window, precision, device)
            share = 3 * speed * operations(model) / peak
            needed = pretraining.epochs * (tokens + sentences) / speed if corpus else None
            rows.append(BenchRow("train", precision, speed, share, needed))
    notes += [f"{name} was not measured: {device} cannot" for name in get_args(Precision) if name not in peaks]
    if window < pretraining.window:
        notes.append(f"training was measured with windows of {window} steps, to be done in time")
    return BenchReport(
        model=_describe(embedder, run),
        device=str(device),
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        batch_size=pretraining.rows,
        window=window,
        epochs=pretraining.epochs,
        precision=pick_precision(pretraining.precision, step_multiplications(model, pretraining.rows), device),
        native_loop=embedder.bilm().can_run_native("float32"),
        peaks={name: peak / 1e9 for name, peak in peaks.items()},
        rows=tuple(rows),
        corpus=str(corpus) if corpus else None,
        corpus_tokens=tokens if corpus else None,
        estimated=scale > 1,
        notes=tuple(notes),
    )


def embedding_speed(
    embedder: Embedder, corpus: EncodedCorpus, precision: Precision, device: torch.device | str
) -> float:
    """Tokens a second of `Extractor.parts`, over batches of all lengths; the words are encoded anew."""
    embedder.token_cache = TokenCache()
    batches = length_batches(corpus.lengths + 2, DEFAULT_BATCH_TOKENS)
    order = np.random.default_rng(1).permutation(len(batches)).tolist()
    extractor = Extractor(embedder, device, precision=precision)

    def batch_by_batch() -> Iterator[int]:
        for place in [order[0], *order]:  # one more than there are, as the first is not measured
            for _ in extractor.parts(corpus, [batches[place]], DEFAULT_BATCH_TOKENS):
                pass
            yield int(corpus.lengths[batches[place]].sum())

    return _speed(batch_by_batch())


def training_speed(
    embedder: Embedder,
    corpus: EncodedCorpus,
    settings: PretrainSettings,
    window: int,
    precision: Precision,
    device: torch.device | str,
) -> float:
    """Tokens a second of the steps of `pretrain`, without validation and saving; it changes the weights."""
    network, feed = embedder.bilm().to(device).train(), Feed(embedder, corpus, device)
    mode = training_mode(settings, precision)
    optimiser = make_optimiser(settings.optimiser, parameter_groups(network, settings))
    stream, state = Stream(corpus, settings.rows, window, seed=1), None

    def step_by_step() -> Iterator[int]:
        nonlocal state
        for cut in chain.from_iterable(map(stream.epoch, count())):
            optimiser.zero_grad()
            found = accumulate_gradients(network, [feed.window(cut)], state, mode)
            state = found.state
            clip_gradients(network.parameters(), settings.clip_norm)
            optimiser.step()
            _wait(device)
            yield found.steps

    speed = _speed(step_by_step())
    network.eval()
    return speed


def _speed(work: Iterator[int]) -> float:
    """What is done a second, for some seconds, by work that says after each step how much it was.

    The first step is not measured: kernels are chosen and memory is fetched in it.
    """
    next(work)
    began, done = time.perf_counter(), 0
    for amount in work:
        done += amount
        if time.perf_counter() - began > SECONDS:
            break
    return done / (time.perf_counter() - began)


def _peaks(device: torch.device | str) -> dict[Precision, float]:
    """Operations a second of the best square product, in each precision that the device has."""
    peaks: dict[Precision, float] = {}
    for precision in get_args(Precision):
        try:
            check_precision(precision, device)
        except ConfigError:
            continue
        matrix = torch.randn(SQUARE, SQUARE, device=device).to(getattr(torch, precision))
        seconds = []
        for _ in range(5):  # the best of them, as anything else on the machine only slows it down
            start = time.perf_counter()
            torch.mm(matrix, matrix)
            _wait(device)
            seconds.append(time.perf_counter() - start)
        peaks[precision] = 2 * SQUARE**3 / min(seconds)
    return peaks


def _wait(device: torch.device | str) -> None:
    """Until what was begun is done: other devices than the CPU return before that."""
    if torch.device(device).type != "cpu":
        torch.get_device_module(device).synchronize()


def _window(model: ModelSettings, settings: PretrainSettings, peak: float) -> int:
    """Steps of a window whose training step is done in some seconds even at a third of the peak."""
    a_step = 3 * operations(model) * settings.rows / (peak / 3)
    return max(2, min(settings.window, int(STEP_SECONDS / a_step)))


def _subject(
    experiment: Experiment, run: Path | None, corpus: Path | None
) -> tuple[Embedder, PretrainSettings, EncodedCorpus, float]:
    """The model, how it is trained, the text to measure on, and how many times as much there is of it."""
    embedder, training = None, experiment.pretrain
    if run is not None:
        embedder, settings = load_lm(run), Run.open(run, "lm").settings
        # A model that was taken over has no training of its own here.
        training = PretrainSettings.model_validate(settings.get("pretrain", {}))
    text, scale = _invent(embedder), 1.0
    if corpus is not None:
        text, scale = _read(experiment, corpus, Tokenizer(embedder.tokenizer if embedder else experiment.tokenizer))
    training = training.for_corpus(round(scale * text.token_count))
    return embedder or _fresh(experiment, text), training, text, scale


def _describe(embedder: Embedder, run: Path | None) -> str:
    model = embedder.bilm().settings
    words = "" if embedder.vocabulary is None else f", {len(embedder.vocabulary):,} words"
    return (
        f"{run or 'a fresh model'}: {model.encoder}, {model.layers} x {model.hidden_size} cells, "
        f"tokens of {model.token_size}{words}"
    )


def _fresh(experiment: Experiment, text: EncodedCorpus) -> Embedder:
    """An untrained model of the experiment's settings with the vocabulary of a text."""
    vocabulary = Vocabulary.build(text, experiment.vocab, experiment.tokenizer)
    torch.manual_seed(experiment.seed)
    network = BiLm(experiment.model, len(vocabulary))
    return Embedder.of(network, vocabulary, experiment.tokenizer, "fresh")


def _invent(embedder: Embedder | None) -> EncodedCorpus:
    """Sentences of words that are as frequent as words are: by their rank."""
    words = [f"w{number}" for number in range(INVENTED_WORDS)]
    if embedder is not None and embedder.vocabulary is not None:
        words = list(embedder.vocabulary.tokens[len(SPECIAL_TOKENS) :] or SPECIAL_TOKENS[-1:])
    generator = np.random.default_rng(1)
    lengths = generator.integers(INVENTED_LENGTH // 2, 2 * INVENTED_LENGTH, INVENTED_SENTENCES)
    # Log-uniform: the chance of rank k is about 1 / k, and words that come again are found in the token cache.
    ranks = np.exp(generator.random(int(lengths.sum())) * np.log(len(words) + 1)).astype(np.int64) - 1
    tokens = iter([words[rank] for rank in ranks.tolist()])
    return encode_tokens([list(islice(tokens, length)) for length in lengths.tolist()])


def _read(experiment: Experiment, path: Path, tokenize: Tokenizer) -> tuple[EncodedCorpus, float]:
    """A corpus as far as there is time, and how many times as much there is of it."""
    began, lines, whole = time.perf_counter(), 0, True

    def tokens() -> Iterator[list[str]]:
        nonlocal lines, whole
        for record in read_records(path, experiment.data, labelled=False):
            yield tokenize(record.text)
            lines = record.line
            if time.perf_counter() - began > READING_SECONDS:
                whole = False
                return

    corpus = encode_tokens(tokens())
    if not corpus.token_count:
        raise DataError(
            f"{path} holds no tokens",
            where=path,
            expected="text",
            remedy="give another --corpus, or name its text column with --column",
        )
    return corpus, 1.0 if whole else _remaining(path, lines)


def _remaining(path: Path, lines: int) -> float:
    """Size of a file over that of its first lines, of which it has more; compressed both, if it is. Or in rows."""
    rows = open_file(path, ReadingSettings()).row_count()
    if rows is not None:
        return max(1.0, rows / lines)
    with path.open("rb") as raw:
        file = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
        for _ in islice(file, lines):
            pass
        return max(1.0, path.stat().st_size / raw.tell())
