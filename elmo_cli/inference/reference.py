"""Perplexity of a counted language model on the text that a biLM is scored on: what it is to be compared with."""

from __future__ import annotations

from elmo_cli.config import DataSettings, Experiment, ReadingSettings
from elmo_cli.errors import ConfigError
from elmo_cli.events import Notice, Tell, silent
from elmo_cli.metrics.perplexity import Nats, Perplexity
from elmo_cli.ngrams.kneser_ney import KneserNey
from elmo_cli.runs import Run, describe_files
from elmo_cli.text.encoded import EncodedCorpus
from elmo_cli.text.sources import cache_of, corpus_files, encode_corpus
from elmo_cli.text.vocabulary import Vocabulary
from elmo_cli.training.prepare import hold_out


def ngram_perplexity(
    run: Run, vocabulary: Vocabulary, experiment: Experiment, text: EncodedCorpus, *, tell: Tell = silent
) -> Perplexity:
    """Of modified Kneser-Ney 5-grams, forward and backward, that know the training text of an LM run.

    They have its vocabulary, tokenizer and clean-up, and not its validation text; a sentence is read on its own, as by
    the biLM.

    Args:
        run: Says what was trained on, and how it was read.
        vocabulary: Of the run.
        experiment: Names the corpus, as for `elmo pretrain`.
        text: What is scored.
        tell: Told what is counted.

    Raises:
        ConfigError: The corpus of the settings is not that of the run.
    """
    files, known = corpus_files(experiment, (), tell), cache_of(experiment)
    data = run.settings.get("data", {})
    keys = {*ReadingSettings.model_fields, "limit"}
    reading = experiment.data.model_copy(
        update={key: getattr(DataSettings.model_validate(data), key) for key in keys & data.keys()}
    )
    as_it_was = experiment.model_copy(update={"data": reading})
    learned = {file["fingerprint"] for file in run.description.get("data", {}).get("corpus", [])}
    if learned != {file["fingerprint"] for file in describe_files(files, known)}:
        names = ", ".join(file.name for file in files)
        raise ConfigError(
            f"{run.path.name} was not trained on {names}, so n-grams of it would be no fair reference",
            where=run.path,
            expected="data.corpus or data.train as it was for `elmo pretrain`",
            remedy="name the training text with --set data.corpus=[FILE]",
        )
    corpus = encode_corpus(as_it_was, files, vocabulary.tokenizer, fingerprint=known, tell=tell)
    if data.get("valid") is None:
        corpus, *_ = hold_out(corpus, run.settings["pretrain"]["valid_fraction"], files[0])
    tell(Notice(f"counting 5-grams of {corpus.token_count:,} tokens in both directions"))
    forward, backward = (
        float(KneserNey.fit(corpus, vocabulary, backward=way).nats(text).sum()) for way in (False, True)
    )
    oov = vocabulary.oov(text)
    return Nats(forward, backward, text.token_count + len(text), oov.tokens, oov.unknown).perplexity()
