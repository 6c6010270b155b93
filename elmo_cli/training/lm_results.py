"""What is said of a biLM when its training has ended: results, leak test and model card."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch

from elmo_cli.config import Precision
from elmo_cli.embedder import Embedder, Feed
from elmo_cli.errors import ElmoError
from elmo_cli.metrics.checks import leak_test
from elmo_cli.metrics.perplexity import Perplexity, perplexity
from elmo_cli.ranks import ALONE, Ranks
from elmo_cli.runs import RESULTS_FILE, WEIGHTS_FILE, Run, RunWriter
from elmo_cli.runs.cards import write_card
from elmo_cli.runs.tensors import copy_tensors
from elmo_cli.text.encoded import EncodedCorpus
from elmo_cli.training.checkpoint import PretrainingState
from elmo_cli.training.prepare import PretrainJob

LEAK_TEST_SENTENCES, LEAK_TEST_TOKENS = 3, 10

EndedBy = Literal["epochs", "time", "patience"]


@dataclass(frozen=True)
class Pretrained:
    """A biLM whose training came to its end; the weights of its best epoch are in the run."""

    embedder: Embedder  # with the weights of the last epoch
    state: PretrainingState  # where the training ended
    ended_by: EndedBy


@dataclass(frozen=True)
class LeakTest:
    """That no token helps to predict itself, as every run shows on some sentences of its validation text."""

    passed: bool  # it always has; else the training fails
    sentences: int  # how many were tested
    leak: float  # the largest move of a token's own scores when it is changed
    context: float  # the smallest move of its neighbours' scores, which must be seen


@dataclass(frozen=True)
class LmResults:
    """`results.json` of a pretraining."""

    validation: Perplexity  # of the best epoch
    epochs: int
    best_epoch: int  # counted from 1
    ended_by: EndedBy
    last_epoch_share: float  # share of the last epoch that was trained on, below 1 where time was up
    steps: int  # of the optimiser
    tokens: int  # predicted steps of one direction
    seconds: float  # over all sessions
    tokens_per_second: float  # over all of that time, validation included
    precision: Precision  # what matrices were multiplied in
    native_loop: bool  # whether the LSTM's steps ran in C++
    parameters: int  # softmax included
    vocabulary_size: int  # without padding
    leak_test: LeakTest | None  # None if no validation sentence has two different tokens


def write_lm_results(
    writer: RunWriter, job: PretrainJob, trained: Pretrained, device: torch.device | str, ranks: Ranks = ALONE
) -> dict[str, Any]:
    """Score the best weights as they are on disk, and write results and model card.

    Returns:
        What `results.json` holds.

    Raises:
        ElmoError: The leak test fails.
    """
    embedder, state = trained.embedder, trained.state
    ranks.wait()  # until the weights of the best epoch are on the disk
    network = embedder.network
    copy_tensors(network, Run(writer.path, writer.description).tensors(), writer.path / WEIGHTS_FILE)
    network.eval()
    results = LmResults(
        validation=perplexity(embedder, job.valid, device=device, ranks=ranks),
        epochs=state.epoch,
        best_epoch=state.best_epoch,
        ended_by=trained.ended_by,
        last_epoch_share=state.last_share,
        steps=state.step,
        tokens=state.tokens,
        seconds=state.seconds,
        tokens_per_second=state.tokens / max(1e-9, state.seconds),
        precision=state.precision,
        native_loop=state.native_loop,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        vocabulary_size=len(job.vocabulary),
        leak_test=_test_for_leaks(embedder, job.valid, device),
    )
    document = asdict(results)
    writer.write_json(RESULTS_FILE, document)
    _write_card(writer, job, results)
    return document


def _test_for_leaks(embedder: Embedder, corpus: EncodedCorpus, device: torch.device | str) -> LeakTest | None:
    """See on some sentences that no token helps to predict itself; None if none has two different tokens.

    Raises:
        ElmoError: One does: then every perplexity is wrong.
    """
    feed = Feed(embedder, corpus, device)
    tested, worst_leak, least_context = 0, 0.0, math.inf
    for sentence in range(len(corpus)):
        tokens, _ = feed.sentences(np.array([sentence]))
        # Of a longer sentence the beginning: its last token then stands in the place of </S>, which is just as good.
        tokens = tokens._replace(ids=tokens.ids[:, : LEAK_TEST_TOKENS + 2])
        if len(set(tokens.ids[0, 1:-1].tolist())) > 1:
            leak, context = leak_test(embedder.bilm(), tokens)
            if not leak.passed:
                raise ElmoError(
                    f"the model sees what it predicts: changing a token moved its own scores by {leak.value:.2g}",
                    expected=f"at most {leak.tolerance:g}",
                    remedy="report it as a bug: the perplexities of this run mean nothing",
                )
            worst_leak = max(worst_leak, leak.value or 0.0)
            least_context = min(least_context, context.value or 0.0)
            tested += 1
        if tested == LEAK_TEST_SENTENCES:
            break
    return LeakTest(True, tested, worst_leak, least_context) if tested else None


def _write_card(writer: RunWriter, job: PretrainJob, results: LmResults) -> None:
    model, scores = job.settings.model, results.validation
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
            "vocabulary": results.vocabulary_size,
            "encoder": model.encoder,
            "layers x cells / projection": f"{model.layers} x {model.hidden_size} / {model.token_size}",
            "seed": job.settings.seed,
        },
        {
            "validation perplexity, forward": scores.forward,
            "validation perplexity, backward": scores.backward,
            "geometric mean": scores.mean,
            "unknown tokens in validation": f"{100 * scores.oov_rate:.2f} %",
            "best of epochs": f"{results.best_epoch} of {results.epochs}",
            "leak test": "passed" if results.leak_test else None,
        },
        f'import elmo_cli\n\nelmo = elmo_cli.load("{writer.name}")\nvectors = elmo.embed(["A sentence ."])',
    )
