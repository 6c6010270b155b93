"""A vector a type out of a biLM: the mean of a token's activations over its contexts, or its activation on its own.

    v(t) = 1/n Σ h(t in context),    then optionally  v <- (v - mean) U    and    v <- a / (a + p(t)) v

by contexts as Bommasani et al. 2020 (section 3); U are the principal components, and the last factor is the smooth
inverse frequency of Arora et al. 2017 (section 3), both as model2vec applies them. The file is word2vec's, for
`elmo compare --baseline` and whatever else reads such. Legend: V vocabulary, W width, D width after PCA.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from elmo_cli.config import Experiment
from elmo_cli.disk import refuse_target
from elmo_cli.embedder import Embedder, Extractor
from elmo_cli.errors import ConfigError, DataError
from elmo_cli.events import Notice, Progress, Tell, silent
from elmo_cli.inference.assembly import Layers, Selection
from elmo_cli.inference.batching import DEFAULT_BATCH_TOKENS, Batching
from elmo_cli.runs import load_embedder
from elmo_cli.text.encoded import EncodedCorpus, encode_tokens
from elmo_cli.text.sources import corpus_files, encode_corpus
from elmo_cli.text.vocabulary import SPECIAL_TOKENS, Vocabulary
from elmo_cli.vectors.formats import read_vectors, write_word2vec

MOST_UNSEEN = 0.1  # of a vocabulary, beyond which it is said


@dataclass(frozen=True)
class StaticOptions:
    """How vectors are made of activations.

    Attributes:
        layer: The top one, the mean of all, or one by its number.
        isolated: Each token of the vocabulary is a sentence of its own, and no corpus is read.
        components: D, principal components to keep; None: all W numbers as they are.
        sif: a of the smooth inverse frequency, 1e-4 to 1e-3; None: all vectors weigh the same.
        binary: word2vec's binary format in place of text.
    """

    layer: Layers = "average"
    isolated: bool = False
    components: int | None = None
    sif: float | None = None
    binary: bool = False


@dataclass(frozen=True)
class StaticExport:
    """What was written."""

    path: Path
    vectors: int  # types that have one
    width: int  # numbers in a vector
    layer: str  # as it was asked for
    tokens: int  # running tokens that the vectors are means of
    unseen: int  # types of the vocabulary that did not occur, and have none
    kept_variance: float | None  # share that the principal components keep; None without PCA


def export_static(
    experiment: Experiment,
    run: Path,
    paths: Sequence[Path],
    out: Path,
    options: StaticOptions = StaticOptions(),
    *,
    device: torch.device | str = "cpu",
    overwrite: bool = False,
    tell: Tell = silent,
) -> StaticExport:
    """Write a static vector for each type of a run's vocabulary.

    Args:
        experiment: Settings of the data; of the vocabulary too, where the run brought none.
        run: An LM run, or that of a classifier or tagger, whose biLM is taken.
        paths: Text for the contexts; empty means that of the experiment. Never the test file.
        out: The file, compressed if its name ends in .gz.
        options: How the vectors are made.
        device: Where to compute.
        overwrite: Replace the file where it exists.
        tell: Told of the sentences done, and of what the vectors lack.

    Raises:
        ConfigError: There is no such layer, or there are more components than vectors or numbers in one.
        RunError: The file exists, or the run cannot be used.
        DataError: A file cannot be read, there are no tokens, or a token has no place in word2vec's format.
    """
    refuse_target(out, overwrite)
    embedder = load_embedder(run)
    network = embedder.bilm()
    selection = Selection(network.layer_count, network.width, options.layer, "none", "float32")
    vocabulary, corpus = _read(experiment, embedder, paths, options, tell)
    sums, counts = _accumulate(embedder, vocabulary, corpus, selection, device, tell)
    present = np.flatnonzero(counts)
    unseen = len(vocabulary) - len(SPECIAL_TOKENS) - int((present >= len(SPECIAL_TOKENS)).sum())
    if unseen > MOST_UNSEEN * len(vocabulary):
        tell(Notice(f"{unseen} of {len(vocabulary)} types of the vocabulary do not occur, and get no vector"))
    matrix, kept = sums[present] / counts[present, None], None
    if options.components is not None:
        matrix, kept = principal_components(matrix, options.components)
    if options.sif is not None:
        matrix *= inverse_frequency(_frequencies(counts, present, options.isolated), options.sif)[:, None]
    tokens = [vocabulary.tokens[number] for number in present.tolist()]
    written = matrix.astype(np.float32)
    write_word2vec(out, tokens, written, options.binary)
    _verify(out, tokens, written)
    return StaticExport(out, len(tokens), written.shape[1], str(options.layer), int(counts.sum()), unseen, kept)


def principal_components(vectors: NDArray[np.float64], count: int) -> tuple[NDArray[np.float64], float]:
    """(V, W) to their first principal components (V, D), and the share of the variance that these keep.

    Raises:
        ConfigError: There are fewer vectors, or numbers in one, than components.
    """
    if count > min(vectors.shape):
        found = f"--pca is {count}, of {vectors.shape[0]} vectors of {vectors.shape[1]} numbers"
        raise ConfigError(found, expected=f"at most {min(vectors.shape)}", remedy="lower --pca, or leave it out")
    centred = vectors - vectors.mean(axis=0)
    values, axes = np.linalg.eigh(centred.T @ centred)  # ascending
    kept = values[-count:].sum() / max(values.sum(), np.finfo(np.float64).tiny)
    axes = axes[:, ::-1][:, :count]
    # the sign of an axis is anyone's: its largest number is positive
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(count)])
    return centred @ axes, float(kept)


def inverse_frequency(frequencies: NDArray[np.float64], a: float) -> NDArray[np.float64]:
    """The weight a / (a + p) of each share p of the running tokens."""
    weights: NDArray[np.float64] = a / (a + frequencies)
    return weights


def _read(
    experiment: Experiment, embedder: Embedder, paths: Sequence[Path], options: StaticOptions, tell: Tell
) -> tuple[Vocabulary, EncodedCorpus]:
    """The vocabulary whose types get vectors, and the sentences that these are made of."""
    vocabulary, corpus = embedder.vocabulary, None
    if vocabulary is None or not options.isolated:
        corpus = encode_corpus(experiment, corpus_files(experiment, paths, tell), embedder.tokenizer, tell=tell)
    if vocabulary is None:
        assert corpus is not None
        tell(Notice(f"{embedder.name} has no vocabulary: it is built from the corpus"))
        vocabulary = Vocabulary.build(corpus, experiment.vocab, embedder.tokenizer)
    if corpus is None or options.isolated:
        corpus = encode_tokens([[token] for token in vocabulary.tokens[len(SPECIAL_TOKENS) :]])
    if not corpus.token_count:
        raise DataError("there are no tokens to make vectors of", expected="text", remedy="give a run that has words")
    return vocabulary, corpus


def _accumulate(
    embedder: Embedder,
    vocabulary: Vocabulary,
    corpus: EncodedCorpus,
    selection: Selection,
    device: torch.device | str,
    tell: Tell,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(V, W) sums of the chosen activations of each type, those without an id as `<UNK>`, and (V,) their counts."""
    rows = vocabulary.lookup(corpus.types) - 1  # type numbers to rows
    sums = torch.zeros(len(vocabulary), selection.width, dtype=torch.float64)
    batches = Batching(None, None, False, ordered=False).batches(corpus)
    extractor = Extractor(embedder, device)
    for parts in extractor.parts(corpus, _told(batches, corpus, tell), DEFAULT_BATCH_TOKENS):
        for part in parts:
            # a copy: the backward half of a window is a view that runs from its end
            values = np.array(selection.choose(part.layers), dtype=np.float64, order="C")
            here = corpus.sentence(part.sentence)[part.start : part.start + len(values)]
            sums[:, part.columns].index_add_(0, torch.from_numpy(rows[here]), torch.from_numpy(values))
    counts = np.zeros(len(vocabulary), dtype=np.int64)
    seen = np.flatnonzero(corpus.counts())
    np.add.at(counts, rows[seen], corpus.counts()[seen])
    return sums.numpy(), counts


def _told(batches: Sequence[NDArray[np.int64]], corpus: EncodedCorpus, tell: Tell) -> Iterator[NDArray[np.int64]]:
    """The batches, of which someone is told as they are asked for."""
    done = 0
    for batch in batches:
        yield batch
        done += len(batch)
        tell(Progress("sentences", done, len(corpus)))


def _frequencies(counts: NDArray[np.int64], present: NDArray[np.int64], isolated: bool) -> NDArray[np.float64]:
    """Shares of the running tokens; without a corpus by rank as Zipf has it, since a vocabulary goes by count."""
    weights = 1.0 / (1.0 + np.arange(len(present))) if isolated else counts[present].astype(np.float64)
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares


def _verify(path: Path, tokens: list[str], matrix: NDArray[np.float32]) -> None:
    """See that the file reads back as it was meant; one that does not is not kept.

    Raises:
        DataError: It does not.
    """
    read = read_vectors(path)
    if read.tokens != tokens or not np.array_equal(read.matrix, matrix):
        path.unlink()
        remedy = "nothing was kept; please report it with the vocabulary"
        raise DataError(f"{path} reads back otherwise than it was written", where=path, remedy=remedy)
